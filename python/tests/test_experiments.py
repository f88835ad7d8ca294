"""Runs and trials: interruption, resumption, bad input, and the report."""

import json
import time

import pytest

from caffe_acu.cli.main import main
from caffe_acu.data.generated import prepare_generated
from caffe_acu.data.options import Constellations, GeneratedOptions
from caffe_acu.errors import UserError
from caffe_acu.experiments.report import report
from caffe_acu.experiments.run import Run
from caffe_acu.experiments.trial import Pair, Trial, TrialOptions, run_trial
from caffe_acu.nets.builder import DataSource
from caffe_acu.nets.probe import probe, probe_solver

WHAT = Constellations(size=16, copies=1, plane_gain=(1.0,))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated") / "data"
    prepare_generated(folder, GeneratedOptions(400, 100, WHAT))
    return folder


def make_run(folder, data, iterations, acu=True) -> Run:
    source = DataSource(str(data / "train_lmdb"), str(data / "test_lmdb"), 64, 100, WHAT.size, mirror=False)
    solver = probe_solver(iterations, seed=1)
    solver.test_iter[0] = 1
    run = Run("probe", folder, iterations)
    run.write(probe(acu, source, WHAT.classes), solver)
    return run


def finish(run: Run) -> None:
    while not run.poll():
        run.wait(1)


def test_an_interrupted_run_goes_on_from_its_snapshot(tmp_path, data):
    run = make_run(tmp_path, data, 3000)
    run.start(threads=1)
    while run.iteration() < 100:
        time.sleep(0.02)
    run.stop()
    assert not run.done
    stopped_at = int(run.snapshots()[-1].stem.rpartition("_")[2])
    assert 100 <= stopped_at < 3000

    again = Run("probe", tmp_path, 3000)
    again.start(threads=1)
    finish(again)
    assert again.done
    log = again.log()
    assert log.iterations[0] == 0  # the first part of the log is kept
    assert log.test_iterations.tolist() == [3000]
    assert f"snapshots/probe_iter_{stopped_at}.solverstate" in again.log_path.read_text()


def test_one_seed_gives_the_same_bits_with_one_thread_and_with_two(tmp_path, data):
    weights = []
    for threads in (1, 2):
        run = make_run(tmp_path / str(threads), data, 240)  # beyond the warm-up of 200
        run.start(threads)
        finish(run)
        weights.append(run.snapshots()[-1].read_bytes())
    assert weights[0] == weights[1]


def test_a_failing_run_says_why_in_caffes_words(tmp_path, data):
    run = make_run(tmp_path, data, 100)
    net = tmp_path / "train_val.prototxt"
    net.write_text(net.read_text().replace("warmup_iter", "warmup"))
    run.start(threads=1)
    with pytest.raises(UserError, match=r'train\.log: caffe train failed .*no field named "warmup"'):
        finish(run)
    assert not run.done


def test_a_run_that_fails_again_says_why_this_time(tmp_path, data):
    run = make_run(tmp_path, data, 3000)
    run.start(threads=1)
    while run.iteration() < 20:
        time.sleep(0.02)
    run.stop()  # with a snapshot, so that its log is kept
    net = tmp_path / "train_val.prototxt"
    whole = net.read_text()
    for right, wrong in (("warmup_iter", "warmup"), ("num_output", "outputs")):
        net.write_text(whole.replace(right, wrong))
        run.start(threads=1)
        with pytest.raises(UserError, match=f'no field named "{wrong}"'):
            finish(run)


def test_options_are_checked():
    with pytest.raises(UserError, match="--warmup is 10"):
        TrialOptions(iterations=10, warmup_iter=10)
    with pytest.raises(UserError, match="--iterations takes 4 or more"):
        TrialOptions(iterations=2)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="is not empty and no trial"):
        run_trial(tmp_path, TrialOptions(), overwrite=True)
    assert (tmp_path / "thesis.tex").exists()


def test_a_trial_reports_and_is_not_mixed_with_another(tmp_path, capsys):
    # A prepared data set that says of itself that it is generated, so that probes are trained.
    prepare_generated(tmp_path / "data", GeneratedOptions(200, 100, Constellations()))
    options = TrialOptions(data=str(tmp_path / "data"), iterations=4, probe_iterations=16)
    out = tmp_path / "out"
    text = report(run_trial(out, options))
    for row in ("| probe | 16 |", "| probe_acu | 16 |", "| plain | 4 |", "| plain_acu | 4 |", "| plain_acu: conv3_2 |"):
        assert row in text
    results = json.loads((out / "results.json").read_text())
    assert {"command", "environment", "data", "schedule", "rows", "shapes"} <= set(results)
    assert {"commit", "date", "processor", "cores"} <= set(results["environment"])
    assert results["rows"][2]["test_error_percent"] == pytest.approx(
        float((1 - float(last_accuracy(out / "plain" / "train.log"))) * 100), abs=0.01
    )
    for name in ("probe_acu", "plain_acu"):
        for figure in ("shapes", "movement", "curves"):
            assert (out / f"{name}_{figure}.png").stat().st_size > 5_000

    started = (out / "plain" / "train.log").stat().st_mtime_ns
    run_trial(out, options)  # nothing left to do
    assert (out / "plain" / "train.log").stat().st_mtime_ns == started
    assert main(["trial", "--out", str(out), "--iterations", "8"]) == 2
    assert "holds a trial with other options" in capsys.readouterr().err


def last_accuracy(log) -> str:
    return [line for line in log.read_text().splitlines() if "accuracy = " in line][-1].rpartition("= ")[2]


def test_a_report_names_no_folder_of_the_machine(tmp_path, data, monkeypatch):
    monkeypatch.setattr("sys.argv", ["caffe-acu", "trial", "--data", "/home/me/cifar.tar.gz", "--out", "results/a"])
    run = make_run(tmp_path / "run", data, 16)
    run.start(threads=1)
    finish(run)
    manifest = {"source": "/home/me/cifar.tar.gz (official Python batches in .)"}
    text = report(Trial(tmp_path, manifest, [Pair(run, run)], TrialOptions()))
    assert "- data: cifar.tar.gz (official Python batches in .)" in text
    assert "`caffe-acu trial --data cifar.tar.gz --out results/a`" in text
