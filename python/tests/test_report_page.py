"""What goes into the page of a table: checked, made small, set in cells."""

import json
import math
import re

import numpy as np
import pytest

from caffe_acu.errors import UserError
from caffe_acu.reproduce.report.cells import gains, table
from caffe_acu.reproduce.report.compact import STEPS_PER_PIXEL, compact_curves, compact_shapes
from caffe_acu.reproduce.report.page import html_report
from report_pages import curve, full, nothing_run, shape


def positions(differences) -> np.ndarray:
    """As the page's script adds them up, in a loop of its own."""
    place, moments = {}, []
    for moment in differences:
        for s, steps in enumerate(moment):
            for k, step in enumerate(steps):
                place[s, k] = place.get((s, k), 0) + (step or 0)
        moments.append(
            [[math.nan if step is None else place[s, k] for k, step in enumerate(row)] for s, row in enumerate(moment)]
        )
    return np.array(moments) / STEPS_PER_PIXEL


def test_positions_survive_to_a_thousandth_of_a_pixel():
    layer = shape("ACU", "conv", sets=3, moments=40)
    layer["x"][7][1][2] = math.nan
    layer["y"][0][0][0] = None
    ((packed,),) = [run["layers"] for run in compact_shapes([layer])]
    for axis in ("x", "y"):
        wanted = np.array(layer[axis], dtype=float)
        np.testing.assert_allclose(positions(packed[axis]), wanted, atol=0.5001 / STEPS_PER_PIXEL)
    assert packed["iterations"] == layer["iterations"]


def test_long_movements_are_thinned_from_the_first_to_the_last():
    layer = shape("ACU", "conv", moments=1000)
    (run,) = compact_shapes([layer])
    (packed,) = run["layers"]
    assert len(packed["iterations"]) == 201 and packed["records"] == 1000
    assert [packed["iterations"][0], packed["iterations"][-1]] == [0, 6400]
    kept = [layer["iterations"].index(iteration) for iteration in packed["iterations"]]
    np.testing.assert_allclose(positions(packed["x"]), np.array(layer["x"])[kept], atol=5.1e-4)


def test_many_sets_leave_room_for_fewer_moments():
    layers = [shape("ACU", f"conv{n}", sets=32, of=512, moments=60) for n in range(6)]
    few = compact_shapes(layers)[0]["layers"][0]
    assert len(few["iterations"]) == 60
    many = compact_shapes(layers * 40)[0]["layers"][0]
    assert len(many["iterations"]) == 2_000_000 // (32 * 9 * 240)


def test_seeds_are_runs_of_their_own_and_sets_named_only_if_known():
    unnamed = {key: value for key, value in shape("A", "l", sets=2, of=8).items() if key != "set_numbers"}
    runs = compact_shapes([shape("A", "l", 1, sets=2), shape("A", "l", 2), unnamed])
    assert [(run["row"], run["seed"], len(run["layers"])) for run in runs] == [("A", 1, 2), ("A", 2, 1)]
    assert [layer["numbers"] for layer in runs[0]["layers"]] == [[0, 1], None]


def test_long_losses_are_averaged_over_equal_spans():
    long, short = curve("A", "acu", records=5001, last=10_000), curve("B", "base", records=11, last=1000)
    long["train"]["loss"][:6] = [math.nan] * 6
    packed, other = compact_curves([long, short])
    assert packed["averaged"] == other["averaged"] == 11
    iterations, losses = packed["train"]
    known = [math.nan if loss is None else loss for loss in losses]
    for place in (0, 1, 400, len(losses) - 1):
        inside = [
            loss
            for iteration, loss in zip(*long["train"].values(), strict=True)
            if place * 11 <= iteration < place * 11 + 11 and not math.isnan(loss)
        ]
        assert iterations[place] == place * 11 + 5
        assert known[place] == pytest.approx(np.mean(inside) if inside else math.nan, rel=1e-5, nan_ok=True)
    assert packed["test"][0] == long["test"]["iteration"]


def test_short_losses_stay_as_they_are():
    run = curve("A", "acu", records=50) | {"warmup_iter": None}
    run["train"]["loss"][3] = math.inf
    (packed,) = compact_curves([run])
    assert (packed["averaged"], packed["warmup"]) == (0, 0)
    iterations, losses = packed["train"]
    assert iterations == run["train"]["iteration"] and losses[3] is None
    del losses[3], run["train"]["loss"][3]
    assert losses == pytest.approx(run["train"]["loss"], rel=1e-5)


def test_columns_of_numbers_are_set_to_the_right():
    cells = table(
        ["row", "paper", "ours", "status"], [["a", "6.18 ± 0.1", None, "done"], ["b", 5.5, math.nan, "not run"]]
    )
    assert [kind for _, kind in cells["columns"]] == ["", "number", "", ""]
    assert cells["rows"][0] == [("a", ""), ("6.18 ± 0.1", "number"), ("–", "missing"), ("done", "")]
    assert cells["rows"][1][1:] == [("5.5", "number"), ("–", "missing"), ("not run", "missing")]


def test_gains_have_signs_and_say_what_has_not_run():
    known, unknown = gains(full()["comparisons"])["rows"]
    assert [text for text, _ in known[2:4]] == ["CIFAR-10", "test error %"]  # a table may have several of each
    assert [text for text, _ in known[4:8]] == ["+0.62", "+1.05", "0.27", "yes"]
    assert [text for text, _ in unknown[4:8]] == ["+0.51", "not run", "–", "–"]
    (loss,) = gains([full()["comparisons"][0] | {"our_gain": -0.3, "significant": False}])["rows"]
    assert [text for text, _ in loss[5:8]] == ["−0.30", "0.27", "no"]


def test_notes_stand_once_and_the_remark_alone_beside_numbers():
    page = html_report(full() | {"notes": ["runs of 2 commits: a, <b>"]})
    assert page.count("runs of 2 commits") == 1 and "<li>runs of 2 commits: a, &lt;b&gt;</li>" in page


def test_long_cells_take_several_lines_and_a_gap_keeps_a_column_of_numbers():
    made = table(["row", "difference"], [["a" * 41, "+1.20"], ["b", "-"]])
    assert made["columns"] == [("row", ""), ("difference", "number")]
    assert table(["row"], [["3x3 Conv"], ["16x4d, ACU"]])["columns"] == [("row", "")]
    assert made["rows"] == [[("a" * 41, "long"), ("+1.20", "number")], [("b", ""), ("-", "number missing")]]


def test_the_data_in_the_page_are_json():
    page = html_report(full())
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert set(json.loads(text)) == {"curves", "shapes"}
    assert "NaN" not in text


def test_the_remark_stands_at_the_top_and_in_every_caption():
    page = html_report(full())
    captions = re.findall(r"<figcaption.*?</figcaption>", page, re.S)
    assert len(captions) == 5
    assert all("scaled 1/64, not comparable" in caption for caption in captions)
    assert '<p class="banner" role="note">scaled 1/64, not comparable</p>' in page
    assert "remark" not in re.sub(r"<(style|script).*?</\1>", "", html_report(nothing_run()), flags=re.S)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"curves": [{"row": "a"}]}, "curves[0] has no model and no kind"),
        ({"curves": [curve("a", "acu"), curve("a", "other")]}, "the kind of curves[1] is 'other'"),
        ({"curves": [curve("a", "acu") | {"test": {"iteration": [1], "error": []}}]}, "1 iterations and 0 values"),
        ({"shapes": [shape("a", "l", y=[[[0.0]]])]}, "y of shapes[0] is (1, 1, 1)"),
        ({"shapes": [shape("a", "l", x=[[[0.0], [1.0, 2.0]]])]}, "x of shapes[0] is ragged"),
        ({"shapes": [shape("a", "l", iterations=[])]}, "must be (0, 1, 1 or more)"),
        ({"shapes": [shape("a", "l", set_numbers=[1, 2])]}, "2 set_numbers for 1 sets"),
        ({"table": {"columns": ["a", "b"], "rows": [["c"]]}}, "row 0 has 1 cells, and there are 2 columns"),
        ({"comparisons": [{}]}, "comparisons[0] has no base"),
    ],
)
def test_data_of_another_form_are_named(change, says):
    with pytest.raises(UserError) as error:
        html_report(nothing_run(**change))
    assert says in str(error.value) and "\n" not in str(error.value)


def test_a_missing_part_is_named():
    data = nothing_run()
    del data["settings"]
    with pytest.raises(UserError, match="report data has no settings"):
        html_report(data)
