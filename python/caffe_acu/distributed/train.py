"""``caffe-acu train``: what ``caffe train`` does, in one process or in several that train together."""

import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.distributed.communicator import Alone, Ranks, Timing
from caffe_acu.distributed.launch import choose_gpu, share_cores, world
from caffe_acu.errors import UserError
from caffe_acu.net_param import in_phase

if TYPE_CHECKING:
    from mpi4py import MPI

_MIB = 1 << 20


@dataclass(frozen=True)
class TrainOptions:
    """How to train.

    Attributes:
        solver: a prototxt.
        weights: caffemodels to begin with.
        snapshot: a solverstate to go on from.
        resume: go on from the last good snapshot of the solver's snapshot_prefix, if there is one.
        gpu: numbers of GPUs on each machine, of which each process takes one; "all"; "none"; or None, for what the
            solver's solver_mode says.
        divide_batch: divide the batches of training by the number of processes, so that all together take the batch
            that is written in the prototxt.
        overlap: MiB of gradients that are sent at once, while the rest is still computed; 0: all, at the end.
        timeout: seconds to wait for other processes.
        timing: a file for what each iteration took.
        sigint_effect, sighup_effect: stop, snapshot or none.
    """

    solver: Path
    weights: tuple[Path, ...] = ()
    snapshot: Path | None = None
    resume: bool = False
    level: int = 0
    stages: tuple[str, ...] = ()
    gpu: str | None = None
    divide_batch: bool = False
    overlap: float = 0
    timeout: float = 1800
    timing: Path | None = None
    sigint_effect: str = "stop"
    sighup_effect: str = "snapshot"


def train(options: TrainOptions) -> int:
    """Trains to the end, or until a signal stops it; the exit code.

    With several processes, what goes wrong in one of them ends all, after a line that says where and what.
    """
    comm = world()
    if comm is None:
        _train(options, None)
        return 0
    try:
        _train(options, comm)
    except (UserError, RuntimeError, MemoryError, OSError) as error:
        _end_all(comm, error, 2 if isinstance(error, UserError) else 1)
    except BaseException:
        import traceback

        traceback.print_exc()
        _end_all(comm, None, 1)
    return 0


def _end_all(comm: "MPI.Comm", error: BaseException | None, code: int) -> None:
    # What all ranks have met is told once, by rank 0, which ends the others while they wait.
    time.sleep(min(comm.rank, 1))
    try:
        if error is not None:
            words = str(error) or "out of memory"
            print(f"caffe-acu train: rank {comm.rank} on {socket.gethostname()}: {words}", file=sys.stderr, flush=True)
    finally:
        # Python itself would wait at its end for the thread that waits for the others.
        comm.Abort(code)


def _train(options: TrainOptions, comm: "MPI.Comm | None") -> None:
    rank = comm.rank if comm else 0
    share_cores(comm)
    os.environ.setdefault("GLOG_minloglevel", "0" if rank == 0 else "2")
    os.environ.setdefault("GLOG_logtostderr", "1")
    import caffe
    from caffe import _peers

    timing = Timing(options.timing) if options.timing and rank == 0 else None
    communicator = Ranks(comm, options.timeout, timing) if comm else Alone(timing)
    # One reads for all, whose files could differ.
    prepared = _prepare(options, communicator.size, _peers) if rank == 0 else None
    if comm:
        prepared = communicator.call(comm.bcast, prepared)
    solver, snapshot, gpus = prepared
    if gpus is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_device(choose_gpu(gpus or list(range(_peers.gpu_count())), comm))
        caffe.set_mode_gpu()
    python_handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        message = int(options.overlap * _MIB)
        _peers.train(solver, snapshot, communicator, message, options.sigint_effect, options.sighup_effect)
    finally:
        for number, handler in python_handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)
    if comm:
        communicator.call(comm.Barrier)
        communicator.close()


def _prepare(options: TrainOptions, size: int, peers: Any) -> tuple[bytes, str, list[int] | None]:
    """The solver's message, the snapshot to go on from, and the GPUs: a list, which is empty for all, or None."""
    solver = caffe_pb2.SolverParameter.FromString(peers.read_solver(str(options.solver)))
    solver.train_state.level = options.level
    solver.train_state.stage.extend(options.stages)
    if options.divide_batch:
        _divide_batches(solver, size, peers)
    snapshot = str(options.snapshot or "")
    if options.resume:
        snapshot = peers.last_good_snapshot(solver.snapshot_prefix)
        words = f"going on from {snapshot}" if snapshot else f"no snapshot of {solver.snapshot_prefix} to go on from"
        print(f"caffe-acu train: {words}", file=sys.stderr, flush=True)
    if snapshot:
        del solver.weights[:]
    elif options.weights:
        solver.weights[:] = [",".join(map(str, options.weights))]
    return solver.SerializeToString(), snapshot, _gpus(options, solver)


def _gpus(options: TrainOptions, solver: "caffe_pb2.SolverParameter") -> list[int] | None:
    if options.gpu is None:
        on_gpu = solver.HasField("solver_mode") and solver.solver_mode == caffe_pb2.SolverParameter.GPU
        return [] if on_gpu else None
    if options.gpu in ("all", "none"):
        return [] if options.gpu == "all" else None
    try:
        return [int(number) for number in options.gpu.split(",")]
    except ValueError:
        raise UserError(f"--gpu {options.gpu}: numbers with commas between them, all or none") from None


def _divide_batches(solver: "caffe_pb2.SolverParameter", size: int, peers: Any) -> None:
    """Puts the network of training into the message, with smaller batches."""
    if solver.HasField("net_param"):
        net = solver.net_param
    elif solver.HasField("train_net_param"):
        net = solver.train_net_param
    elif solver.HasField("net"):
        net = solver.net_param
        net.ParseFromString(peers.read_net(solver.net))
        solver.ClearField("net")
    else:
        net = solver.train_net_param
        net.ParseFromString(peers.read_net(solver.train_net))
        solver.ClearField("train_net")
    for layer in net.layer:
        if layer.bottom or not in_phase(layer, solver.train_state, caffe_pb2.TRAIN):
            continue
        for field, parameter in layer.ListFields():
            if not field.name.endswith("data_param") or not hasattr(parameter, "batch_size"):
                continue
            if parameter.batch_size % size:
                raise UserError(
                    f"layer {layer.name}: batch_size {parameter.batch_size} cannot be divided among {size} processes; "
                    "start another number of them, or change it"
                )
            parameter.batch_size //= size
