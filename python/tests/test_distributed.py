"""``mpirun -np N caffe-acu train``: the same training as that of one process, whatever happens to one of them."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import lmdb
import numpy as np
import pytest

from caffe_acu.caffe_proto import caffe_pb2
from mpi_runs import (
    BATCH,
    BATCH_NORM,
    ITERATIONS,
    assert_same_training,
    environment,
    finish,
    goes_on,
    gradient_bytes,
    make_run,
    parameters,
    pids,
    require_mpi,
    start,
    wait_for_death,
    wait_for_snapshot,
    wait_until,
)
from mpi_runs import wait as wait_for
from resume_runs import complaints, snapshots


@pytest.fixture(autouse=True)
def _mpi() -> None:
    require_mpi()


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    require_mpi()
    folder = make_run(tmp_path_factory.mktemp("alone") / "run")
    finish(folder, 0)
    return folder


@pytest.mark.parametrize(("ranks", "options"), [(2, ()), (4, ()), (2, ("--overlap", "0.001")), (1, ())])
def test_ranks_with_parts_of_the_batch_train_as_one(tmp_path, alone, ranks, options):
    run = make_run(tmp_path / "run")
    finish(run, ranks, "--divide-batch", "--timing", "timing", *options)
    assert_same_training(run, alone)
    took = [json.loads(line) for line in (run / "timing").read_text().splitlines()]
    assert [line["iteration"] for line in took] == list(range(ITERATIONS - 1))
    if ranks > 1:
        gradient = gradient_bytes(run)
        assert all(gradient <= line["bytes"] <= gradient + 2000 for line in took)


def in_two_files(run: Path) -> str:
    return (run / "solver.prototxt").read_text().replace("net:", "train_net:") + 'test_net: "net.prototxt"\n'


def in_the_solver(run: Path, field: str) -> str:
    net, solver = ((run / f"{name}.prototxt").read_text() for name in ("net", "solver"))
    rest = 'test_net: "net.prototxt"' if field == "train_net_param" else ""
    return solver.replace('net: "net.prototxt"', f"{field} {{ {net} }} {rest}")


@pytest.mark.parametrize("field", ["train_net", "net_param", "train_net_param"])
def test_wherever_the_network_stands_its_batches_are_divided(tmp_path, alone, field):
    run = make_run(tmp_path / "run")
    solver = in_two_files(run) if field == "train_net" else in_the_solver(run, field)
    (run / "solver.prototxt").write_text(solver)
    finish(run, 2, "--divide-batch")
    assert_same_training(run, alone)


def test_layers_in_python_do_not_get_into_each_others_way(tmp_path, alone):
    """What they compute needs the interpreter, as does what sends."""
    run = make_run(tmp_path / "run")
    (run / "same.py").write_text(SAME)
    net = run / "net.prototxt"
    layer = 'name: "same" type: "Python" bottom: "conv2" top: "same" python_param { module: "same" layer: "Same" }'
    wide = net.read_text().replace('type: "InnerProduct" bottom: "conv2"', 'type: "InnerProduct" bottom: "same"')
    net.write_text(wide.replace('layer { name: "score"', f'layer {{ {layer} }}\nlayer {{ name: "score"'))
    finish(run, 2, "--divide-batch", "--overlap", "0.001")
    assert_same_training(run, alone)


SAME = """
import caffe

class Same(caffe.Layer):
    def setup(self, bottom, top):
        pass
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)
    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data
    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff
"""


def test_it_begins_with_weights_that_are_given(tmp_path, alone):
    run = make_run(tmp_path / "run", iterations=0, snapshot=0)
    given = alone / "snapshots" / f"run_iter_{ITERATIONS}.caffemodel"
    finish(run, 2, "--weights", str(given))
    begun = parameters(run, 0)
    for name, blobs in parameters(alone).items():
        assert all(np.array_equal(*pair) for pair in zip(begun[name], blobs, strict=True)), name


def test_a_snapshot_needs_no_weights(tmp_path):
    run = make_run(tmp_path / "run", iterations=5)
    finish(run, 2)
    solver = run / "solver.prototxt"
    solver.write_text(solver.read_text().replace("max_iter: 5", 'max_iter: 10 weights: "gone.caffemodel"'))
    finish(run, 2, "--snapshot", "snapshots/run_iter_5.solverstate")
    assert snapshots(run) == [5, 10]


def test_stages_and_level_are_those_of_the_program_caffe(tmp_path):
    run = make_run(tmp_path / "run", iterations=1, snapshot=0)
    layer = 'type: "InnerProduct" bottom: "conv2" top: "{0}" inner_product_param {{ num_output: 1 }}'
    for name, rule in (("staged", 'stage: "b"'), ("levelled", "min_level: 2"), ("not", 'not_stage: "a"')):
        append(run / "net.prototxt", f'layer {{ name: "{name}" {layer.format(name)} include {{ {rule} }} }}')
    finish(run, 2, "--stage", "a,b", "--level", "2")
    assert {"staged", "levelled", "not"} & parameters(run, 1).keys() == {"staged", "levelled"}


def test_what_a_signal_does_can_be_chosen(tmp_path):
    run = make_run(tmp_path / "run", iterations=100000, snapshot=100000)
    process = start(run, 2, "--sighup-effect", "stop", "--sigint-effect", "none")
    wait_until(run, "Iteration 10 ")
    os.kill(pids(run, 2)[1], signal.SIGINT)
    wait_until(run, f"Iteration {iteration(run) + 10} ")
    os.kill(pids(run, 2)[1], signal.SIGHUP)
    assert "Optimization stopped early" in wait_for(process, run)
    assert len(snapshots(run)) == 1


def iteration(run: Path) -> int:
    return int(re.findall(r"Iteration (\d+) ", (run / "log").read_text())[-1])


MESSAGES = """
import caffe, sys
from caffe import _peers
from caffe_acu.distributed.communicator import Alone

class Listener(Alone):
    size, heard, begun = 2, [], 0
    def begin_iteration(self, iteration):
        self.begun += 1
    def start_sum(self, values):
        self.heard.append(len(values))

listener = Listener()
caffe.set_mode_cpu()
_peers.train(_peers.read_solver("solver.prototxt"), "", listener, int(sys.argv[1]), "stop", "snapshot")
print(listener.begun, *listener.heard)
"""


@pytest.mark.parametrize(
    ("bytes_", "meanwhile", "after"), [(0, [], [[0, 1, 2]]), (1, [[2], [1], [0]], []), (8000, [[1, 2]], [[0]])]
)
def test_gradients_go_in_few_messages_from_the_last_layer_on(tmp_path, bytes_, meanwhile, after):
    """Of which layers they are. The other rank, which is not there, says 0."""
    run = make_run(tmp_path / "run", iterations=2, snapshot=0)
    words = [sys.executable, "-c", MESSAGES, str(bytes_)]
    said = subprocess.run(words, cwd=run, env=environment(), capture_output=True, text=True, check=True).stdout
    # In cache lines of 16 floats.
    of_layers = [sum(-(-blob.size // 16) * 16 for blob in blobs) for blobs in parameters(run, 2).values()]
    before, last = ([sum(of_layers[layer] for layer in message) for message in when] for when in (meanwhile, after))
    test = [3] * 3 + [3]  # loss and signals in each of its rounds; loss, accuracy and the sum of losses
    assert list(map(int, said.split())) == [2, *test, *([*before, 3, *last] * 2)]


def test_large_broadcasts_go_in_pieces(tmp_path):
    code = """
from caffe_acu.distributed import communicator
from mpi4py import MPI
communicator._PIECE = 1000
ranks = communicator.Ranks(MPI.COMM_WORLD, 60)
data = bytearray(range(250)) * 10 if ranks.rank == 0 else bytearray(2500)
ranks.broadcast(memoryview(data))
ranks.close()
assert bytes(data) == bytes(range(250)) * 10
"""
    words = ["mpirun", "-np", "2", sys.executable, "-c", code]
    said = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=100)
    assert said.returncode == 0, said.stderr


def test_a_full_disk_ends_only_the_measurement(tmp_path):
    run = make_run(tmp_path / "run", iterations=5)
    said = finish(run, 0, "--timing", "/dev/full")
    assert said.count("caffe-acu train: /dev/full: cannot be written: No space left on device; no more times") == 1
    assert snapshots(run) == [5]


def losses(folder: Path) -> dict[str, list[float]]:
    """What was logged of training, and of tests."""
    text = (folder / "log").read_text()
    return {
        "train": [float(x) for x in re.findall(r"Iteration \d+ \(.*\), loss = (\S+)", text)],
        "test": [float(x) for x in re.findall(r"Test net output #\d+: \w+ = (\S+)", text)],
    }


def test_the_log_is_that_of_the_whole_batch_and_of_all_test_batches(tmp_path, alone):
    expected = losses(alone)
    assert len(expected["train"]) == ITERATIONS and len(expected["test"]) == 3 * 2
    for ranks in (2, 3):
        run = make_run(tmp_path / str(ranks), batch=6)
        finish(run, ranks, "--divide-batch")
        one = make_run(tmp_path / f"{ranks} alone", batch=6)
        finish(one, 0)
        found = losses(run)
        for kind in ("train", "test"):
            assert found[kind] == pytest.approx(losses(one)[kind], rel=1e-3, abs=1e-4)


def test_without_mpirun_it_is_caffe_train(tmp_path, alone):
    from resume_runs import finish as finish_caffe

    run = make_run(tmp_path / "run")
    finish_caffe(run, "--resume", "auto")
    name = f"run_iter_{ITERATIONS}.caffemodel"
    assert (run / "snapshots" / name).read_bytes() == (alone / "snapshots" / name).read_bytes()


def test_a_training_goes_on_with_other_numbers_of_ranks(tmp_path, alone):
    run = make_run(tmp_path / "run")
    solver = run / "solver.prototxt"
    for ranks, until in ((2, 5), (4, 10), (0, 15), (1, ITERATIONS)):
        solver.write_text(re.sub(r"max_iter: \d+", f"max_iter: {until}", solver.read_text()))
        said = finish(run, ranks, "--divide-batch", "--resume", "auto")
        assert ("going on from snapshots/run_iter_" in said) == (until > 5)
    assert_same_training(run, alone)


def test_batch_normalisation_is_each_ranks_own_and_that_of_rank_0_is_saved(tmp_path):
    run = make_run(tmp_path / "run", more=BATCH_NORM)
    solver = run / "solver.prototxt"
    # Without the pass for the last line of a training's log, which changes the statistics after the snapshot.
    solver.write_text(solver.read_text().replace("display: 1", "display: 0"))
    finish(run, 2)
    assert np.abs(parameters(run)["bn1"][0]).max() > 0
    # Tested alone with what was saved, the same comes out.
    tested = losses(run)["test"][-2:]
    finish(run, 0, "--resume", "auto")
    assert losses(run)["test"] == pytest.approx(tested, rel=1e-4)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_any_rank_stops_all_with_a_snapshot(tmp_path, rank):
    run = make_run(tmp_path / "run", iterations=100000, snapshot=100000)
    process = start(run, 2)
    wait_until(run, "Iteration 50 ")
    os.kill(pids(run, 2)[rank], signal.SIGHUP)
    wait_until(run, "Snapshotting solver state")
    wait_until(run, f"Iteration {iteration(run) + 1} ")  # and no longer in a test, whose snapshot would be the same
    os.kill(pids(run, 2)[rank], signal.SIGTERM)
    said = wait_for(process, run)
    assert len(snapshots(run)) == 2 and "Optimization stopped early" in said
    # The same as if nobody had been stopped.
    end = snapshots(run)[-1]
    whole = make_run(tmp_path / "whole", iterations=end, snapshot=0)
    finish(whole, 2)
    assert (whole / "snapshots" / f"run_iter_{end}.caffemodel").read_bytes() == (
        run / "snapshots" / f"run_iter_{end}.caffemodel"
    ).read_bytes()


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_a_rank_that_dies_ends_the_job_and_leaves_the_last_snapshot(tmp_path, rank):
    run = make_run(tmp_path / "run", iterations=100000)
    process = start(run, 3)
    wait_for_snapshot(run)
    others = pids(run, 3)
    os.kill(others[rank], signal.SIGKILL)
    said = wait_for(process, run, None)
    assert re.search(f"process rank {rank} with PID .* exited on signal 9", said)
    wait_for_death(others)
    goes_on(run)


def test_a_rank_that_says_nothing_ends_the_job(tmp_path):
    run = make_run(tmp_path / "run", iterations=100000)
    process = start(run, 2, "--timeout", "2")
    wait_until(run, "Iteration 10 ")
    os.kill(pids(run, 2)[1], signal.SIGSTOP)
    said = wait_for(process, run, None)
    assert re.search("train: rank 0 on .*: the other ranks have not answered for 2 seconds", said)


def test_a_loss_that_is_not_finite_ends_the_job(tmp_path):
    run = make_run(tmp_path / "run", iterations=1000, solver="")
    solver = run / "solver.prototxt"
    solver.write_text(solver.read_text().replace("base_lr: 0.01", "base_lr: 1e20"))
    said = finish(run, 2, code=1)
    lines = [line for line in said.splitlines() if line.startswith("caffe-acu train: rank")]
    assert len(lines) == 1 and "layer" in lines[0]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_fails_tells_why_while_others_still_send(tmp_path, rank):
    """Gradients of one are under way when it fails. Freed memory is no longer there (mallopt(3))."""
    run = make_run(tmp_path / "run")
    append(run / "net.prototxt", WIDE)
    with lmdb.open(str(run / "images"), map_size=1 << 24) as records, records.begin(write=True) as changed:
        key = f"{BATCH + 4 + rank:08}".encode()  # in the second iteration of this rank
        nothing = [float("nan")] * (3 * 12 * 12)
        changed.put(key, caffe_pb2.Datum(channels=3, height=12, width=12, float_data=nothing).SerializeToString())
    net = run / "net.prototxt"
    net.write_text(net.read_text().replace("shuffle: true", ""))
    env = {**environment(), "MALLOC_MMAP_THRESHOLD_": "65536"}
    said = finish(run, 2, "--divide-batch", "--overlap", "0.5", code=None, env=env)
    assert re.search(f"train: rank {rank} on .*: Data layer 'data': the loss of iteration 1 is nan", said)
    assert "Segmentation fault" not in said


WIDE = """
layer { name: "wide" type: "InnerProduct" bottom: "conv2" top: "wide"
  inner_product_param { num_output: 6000 weight_filler { type: "xavier" } } }
layer { name: "narrow" type: "InnerProduct" bottom: "wide" top: "narrow"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "more" type: "SoftmaxWithLoss" bottom: "narrow" bottom: "label" top: "more" }
"""


MISTAKES = {
    "no solver": (lambda run: (run / "solver.prototxt").unlink(), "solver.prototxt"),
    "no field": (lambda run: append(run / "solver.prototxt", "base_lrr: 1"), "solver.prototxt:.*base_lr"),
    "no net": (lambda run: (run / "net.prototxt").unlink(), "net.prototxt"),
    "no records": (lambda run: (run / "images" / "data.mdb").unlink(), "Layer 'data': there is no LMDB"),
    "odd batch": (
        lambda run: append(run / "solver.prototxt", ""),
        "layer data: batch_size 7 cannot be divided",
    ),
}


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line_of_one_rank(tmp_path, mistake):
    run = make_run(tmp_path / "run", batch=7 if mistake == "odd batch" else BATCH)
    make, line = MISTAKES[mistake]
    make(run)
    said = finish(run, 2, "--divide-batch", code=None)
    found = [each for each in said.splitlines() if each.startswith("caffe-acu train: ")]
    assert len(found) == 1 and re.search(f"rank 0 on .*{line}", found[0]), said
    assert "Traceback" not in said and not snapshots(run)


def test_processes_that_do_not_see_each_other_are_refused(tmp_path):
    run = make_run(tmp_path / "run")
    said = finish(run, 0, code=2, env={**environment(), "PMI_SIZE": "2"})
    assert "2 processes were started, but MPI sees 1: mpi4py uses another MPI (Open MPI)" in said
    said = finish(run, 0, code=2, env={**environment(), "PMI_SIZE": "2", "PYTHONPATH": str(without_mpi4py(tmp_path))})
    assert "MPI is not there (no mpi4py today): install it with scripts/setup.sh --mpi" in said


def test_an_mpi_for_one_thread_is_refused(tmp_path):
    run = make_run(tmp_path / "run")
    said = finish(run, 2, code=None, env={**environment(), "MPI4PY_RC_THREAD_LEVEL": "single"})
    assert "MPI was started for the first thread of a process only" in said


def without_mpi4py(folder: Path) -> Path:
    (folder / "mpi4py").mkdir()
    (folder / "mpi4py" / "__init__.py").write_text("raise ImportError('no mpi4py today')\n")
    return folder


def test_more_processes_than_gpus_are_refused(tmp_path):
    run = make_run(tmp_path / "run")
    said = finish(run, 2, "--gpu", "0", code=None)
    assert "2 processes on this machine, but 1 GPUs: start one for each GPU" in said


def test_layers_that_all_read_the_same_are_warned_of(tmp_path):
    run = make_run(tmp_path / "run", iterations=2)
    net = run / "net.prototxt"
    shape = "batch_size: 2 channels: 1 height: 1 width: 1"
    layer = f'name: "more" type: "MemoryData" top: "m" top: "n" memory_data_param {{ {shape} }}'
    append(net, f"layer {{ {layer} include {{ phase: TRAIN }} }}")
    said = finish(run, 2, code=None)
    assert any("gives every solver the same records" in line for line in complaints(said, "W"))
