"""``caffe-acu watch``: pictures of runs, live and for pipes, and what it writes for TensorBoard."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from rich.console import Console

from caffe_acu.cli.main import main
from caffe_acu.positions import LayerSeries
from caffe_acu.reproduce import tensorboard
from caffe_acu.reproduce.locks import RUN_LOCK, locked
from caffe_acu.reproduce.plan import Training
from caffe_acu.reproduce.progress import line, run_state, table_of
from caffe_acu.reproduce.tables import model_of
from caffe_acu.reproduce.watch import look, picture
from run_folders import BEGUN, write_log, write_run

MODEL = "grouped/resnet29_acu"
NO_COLOURS = {"NO_COLOR": "1", "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture(autouse=True)
def no_colours(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")


def dots(text: str) -> np.ndarray:
    """Whether each character cell of a plot has a dot or a letter; a row per line with an axis."""
    lines = [line.split("| ", 1)[1] for line in text.splitlines() if re.match(r" *[\d.]+ \| ", line)]
    width = max(map(len, lines))
    return np.array([[c not in "\u2800 " for c in line.ljust(width)] for line in lines])


def test_a_picture_falls_as_the_loss_does(tmp_path):
    folder = write_run(tmp_path, MODEL, 1, max_iter=1000)
    write_log(folder, np.arange(0, 1001, 10), np.linspace(2, 0, 101), [], [])
    drawn = dots(picture(look([folder]), 100, 40).split("(error %)")[0])
    rows, columns = np.nonzero(drawn)
    # A straight line from the top left to the bottom right.
    assert np.corrcoef(rows, columns)[0, 1] > 0.99
    assert columns.min() == 0 and rows.max() == len(drawn) - 1


def test_lines_of_runs(tmp_path):
    running = write_run(tmp_path, MODEL, 1)
    done = write_run(tmp_path, "grouped/resnet29", 2, 6.0, max_iter=1000, scale=64)
    with locked(running / RUN_LOCK, ""):
        text = picture(look([running, done]), 120, 40)
    assert text.splitlines()[-2:] == [
        "a  resnet29_acu/seed1: iteration 900 of 64,000, loss 0.500, test error 40.00 %, running",
        "b  resnet29/seed2: iteration 900 of 1,000, loss 0.500, test error 40.00 %, done, scaled 1/64, not comparable",
    ]
    assert "40.00 %, stopped" in picture(look([running]), 100, 40)
    # The letter of each run at the end of its curves; those of the same values hide one another.
    assert len(re.findall(r"\| .*[ab]", text)) == 2


@pytest.mark.parametrize("width, height, count", [(80, 24, 1), (80, 24, 3), (60, 15, 2), (120, 50, 3), (20, 5, 1)])
def test_a_picture_with_long_remarks_fits(tmp_path, width, height, count):
    remark = "1,000 of 50,000 images to train, 500 of 10,000 images to test, data from image files"
    folders = [write_run(tmp_path, MODEL, seed, scale=640, differs=remark) for seed in range(count)]
    text = picture(look(folders), width, height)
    assert len(text.splitlines()) < height or height == 5
    assert max(map(len, text.splitlines())) <= max(width, 50)
    assert " ".join(text.split()).count(f"{remark}, scaled 1/640, not comparable") == 1  # for all
    assert "(error %)" in text


def test_a_low_picture_of_a_run_that_was_not_tested_shows_the_loss(tmp_path):
    folder = write_run(tmp_path, MODEL, 1)
    write_log(folder, [0, 10], [2.5, 1.25], [], [])
    text = picture(look([folder]), 60, 15)
    assert "(loss)" in text and "(error %)" not in text


@pytest.mark.parametrize("width, height, count", [(80, 24, 1), (120, 50, 3), (200, 60, 30), (20, 5, 1)])
def test_a_picture_fits(tmp_path, width, height, count):
    folders = [write_run(tmp_path, MODEL, seed) for seed in range(count)]
    lines = picture(look(folders), width, height).splitlines()
    if height > 20 and count < 20:
        assert len(lines) < height and max(map(len, lines[:-count])) <= width
    assert len(lines) > count


@pytest.mark.parametrize(
    "losses", [[], [1.0], [float("nan")], [float("inf"), 2.0], [0.0, 0.0], [-1.0, -2.0], [1e-30, 2e30]]
)
def test_any_curve_can_be_drawn(tmp_path, losses):
    folder = write_run(tmp_path, MODEL, 1)
    write_log(folder, range(len(losses)), losses, [], [])
    assert "seed1: iteration" in picture(look([folder]), 80, 24)


def test_runs_of_a_table_in_progress_say_what_is_not_comparable(tmp_path):
    folder = write_run(tmp_path, MODEL, 1, scale=64, max_iter=1000, differs="few images")
    with locked(folder / RUN_LOCK, ""):
        state = run_state(tmp_path / "scaled-64", Training(model_of(MODEL), 1))
    remark = "few images, scaled 1/64, not comparable"
    assert (state.status, state.error) == ("running", 40)
    assert line(state).endswith(remark)
    console = Console(width=120)
    with console.capture() as shown:
        console.print(table_of([state], console.width))
    assert remark in shown.get() and "900 of 1,000" in shown.get()


def test_the_last_known_rate_is_told(tmp_path):
    folder = write_run(tmp_path, MODEL, 1)
    write_log(folder, [0, 10, 20], [2.5, 1.25, 0.5], [], [], [0.1, 0.001])
    assert picture(look([folder]), 100, 40).endswith("iteration 20 of 64,000, lr 0.001, loss 0.500, stopped")


def test_once_draws_a_log_that_grows(tmp_path, capsys):
    folder = write_run(tmp_path, MODEL, 1)
    log = folder / "train.log"
    log.write_text(BEGUN + "\n")
    assert main(["watch", "--once", str(folder)]) == 0
    assert "iteration 0 of 64,000, stopped\n" in capsys.readouterr().out
    with log.open("a") as file:
        file.write("I1 1 solver.cpp:239] Iteration 100 (9 iter/s, 1.1s/10 iters), loss = 1.5\nI1 1 solver")
    assert main(["watch", "--once", str(folder)]) == 0
    assert "iteration 100 of 64,000, loss 1.500, stopped\n" in capsys.readouterr().out


def test_a_folder_without_a_description(tmp_path, capsys):
    write_run(tmp_path, MODEL, 1)
    folder = tmp_path / "trial/plain"
    folder.mkdir(parents=True)
    shutil.copy(tmp_path / "grouped/runs/resnet29_acu/seed1/train.log", folder)
    assert main(["watch", "--once", str(folder)]) == 0
    assert "a  trial/plain: iteration 900, loss 0.500" in capsys.readouterr().out


def test_what_is_no_run_is_one_line(tmp_path, capsys):
    assert main(["watch", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"caffe-acu watch: {tmp_path}: no run in it: none of run.json, train.log, metrics.csv is there; a run is a "
        "folder such as results/cvpr2017/runs/plain/seed1\n"
    )
    (write_run(tmp_path, MODEL, 1) / "run.json").write_text("{")
    assert main(["watch", str(tmp_path / "grouped/runs/resnet29_acu/seed1")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_without_plotille_it_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "plotille", None)
    assert main(["watch", "--once", str(write_run(tmp_path, MODEL, 1))]) == 2
    assert capsys.readouterr().err == (
        "caffe-acu watch: curves need plotille, which is not there: pip install plotille\n"
    )


def live(folder, act):
    """Runs it in a terminal, calls ``act`` with keyboard and process once it has drawn; gives code and screen."""
    ours, theirs = pty.openpty()
    deadline = time.monotonic() + 120  # of a test that fails; else it ends by itself
    command = [sys.executable, "-m", "caffe_acu.cli.main", "watch", str(folder)]
    environment = {**os.environ, **NO_COLOURS, "COLUMNS": "80", "LINES": "30"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, close_fds=True)
    os.close(theirs)
    screen, acted = b"", False
    while True:
        if time.monotonic() > deadline or not select.select([ours], [], [], 120)[0]:
            process.kill()
            break
        try:
            read = os.read(ours, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not read:
            break
        screen += read
        if not acted and b"q: leave" in screen:
            acted = True
            act(ours, process)
    os.close(ours)
    return process.wait(120), screen.decode(errors="replace")


def test_live_until_q(tmp_path):
    folder = write_run(tmp_path, MODEL, 1)
    code, screen = live(folder, lambda keyboard, process: os.write(keyboard, b"xq"))
    assert code == 0
    # Its own screen is left, the last picture stays.
    before, _, after = screen.partition("\x1b[?1049l")
    assert "iteration 900 of 64,000" in before and "iteration 900 of 64,000" in after


def test_live_until_interrupted(tmp_path):
    folder = write_run(tmp_path, MODEL, 1)
    code, screen = live(folder, lambda keyboard, process: process.send_signal(signal.SIGINT))
    assert code == 130 and "\x1b[?1049l" in screen and "Traceback" not in screen


def test_live_until_done(tmp_path):
    folder = write_run(tmp_path, MODEL, 1)
    code, screen = live(folder, lambda keyboard, process: (folder / "DONE").write_text(""))
    assert code == 0 and screen.rstrip().endswith("done")


def events_of(folder):
    return list(tensorboard.read_events(folder / "resnet29_acu/seed1"))


def update(folder, out):
    with tensorboard.EventFolder(folder, out) as events:
        return events.update()


def test_events_are_those_of_the_log(tmp_path):
    pytest.importorskip("tensorboardX")
    folder = write_run(tmp_path, MODEL, 1)
    write_log(folder, [0, 10, 20], [2.5, 1.25, 0.5], [0, 20], [90, 12.5], [0.1, 0.01])
    assert main(["watch", "--once", str(folder), "--tensorboard", str(tmp_path / "events")]) == 0
    expected = [
        ("lr", 0, 0.1),
        ("lr", 10, 0.01),
        ("loss/train", 0, 2.5),
        ("loss/train", 10, 1.25),
        ("loss/train", 20, 0.5),
    ]
    expected += [("error/test_percent", 0, 90), ("error/test_percent", 20, 12.5)]
    found = events_of(tmp_path / "events")
    assert [event[:2] for event in found] == [event[:2] for event in expected]
    np.testing.assert_allclose([event[2] for event in found], [event[2] for event in expected], rtol=1e-6)


def test_events_of_scaled_runs_stand_apart_under_a_name_that_says_so(tmp_path):
    pytest.importorskip("tensorboardX")
    full, scaled = write_run(tmp_path, MODEL, 1), write_run(tmp_path, MODEL, 1, scale=64)
    for folder, loss in ((full, 1.0), (scaled, 2.0)):
        write_log(folder, [0], [loss], [], [])
        assert update(folder, tmp_path / "events") == 1
    ((_, _, loss),) = events_of(tmp_path / "events/scaled 1-64, not comparable")
    assert loss == 2


def test_no_value_is_written_twice(tmp_path):
    pytest.importorskip("tensorboardX")
    folder, out = write_run(tmp_path, MODEL, 1), tmp_path / "events"
    write_log(folder, [0, 10], [2.5, 1.25], [], [])
    with tensorboard.EventFolder(folder, out) as keeping:
        assert [keeping.update(), keeping.update()] == [2, 0]
        write_log(folder, [0, 10, 20], [2.5, 1.25, 0.5], [], [])
        assert keeping.update() == 1
    assert update(folder, out) == 0
    write_log(folder, [0, 10, 20, 30], [2.5, 1.25, 0.5, 0.4], [], [])
    assert update(folder, out) == 1
    assert [step for _, step, _ in events_of(out)] == [0, 10, 20, 30]


def test_a_file_cut_short_is_completed(tmp_path):
    pytest.importorskip("tensorboardX")
    folder, out = write_run(tmp_path, MODEL, 1), tmp_path / "events"
    write_log(folder, [0, 10, 20], [2.5, 1.25, 0.5], [], [])
    update(folder, out)
    (path,) = (out / "resnet29_acu/seed1").iterdir()
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        steps = [step for _, step, _ in events_of(out)]
        assert steps == [0, 10, 20][: len(steps)] and len(steps) < 3
    assert update(folder, out) == 1
    assert sorted(step for _, step, _ in events_of(out)) == [0, 10, 20]


def test_positions_are_written(tmp_path, monkeypatch):
    pytest.importorskip("tensorboardX")
    folder, out = write_run(tmp_path, MODEL, 1), tmp_path / "events"
    (folder / "train.log").unlink()
    # One set of three synapses, the first fixed; the others at 3-4-5 triangles, one of which moves by 1 and by 2.
    x = np.array([[[0, 3, 4.0]], [[0, 3, 5.0]], [[0, 3, 6.0]]])
    y = np.array([[[0, 4, 3.0]]] * 3)
    layers = [LayerSeries("conv1", "ACU", np.array([0, 100, 200]), x, y, np.array([0]), (1, 3), 0)]
    monkeypatch.setattr(tensorboard, "read_positions_over_time", lambda folder: layers)
    update(folder, out)
    found = {(tag.removeprefix("positions/conv1/"), step): value for tag, step, value in events_of(out)}
    assert found["mean_radius", 0] == 5
    assert found["mean_radius", 200] == pytest.approx((5 + 45**0.5) / 2)
    assert [found["mean_moved", step] for step in (0, 100, 200)] == [0, 0.5, 1]
    assert [found["max_moved", step] for step in (0, 100, 200)] == [0, 1, 2]


def test_without_tensorboardx_it_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    folder = write_run(tmp_path, MODEL, 1)
    assert main(["watch", "--once", str(folder), "--tensorboard", str(tmp_path / "events")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "needs tensorboardX" in line and "caffe-acu[tensorboard]" in line
    assert not (tmp_path / "events").exists()
