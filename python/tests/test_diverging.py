"""A training that diverges stops with one line, its good snapshots kept; positions that run away are reported."""

import os
import re
import subprocess
from pathlib import Path

import caffe
import numpy as np
import pytest

from caffe_acu.experiments.run import caffe_program

NET = """
layer { name: "x" type: "DummyData" top: "x" dummy_data_param { shape { dim: 2 dim: 3 dim: 6 dim: 6 }
  data_filler { type: "gaussian" std: 1 } } }
layer { name: "t" type: "DummyData" top: "t" dummy_data_param { shape { dim: 2 dim: 2 dim: 4 dim: 4 }
  data_filler { type: "gaussian" std: 1 } } }
layer { name: "acu" type: "ACU" bottom: "x" top: "y" param { } param { }
  param { lr_mult: POSITIONS } param { lr_mult: POSITIONS }
  convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""


def train(folder: Path, positions: float, solver: str) -> subprocess.CompletedProcess:
    (folder / "net.prototxt").write_text(NET.replace("POSITIONS", str(positions)))
    path = folder / "solver.prototxt"
    path.write_text(
        f'net: "{folder}/net.prototxt" max_iter: 40 random_seed: 1 snapshot_prefix: "{folder}/s" {solver}\n'
    )
    program = [caffe_program(), "train", "--solver", path]
    return subprocess.run(program, capture_output=True, text=True, env={**os.environ, "GLOG_minloglevel": "0"})


def complaints(result: subprocess.CompletedProcess, mark: str) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith(mark) and "] " in line]


def test_an_exploding_rate_stops_before_the_snapshot(tmp_path):
    result = train(tmp_path, 0, 'base_lr: 0.001 lr_policy: "exp" gamma: 1e5 snapshot: 1')
    assert result.returncode == 1
    (complaint,) = complaints(result, "E")
    assert re.search(
        "layer '(acu|loss)': the loss of iteration .* first (weights|outputs) that are not finite", complaint
    )
    assert "snapshots before it stay" in complaint
    assert "Optimization Done" not in result.stderr
    snapshots = sorted(tmp_path.glob("s_iter_*.caffemodel"), key=lambda path: int(path.stem.split("_")[-1]))
    assert 2 < len(snapshots) < 40
    for path in snapshots:
        assert path.with_suffix(".solverstate").exists()
        net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST, weights=str(path))
        assert all(np.isfinite(blob.data).all() for blobs in net.params.values() for blob in blobs)


def test_data_that_are_no_numbers(tmp_path):
    net = NET.replace("POSITIONS", "0").replace(
        'type: "DummyData" top: "x" dummy_data_param', 'type: "Input" top: "x" input_param'
    )
    net = net.replace('dim: 6 }\n  data_filler { type: "gaussian" std: 1 } }', "dim: 6 } }", 1)
    (tmp_path / "net.prototxt").write_text(net)
    path = tmp_path / "solver.prototxt"
    path.write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 0.01 lr_policy: "fixed" snapshot_prefix: "{tmp_path}/s"\n'
    )
    solver = caffe.get_solver(str(path))
    solver.step(2)
    before = solver.net.params["acu"][0].data.copy()
    solver.net.blobs["x"].data[1, 2, 3, 3] = np.nan
    with pytest.raises(caffe.Error, match="the loss of iteration 2 is -?nan.*mend the data") as caught:
        solver.step(1)
    assert caught.value.layer == "x" and caught.value.file == "finite.cpp"
    np.testing.assert_array_equal(solver.net.params["acu"][0].data, before)
    solver.net.blobs["x"].data[...] = 1
    solver.step(1)
    assert solver.iter == 3
    solver.net.params["acu"][0].data[0, 0, 0, 0] = np.inf
    with pytest.raises(caffe.Error, match="weights are not finite, and no snapshot is made") as caught:
        solver.snapshot()
    assert caught.value.layer == "acu" and not list(tmp_path.glob("s_*"))


@pytest.mark.parametrize(("bound", "told"), [("", True), ("position_bound: 1e6", False), ("position_bound: 0", False)])
def test_positions_that_run_away_are_told_once(tmp_path, bound, told):
    result = train(tmp_path, 1, f'base_lr: 150 lr_policy: "fixed" weight_decay: 0 {bound} clip_gradients: 1e-9')
    assert result.returncode == 0, result.stderr[-2000:]
    lines = [line for line in complaints(result, "W") if "position_bound" in line]
    assert len(lines) == told
    if told:
        assert "ACU layer 'acu': position set 0, synapse" in lines[0] and "lower the lr_mult" in lines[0]
