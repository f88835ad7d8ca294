"""The command line itself."""

import argparse
import os
import subprocess
import sys

import pytest

from caffe_acu.cli.main import build_parser, main
from caffe_acu.quiet_caffe import import_caffe


def commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [words]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, subparser in action.choices.items():
                found += commands(subparser, (*words, name))
    return found


@pytest.mark.parametrize("words", commands(build_parser()), ids=" ".join)
def test_every_command_helps(words, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([*words, "--help"])
    assert exit_.value.code == 0
    assert "usage: caffe-acu" in capsys.readouterr().out


def test_a_mistake_is_one_line_and_exits_with_2(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["data", "cifar10", "--source", str(tmp_path / "none"), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error == f"caffe-acu data: {tmp_path / 'none'}: no such file or folder: check --source\n"
    assert not out.exists()


def test_what_caffe_refuses_is_one_line_too(tmp_path, monkeypatch, capsys):
    net = tmp_path / "net.prototxt"
    net.write_text('layer { name: "data" type: "Imput" }\n')
    parser = argparse.ArgumentParser()
    parser.set_defaults(command="some", run=lambda _: import_caffe().Net(str(net), 1))
    monkeypatch.setattr("caffe_acu.cli.main.build_parser", lambda: parser)
    assert main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"caffe-acu some: {net}:1: Imput layer 'data': ") and 'Did you mean "Input"?' in line
    parser.set_defaults(run=lambda _: {}["a mistake of ours"])
    with pytest.raises(KeyError):
        main([])


def test_a_reader_that_has_had_enough_is_no_mistake(tmp_path):
    net = tmp_path / "net.prototxt"
    net.write_text('layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }\n')
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "caffe_acu.cli.main", "counts", str(net)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_another_broken_pipe_is_not_hidden(monkeypatch, capfd):
    def run(arguments):
        raise BrokenPipeError

    monkeypatch.setattr("caffe_acu.cli.counts._run", run)
    with pytest.raises(BrokenPipeError):
        main(["counts", "net.prototxt"])
