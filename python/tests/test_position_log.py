"""Position logs: files written by hand against the reader, and what the solver writes against its snapshots."""

import json
import os
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.errors import UserError
from caffe_acu.experiments.run import caffe_program
from caffe_acu.net_param import blob_array, format_prototxt
from caffe_acu.plots.movement import movement
from caffe_acu.plots.shapes import shapes
from caffe_acu.position_log import is_position_log, load_npz, read_position_log, save_npz
from caffe_acu.positions import LayerSeries, read_series

# Name, type, sets, kernel, rule of the fixed synapse, warm-up.
LAYERS = (("conv1", "ACU", 1, (3, 3), -2, 10), ("stage/Größe", "GroupedACU", 2, (1, 5), 3, 0))
ITERATIONS = (0, 7, 2**40)


def header() -> bytes:
    content = b"ACUPOSLG" + struct.pack("<II", 1, len(LAYERS))
    for name, kind, sets, (height, width), fixed, warmup in LAYERS:
        for text in (name.encode(), kind.encode()):
            content += struct.pack("<I", len(text)) + text
        content += struct.pack("<IIIii", sets, height, width, fixed, warmup)
    return content


def value(iteration: int, layer: int, axis: int, s: int, k: int) -> float:
    """A position that tells whose it is; the fifth synapse of the first layer stays at the origin."""
    if layer == 0 and k == 4:
        return 0.0
    return (iteration % 97) + layer / 2 + axis / 4 + s / 8 + k / 128 + 1 / 1024


def record(iteration: int) -> bytes:
    content = struct.pack("<q", iteration)
    for layer, (_, _, sets, (height, width), _, _) in enumerate(LAYERS):
        for axis in range(2):
            for s in range(sets):
                for k in range(height * width):
                    content += struct.pack("<f", value(iteration, layer, axis, s, k))
    return content + struct.pack("<I", zlib.crc32(content))


def write_log(path: Path, iterations=ITERATIONS) -> bytes:
    content = header() + b"".join(map(record, iterations))
    path.write_bytes(content)
    return content


def assert_equal(series: list[LayerSeries], expected: list[LayerSeries]) -> None:
    assert len(series) == len(expected)
    for one, other in zip(series, expected, strict=True):
        for name in ("layer", "type", "kernel_size", "warmup_iter"):
            assert getattr(one, name) == getattr(other, name)
        for name in ("iterations", "x", "y", "fixed"):
            ours, theirs = getattr(one, name), getattr(other, name)
            assert np.array_equal(ours, theirs) and ours.dtype == theirs.dtype


def test_every_number_arrives_where_it_belongs(tmp_path):
    write_log(tmp_path / "positions.log")
    assert is_position_log(tmp_path / "positions.log")
    series = read_position_log(tmp_path / "positions.log")
    assert [layer.fixed.tolist() for layer in series] == [[4], [3, 3]]
    for i, (layer, (name, kind, sets, kernel, _, warmup)) in enumerate(zip(series, LAYERS, strict=True)):
        assert (layer.layer, layer.type, layer.kernel_size, layer.warmup_iter) == (name, kind, kernel, warmup)
        assert layer.iterations.tolist() == list(ITERATIONS)
        assert layer.x.shape == layer.y.shape == (3, sets, kernel[0] * kernel[1])
        assert layer.x.dtype == layer.y.dtype == np.float64
        for (t, s, k), x in np.ndenumerate(layer.x):
            assert x == value(ITERATIONS[t], i, 0, s, k)
            assert layer.y[t, s, k] == value(ITERATIONS[t], i, 1, s, k)


def test_a_file_cut_at_any_byte_is_read_up_to_the_last_whole_record(tmp_path):
    path = tmp_path / "positions.log"
    content = write_log(path)
    first, size = len(header()), len(record(0))
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        whole = (cut - first) // size
        if whole >= 1:
            assert read_position_log(path)[1].iterations.tolist() == list(ITERATIONS[:whole])
        else:
            with pytest.raises(UserError, match=r"positions\.log: (no position log|cut short|no record)"):
                read_position_log(path)


def test_damage(tmp_path):
    path = tmp_path / "positions.log"
    content = write_log(path)
    size = len(record(0))
    for place in (1, 4, 5, 30, size):  # of the last record, from its end: checksum, values, iteration
        damaged = bytearray(content)
        damaged[-place] ^= 1
        path.write_bytes(damaged)
        assert read_position_log(path)[0].iterations.tolist() == [0, 7]
    path.write_bytes(content[:-size] + bytes(size))
    assert read_position_log(path)[0].iterations.tolist() == [0, 7]
    damaged = bytearray(content)
    damaged[-size - 9] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(UserError, match="record 1 is damaged, and others follow"):
        read_position_log(path)
    path.write_bytes(content.replace(b"LG\x01", b"LG\x02", 1))
    with pytest.raises(UserError, match="a position log of version 2; this program reads 1"):
        read_position_log(path)
    path.write_text("layer { }")
    assert not is_position_log(path) and not is_position_log(tmp_path)
    with pytest.raises(UserError, match="no position log; the file that"):
        read_position_log(path)
    with pytest.raises(UserError, match="nowhere: cannot be read"):
        read_position_log(tmp_path / "nowhere")


def test_npz(tmp_path):
    write_log(tmp_path / "positions.log")
    series = read_position_log(tmp_path / "positions.log")
    path = tmp_path / "new" / "positions.npz"
    save_npz(series, path)
    assert_equal(load_npz(path), series)
    with np.load(path) as file:  # without pickles
        assert file["layers"].tolist() == ["conv1", "stage/Größe"]
        assert np.array_equal(file["y_1"], series[1].y)
    content = path.read_bytes()
    for damaged in (b"", content[:100], content[: len(content) // 2], b"PK\x03\x04", b"text", b"\x93NUMPY"):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"positions\.npz: not an npz of positions"):
            load_npz(path)
    np.savez(path, weights=np.zeros(3))
    with pytest.raises(UserError, match=r"positions\.npz: not an npz of positions"):
        load_npz(path)
    np.save(path.with_suffix(".npy"), np.zeros(3))
    with pytest.raises(UserError, match=r"positions\.npy: not an npz of positions"):
        load_npz(path.with_suffix(".npy"))


def test_command(tmp_path, capsys):
    path, figure, moves = tmp_path / "positions.log", tmp_path / "shapes.png", tmp_path / "movement.svg"
    write_log(path, (5, 25))
    assert main(["positions", str(path), "--plot", str(figure), "--movement", str(moves)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{path}, iteration 25, from iteration 5\n\nconv1 (ACU): moved 28.284 px on average")
    assert figure.exists() and moves.exists()
    assert main(["positions", str(path), "--json", "--layers", "stage/Größe"]) == 0
    (layer,) = json.loads(capsys.readouterr().out)
    assert (layer["x"][1][2], layer["start_x"][1][2]) == (value(25, 1, 0, 1, 2), value(5, 1, 0, 1, 2))
    assert main(["positions", str(path), str(path)]) == 2
    assert "positions.log: a position log, which holds a whole run; give it without" in capsys.readouterr().err


def test_figures_show_every_set_from_its_own_start(tmp_path):
    write_log(tmp_path / "positions.log", (5, 25))
    series = read_position_log(tmp_path / "positions.log")
    lines = {tuple(line.get_ydata()) for line in movement(series).axes[0].lines}
    assert (value(5, 0, 0, 0, 7), value(25, 0, 0, 0, 7)) in lines
    for s, panel in enumerate(shapes([series[1].last]).axes):
        ways = {(*line.get_xdata(), *line.get_ydata()) for line in panel.lines}
        for k in range(5):
            assert tuple(value(t, 1, axis, s, k) for axis in (0, 1) for t in (5, 25)) in ways


def write_training(folder: Path, max_iter: int, snapshot: int, interval: int) -> None:
    """Two active layers on a constant image, whose edges pull the synapses: nothing depends on where it is resumed."""
    learn = "param { lr_mult: 0.1 } " * 2 + "param { lr_mult: 1 decay_mult: 0 } " * 2
    (folder / "net.prototxt").write_text(f"""
        layer {{ name: "in" type: "DummyData" top: "data" top: "target" dummy_data_param {{
          shape {{ dim: 2 dim: 4 dim: 6 dim: 6 }} shape {{ dim: 2 dim: 4 dim: 6 dim: 6 }}
          data_filler {{ type: "constant" value: 1 }} data_filler {{ type: "constant" value: 0.5 }} }} }}
        layer {{ name: "first" type: "ACU" bottom: "data" top: "first" {learn} convolution_param {{
          num_output: 4 kernel_size: 3 pad: 1 weight_filler {{ type: "msra" }} }}
          acu_param {{ warmup_iter: 20 position_noise: 0.1 }} }}
        layer {{ name: "last" type: "GroupedACU" bottom: "first" top: "last" {learn} convolution_param {{
          num_output: 4 group: 2 kernel_size: 3 pad: 1 weight_filler {{ type: "msra" }} }} }}
        layer {{ name: "loss" type: "EuclideanLoss" bottom: "last" bottom: "target" }}
    """)
    solver = caffe_pb2.SolverParameter(
        net="net.prototxt", base_lr=1e-3, lr_policy="fixed", momentum=0.9, random_seed=5, max_iter=max_iter,
        snapshot=snapshot, snapshot_prefix="run", position_log="positions.log", position_interval=interval,
    )  # fmt: skip
    (folder / "solver.prototxt").write_text(format_prototxt(solver))


def train(folder: Path, *more: str) -> subprocess.CompletedProcess:
    command = [str(caffe_program()), "train", "--solver", "solver.prototxt", *more]
    return subprocess.run(command, cwd=folder, env={**os.environ, "GLOG_log_dir": str(folder)})


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    write_training(folder, max_iter=410, snapshot=50, interval=5)
    assert train(folder).returncode == 0
    return folder


def test_the_log_of_a_training_equals_its_snapshots(trained):
    series = read_position_log(trained / "positions.log")
    assert series[0].iterations.tolist() == list(range(0, 411, 5))
    every_tenth = [
        LayerSeries(s.layer, s.type, s.iterations[t], s.x[t], s.y[t], s.fixed, s.kernel_size, s.warmup_iter)
        for s in series
        for t in [[10, 20, 30, 40, 50, 60, 70, 80, 82]]
    ]
    snapshots = list(trained.glob("run_iter_*.caffemodel"))
    assert_equal(every_tenth, read_series(snapshots))
    net = caffe_pb2.NetParameter.FromString((trained / "run_iter_410.caffemodel").read_bytes())
    blobs = {layer.name: layer.blobs for layer in net.layer}
    for layer in series:
        assert np.array_equal(layer.x[-1].ravel(), blob_array(blobs[layer.layer][2]).ravel())
        assert np.array_equal(layer.y[-1].ravel(), blob_array(blobs[layer.layer][3]).ravel())
        assert layer.last.max_displacement > 0.05
    assert np.array_equal(series[0].x[0], series[0].x[4]) and not np.array_equal(series[0].x[4], series[0].x[5])


@pytest.mark.parametrize(("iterations", "torn"), [(17, 0), (133, 0), (150, 1), (151, 40), (299, 227), (408, 100)])
def test_killed_and_resumed_it_is_the_log_of_an_uninterrupted_run(trained, tmp_path, iterations, torn):
    write_training(tmp_path, max_iter=410, snapshot=50, interval=5)
    log, whole = tmp_path / "positions.log", (trained / "positions.log").read_bytes()
    die = f"caffe.get_solver('solver.prototxt').step({iterations}); os.kill(os.getpid(), signal.SIGKILL)"
    killed = subprocess.run([sys.executable, "-c", f"import caffe, os, signal; {die}"], cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    written = log.stat().st_size
    assert read_position_log(log)[0].iterations[-1] == (iterations - 1) // 5 * 5
    assert log.read_bytes() == whole[:written]
    log.write_bytes(whole[: written + torn])  # a kill in the midst of a write leaves some bytes of the next record
    snapshot = iterations // 50 * 50
    assert train(tmp_path, *(["--snapshot", f"run_iter_{snapshot}.solverstate"] if snapshot else [])).returncode == 0
    assert log.read_bytes() == whole
