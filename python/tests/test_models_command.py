"""``caffe-acu models``: what it prints, writes and leaves alone."""

from pathlib import Path

import pytest

from caffe_acu.cli.main import main
from caffe_acu.nets import zoo

ROOT = Path(__file__).resolve().parents[2]


def test_every_network_has_a_line(capsys):
    assert main(["models", "--list"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["network", "printed", "in", "data", "parameters", "multiply-adds"]
    assert {line.split()[0] for line in lines} == {model.folder for model in zoo.all_models()}
    assert len(lines) == 58
    (plain,) = [line for line in lines if line.startswith("cvpr2017/plain ")]
    assert plain.split()[1:] == ["Table", "2;", "Poster", "CIFAR-10", "855,162", "104,359,696"]


def test_what_differs_is_listed(tmp_path, capsys):
    assert main(["models", "--root", str(tmp_path / "models")]) == 0
    changed, damaged = tmp_path / "models" / "README.md", tmp_path / "models/grouped/xception/readme.md"
    changed.write_text("mine")
    damaged.write_bytes(b"\xff")
    capsys.readouterr()
    assert main(["models", "--root", str(tmp_path / "models"), "--check"]) == 1
    expected = {f"{path} is not what the generators make" for path in (changed, damaged)}
    assert set(capsys.readouterr().out.splitlines()) == expected
    assert changed.read_text() == "mine"


def test_nothing_differs_in_the_repository(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(["models", "--check"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("options", [[], ["--check"]])
def test_elsewhere_nothing_is_written(tmp_path, monkeypatch, capsys, options):
    monkeypatch.chdir(tmp_path)
    assert main(["models", *options]) == 2
    assert capsys.readouterr().err.startswith("caffe-acu models: models: no such folder; ")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_read_is_named(tmp_path, capsys):
    (tmp_path / "README.md").mkdir()
    assert main(["models", "--root", str(tmp_path), "--check"]) == 2
    assert capsys.readouterr().err == f"caffe-acu models: {tmp_path / 'README.md'}: cannot be read: Is a directory\n"
