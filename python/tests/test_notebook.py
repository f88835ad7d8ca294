"""docs/inspection.ipynb, run from its beginning: every cell works, and what it prints is so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs/inspection.ipynb"
RADIUS = 2.5  # of the ring in the notebook's images
START_RADIUS = (4 + 4 * np.sqrt(2)) / 8
SETS = 24
NUMBER = r"-?\d+(?:\.\d+)?"


def execute(notebook: Path, out: Path, **environment: str) -> subprocess.CompletedProcess:
    """With nothing of the user's own settings of Jupyter."""
    command = [sys.executable, str(ROOT / "scripts/execute_notebook.py"), str(notebook), "-o", str(out)]
    own = {name: str(out.parent / name) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    return subprocess.run(
        command, env={**os.environ, **own, **environment}, capture_output=True, text=True, timeout=1800
    )


@pytest.fixture(scope="module")
def today(tmp_path_factory) -> nbformat.NotebookNode:
    """The notebook with new outputs."""
    out = tmp_path_factory.mktemp("notebook") / "inspection.ipynb"
    done = execute(NOTEBOOK, out)
    assert done.returncode == 0, done.stderr
    return nbformat.read(out, as_version=4)


@pytest.fixture(scope="module")
def printed(today) -> dict[str, str]:
    """By cell."""
    return {cell.id: text_of(cell) for cell in today.cells if cell.cell_type == "code"}


def text_of(cell: nbformat.NotebookNode) -> str:
    return "".join(
        out.text if out.output_type == "stream" else out.data.get("text/markdown", "") for out in cell.outputs
    )


def numbers(text: str, pattern: str) -> list[float]:
    """Those that stand in the text where the pattern has #."""
    found = re.search(pattern.replace("#", f"({NUMBER})"), text)
    assert found, f"no {pattern!r} in {text!r}"
    return [float(number) for number in found.groups()]


def test_the_published_network(printed, shared):
    golden = np.load(shared / "golden" / "golden_plain10000.npz")
    right = (golden["score64"].argmax(axis=1) == golden["labels"]).sum()
    assert printed["published-load"] == f"{right} of 16 images right\n"
    layers = printed["published-layers"].splitlines()
    assert len(layers) == 7 and all("moved at most 0.00000" in line for line in layers)
    assert printed["published-xy"].startswith("[[0, 0], [1, 0], [1, 1], [0, 1], ")
    # Five 3x3 kernels and one more, at steps of 1, 1, 1, 2, 2 and 4 pixels.
    assert f"| {1 + 2 * (1 + 1 + 1 + 2 + 2 + 4)}x23 | 4x4 |" in printed["published-table"]


def test_without_the_published_network_that_part_is_passed_over(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.id == "set-up" or cell.id.startswith("published")]
    (tmp_path / "docs").mkdir()
    (tmp_path / "models").symlink_to(ROOT / "models")
    nbformat.write(notebook, tmp_path / "docs/part.ipynb")
    done = execute(tmp_path / "docs/part.ipynb", tmp_path / "out.ipynb", CAFFE_ACU_SHARED=str(tmp_path / "none"))
    assert done.returncode == 0, done.stderr
    texts = {cell.id: text_of(cell) for cell in nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
             if cell.cell_type == "code"}  # fmt: skip
    assert texts["published-load"].startswith("The published network is not here")
    assert len(texts["published-layers"].splitlines()) == 7  # of the prototxt
    assert texts["published-table"] == ""


def test_the_trained_network_has_found_the_ring(printed):
    errors = numbers(printed["training-probes"], r"convolution: test error # %\n.*ACU: +test error # %")
    assert errors[1] < errors[0] - 10
    radius, moved = numbers(printed["trained-positions"], "mean radius # px, moved # px")
    assert abs(radius - RADIUS) < 0.25 * RADIUS < RADIUS - START_RADIUS
    synapses = np.array(re.findall(rf"x +({NUMBER})  y +({NUMBER})", printed["trained-positions"]), float)
    start = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(9, 2)
    free = np.arange(9) != 4
    assert np.hypot(*synapses[free].T).mean() == pytest.approx(radius, abs=0.01)
    assert np.hypot(*(synapses - start)[free].T).mean() == pytest.approx(moved, abs=0.01)
    size = numbers(printed["numbers"], "sees # x # pixels")
    width, height = synapses.max(axis=0) - synapses.min(axis=0) + 1
    assert size == pytest.approx([height, width], abs=0.11)
    assert numbers(printed["numbers"], "images has # x #") == [2 * RADIUS + 1] * 2
    changes = re.findall(rf"to \d+: ({NUMBER}) px", printed["difference"])
    assert float(changes[0]) > float(changes[-1]) > 0  # the rate has dropped


def test_the_depthwise_network_has_sets_of_its_own(printed):
    errors = numbers(printed["depthwise-train"], r"convolution: test error # %\n.*ACU: +test error # %")
    assert errors[1] < errors[0] - 10
    text = printed["depthwise-statistics"]
    assert f"shape ({SETS}, 9, 2)" in text
    assert numbers(text, "spread between sets # px")[0] > 0.3
    radii = [float(one) for one in re.search(r"\[(.+)\]", text)[1].split(", ")]
    assert len(radii) == SETS and min(radii) == pytest.approx(START_RADIUS, abs=0.3) and max(radii) > 1.5


def test_what_is_stored_is_of_the_notebook_as_it_is(today):
    """Numbers may be those of another machine."""
    raw = NOTEBOOK.read_text(encoding="utf-8")
    assert len(raw) < 600_000
    assert not re.search(r"/(tmp|home|root|work|usr)/", raw)
    stored = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(stored)
    here = "not here" not in text_of(today.cells[3])
    for old, new in zip(stored.cells, today.cells, strict=True):
        if old.cell_type == "code" and (here or not old.id.startswith("published")):
            assert shape_of(old) == shape_of(new), f"{old.id}: run scripts/execute_notebook.py docs/inspection.ipynb"


def shape_of(cell: nbformat.NotebookNode) -> tuple[str, list[list[str]]]:
    """What is printed, without numbers, and the kinds of its outputs."""
    kinds = [sorted(out.data) if "data" in out else [out.name] for out in cell.outputs]
    return re.sub(rf" *{NUMBER}", "#", text_of(cell)), kinds


def test_a_cell_that_fails_is_told(tmp_path):
    cells = [nbformat.v4.new_code_cell("print('before')"), nbformat.v4.new_code_cell("1 / 0")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "broken.ipynb")
    done = execute(tmp_path / "broken.ipynb", tmp_path / "out.ipynb")
    assert done.returncode == 1
    assert "broken.ipynb: a cell failed" in done.stderr and "ZeroDivisionError" in done.stderr
    assert not (tmp_path / "out.ipynb").exists()
