"""The measurements on a GPU: layers, iterations in memory, and the check against torchvision. Each can be resumed.

Results are one dictionary, kept in a JSON file that is written after every step.
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gpu_targets import CHECKS, GPU_LAYERS, IN_TORCH, ITERATION
from layer_times import Failed, LayerTimes
from protocol import Refused, Worker, WorkerError
from shapes import LayerCase
from tqdm import tqdm
from workers import gpu_torch_worker

from caffe_acu.errors import UserError
from caffe_acu.experiments.environment import describe_environment, gpu_names
from caffe_acu.net_param import write_atomically

CHECK, DEVICE, LAYERS, ITERATIONS = "check", "device", "layers", "iterations"
SECTIONS = (CHECK, DEVICE, LAYERS, ITERATIONS)

Step = tuple[str, Callable[[], None]]  # its name, and what does it


@dataclass(frozen=True)
class Settings:
    """How to measure. ``select``: which of the names are wanted; ``peers``: a python that has PyTorch."""

    program: LayerTimes
    peers: Path
    select: Callable[[str], bool]
    command: str
    sections: tuple[str, ...] = SECTIONS
    deadline: float | None = None  # on the clock of time.monotonic
    peers_path: str = ""  # a folder with packages that the peers' python lacks


def names() -> list[str]:
    """Everything that can be measured."""
    layers = [case.name for case in GPU_LAYERS]
    return [*(case.name for case in CHECKS), DEVICE, *layers, *(f"{ITERATIONS}/{net}" for net in _NETS)]


class Benchmark:
    """What was measured so far, in ``path``, and what is left."""

    def __init__(self, path: Path, settings: Settings) -> None:
        """Reads ``path`` if it is there; UserError if it holds results of something else."""
        self._path, self._settings = path, settings
        self._worker: Worker | None = None
        self._no_peers = ""  # why there are none
        environment = describe_environment()
        fresh: dict[str, Any] = {
            "command": settings.command,
            "environment": environment,
            "settings": {"repetitions": settings.program.repetitions, "gpu": settings.program.gpu, "tf32": False},
            "versions": {},
            "device": {},
            "copy_gb_per_s": None,
            "checks": {},
            "layers": {},
            "iterations": {},
        }
        self.result = json.loads(path.read_text()) if path.exists() else fresh
        for what, of in (("commit", lambda described: described["commit"]), ("GPU", gpu_names)):
            if of(self.result["environment"]) != of(environment):
                raise UserError(f"{path}: holds results of another {what}: move it away, or choose another --out")

    def forget(self) -> None:
        """Drops what was measured in the chosen sections."""
        empty: dict[str, dict[str, Any]] = {
            CHECK: {"checks": {}},
            DEVICE: {"device": {}, "copy_gb_per_s": None},
            LAYERS: {"layers": {}},
            ITERATIONS: {"iterations": {}},
        }
        for section in self._settings.sections:
            self.result |= empty[section]

    def run(self) -> bool:
        """Does what is left, until the deadline; returns whether nothing is."""
        steps = [step for step in self._steps() if self._settings.select(step[0])]
        try:
            with tqdm(steps, unit="step", disable=None) as bar:
                for name, measure in bar:
                    bar.set_description(name)
                    if self._settings.deadline is not None and time.monotonic() >= self._settings.deadline:
                        return False
                    measure()
                    write_atomically(self._path, json.dumps(self.result, indent=1) + "\n")
        finally:
            self._close_worker()
        return True

    def _steps(self) -> list[Step]:
        result, sections = self.result, self._settings.sections
        steps: list[Step] = []
        if CHECK in sections:
            steps += [
                (case.name, lambda case=case: self._check(case)) for case in CHECKS if case.name not in result["checks"]
            ]
        if DEVICE in sections and result["copy_gb_per_s"] is None:
            steps.append((DEVICE, self._measure_device))
        if LAYERS in sections:
            steps += [
                (case.name, lambda case=case: self._measure_layer(case))
                for case in GPU_LAYERS
                if case.name not in result["layers"]
            ]
        if ITERATIONS in sections:
            steps += [
                (f"{ITERATIONS}/{net}", lambda net=net: self._measure_iteration(net))
                for net in _NETS
                if net not in result["iterations"]
            ]
        return steps

    def _measure_device(self) -> None:
        try:
            found = self._settings.program.device()
        except Failed as failed:
            raise UserError(str(failed)) from failed
        self.result["copy_gb_per_s"] = found.pop("copy_gb_per_s")
        self.result["device"] = {name: value for name, value in found.items() if name != "bytes"}

    def _measure_layer(self, case: LayerCase) -> None:
        program = self._settings.program
        times, not_run = program.layers(case)
        for candidate in IN_TORCH:
            try:
                times[candidate] = self._ask(
                    "measure",
                    candidate=candidate,
                    case=asdict(case),
                    repetitions=program.repetitions,
                    warm_up=program.warm_up,
                )
            except (Refused, WorkerError) as reason:
                not_run[candidate] = str(reason)
        self.result["layers"][case.name] = {"shape": asdict(case), "times_ms": times, "not_run": not_run}

    def _measure_iteration(self, net: str) -> None:
        try:
            self.result["iterations"][net] = self._settings.program.iteration(net)
        except Failed as failed:
            self.result["iterations"][net] = {"not_run": str(failed)}

    def _check(self, case: LayerCase) -> None:
        found: dict[str, Any] = {"shape": asdict(case)}
        with tempfile.TemporaryDirectory() as folder:
            try:
                dumped = self._settings.program.dump(case, Path(folder))
                found["errors"] = self._ask("compare", case=asdict(case), folder=str(dumped))
            except (Failed, Refused, WorkerError) as reason:
                found["not_run"] = str(reason)
        self.result["checks"][case.name] = found

    def _ask(self, op: str, **arguments: Any) -> Any:
        if self._no_peers:
            raise Refused(self._no_peers)
        try:
            if self._worker is None:
                self._worker = gpu_torch_worker(
                    self._settings.peers, self._settings.program.gpu, self._settings.peers_path
                )
                self.result["versions"] |= self._hello(self._worker)
            return self._worker.ask(op, **arguments)
        except WorkerError:
            self._close_worker()  # the next question goes to a new one
            raise

    def _hello(self, worker: Worker) -> dict[str, str]:
        try:
            return worker.ask("hello")
        except WorkerError as error:
            self._no_peers = str(error)
            raise

    def _close_worker(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None


_NETS = (ITERATION.peer, ITERATION.ours)
