"""The command line itself."""

import argparse

import pytest

from caffe_acu.cli.main import build_parser, main


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
