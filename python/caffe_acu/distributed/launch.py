"""Who the other processes are, and what of the machine is this process's own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from caffe_acu.errors import UserError

if TYPE_CHECKING:
    from mpi4py import MPI

# What launchers tell their processes about how many there are: Open MPI, MPICH and Intel MPI, Slurm's srun.
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")


def world() -> "MPI.Comm | None":
    """The processes that were started together; None for a process that was started alone.

    Raises UserError where a launcher has started several, and MPI does not see them: then each would train alone, and
    all would write the same snapshots; and where MPI allows no other thread than the first to call it.
    """
    told = max((int(os.environ[name]) for name in _SIZES if os.environ.get(name, "").isdigit()), default=1)
    if told == 1:
        return None
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"{told} processes were started, but MPI is not there ({' '.join(str(error).split())}): install it with "
            "scripts/setup.sh --mpi"
        ) from error
    comm = MPI.COMM_WORLD
    if comm.size != told:
        raise UserError(
            f"{told} processes were started, but MPI sees {comm.size}: mpi4py uses another MPI "
            f"({MPI.get_vendor()[0]}) than the launcher. Start with that one's mpirun or, with srun, with --mpi=pmix "
            "or --mpi=pmi2; or load another MPI (docs/cluster.md)"
        )
    if MPI.Query_thread() < MPI.THREAD_SERIALIZED:
        raise UserError("MPI was started for the first thread of a process only; it must allow MPI_THREAD_SERIALIZED")
    return comm


@contextmanager
def _on_this_machine(comm: "MPI.Comm") -> "Iterator[MPI.Comm]":
    """The processes that share this one's memory; all must call it."""
    from mpi4py import MPI

    here = comm.Split_type(MPI.COMM_TYPE_SHARED)
    try:
        yield here
    finally:
        here.Free()


def neighbours(comm: "MPI.Comm | None") -> tuple[int, int]:
    """Rank and number of the processes on this machine."""
    if comm is None:
        return 0, 1
    with _on_this_machine(comm) as here:
        return here.rank, here.size


def share_cores(comm: "MPI.Comm | None") -> None:
    """Leaves each process its part of the cores, unless CAFFE_ACU_THREADS says how many. To be called before Caffe is
    loaded."""
    if "CAFFE_ACU_THREADS" in os.environ or comm is None:
        return
    cores = os.sched_getaffinity(0)
    with _on_this_machine(comm) as here:
        sharers = sum(cores == others for others in here.allgather(cores))
    os.environ["CAFFE_ACU_THREADS"] = str(max(1, len(cores) // sharers))


def choose_gpu(gpus: list[int], comm: "MPI.Comm | None") -> int:
    """The GPU of this process among those that may be used on each machine; UserError if there are too few."""
    rank, size = neighbours(comm)
    if size > len(gpus):
        raise UserError(
            f"{size} processes on this machine, but {len(gpus)} GPUs: start one for each GPU, or give --gpu more"
        )
    return gpus[rank]
