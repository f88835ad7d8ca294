"""``caffe-acu scaling``: text, JSON and Markdown, its mistakes, and the tables of docs/scaling.md."""

import json
import re
import shlex
from pathlib import Path

import pytest

from caffe_acu.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
# 6 x 6 x 3 x 3 weights, 6 shifts: 1320 bytes; 324 x 11 x 9 = 32,076 multiply-adds.
NET = """
name: 'mine'
layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 4 dim: 6 dim: 11 dim: 9 } } }
layer { name: 'conv' type: 'Convolution' bottom: 'data' top: 'conv'
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 } }
"""


@pytest.fixture
def net(tmp_path) -> str:
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    return str(path)


def run(capsys, *arguments: str) -> str:
    assert main(["scaling", *arguments]) == 0
    return capsys.readouterr().out


# On two nodes: 2 messages of 660 bytes: 2 x (100 + 5.28) us; on four: 6 x (100 + 2.64).
OPTIONS = ("--seconds", "0.002", "--nodes", "1", "2", "4", "--link", "1:100", "--link-share", "1")


def test_text(net, capsys):
    lines = run(capsys, net, *OPTIONS).splitlines()
    assert lines[0] == "mine: 1,320 bytes of gradient an iteration (330 values), 0.03M multiply-adds for one image"
    assert lines[1].startswith("- one worker alone: 4 images in 2.00 ms (given); the backward pass is two thirds")
    assert "- link, each way: 1 of 1 Gb/s with 100 us" in lines
    assert [line.split() for line in lines[-4:]] == [
        "nodes workers 1 Gb/s: ms 1 Gb/s: after 1 Gb/s: overlapped".split(),
        "1 1 0.00 100.0 % 100.0 %".split(),
        "2 2 0.21 90.5 % 90.5 %".split(),
        "4 4 0.62 76.5 % 76.5 %".split(),
    ]


def test_json(net, capsys):
    data = json.loads(run(capsys, net, *OPTIONS, "--json"))
    assert (data["learned_values"], data["gradient_bytes"], data["multiply_adds"]) == (330, 1320, 32_076)
    two = data["estimates"][1]
    assert (two["nodes"], two["workers"], two["batch_of_all"]) == (2, 2, 8)
    assert two["all_reduce"] == pytest.approx(210.56e-6)
    assert two["images_per_second"] == pytest.approx(8 / (0.002 + 210.56e-6))
    assert len(data["estimates"]) == 3 and len(data["assumptions"]) >= 5


def test_markdown(net, capsys):
    head, table, assumptions = run(capsys, net, *OPTIONS, "--markdown").strip().split("\n\n")
    assert head.startswith("mine: ")
    assert table.splitlines()[1:3] == ["| ---: | ---: | ---: | ---: | ---: |", "| 1 | 1 | 0.00 | 100.0 % | 100.0 % |"]
    assert all(line.startswith("- ") for line in assumptions.splitlines())


def test_workers_of_a_node_and_a_batch_that_is_divided_are_told(net, capsys):
    told = run(capsys, net, "--workers-per-node", "2", "--inside", "80:2", "--nodes", "1", "2", "--strong")
    assert "- 2 workers a node, which add up inside it first (ring, 1 of 80 Gb/s with 2 us)" in told
    assert "the batch of all together stays the same" in told and "reckoned, not measured" in told


def test_layers_that_are_not_known_are_told(net, capsys):
    Path(net).write_text(NET + "layer { name: 'focal' type: 'FocalLoss' bottom: 'conv' top: 'focal' }")
    assert "- NOT COUNTED, so bytes and multiply-adds lack them: focal (FocalLoss)" in run(capsys, net, *OPTIONS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--link", "10"], "argument --link: '10': it takes GBPS:US, such as 100:5"),
        (["--link", "x:5"], "argument --link: 'x': it takes a number above 0"),
        (["--link", "10:-1"], "argument --link: '-1': it takes GBPS:US, such as 100:5"),
        (["--nodes", "0"], "argument --nodes: '0': it takes 1 or more"),
        (["--nodes", "1.5"], "argument --nodes: '1.5': it takes 1 or more"),
        (["--seconds", "nan"], "argument --seconds: 'nan': it takes a number above 0"),
        (["--teraflops", "inf"], "argument --teraflops: 'inf': it takes a number above 0"),
        (["--utilisation", "30"], "argument --utilisation: '30': it takes a number above 0, and at most 1"),
    ],
)
def test_options_that_make_no_sense(net, capsys, words, message):
    with pytest.raises(SystemExit) as exit_:
        main(["scaling", net, *words])
    assert exit_.value.code == 2 and capsys.readouterr().err.endswith(f"{message}\n")


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("layer { name: 'x' type: 'Data' top: 'x' }", [], "give --input C H W"),
        (NET, ["--workers-per-node", "4"], "4 workers a node: give --inside, the link between them"),
        (NET, ["--strong", "--nodes", "8"], "4 images for 8 workers: with --strong each needs one at least"),
        ("layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 2 } } }", [], "no blob learns"),
    ],
)
def test_what_cannot_be_reckoned_is_one_line(tmp_path, capsys, text, words, message):
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    assert main(["scaling", str(path), *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_the_tables_of_the_page_are_what_its_commands_print(monkeypatch, capsys):
    """Every indented command of docs/scaling.md that prints Markdown has its table below it."""
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs/scaling.md").read_text()
    commands = re.findall(r"^    caffe-acu (scaling .* --markdown)$", page, re.MULTILINE)
    assert len(commands) >= 3
    for words in commands:
        head, table, _ = run(capsys, *shlex.split(words)[1:]).strip().split("\n\n")
        assert f"    caffe-acu {words}\n\n{head}\n\n{table}\n" in page, words
