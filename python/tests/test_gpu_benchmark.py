"""The benchmark for GPUs, as far as it goes without one: targets, resumption, the program that times layers."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from caffe_acu.caffe_proto import build_folder
from caffe_acu.errors import UserError
from caffe_acu.training_log import parse_training_log

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "benchmarks"))

import gpu_bench  # noqa: E402
import gpu_targets  # noqa: E402
from gpu_report import markdown  # noqa: E402
from layer_times import Failed, LayerTimes  # noqa: E402
from shapes import BOTH, FORWARD, LayerCase  # noqa: E402

SMALL = LayerCase("small", 2, 8, 8, 6)


def quartiles(median: float) -> dict[str, float]:
    return {"lower_quartile": median, "median": median, "upper_quartile": median}


def rows_of(result: dict, what: str) -> dict[str, str]:
    return {row["measured"]: row["status"] for row in gpu_targets.judge(result) if row["what"] == what}


def test_what_was_not_run_is_neither_met_nor_missed():
    rows = gpu_targets.judge({})
    assert len(rows) > 70
    assert {row["status"] for row in rows} == {"not run"}


def test_targets_are_judged_by_medians():
    both = {"acu": 1.4, "conv": 1.0, "deform": 4.2, "dcls": 4.1}
    times = {name: {FORWARD: quartiles(1.0), BOTH: quartiles(ms)} for name, ms in both.items()}
    times["acu"][FORWARD] = quartiles(1.26)
    result = {
        "copy_gb_per_s": 4000.0,
        "layers": {
            "wide/512-512-7x7": {"times_ms": times, "not_run": {}},
            "depthwise/64-32x32": {
                "times_ms": {"acu": {FORWARD: quartiles(0.028), BOTH: quartiles(0.1)}},
                "not_run": {"conv": "it ended with -6"},
            },
        },
        "checks": {"check/64-32x32": {"errors": {"output": 1e-6, "weight gradient": math.nan}}},
        "iterations": {"plain": quartiles(2.0), "plain_acu": quartiles(2.6)},
        "training": {"alone": {"plain": quartiles(4.0), "plain_acu": quartiles(5.7)}},
    }
    assert rows_of(result, "wide/512-512-7x7") == {
        "forward, ACU / Convolution": "missed",
        "forward+backward, ACU / Convolution": "met",
        "forward+backward, ACU / deform_conv2d": "met",
        "forward+backward, ACU / DCLS": "missed",
    }
    # 2 x 33.5 MB in 28 us are 2.4 TB/s.
    assert rows_of(result, "depthwise/64-32x32") == {
        "forward, bandwidth / copy's": "missed",
        "forward+backward, ACU / Convolution": "not run",
    }
    assert rows_of(result, "check/64-32x32") == {"largest difference from torchvision": "missed"}
    assert list(rows_of(result, "plain network, batch 64").values()) == ["met", "missed"]
    assert list(rows_of(result, "plain ACU network").values()) == ["missed"]  # 6.08 minutes
    reasons = [row["reason"] for row in gpu_targets.judge(result) if row["what"] == "depthwise/64-32x32"]
    assert "it ended with -6" in reasons


class Canned(LayerTimes):
    """Answers without a program."""

    def device(self):
        return {"device": "a GPU", "copy_gb_per_s": 4000.0, "bytes": 1}

    def layers(self, case):
        asked.append(case.name)
        return {"acu": {FORWARD: quartiles(1), BOTH: quartiles(2)}}, {"conv": "out of memory"}

    def iteration(self, kind):
        raise Failed("no solver today", [])


asked: list[str] = []


def benchmark(path: Path, select) -> gpu_bench.Benchmark:
    settings = gpu_bench.Settings(
        Canned(Path("layer_times")),
        Path("/nowhere/python"),
        select,
        "benchmarks/gpu.py",
        ("device", "layers", "iterations"),
    )
    return gpu_bench.Benchmark(path, settings)


def test_a_benchmark_goes_on_where_it_was_and_says_what_it_lacks(tmp_path):
    path = tmp_path / "result.json"
    assert benchmark(path, lambda name: name.startswith("wide")).run()
    assert asked == ["wide/256-256-14x14", "wide/512-512-7x7"]
    second = benchmark(path, lambda name: name.startswith(("wide", "device", "iterations", "plain/16")))
    assert second.run()
    assert asked[2:] == ["plain/16-48-32x32"]
    text = markdown(second.result)
    assert "wide/512-512-7x7: Convolution was not run: out of memory" in text
    assert "wide/512-512-7x7: DCLS was not run: torch: /nowhere/python cannot be started" in text
    assert "copy in the device's memory: 4000 GB/s" in text
    assert "not run: no solver today" in text

    second.forget()
    assert second.result["layers"] == {} and second.result["copy_gb_per_s"] is None

    old = json.loads(path.read_text())
    old["environment"]["commit"] = "0123456"
    path.write_text(json.dumps(old))
    with pytest.raises(UserError, match="holds results of another commit"):
        benchmark(path, bool)


def test_the_benchmark_lists_what_it_measures():
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", "--list", "--only", "wide|device|iterations|g16$"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert listed == [
        "check/64-64-17x17-g16",
        "device",
        "wide/256-256-14x14",
        "wide/512-512-7x7",
        "29-layer-x4d/64-64-32x32-g16",
        "iterations/plain",
        "iterations/plain_acu",
    ]


@pytest.fixture
def program() -> Path:
    path = build_folder() / "bin" / "layer_times"
    if not path.is_file():
        pytest.skip("layer_times is not built")
    return path


def test_layers_are_timed(program):
    times, not_run = LayerTimes(program, gpu=-1, repetitions=3, warm_up=1).layers(SMALL)
    assert set(times) == {"acu", "conv"} and not not_run
    for passes in times.values():
        for one in passes.values():
            assert 0 < one["lower_quartile"] <= one["median"] <= one["upper_quartile"]


def test_a_layer_that_cannot_be_is_reported_in_caffes_words(program, tmp_path):
    bad = LayerCase("bad", 2, 8, 8, 6, group=3)
    times, not_run = LayerTimes(program, gpu=-1, repetitions=1).layers(bad)
    assert times == {} and set(not_run) == {"acu", "conv"}
    assert not_run["acu"].startswith("layer_times ended with 1: net.prototxt:9: GroupedACU layer 'acu': 3 convolution")
    with pytest.raises(Failed, match="layer_times ended with"):
        LayerTimes(program, gpu=-1, repetitions=1).dump(bad, tmp_path)


def test_caffes_own_convolution_is_not_taken_for_cudnns(tmp_path):
    program = tmp_path / "layer_times"
    times = json.dumps({"forward_ms": quartiles(1), "forward_backward_ms": quartiles(2)})[1:]
    lines = ['{"device": "a GPU", "cudnn": 0}', '{"layer": "acu", ' + times, '{"layer": "cudnn", ' + times]
    program.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines))
    program.chmod(0o755)
    times, not_run = LayerTimes(program, gpu=0).layers(SMALL)
    assert set(times) == {"acu"}
    assert not_run == {"conv": "cuDNN cannot be used here"}


def test_a_dump_holds_a_whole_pass(program, tmp_path):
    folder = LayerTimes(program, gpu=-1).dump(SMALL, tmp_path)
    read = {path.stem: np.load(path) for path in folder.iterdir()}
    assert read["bottom0"].shape == read["bottom0_diff"].shape == SMALL.input_shape
    assert read["blob0"].shape == SMALL.weight_shape
    assert read["blob2_diff"].shape == (1, 1, 3, 3)
    assert all(array.dtype == np.float32 for array in read.values())
    # The bias gradient is the sum of the output's.
    assert np.allclose(read["blob1_diff"], read["top0_diff"].sum((0, 2, 3)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to do"),
        (["--copy_bandwidth", "--repetitions=0"], "leaves nothing to do but --dump"),
        (["--copy_bandwidth", "--repetitions=-1"], "take 0 or more"),
    ],
)
def test_wrong_options_of_layer_times(program, arguments, message):
    ended = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert ended.returncode == 2
    assert message in ended.stderr and ended.stderr.count("\n") == 1


def test_times_of_iterations_are_read_from_the_log():
    def line(iteration: int, seconds: float) -> str:
        return f"I1 solver.cpp:239] Iteration {iteration} (9 iter/s, {seconds}s/10 iters), loss = 2.5"

    lines = [
        "I1 solver.cpp:60] Solving plain",
        line(0, 0.3),
        line(10, 0.5),
        line(20, 0.7),
        "I1 solver.cpp:60] Solving plain",  # resumed at 15
        line(20, 0.1),
        line(30, 0.6),
    ]
    log = parse_training_log(lines)
    assert log.iterations.tolist() == [0, 10, 20, 30]
    assert np.isnan(log.seconds).tolist() == [True, False, True, False]
    assert log.iteration_ms == pytest.approx([50, 60])
