"""docs/deploy.md: what it tells to type works, in its order, in a folder with a trained network."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trained_nets import trained

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "deploy.md"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deploy")
    trained("grouped/resnet29_x2d_acu", folder)
    plain = folder / "plain"
    plain.mkdir()
    for file, name in zip(trained("grouped/resnet29_x2d", plain), ("plain.prototxt", "plain.caffemodel"), strict=True):
        file.rename(folder / name)
    return folder


@pytest.mark.parametrize(("language", "code"), BLOCKS, ids=[code.split("\n")[0][:60] for _, code in BLOCKS])
def test_what_it_tells_to_type(folder, language, code):
    if "torch" in code and not importlib.util.find_spec("torch"):
        pytest.skip("PyTorch is not installed (see scripts/setup.sh --torch)")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "python"), "GLOG_minloglevel": "2"}
    run = {"sh": ["bash", "-euc", code], "python": [sys.executable, "-c", code]}[language]
    done = subprocess.run(run, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout or "from_caffe" in code


def test_every_command_is_on_it():
    code = "".join(code for _, code in BLOCKS)
    for command in ("convert conv", "convert onnx", "convert acu", *(f"positions {word}" for word in
                    ("export", "apply", "round", "freeze"))):  # fmt: skip
        assert f"caffe-acu {command} " in code
