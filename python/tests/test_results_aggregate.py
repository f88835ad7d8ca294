"""From runs to a table: means, deviations, differences, statuses, comparisons."""

import json

import numpy as np
import pytest
from scipy import stats

from caffe_acu.reproduce.locks import RUN_LOCK, locked
from caffe_acu.reproduce.results import read_runs, table_results
from caffe_acu.reproduce.statistics import Sample, gain
from caffe_acu.reproduce.tables import find_table
from run_folders import ENVIRONMENT, write_run

BASE, ACU = "grouped/resnet29", "grouped/resnet29_acu"
BASE_ERRORS, ACU_ERRORS = [6.1, 6.3, 6.2, 6.0, 6.4], [5.6, 5.5, 5.8]


def results(folder, paper, name, scale=1, seeds=None):
    found = table_results(read_runs(find_table(paper, name), folder, scale), seeds)
    return found | {"by_row": {(row["row"], row["dataset"], row["metric"]): row for row in found["rows"]}}


def row_of(found, name):
    (row,) = [row for row in found["rows"] if row["row"] == name]
    return row


def compared(found, base, acu):
    (comparison,) = [one for one in found["comparisons"] if (one["base"], one["acu"]) == (base, acu)]
    return comparison


def write_runs(folder, model, errors, **settings):
    for seed, error in enumerate(errors, 1):
        write_run(folder, model, seed, error, **settings)


def test_mean_and_deviation_of_three():
    # Mean 2, squares of distances 1 + 0 + 1 over 3 - 1.
    sample = Sample((1.0, 2.0, 3.0))
    assert (sample.mean, sample.std, sample.n) == (2.0, 1.0, 3)
    assert Sample((4.0,)).std is None


@pytest.mark.parametrize(
    "first, second",
    [(BASE_ERRORS, ACU_ERRORS), ((1.0, 2.0), (1.2, 2.1, 1.9)), ((5.0, 5.1), (1.0, 2.0))],
)
def test_a_gain_against_loops_and_another_welch(first, second):
    found = gain(Sample(tuple(first)), Sample(tuple(second)))
    square_sums = [sum((value - sum(sample) / len(sample)) ** 2 for value in sample) for sample in (first, second)]
    counts = len(first), len(second)
    error = sum(s / (n - 1) / n for s, n in zip(square_sums, counts, strict=True)) ** 0.5
    assert found.points == pytest.approx(np.mean(first) - np.mean(second), abs=1e-12)
    assert found.standard_error == pytest.approx(error, abs=1e-12)
    assert found.significant == (stats.ttest_ind(first, second, equal_var=False).pvalue < 0.05)


def test_significance_on_both_sides_of_the_limit():
    # Two runs each at a distance of d with deviations of sqrt(2)/2: standard error sqrt(1/2), 2 degrees of freedom,
    # whose limit at 5 % is 4.3027.
    limit = 4.302653 * 0.5**0.5
    for distance, significant in ((limit - 1e-3, False), (limit + 1e-3, True)):
        assert gain(Sample((1.0, 2.0)), Sample((1.0 - distance, 2.0 - distance))).significant is significant


@pytest.mark.parametrize(
    "base, acu, remark",
    [
        ((6.0, 6.2), (5.5, 5.7), "+0.50 points, standard error 0.14: 3.5 standard errors"),
        ((5.5, 5.7), (6.0, 6.2), "-0.50 points, standard error 0.14: 3.5 standard errors"),
        ((6.0,), (5.5,), "+0.50 points; one run each: no standard error"),
        ((6.0,), (5.5, 5.5), "+0.50 points; one run of the first: no standard error"),
        ((6.0, 6.1), (5.55,), "+0.50 points; one run of the second: no standard error"),
        ((6.0, 6.0), (5.5, 5.5), "+0.50 points; the runs of each do not differ: nothing to compare it with"),
        # Whose mean is rounded, so that NumPy finds a deviation of 1e-15.
        ((6.1,) * 3, (5.6,) * 3, "+0.50 points; the runs of each do not differ: nothing to compare it with"),
    ],
)
def test_remarks_of_gains(base, acu, remark):
    assert gain(Sample(base), Sample(acu)).remark == remark


def test_a_table_of_errors(tmp_path):
    write_runs(tmp_path, BASE, BASE_ERRORS)
    write_runs(tmp_path, ACU, ACU_ERRORS)
    found = results(tmp_path, "grouped", "table1")
    conv, acu, big = found["rows"]
    assert conv["ours"]["values"] == BASE_ERRORS and conv["ours"]["seeds"] == [1, 2, 3, 4, 5]
    assert conv["ours"]["mean"] == pytest.approx(6.2) and conv["ours"]["std"] == pytest.approx(0.025**0.5)
    assert acu["ours"]["mean"] == pytest.approx(16.9 / 3)
    assert acu["ours"]["std"] == pytest.approx(np.std(np.float64(ACU_ERRORS), ddof=1))
    assert acu["difference"] == pytest.approx(16.9 / 3 - 5.56)
    assert [row["status"] for row in found["rows"]] == ["done", "3 of 5 runs", "not run"]
    assert (big["ours"], big["difference"]) == (None, None)
    assert (conv["params"], conv["paper_value"], conv["paper_std"], conv["paper_runs"]) == (1_240_778, 6.16, 0.15, 5)
    ours = compared(found, "3x3 Conv", "3x3 ACU")
    assert ours["our_gain"] == pytest.approx(6.2 - 16.9 / 3)
    assert ours["standard_error"] == pytest.approx((0.025 / 5 + np.var(ACU_ERRORS, ddof=1) / 3) ** 0.5)
    assert (ours["paper_gain"], ours["significant"]) == (0.6, True)
    other = compared(found, "7x7 Conv", "3x3 ACU")
    assert [other[key] for key in ("our_gain", "standard_error", "significant", "remark")] == [None] * 3 + ["not run"]


def statuses(folder, seeds=None):
    return [row["status"] for row in results(folder, "grouped", "table1", seeds=seeds)["rows"]]


def test_statuses(tmp_path):
    write_runs(tmp_path, BASE, [6.0])
    stopped = write_run(tmp_path, BASE, 2)
    prepared = write_run(tmp_path, ACU, 1)
    for name in ("train.log", "env.json"):  # which it leaves when it begins
        (prepared / name).unlink()
    assert statuses(tmp_path) == ["1 of 5 runs, stopped at iteration 900", "not run", "not run"]
    assert results(tmp_path, "grouped", "table1")["notes"] == []
    assert statuses(tmp_path, seeds=1) == ["done", "not run", "not run"]
    with locked(stopped / RUN_LOCK, ""):
        assert statuses(tmp_path)[0] == "1 of 5 runs, running"
    (stopped / "run.log").write_text("caffe-acu run: interrupted\n")
    assert statuses(tmp_path)[0] == "1 of 5 runs, stopped at iteration 900"
    (stopped / "run.log").write_text("caffe-acu run: train.log: caffe train failed (1): out of memory\n")
    assert statuses(tmp_path)[0] == "1 of 5 runs, failed at iteration 900"


def test_a_run_at_work_is_running_and_what_failed_stands_before_what_stopped(tmp_path):
    first, second = write_run(tmp_path, BASE, 1), write_run(tmp_path, BASE, 2)
    (second / "run.log").write_text("MemoryError\n")
    assert statuses(tmp_path)[0] == "failed at iteration 900"
    with locked(first / RUN_LOCK, ""):
        assert statuses(tmp_path)[0] == "running"
    (second / "metrics.csv").write_text("iteration\nx\n")
    assert statuses(tmp_path)[0] == "failed"


def test_a_run_without_its_test_is_not_done(tmp_path):
    folder = write_run(tmp_path, BASE, 1, 6.0)
    (folder / "test.json").unlink()
    found = results(tmp_path, "grouped", "table1")
    assert (found["rows"][0]["ours"], found["rows"][0]["status"]) == (None, "not run")
    (note,) = found["notes"]
    assert note.startswith("grouped/runs/resnet29/seed1: no test.json")


def test_accuracies_of_ten_crops(tmp_path):
    write_run(tmp_path, "cvpr2017/alexnet", 1, 48.0, top5=19.5, crops=10, max_iter=400_000)
    write_run(tmp_path, "cvpr2017/alexnet_acu", 1, 47.25, top5=18.5, crops=10, max_iter=400_000)
    write_run(tmp_path, "cvpr2017/resnet26", 1, 44.0, crops=1, max_iter=350_000)
    found = results(tmp_path, "cvpr2017", "table4")
    means = [row["ours"] and row["ours"]["mean"] for row in found["rows"]]
    assert means == [52.0, 80.5, 52.75, 81.5, None, None, None, None]
    assert [one["our_gain"] for one in found["comparisons"]] == [0.75, 1.0, None, None]
    assert found["rows"][0]["status"] == "done"
    (note,) = found["notes"]
    assert "tested with 1 crops, the table has 10" in note


def test_improvements_of_the_poster(tmp_path):
    write_runs(tmp_path, "cvpr2017/plain", [8.0, 8.2, 8.4])
    write_runs(tmp_path, "cvpr2017/plain_acu", [7.5, 7.7])
    found = results(tmp_path, "cvpr2017", "poster_ablation")
    acu, base = row_of(found, "ACU-all"), row_of(found, "Base")
    assert acu["ours"]["values"] == pytest.approx([0.7, 0.5]) and acu["ours"]["mean"] == pytest.approx(0.6)
    assert acu["ours"]["std"] == pytest.approx(0.02**0.5)
    assert acu["difference"] == pytest.approx(0.6 - 0.68)
    assert base["ours"]["mean"] == pytest.approx(0) and base["ours"]["std"] == pytest.approx(0.2)
    assert row_of(found, "ACU-C23")["status"] == "not run"
    comparison = compared(found, "Base", "ACU-all")
    assert comparison["our_gain"] == pytest.approx(0.6)
    assert comparison["standard_error"] == pytest.approx((0.04 / 3 + 0.02 / 2) ** 0.5)


def test_without_base_there_is_no_improvement(tmp_path):
    write_runs(tmp_path, "cvpr2017/plain_acu", [7.5])
    row = row_of(results(tmp_path, "cvpr2017", "poster_ablation"), "ACU-all")
    assert (row["ours"], row["difference"], row["status"]) == (
        None, None, "what it is measured from is not run",
    )  # fmt: skip


def test_the_change_of_section_433(tmp_path):
    write_runs(tmp_path, "grouped/resnet29_x1d_acu", [4.8, 5.0])
    write_runs(tmp_path, "grouped/resnet29_x1d_acu_fixed", [5.2, 5.4, 5.6])
    found = results(tmp_path, "grouped", "section433")
    learned, frozen = found["rows"]
    assert learned["ours"]["mean"] == pytest.approx(4.9)
    # Accuracy 95.1 falls to 94.6.
    assert frozen["ours"]["mean"] == pytest.approx(-0.5) and frozen["difference"] == pytest.approx(-0.12)
    assert frozen["status"] == "2 of 5 runs"  # as many as the network it is measured from
    assert found["comparisons"][0]["our_gain"] == pytest.approx(-0.5)


def test_scaled_runs_are_no_full_ones(tmp_path):
    write_runs(tmp_path, BASE, [60.0], scale=64, max_iter=1000)
    scaled = results(tmp_path, "grouped", "table1", scale=64)
    assert scaled["rows"][0]["ours"]["mean"] == 60
    assert (scaled["scale"], scaled["remark"]) == (64, "scaled 1/64, not comparable")
    assert all("scaled 1/64, not comparable" in one["remark"] for one in scaled["comparisons"])
    full = results(tmp_path, "grouped", "table1")
    assert (full["rows"][0]["ours"], full["remark"], full["notes"]) == (None, "", [])


def test_what_is_not_as_in_the_paper_is_no_reproduction(tmp_path):
    write_runs(tmp_path, BASE, [6.0, 6.2])
    write_run(tmp_path, ACU, 1, 5.0, differs="100 of 10,000 images to test")
    write_run(tmp_path, ACU, 2, differs="stopped")  # is in no number
    write_run(tmp_path, "grouped/resnet29_7x7", 1, 5.0, differs="500 of 50,000 images to train")
    found = results(tmp_path, "grouped", "table1")
    tested, trained = (
        f"{part}, not comparable" for part in ("100 of 10,000 images to test", "500 of 50,000 images to train")
    )
    assert [row["remark"] for row in found["rows"]] == ["", tested, trained]
    assert found["remark"] == f"{tested}; stopped, not comparable; {trained}"
    both = compared(found, "7x7 Conv", "3x3 ACU")
    assert both["remark"].endswith(f"({trained}; {tested})")
    write_run(tmp_path, BASE, 1, 60.0, scale=64, differs="a few images")
    scaled = results(tmp_path, "grouped", "table1", scale=64)["rows"]
    assert scaled[0]["remark"] == "a few images, scaled 1/64, not comparable"
    assert scaled[1]["remark"] == "scaled 1/64, not comparable"


def test_a_difference_is_as_comparable_as_what_it_is_measured_from(tmp_path):
    write_runs(tmp_path, "cvpr2017/plain", [8.0], differs="data from image files")
    write_runs(tmp_path, "cvpr2017/plain_acu", [7.5])
    row = row_of(results(tmp_path, "cvpr2017", "poster_ablation"), "ACU-all")
    assert row["remark"] == "data from image files, not comparable"


@pytest.mark.parametrize("settings", [{"scale": 64}, {"max_iter": 1000}])
def test_a_short_run_copied_among_full_ones_does_not_count(tmp_path, settings):
    folder = write_run(tmp_path, BASE, 1, 60.0)
    description = json.loads((folder / "run.json").read_text()) | settings
    (folder / "run.json").write_text(json.dumps(description))
    found = results(tmp_path, "grouped", "table1")
    assert found["rows"][0]["ours"] is None
    (note,) = found["notes"]
    assert "eft out" in note and str(tmp_path) not in note


def test_on_how_many_gpus_runs_trained_is_told(tmp_path):
    gpus = {"gpus": ["H100", "H100"]}
    write_run(tmp_path, BASE, 1, 6.0, environment=gpus)
    write_run(tmp_path, BASE, 2, 6.0, environment={**gpus, "gpus_per_run": 2}, gpus_per_run=2)
    note = (
        "runs on 2 kinds of hardware: A processor, 2 cores; H100; H100 | A processor, 2 cores; H100; H100; 2 GPUs a run"
    )
    assert results(tmp_path, "grouped", "table1")["notes"] == [note]


def test_environments_are_told_once_and_mixtures_named(tmp_path):
    write_runs(tmp_path, BASE, [6.0, 6.1])
    found = results(tmp_path, "grouped", "table1")
    assert (found["environments"], found["notes"]) == ([ENVIRONMENT], [])
    write_run(tmp_path, ACU, 1, 5.0, environment={"commit": "fffffff", "date": "later"})
    write_run(tmp_path, ACU, 2, 5.0, environment={"processor": "Another"}, data="/elsewhere/lmdb")
    found = results(tmp_path, "grouped", "table1")
    assert len(found["environments"]) == 3
    assert found["notes"] == [
        "runs of 2 commits: abc1234, fffffff",
        "runs on 2 kinds of hardware: A processor, 2 cores | Another, 2 cores",
        "runs on several copies of CIFAR-10: data/cifar10/lmdb-gcn, lmdb",
    ]


def test_foreign_environments_are_lines(tmp_path):
    write_run(tmp_path, BASE, 1, 6.0, environment={"cores": None, "processor": None})
    (write_run(tmp_path, BASE, 2, 6.0) / "env.json").write_text("{")
    (write_run(tmp_path, BASE, 3, 6.0) / "env.json").write_text("{}")
    found = results(tmp_path, "grouped", "table1")
    assert found["rows"][0]["ours"]["n"] == 3
    (note,) = [note for note in found["notes"] if "env.json" in note]
    assert "seed2" in note
