"""Whole tables, from data to a page in a browser: tiny ones, and killed in the middle."""

import csv
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.support.select import Select

from browser import chromium
from caffe_acu.position_log import load_npz
from caffe_acu.positions import read_positions
from caffe_acu.reproduce.estimate import kept_bytes
from caffe_acu.reproduce.locks import RUN_LOCK, is_locked, try_lock
from caffe_acu.reproduce.plan import plan
from caffe_acu.reproduce.prepare_run import Choices, prepare_run
from caffe_acu.reproduce.tables import model_of
from report_pages import LATTICE_X, LATTICE_Y, dots
from reproduce_runs import (
    call,
    children,
    command,
    is_done,
    iterations,
    prepare_cifar10,
    prepare_cifar100,
    run_folder,
    shrink_batches,
    start_and_wait,
)

pytest.importorskip("snakemake")
SMALL = "500 of 50,000 images to train, 100 of 10,000 images to test"  # of CIFAR, that the runs here have


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    return {**prepare_cifar10(folder / "cifar10"), "cifar100": prepare_cifar100(folder / "cifar100")}


def make_quick(results: Path, choices: Choices, paper: str, table: str, seeds: int | None = None) -> list[Path]:
    """Prepares the runs of a table with small batches; their folders."""
    place = results / f"scaled-{choices.scale}"
    folders = [prepare_run(place, training, choices) for training in plan(paper, table, seeds).trainings]
    for folder in folders:
        shrink_batches(folder)
    return folders


def assert_gone_on(folder: Path) -> None:
    """Once, from a snapshot; and the log of its positions has every iteration once."""
    log = (folder / "train.log").read_text()
    assert log.count("] Solving ") == 2 and log.count("Resuming from snapshots/") == 1
    assert_positions_of_every_iteration(folder)


def assert_positions_of_every_iteration(folder: Path) -> None:
    (weights,) = (folder / "snapshots").glob("*.caffemodel")
    last = int(weights.stem.rpartition("_")[2])
    for series, learned in zip(load_npz(folder / "positions.npz"), read_positions(weights), strict=True):
        assert series.iterations.tolist() == list(range(last + 1))
        assert np.array_equal(series.x[0], np.broadcast_to(LATTICE_X, series.x[0].shape))
        assert np.array_equal(series.y[0], np.broadcast_to(LATTICE_Y, series.y[0].shape))
        assert np.array_equal(series.x[-1], learned.x) and np.array_equal(series.y[-1], learned.y)
        assert np.any(series.x[-1] != series.x[0])


def assert_whole_table(place: Path, table: str, remark: str, seeds: list[int]) -> dict:
    """JSON, CSV and Markdown have a result of every run, and the remark beside each; returns the JSON's content."""
    results = json.loads((place / f"{table}.json").read_text())
    assert results["remark"] == remark and results["notes"] == []
    lines = list(csv.DictReader((place / f"{table}.csv").read_text().splitlines()))
    text = (place / f"{table}.md").read_text()
    assert text.splitlines()[0].endswith(f"({remark})") and "not run" not in text
    for row, line in zip(results["rows"], lines, strict=True):
        tests = [place / "runs" / row["model"].partition("/")[2] / f"seed{k}" / "test.json" for k in seeds]
        errors = [json.loads(test.read_text())["top"]["1"]["percent"] for test in tests]
        assert row["status"] == line["status"] == "done"
        assert row["ours"]["seeds"] == seeds and row["ours"]["values"] == errors
        assert float(line["mean"]) == row["ours"]["mean"] == pytest.approx(np.mean(errors))
        assert row["difference"] == pytest.approx(np.mean(errors) - row["paper_value"])
        assert line["remark"] == remark
        (shown,) = (entry for entry in text.splitlines() if entry.startswith(f"| {row['row']} | {row['dataset']} "))
        assert f"{np.mean(errors):.2f}" in shown and remark in shown and "| done |" in shown
    assert all(comparison["our_gain"] is not None for comparison in results["comparisons"])
    assert all(remark in comparison["remark"] for comparison in results["comparisons"])
    return results


def assert_page(page: Path, results: dict, runs: dict[str, Path], networks: int) -> None:
    """In Chromium: every row done, all curves, and synapses that go with the slider from the lattice to what the
    ``runs`` have learned, by their names on the page."""
    with chromium() as browser:
        browser.open(page.read_text(), page)
        assert browser.one(".banner").text == results["remark"]
        status = [row.text.split()[-1] for row in browser.all("#results figure:first-of-type tbody tr")]
        assert status == ["done"] * len(results["rows"])
        for chart in ("loss", "error"):
            assert len(browser.all(f"#{chart} .curve")) == networks
        choice = Select(browser.one("#run"))
        assert [option.text for option in choice.options] == list(runs)
        for name, folder in runs.items():
            choice.select_by_visible_text(name)
            layers = load_npz(folder / "positions.npz")
            assert len(browser.all(".layer")) == len(layers)
            for value, moment in ((0, 0), (browser.one("#moment").get_attribute("max"), -1)):
                browser.set("#moment", value, "input")
                for layer in layers:
                    if layer.x.shape[1] == 1:  # of more sets, a choice is shown
                        found = dots(browser, layer.layer, layer.x[moment])
                        wanted = np.stack([layer.x[moment], layer.y[moment]], axis=-1)
                        np.testing.assert_allclose(found, wanted, atol=1e-3)
                assert f"iteration {layers[0].iterations[moment]:,}" in browser.one("#iteration").text
        assert browser.messages() == []


def test_table_2_killed_in_the_middle_is_finished_by_the_same_command(tmp_path, data):
    """At first there is no CIFAR-100. Everything is killed at once, with no time to write a snapshot; later Ctrl-C."""
    scale, last = 1600, 40
    data_sets = {"cifar10": data["gcn-zca"], "cifar100": data["cifar100"]}
    folders = make_quick(tmp_path, Choices(scale, data=data_sets), "cvpr2017", "table2")
    line = command("cvpr2017", "table2", results=tmp_path, data=data["gcn-zca"], scale=scale)
    begun, other = (
        run_folder(tmp_path, f"cvpr2017/{name}", scale=scale) for name in ("plain_acu", "plain_acu_cifar100")
    )
    process = start_and_wait(line, tmp_path, [begun], last // 4)
    for pid in [process.pid, *children(process.pid)]:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    assert not is_done(begun) and iterations(begun) < last
    (begun / "snapshots/plain_acu_iter_31.solverstate").write_bytes(b"\x08\x1f")  # damaged, and passed over

    half = call(line, cwd=tmp_path)
    assert half.returncode == 0, half.stderr
    assert "not run, for want of data: data/cifar100/lmdb" in half.stdout
    assert half.stdout.endswith("2 of 4 runs done\n")
    status = [row["status"] for row in json.loads((begun.parents[2] / "table2.json").read_text())["rows"]]
    assert status == ["done", "done", "not run", "not run"]
    assert_gone_on(begun)
    line += ["--data", f"cifar100={data['cifar100']}"]
    process = start_and_wait(line, tmp_path, [other], last // 4)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=100)[1].decode()
    assert process.returncode == 130 and said.startswith("stopping: what is at work writes a snapshot")
    assert not is_done(other) and not is_locked(other / RUN_LOCK)
    whole = call(line, cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.endswith("4 of 4 runs done\n")
    assert_gone_on(other)
    for folder in folders:
        assert_complete(folder, last)
    results = assert_whole_table(begun.parents[2], "table2", f"{SMALL}, scaled 1/1600, not comparable", [1])
    runs = {"plain, ACU, CIFAR-10, seed 1": begun, "plain, ACU, CIFAR-100, seed 1": other}
    assert_page(begun.parents[2] / "table2.html", results, runs, networks=4)


def assert_complete(folder: Path, last: int) -> None:
    """A run of the plain network, whose rate drops at a half and at three quarters."""
    assert sorted(path.name for path in (folder / "snapshots").iterdir()) == [
        f"{folder.parent.name}_iter_{last}.{kind}" for kind in ("caffemodel", "digests", "solverstate")
    ]
    names = {path.name for path in folder.iterdir()}
    assert {"DONE", "run.json", "env.json", "train.log", "test.json", "solver.prototxt"} <= names
    table = np.genfromtxt(folder / "metrics.csv", delimiter=",", names=True)
    assert table["iteration"].tolist() == list(range(last + 1))
    rates = [0.1] * (last // 2) + [0.01] * (last // 4) + [0.001] * (last // 4)
    assert table["lr"][:last] == pytest.approx(rates)
    assert not np.isnan(table["test_error_percent"][[last // 2, last]]).any()


def test_table_5_killed_in_the_middle_is_finished_by_the_same_command(tmp_path, data):
    """Only the command that a user started is killed: its runs end by themselves. Two seeds."""
    scale, last = 4000, 16
    braces = tmp_path / "{gcn}"  # which Snakemake would replace
    braces.symlink_to(data["gcn"])
    make_quick(tmp_path, Choices(scale, data={"cifar10": braces}), "grouped", "table5", 2)
    line = command("grouped", "table5", "--seeds", "2", results=tmp_path, data=braces, scale=scale)
    active = {
        (name, seed): run_folder(tmp_path, f"grouped/{name}", seed, scale)
        for name in ("resnet29_x1d_acu_share", "resnet29_x1d_acu")
        for seed in (1, 2)
    }
    share, multi = active["resnet29_x1d_acu_share", 1], active["resnet29_x1d_acu", 1]
    process = start_and_wait(line, tmp_path, list(active.values()), last // 4)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (begun,) = (folder for folder in active.values() if iterations(folder) and not is_done(folder))

    whole = call(line, cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    files = [f"{begun.parents[2] / 'table5'}.{kind}" for kind in ("csv", "html", "json", "md")]
    assert whole.stdout.splitlines()[-5:] == [*files, "6 of 6 runs done"]
    assert_gone_on(begun)
    for folder in active.values():
        assert_positions_of_every_iteration(folder)
    results = assert_whole_table(begun.parents[2], "table5", f"{SMALL}, scaled 1/4000, not comparable", [1, 2])
    typed = f"--seeds 2 --results {tmp_path.name} --scale 4000 --data 'cifar10={{gcn}}'"
    assert results["command"] == f"caffe-acu reproduce grouped table5 {typed}"

    made = {path: path.stat().st_mtime_ns for path in (tmp_path / f"scaled-{scale}").rglob("DONE")}
    again = call(line, cwd=tmp_path)
    assert again.returncode == 0 and "scaled 1/4000, not comparable: 0 of 6 runs to do" in again.stdout
    assert f"not comparable with the paper: {SMALL}\n" in again.stdout
    assert made == {path: path.stat().st_mtime_ns for path in made} and len(made) == 6
    held = sum(path.stat().st_size for path in multi.rglob("*"))
    assert held == pytest.approx(kept_bytes(model_of("grouped/resnet29_x1d_acu"), last, 1), rel=0.15)
    runs = {"x1d/ACU/Share, seed 1": share, "x1d/ACU/Multi, seed 1": multi}
    assert_page(begun.parents[2] / "table5.html", results, runs, networks=3)


def test_one_command_at_a_time_works_on_the_same_results(tmp_path, data, capsys):
    from caffe_acu.cli.main import main

    with try_lock(tmp_path / "scaled-8000/.reproduce.lock"):
        assert main(command("cvpr2017", "table2", results=tmp_path, data=data["gcn-zca"])[3:]) == 2
    assert "another `caffe-acu reproduce` works there" in capsys.readouterr().err
