"""Runs the program layer_times on networks that it is given as messages."""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nets import candidates_net, plain_solver
from protocol import last_words
from shapes import BOTH, DISPLACEMENT, FORWARD, LayerCase

from caffe_acu.experiments.environment import without_folders
from caffe_acu.net_param import format_prototxt

_TIMEOUT_SECONDS = 120.0
# A uniform distribution of that width has this standard deviation; the networks' positions are normal.
_NOISE = DISPLACEMENT / 3**0.5
_PASSES = {FORWARD: "forward_ms", BOTH: "forward_backward_ms"}

Quartiles = dict[str, float]


class Failed(Exception):
    """The program has ended early; the text says why, ``lines`` is what it had measured by then."""

    def __init__(self, message: str, lines: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.lines = lines


@dataclass(frozen=True)
class LayerTimes:
    """The program, the GPU it runs on (-1: the CPU) and how often it repeats a pass."""

    program: Path
    gpu: int = 0
    repetitions: int = 50
    warm_up: int = 5

    @property
    def convolution(self) -> str:
        """Which convolution ACUs are compared with: cuDNN's, which a CPU does not have."""
        return "cudnn" if self.gpu >= 0 else "conv"

    def device(self) -> dict[str, Any]:
        """``copy_gb_per_s`` of a large copy, ``device`` and versions."""
        return {key: value for line in self._run("--copy_bandwidth") for key, value in line.items()}

    def layers(self, case: LayerCase) -> tuple[dict[str, dict[str, Quartiles]], dict[str, str]]:
        """Times of "acu" and "conv" for each pass, and why one was not measured."""
        kinds = {"acu": "acu", self.convolution: "conv"}
        reason = ""
        with tempfile.TemporaryDirectory() as folder:
            try:
                lines = self._run(*_write_net(Path(folder), case, list(kinds), bias=False))
            except Failed as failed:
                lines, reason = failed.lines, str(failed)
        times = {
            kinds[line["layer"]]: {pass_: line[field] for pass_, field in _PASSES.items()}
            for line in lines
            if "layer" in line
        }
        not_run = {name: reason for name in kinds.values() if name not in times}
        if self.gpu >= 0 and "conv" in times and not any(line.get("cudnn") for line in lines):
            del times["conv"]
            not_run["conv"] = "cuDNN cannot be used here"
        return times, not_run

    def iteration(self, kind: str) -> Quartiles:
        """Milliseconds of a training iteration of "plain" or "plain_acu", its data in memory."""
        with tempfile.TemporaryDirectory() as folder:
            solver = Path(folder) / "solver.prototxt"
            solver.write_text(format_prototxt(plain_solver(kind, _NOISE if kind == "plain_acu" else 0)))
            return next(line["iteration_ms"] for line in self._run("--solver", solver) if "solver" in line)

    def dump(self, case: LayerCase, folder: Path) -> Path:
        """Writes what a pass of an ACU with a bias reads and computes; returns the folder of the .npy files."""
        arguments = _write_net(folder, case, ["acu"], bias=True)
        self._run(*arguments, "--dump", folder, repetitions=0)
        return folder / "acu"

    def _run(self, *arguments: str | Path, repetitions: int | None = None) -> list[dict[str, Any]]:
        options = {
            "gpu": self.gpu,
            "repetitions": self.repetitions if repetitions is None else repetitions,
            "warm_up": self.warm_up,
        }
        command = [self.program, *arguments, *(f"--{name}={value}" for name, value in options.items())]
        # Whatever a library would choose: no TF32.
        environment = {**os.environ, "NVIDIA_TF32_OVERRIDE": "0"}
        try:
            ended = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_SECONDS, env=environment)
        except OSError as error:
            raise Failed(f"{self.program} cannot be started: {error.strerror}", []) from error
        except subprocess.TimeoutExpired as error:
            raise Failed(f"not ready within {_TIMEOUT_SECONDS:.0f} s", _parse(error.stdout or b"")) from error
        lines = _parse(ended.stdout)
        if ended.returncode != 0:
            reason = without_folders(last_words(ended.stderr))
            raise Failed(f"layer_times ended with {ended.returncode}: {reason}", lines)
        return lines


def _parse(output: bytes) -> list[dict[str, Any]]:
    whole = output[: output.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]


def _write_net(folder: Path, case: LayerCase, kinds: Sequence[str], *, bias: bool) -> list[str | Path]:
    net = candidates_net(case, kinds, bias=bias)
    weights, prototxt = folder / "net.caffemodel", folder / "net.prototxt"
    weights.write_bytes(net.SerializeToString())
    for layer in net.layer:
        layer.ClearField("blobs")
    prototxt.write_text(format_prototxt(net))
    return ["--net", prototxt, "--weights", weights]
