"""The runs of a table: seeds, failures, and the order in which they need each other."""

from pathlib import Path

import numpy as np
import pytest

from caffe_acu.net_param import blob_array, read_net
from caffe_acu.positions import read_positions
from caffe_acu.reproduce.execute import Device, execute
from caffe_acu.reproduce.locks import RUN_LOCK, try_lock
from caffe_acu.reproduce.plan import plan
from caffe_acu.reproduce.prepare_run import Choices, prepare_run
from reproduce_runs import SCALE, call, command, prepare_cifar10, run_folder, shrink_batches

pytest.importorskip("snakemake")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, Path]:
    return prepare_cifar10(tmp_path_factory.mktemp("cifar10"))


def weights(folder: Path) -> bytes:
    (path,) = (folder / "snapshots").glob("*.caffemodel")
    return path.read_bytes()


def positions(folder: Path) -> list[np.ndarray]:
    (path,) = (folder / "snapshots").glob("*.caffemodel")
    return [axis for layer in read_positions(path) for axis in (layer.x, layer.y)]


def test_a_seed_gives_the_same_bits_and_another_does_not(tmp_path, data):
    choices = Choices(SCALE, data={"cifar10": data["gcn-zca"]})
    tasks = [task for task in plan("cvpr2017", "poster_ablation", 2).trainings if task.model.name == "plain_acu"]
    made = []
    for results, task, threads in (("a", tasks[0], 1), ("b", tasks[0], 2), ("a", tasks[1], 2)):
        folder = prepare_run(tmp_path / results, task, choices)
        shrink_batches(folder)
        execute(folder, Device(threads))
        made.append(weights(folder))
    assert made[0] == made[1]
    assert made[0] != made[2]


def test_a_run_is_done_without_positions_that_a_full_disk_took(tmp_path, data, monkeypatch):
    """Nor does a profile of the user's for other workflows matter."""
    (task,) = plan("cvpr2017", "figure5").trainings
    folder = prepare_run(tmp_path / f"scaled-{SCALE}", task, Choices(SCALE, data={"cifar10": data["gcn-zca"]}))
    shrink_batches(folder)
    solver = (folder / "solver.prototxt").read_text()
    (folder / "solver.prototxt").write_text(solver.replace('"positions.log"', '"nowhere/positions.log"'))
    (folder / "positions.log").write_bytes(b"ACUPO")
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "cluster")
    called = call(command("cvpr2017", "table2", "--seeds", "1", results=tmp_path, data=data["gcn-zca"]), cwd=tmp_path)
    assert called.returncode == 0, called.stderr
    assert "positions.log: no position log" in (folder / "run.log").read_text()
    assert (folder / "positions.damaged").read_bytes() == b"ACUPO" and not (folder / "positions.npz").exists()


def test_fixed_acus_have_the_positions_of_the_other_run_and_failures_stop_only_what_needs_them(tmp_path, data):
    """Grouped Table 2 with two seeds; the networks without ACUs fail."""
    results = tmp_path / "results"
    tasks = plan("grouped", "table2", 2).trainings
    choices = Choices(32_000, limit=10, data={"cifar10": data["gcn"]})
    folders = {task.folder: prepare_run(results / "scaled-32000", task, choices) for task in tasks}
    for task in tasks:
        shrink_batches(folders[task.folder])
        if task.model.name in ("resnet29", "resnet29_d2"):
            net = folders[task.folder] / "train_val.prototxt"
            net.write_text(net.read_text().replace("bottom", "bottoms", 1))
    line = command(
        "grouped", "table2", "--seeds", "2", "--limit", "10", results=results, data=data["gcn"], scale=32_000
    )
    called = call(line, cwd=tmp_path)
    assert called.returncode == 1
    assert called.stdout.endswith("4 of 8 runs done\n")
    assert called.stderr.count("caffe train failed") == 4 and 'no field named "bottoms"' in called.stderr

    def folder(name: str, seed: int) -> Path:
        return run_folder(results, f"grouped/{name}", seed, 32_000)

    trained = positions(folder("resnet29_acu", 1))
    other = positions(folder("resnet29_acu", 2))
    starts = []
    for seed in (1, 2):
        fixed = folder("resnet29_acu_fixed", seed)
        assert all(np.array_equal(a, b) for a, b in zip(positions(fixed), trained, strict=True))
        starts.append(read_net(fixed / "start.caffemodel"))
    assert not all(np.array_equal(a, b) for a, b in zip(other, trained, strict=True))
    first = [next(layer for layer in start.layer if layer.type == "Convolution") for start in starts]
    assert not np.array_equal(*(blob_array(layer.blobs[0]) for layer in first))


def test_a_run_in_progress_is_left_alone(tmp_path, data, monkeypatch, capsys):
    from caffe_acu.cli.main import main

    task = plan("cvpr2017", "poster_ablation", 1).trainings[0]
    folder = prepare_run(tmp_path, task, Choices(SCALE, data={"cifar10": data["gcn-zca"]}))
    monkeypatch.setattr("caffe_acu.reproduce.execute._PATIENCE_SECONDS", 0)
    with try_lock(folder / RUN_LOCK):
        assert main(["run", str(folder)]) == 2
    assert "another process trains it" in capsys.readouterr().err


def test_a_run_waits_for_the_one_it_starts_from(tmp_path, data, capsys):
    from caffe_acu.cli.main import main

    tasks = plan("cvpr2017", "poster_ablation", 1).trainings
    choices = Choices(SCALE, data={"cifar10": data["gcn-zca"]})
    folders = [prepare_run(tmp_path, task, choices) for task in tasks if task.start]
    assert main(["run", str(folders[0])]) == 2
    assert "plain_acu/seed1, which is not done" in capsys.readouterr().err
    assert not (folders[0] / "start.caffemodel").exists()
