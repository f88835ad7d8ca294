"""What is shown of the runs of a table while they train, and when they have failed."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from caffe_acu.reproduce.conduct import Order, reproduce
from caffe_acu.reproduce.plan import plan
from caffe_acu.reproduce.prepare_run import Choices
from caffe_acu.reproduce.progress import RunState, table_of
from caffe_acu.reproduce.workflow import Machines
from reproduce_runs import prepare_cifar10

NAME = "resnet29_x1d_acu_warmup seed1"
STATES = [
    RunState("plain seed1", "waiting", 0, 64_000),
    RunState(NAME, "running", 1234, 64_000, 1.2345, 34.5, 12.3),
]


def shown(width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    console.print(table_of(STATES, width))
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 3 and max(map(len, lines)) <= width
    return lines


def test_a_wide_terminal_shows_all():
    assert shown(120)[1].split() == [*NAME.split(), "running", *"1,234 of 64,000 1.2345 34.50 12.30 1 h 25 min".split()]


@pytest.mark.parametrize(
    ("width", "whole"),
    [
        (80, "running 1,234 of 64,000 1.2345 34.50 12.30 1 h 25 min"),
        (60, "running 1,234 of 64,000 1 h 25 min"),
        (50, "running 1,234 of 64,000"),
        (30, "running"),
    ],
)
def test_a_narrow_terminal_shows_fewer_columns_and_those_whole(width, whole):
    _, working, waiting = shown(width)
    name, _, rest = working.partition("… ")
    assert NAME.startswith(name) and len(name) > 15 and rest.split() == whole.split()
    assert waiting.startswith("plain seed1") and "waiting" in waiting


def test_very_narrow_ones_do_no_harm():
    for width in range(1, 30):
        shown(width)


def test_runs_that_could_not_even_write_are_told_with_a_full_disk(tmp_path, monkeypatch, capsys):
    data = prepare_cifar10(tmp_path / "data")["gcn-zca"]
    order = Order(plan("cvpr2017", "figure5"), Choices(8000, data={"cifar10": data}), tmp_path, Machines(1))
    monkeypatch.setattr("caffe_acu.reproduce.conduct.snakemake_command", lambda *_: ["false"])
    for free, why in ((0, "the disk is full"), (10**9, f"{order.folder}/cvpr2017/figure5.log may say why")):
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert reproduce(order) == 1
        assert capsys.readouterr().err.endswith(f"plain_acu/seed1: not done: {why}\n")
