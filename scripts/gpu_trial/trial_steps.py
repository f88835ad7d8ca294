"""The steps of the trial. Each goes on where it was, and says what came of it; needs trial_kit.open_kit first."""

import glob
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from gpu_bench import CHECK, DEVICE, ITERATIONS, LAYERS, Benchmark, Settings
from gtest_runs import OK, Batch, TestRuns, list_tests, run_tests
from layer_times import LayerTimes
from trial_kit import Kit

from caffe_acu.data.options import CifarOptions
from caffe_acu.data.prepare import prepare
from caffe_acu.experiments.report import report
from caffe_acu.experiments.timing import time_alone
from caffe_acu.experiments.training import Where
from caffe_acu.experiments.trial import TrialOptions, data_source, read_manifest, run_trial
from caffe_acu.nets.schedules import CIFAR_ITERATIONS

DONE, LEFT, REFUSED, NOT_RUN, FAILED = "done", "not done yet", "refused", "not run", "failed"

_PROGRAMS = ("acu_tests", "caffe_tests")
_TESTS_PER_PROCESS = 200  # their names must fit into one argument
# Our layers' tests in single precision (/2 is float on a GPU, /0 on the CPU), without the long training.
_SANITIZED = {
    True: "*ACULayerTest/2.*:AConvFastLayerTest/2.*:GPU/PositionStepTest.*:GpuPassesTest/0.*-*AStudentRecovers*",
    False: "ACULayerTest/0.*-*GPU*",
}
SANITIZERS = ("memcheck", "racecheck")
_REFUSAL = re.compile(r"device not supported|not supported on this device|unable to find injection|error 999", re.I)
_ERRORS = re.compile(r"(?:ERROR|RACECHECK) SUMMARY: (\d+) (?:error|hazard)", re.I)


@dataclass(frozen=True)
class Options:
    """What the user chose. ``gpu`` -1: everything is tried out on the CPU, and no result."""

    out: Path
    gpu: int
    deadline: float | None
    command: str
    peers: Path
    again: bool = False
    repetitions: int = 50
    only: str = ""  # regular expression: measurements and checks
    tests: str = ""  # gtest filter instead of all
    iterations: int = CIFAR_ITERATIONS
    alone_iterations: int = 2000
    in_turn: bool = False
    seed: int = 1
    limit: int | None = None  # images per class, of both splits

    def chosen(self) -> dict[str, Any]:
        """What makes a step's result another one."""
        names = ("gpu", "repetitions", "only", "tests", "iterations", "alone_iterations", "seed", "limit")
        return {name: getattr(self, name) for name in names}

    @property
    def on_gpu(self) -> bool:
        return self.gpu >= 0

    @property
    def where(self) -> Where:
        return Where(self.gpu if self.on_gpu else None, self.in_turn)

    @property
    def data(self) -> Path:
        return self.out / "data"

    @property
    def training(self) -> Path:
        return self.out / "training"

    @property
    def bench(self) -> Path:
        return self.out / "bench.json"


@dataclass(frozen=True)
class Outcome:
    """``status`` is one of the above; ``found`` goes into the step's record."""

    status: str
    reason: str = ""
    found: dict[str, Any] = field(default_factory=dict)


def tests(kit: Kit, options: Options) -> Outcome:
    """Upstream's tests and ours."""
    found, left = {}, False
    for program in _PROGRAMS:
        command = [str(kit.program(program))]
        names = list_tests([*command, f"--gtest_filter={options.tests or '*'}"], kit.test_folder)
        runs = TestRuns(options.out / "tests" / f"{program}.json")
        done = run_tests(
            runs,
            names,
            lambda chosen, command=command: [*command, f"--gtest_filter={chosen}"],
            kit.test_folder,
            options.deadline,
            _TESTS_PER_PROCESS,
        )
        left |= not done
        found[program] = {"tests": len(names), "counts": runs.counts(), "bad": runs.bad()}
    return Outcome(LEFT if left else DONE, found=found)


def sanitize(kit: Kit, options: Options) -> Outcome:
    """compute-sanitizer on our layers' tests, one test a process."""
    tool = find_sanitizer()
    if not tool:
        return Outcome(NOT_RUN, "compute-sanitizer is not on this machine")
    chosen = options.tests or _SANITIZED[options.on_gpu]
    names = list_tests([str(kit.program("acu_tests")), f"--gtest_filter={chosen}"], kit.test_folder)
    found: dict[str, Any] = {}
    refused: list[str] = []
    left = False
    for check in SANITIZERS:
        runs = TestRuns(options.out / "sanitizer" / f"{check}.json")
        refusals: list[str] = []
        prefix = [str(tool), "--tool", check, "--print-limit", "5"]
        done = run_tests(
            runs,
            names,
            lambda chosen, prefix=prefix: [*kit.under_tool(prefix, "acu_tests"), f"--gtest_filter={chosen}"],
            kit.test_folder,
            options.deadline,
            1,
            partial(_judge_sanitized, refusals),
            {"GTEST_DEATH_TEST_STYLE": "threadsafe"},
        )
        found[check] = {"tests": len(names), "counts": runs.counts(), "bad": runs.bad(), "refused": refusals}
        left |= not done and not refusals
        if refusals:
            refused.append(f"{check}: {refusals[0]}")
    if left:
        return Outcome(LEFT, found=found)
    return Outcome(REFUSED if refused else DONE, "; ".join(refused), found)


def _judge_sanitized(refusals: list[str], batch: Batch) -> bool:
    """Adds the tool's errors to the test's result; false where the device refuses the tool."""
    refused = [line.strip(" =") for line in batch.output.splitlines() if _REFUSAL.search(line)]
    if refused:
        refusals.append(refused[0])
        batch.results.clear()
        return False
    summaries = [int(number) for number in _ERRORS.findall(batch.output)]
    for result in batch.results.values():
        if not summaries and result["status"] == OK:
            result |= {"status": "no summary", "output": batch.output.splitlines()[-5:]}
        elif sum(summaries):
            lines = [line for line in batch.output.splitlines() if line.startswith("=====")]
            result |= {"status": f"{sum(summaries)} errors", "output": lines[:25]}
    return True


def find_sanitizer() -> Path | None:
    folders = [f"{os.environ.get('CUDA_HOME', '/usr/local/cuda')}/bin", *sorted(glob.glob("/usr/local/cuda*/bin"))]
    found = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path=os.pathsep.join(folders))
    return Path(found) if found else None


def check(kit: Kit, options: Options) -> Outcome:
    """ACUs against torchvision's deform_conv2d."""
    return _benchmark(kit, options, (CHECK,))


def bench(kit: Kit, options: Options) -> Outcome:
    """Times of layers and of iterations in memory."""
    return _benchmark(kit, options, (DEVICE, LAYERS, ITERATIONS))


def _benchmark(kit: Kit, options: Options, sections: tuple[str, ...]) -> Outcome:
    settings = Settings(
        LayerTimes(kit.program("layer_times"), options.gpu, options.repetitions),
        options.peers,
        re.compile(options.only).search,
        options.command,
        sections,
        options.deadline,
        # Made for this Python, of no use to another.
        str(kit.site) if options.peers == Path(sys.executable) else "",
    )
    benchmark = Benchmark(options.bench, settings)
    if options.again:
        benchmark.forget()
    return Outcome(DONE if benchmark.run() else LEFT)


def data(kit: Kit, options: Options) -> Outcome:
    """LMDBs of the images, with the paper's preprocessing."""
    if not options.data.exists():
        if kit.images is None:
            return Outcome(NOT_RUN, "there are no images: give --images, or make the kit with them")
        prepare(kit.images, options.data, CifarOptions(limit_train=options.limit, limit_test=options.limit))
    manifest = read_manifest(options.data)
    return Outcome(DONE, found={"splits": manifest["splits"], "versions": manifest["versions"]})


def alone(kit: Kit, options: Options) -> Outcome:
    """Milliseconds per iteration of real training, one network at a time."""
    if not options.data.exists():
        return Outcome(NOT_RUN, "there is no data set: run the step data")
    source = data_source(options.data, read_manifest(options.data))
    times = time_alone(options.out / "alone", source, options.alone_iterations, options.where, options.deadline)
    return Outcome(LEFT) if times is None else Outcome(DONE, found=times)


def train(kit: Kit, options: Options) -> Outcome:
    """Both networks, on the paper's schedule."""
    if not options.data.exists():
        return Outcome(NOT_RUN, "there is no data set: run the step data")
    trial_options = TrialOptions(data=str(options.data), iterations=options.iterations, seed=options.seed, paper=True)
    trial = run_trial(options.training, trial_options, where=options.where, deadline=options.deadline)
    if trial is None:
        return Outcome(LEFT)
    report(trial, options.command)
    return Outcome(DONE)


STEPS: dict[str, Callable[[Kit, Options], Outcome]] = {
    "tests": tests,
    "check": check,
    "bench": bench,
    "data": data,
    "alone": alone,
    "sanitize": sanitize,
    "train": train,
}


def is_final(name: str, record: dict[str, Any], options: Options) -> bool:
    """Whether a step with this record need not be done again."""
    # What other steps need may have stayed behind on another machine.
    if name == "data" and not options.data.exists():
        return False
    return record["status"] in (DONE, REFUSED) and record["chosen"] == options.chosen()


def needed_seconds(name: str, options: Options) -> float:
    """What a step needs at least to do anything that lasts."""
    return 90.0 if name == "data" and not options.data.exists() else 0.0


def forget(name: str, options: Options) -> None:
    """Removes what a step has made."""
    made = {
        "tests": options.out / "tests",
        "check": None,  # the benchmark forgets by itself
        "bench": None,
        "data": options.data,
        "alone": options.out / "alone",
        "sanitize": options.out / "sanitizer",
        "train": options.training,
    }[name]
    if made is not None:
        shutil.rmtree(made, ignore_errors=True)
