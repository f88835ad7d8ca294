"""docs/gallery.md: commands that work, pictures that are there, and the script that makes them anew."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import position_sources
from caffe_acu.cli.main import build_parser
from run_folders import write_run

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/gallery.md"
TEXT = PAGE.read_text(encoding="utf-8")
IN_BLOCKS = re.findall(r"^    (caffe-acu (?:.*\\\n)*.*)$", TEXT, re.MULTILINE)
IN_LINES = [code for code in re.findall(r"`(caffe-acu [^`]+)`", TEXT) if "--help" not in code]
MOST_BYTES = {".svg": 300_000, ".png": 300_000, ".gif": 1_500_000}
RUNS = "<!-- runs, by scripts/gallery.sh -->\n", "<!-- end of runs -->\n"


def parsed(command: str):
    return build_parser().parse_args(shlex.split(command.replace("\\\n", " "))[1:])


@pytest.mark.parametrize("command", IN_BLOCKS + IN_LINES)
def test_a_command_of_the_page_is_one(command):
    parsed(command)


def test_every_kind_of_figure_is_shown_and_every_picture_has_its_command():
    plotted = [arguments for arguments in map(parsed, IN_BLOCKS) if arguments.command == "plot"]
    assert {arguments.kind for arguments in plotted} == kinds_of_figures()
    made = [str(arguments.out) for arguments in plotted]
    linked = [f"docs/{target}" for target in re.findall(r"!\[.+?\]\((.+?)\)", TEXT)]
    there = [str(path.relative_to(ROOT)) for path in (ROOT / "docs/gallery").iterdir()]
    assert made == linked  # each below its command
    assert sorted(made) == sorted(there)


def kinds_of_figures() -> set[str]:
    with_kinds = next(action for action in build_parser()._actions if action.choices).choices["plot"]
    return set(next(action for action in with_kinds._actions if action.dest == "kind").choices)


@pytest.mark.parametrize("picture", sorted((ROOT / "docs/gallery").iterdir()), ids=lambda path: path.name)
def test_a_picture_is_small_and_tells_nothing_of_a_machine(picture):
    assert picture.stat().st_size < MOST_BYTES[picture.suffix]
    if picture.suffix == ".svg":
        assert not re.search(r"/(tmp|home|root|work|usr)/", picture.read_text(encoding="utf-8"))
    else:
        Image.open(picture).verify()


def test_links_of_the_page_are_there():
    for target in re.findall(r"[^!]\[[^]]+\]\(([^)#]+)", TEXT):
        assert (PAGE.parent / target).exists(), target


def test_every_run_of_the_page_stands_in_its_table():
    table = TEXT[TEXT.index(RUNS[0]) : TEXT.index(RUNS[1])]
    named = set(re.findall(r"results/\S+/seed\d+", "\n".join(IN_BLOCKS)))
    assert set(re.findall(r"`(results/.+?)`", table)) == named


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A page with one figure, and its run."""
    run = write_run(tmp_path / "results", "cvpr2017/plain_acu", 1, 12.345, scale=8, max_iter=200, differs="few images")
    for iteration in (0, 200):
        position_sources.write_snapshot(run / "snapshots" / f"plain_acu_iter_{iteration}.caffemodel", iteration)
    (tmp_path / "docs").mkdir()
    page = "Before.\n{}an old table\n{}After.\n\n    caffe-acu plot shapes {} \\\n        -o shapes.svg\n"
    (tmp_path / "docs/gallery.md").write_text(page.format(*RUNS, run.relative_to(tmp_path)))
    return tmp_path


def renew(checkout: Path) -> subprocess.CompletedProcess:
    line = [sys.executable, str(ROOT / "scripts/gallery.py")]
    return subprocess.run(line, cwd=checkout, capture_output=True, text=True, timeout=120)


def test_pictures_and_table_are_made_anew(checkout):
    before = (checkout / "docs/gallery.md").read_text()
    done = renew(checkout)
    assert (done.returncode, done.stderr) == (0, "")
    assert (checkout / "shapes.svg").is_file()
    after = (checkout / "docs/gallery.md").read_text()
    head, table, tail = (part for part in re.split("|".join(RUNS), after))
    assert after.replace(table, "an old table\n") == before and (head, tail[:6]) == ("Before.\n", "After.")
    run = "results/scaled-8/cvpr2017/runs/plain_acu/seed1"
    assert f"| `{run}` | 1/8 | 200 | 100 | 12.35 | abc1234 | 2026-11-21 |" in table
    assert "A processor, 2 cores; few images." in table


def test_a_run_that_is_not_done_is_told(checkout):
    before = (checkout / "docs/gallery.md").read_text()
    (checkout / "results/scaled-8/cvpr2017/runs/plain_acu/seed1/DONE").unlink()
    done = renew(checkout)
    assert done.returncode == 2
    assert re.fullmatch(r"docs/gallery\.md: results/\S+/seed1: stopped; the same command .*\n", done.stderr)
    assert (checkout / "docs/gallery.md").read_text() == before and not (checkout / "shapes.svg").exists()


def test_a_command_that_fails_leaves_the_page(checkout):
    page = checkout / "docs/gallery.md"
    page.write_text(page.read_text() + "\n    caffe-acu plot shapes results/none -o none.svg\n")
    before = page.read_text()
    done = renew(checkout)
    assert done.returncode == 2 and done.stderr.startswith("caffe-acu plot: results/none")
    assert page.read_text() == before
