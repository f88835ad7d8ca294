"""benchmarks/scaling.py, with a stand-in for MPI and for the trainer: what it starts, reads and reckons."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.net_param import read_prototxt

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

# Writes what a trainer would: two ranks take 0.6 of the time of one; the first iterations are slow.
MPIRUN = """
import json, os, sys
from pathlib import Path
ranks = int(sys.argv[sys.argv.index("-np") + 1])
assert sys.argv[1:3] == ["--bind-to", "none"] and "train" in sys.argv
if "--overlap" in sys.argv:
    assert sys.argv[-2:] == ["--overlap", "4"]
threads = {os.environ[name] for name in ("CAFFE_ACU_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")}
assert threads == {str(2 // ranks)}
assert Path(sys.argv[sys.argv.index("--solver") + 1]).is_file()
with open(sys.argv[sys.argv.index("--timing") + 1], "w") as file:
    for i in range(4):  # of 5 iterations; the last one ends with no other
        seconds = 9 if i < 2 else (1 + i / 10) * (1 if ranks == 1 else 0.6)
        line = {"iteration": i, "seconds": seconds, "communication_seconds": 0.05, "bytes": 3420648}
        print(json.dumps(line), file=file)
"""


@pytest.fixture
def runs(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("scaling_runs")


def call(folder: Path, program: str, *options: str) -> subprocess.CompletedProcess:
    path = folder / "mpirun"
    path.write_text(f"#!{sys.executable}\n{program}")
    path.chmod(0o755)
    line = [sys.executable, BENCHMARKS / "scaling.py", "--only", "plain$", "--rounds", "2", "--iterations", "5"]
    line += ["--mpirun", f"{path} --bind-to none", "--folder", folder, "--out", folder / "result", *options]
    return subprocess.run(line, capture_output=True, text=True, timeout=100)


def test_one_rank_is_held_against_two(tmp_path):
    called = call(tmp_path, MPIRUN)
    assert called.returncode == 0, called.stderr
    record = json.loads((tmp_path / "result.json").read_text())
    assert set(record["environment"]) >= {"commit", "date", "processor"}
    assert record["command"].startswith("benchmarks/scaling.py --only") and str(tmp_path) not in record["command"]
    (row,) = record["rows"]
    assert (row["model"], row["batch"]) == ("cvpr2017/plain", 64)
    # Of 1.2 and 1.3 s, without those of the warm-up; and 855,162 values of 4 bytes.
    assert row["one_ms"] == pytest.approx(1250) and row["two_ms"] == pytest.approx(750)
    assert row["efficiency"] == pytest.approx(1 / 0.6)
    assert row["communication_ms"] == pytest.approx(50)
    assert row["bytes"] == row["counted_bytes"] == 4 * 855_162
    text = (tmp_path / "result.md").read_text()
    assert "| cvpr2017/plain | 64 | 1250.0 | 750.0 | 1.67 (1.67 to 1.67) | 50.0 | 3.42 | 3.42 |" in text
    assert text == called.stdout
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []  # images and logs are gone


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import sys; print('rank 1 died', file=sys.stderr); sys.exit(3)", "plain-1, 1 ranks: failed (3): rank 1 died"),
        ("", "timing.jsonl: cannot be read: No such file or directory: does this trainer know --timing?"),
        ("open('timing.jsonl', 'w').write('{}')", "timing.jsonl: damaged (KeyError('seconds'))"),
        (MPIRUN.replace("range(4)", "range(3)"), "timing.jsonl: 3 iterations, and not 4: was the training stopped?"),
        (MPIRUN.replace("0.05", "float('nan')"), "timing.jsonl: damaged (a time or a size that is none)"),
    ],
    ids=["rank dies", "no timing", "other timing", "stopped", "no number"],
)
def test_what_fails_is_one_line_and_nothing_is_written(tmp_path, program, message):
    called = call(tmp_path, program)
    assert called.returncode == 2
    assert message in called.stderr and "Traceback" not in called.stderr
    assert not (tmp_path / "result.json").exists()


def test_gradients_may_be_sent_while_others_are_computed(tmp_path):
    called = call(tmp_path, MPIRUN, "--overlap", "4")
    assert called.returncode == 0, called.stderr
    assert "- gradients are sent 4 MiB at a time while others are computed" in called.stdout


def test_without_mpi_the_cure_is_told(tmp_path):
    called = call(tmp_path, MPIRUN, "--mpirun", "no-such-mpirun")
    assert called.returncode == 2
    assert "no-such-mpirun is not there: install MPI (scripts/setup.sh --mpi), or give --mpirun" in called.stderr


def test_a_network_that_is_none_is_told(tmp_path):
    called = call(tmp_path, MPIRUN, "--only", "vgg")
    assert (called.returncode, called.stdout) == (2, "")
    assert "no network has 'vgg' in its name; --list shows the names" in called.stderr


def test_every_network_divides_its_batch_and_has_images_of_its_size(runs, tmp_path):
    for case in runs.CASES:
        for ranks in runs.RANKS:
            folder = runs.prepare(case, tmp_path, ranks, 12)
            net = read_prototxt(folder / "train_val.prototxt")
            (data,) = (layer for layer in net.layer if layer.type == "Data")
            assert data.data_param.batch_size * ranks == case.batch
            assert not data.transform_param.mean_file and Path(data.data_param.source).is_dir()
            assert not any(layer.acu_param.warmup_iter for layer in net.layer)
            solver = text_format.Parse((folder / "solver.prototxt").read_text(), caffe_pb2.SolverParameter())
            assert (solver.max_iter, solver.snapshot, solver.snapshot_after_train) == (12, 0, False)
            assert not solver.test_iter


def test_they_are_what_caffe_trains(runs, tmp_path):
    """Caffe itself takes the files; the ranks' own trainer reads the same."""
    from caffe_acu.experiments.run import caffe_program

    (case,) = (case for case in runs.CASES if case.model == "grouped/resnet29_acu")
    folder = runs.prepare(runs.Case(case.model, 4), tmp_path, 2, 2)
    trained = subprocess.run(
        [caffe_program(), "train", "--solver", "solver.prototxt"], cwd=folder, capture_output=True, text=True
    )
    assert trained.returncode == 0, trained.stderr
    assert not list(folder.glob("snapshot*"))


def test_ratios_are_of_rounds(runs):
    """So that a machine that slows down for a while does so for both."""
    samples = {ranks: [runs.Sample(t * s, 0.1, 8.0) for t in (1, 10, 2)] for ranks, s in ((1, 1.0), (2, 0.8))}
    row = runs.summary(runs.CASES[0], samples)
    assert row["efficiency"] == row["least"] == row["most"] == pytest.approx(1.25)
    assert row["one_ms"] == pytest.approx(2000)


def test_a_timing_must_be_whole(runs, tmp_path):
    path = tmp_path / "timing.jsonl"
    path.write_text('{"iteration": 0, "seconds": 1, "communication_seconds": 0.1, "bytes": 8}\n{"iteration"')
    with pytest.raises(UserError, match="timing.jsonl: damaged"):
        runs.read_timing(path, 2, 0)
