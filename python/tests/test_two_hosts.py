"""``caffe-acu train`` on two machines, which are namespaces of this one (scripts/two_hosts.sh), and on one alone."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mpi_runs import (
    ITERATIONS,
    assert_same_training,
    environment,
    finish,
    goes_on,
    gradient_bytes,
    make_run,
    pids,
    require_mpi,
    start,
    wait,
    wait_for_death,
    wait_for_snapshot,
    wait_for_truth,
    wait_until,
)
from resume_runs import snapshots

TWO_HOSTS = Path(__file__).resolve().parents[2] / "scripts" / "two_hosts.sh"
# mpirun pings after 2 seconds of silence, twice, and gives the other host up.
SOON = ("--mca", "oob_tcp_keepalive_time", "2", "--mca", "oob_tcp_keepalive_intvl", "1")
SOON += ("--mca", "oob_tcp_keepalive_probes", "2")


def on_two_hosts(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([TWO_HOSTS, *words], env=environment(), capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module", autouse=True)
def _hosts() -> None:
    require_mpi()
    tried = on_two_hosts("true")
    if tried.returncode == 77:
        pytest.skip(tried.stderr.strip())
    assert tried.returncode == 0, tried.stderr


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("alone") / "run")
    finish(folder, 0)
    return folder


def start_on_two(run: Path, *options: str, how: tuple[str, ...] = ()) -> subprocess.Popen:
    return start(run, 0, *options, launcher=(TWO_HOSTS, *how))


def through_the_cable(said: str) -> tuple[int, int]:
    """Bytes, as the kernel counts them."""
    there, back = re.search(r"two_hosts.sh: (\d+) bytes from acu-host1 to acu-host2, (\d+) bytes back", said).groups()
    return int(there), int(back)


SHARES = """
import os, pathlib, sys
from caffe_acu.distributed.launch import choose_gpu, neighbours, share_cores, world
comm = world()
del os.environ["CAFFE_ACU_THREADS"]
share_cores(comm)
mine = os.uname().nodename, *neighbours(comm), choose_gpu([3, 5], comm), os.environ["CAFFE_ACU_THREADS"]
pathlib.Path(sys.argv[1], str(comm.rank)).write_text(" ".join(map(str, mine)))
"""


@pytest.mark.parametrize("ranks", [1, 2])
def test_ranks_share_what_their_machine_has(tmp_path, ranks):
    """Host, rank and number of ranks there, GPU, threads."""
    done = on_two_hosts("--ranks", str(ranks), sys.executable, "-c", SHARES, str(tmp_path))
    assert done.returncode == 0, done.stderr
    threads = max(1, len(os.sched_getaffinity(0)) // ranks)
    for rank in range(2 * ranks):
        host, here = divmod(rank, ranks)
        assert (tmp_path / str(rank)).read_text() == f"acu-host{host + 1} {here} {ranks} {(3, 5)[here]} {threads}"


@pytest.mark.parametrize("ranks", [1, 2])
def test_two_hosts_train_as_one_process(tmp_path, alone, ranks):
    run = make_run(tmp_path / "run")
    said = wait(start_on_two(run, "--divide-batch", how=("--ranks", str(ranks))), run)
    assert_same_training(run, alone)
    # Each has to send the sum of its gradients.
    assert min(through_the_cable(said)) >= ITERATIONS * gradient_bytes(run)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_dies_ends_those_of_the_other_host(tmp_path, rank):
    run = make_run(tmp_path / "run", iterations=100000)
    process = start_on_two(run)
    wait_for_snapshot(run)
    ranks = pids(run, 2)
    os.kill(ranks[rank], signal.SIGKILL)
    said = wait(process, run, None)
    assert re.search(rf"process rank {rank} with PID \d+ on node acu-host{rank + 1} exited on signal 9", said)
    wait_for_death(ranks)
    goes_on(run)


LOST = {
    # Who is the first to lose patience.
    "ranks": (("--timeout", "3"), (), "train: rank 0 on acu-host1: the other ranks have not answered for 3 seconds"),
    "mpirun": ((), SOON, "ORTE has lost communication with a remote daemon(.|\n)*Remote daemon: .* on node acu-host2"),
}


@pytest.mark.parametrize("first", LOST)
def test_a_cable_that_is_pulled_out_ends_the_job(tmp_path, first):
    options, how, line = LOST[first]
    run = make_run(tmp_path / "run", iterations=100000)
    process = start_on_two(run, *options, how=how)
    wait_for_snapshot(run)
    ranks = pids(run, 2)
    process.send_signal(signal.SIGUSR1)
    said = wait(process, run, None)
    assert re.search(line, said)
    wait_for_death(ranks)
    goes_on(run)


def test_a_cable_that_is_back_soon_changes_nothing(tmp_path):
    run = make_run(tmp_path / "run", iterations=100000, snapshot=100000)
    process = start_on_two(run)
    wait_until(run, "Iteration 50 ")
    process.send_signal(signal.SIGUSR1)
    wait_for_truth(lambda: stands_still(run / "log"), "the training goes on without a cable")
    stood_at = (run / "log").stat().st_size
    process.send_signal(signal.SIGUSR2)
    wait_for_truth(lambda: (run / "log").stat().st_size > stood_at + 1000, "the training does not go on")
    os.kill(pids(run, 2)[0], signal.SIGTERM)
    wait(process, run)
    end = snapshots(run)[-1]
    undisturbed = make_run(tmp_path / "undisturbed", iterations=end, snapshot=0)
    wait(start_on_two(undisturbed), undisturbed)
    name = f"snapshots/run_iter_{end}.caffemodel"
    assert (run / name).read_bytes() == (undisturbed / name).read_bytes()


def stands_still(log: Path) -> bool:
    before = log.stat().st_size
    time.sleep(1)
    return log.stat().st_size == before


def test_interrupted_the_script_leaves_nothing(tmp_path):
    run = make_run(tmp_path / "run", iterations=100000)
    process = start_on_two(run)
    wait_until(run, "Iteration 10 ")
    ranks = pids(run, 2)
    process.terminate()
    wait(process, run, 143)
    wait_for_death(ranks)


def test_where_something_is_missing_it_is_one_line():
    # There is an `ip`, but no mpirun.
    words = ["/bin/bash", TWO_HOSTS, "true"]
    said = subprocess.run(words, env={"PATH": "/usr/sbin"}, capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (77, "two_hosts.sh: skipped: there is no mpirun\n")
    said = on_two_hosts("--rank", "2", "true")
    assert (said.returncode, said.stderr) == (2, "two_hosts.sh: --rank is no option (see --help)\n")
