"""The files of a table: JSON, CSV, Markdown and what the page gets; the command that writes them."""

import csv
import io
import json

import numpy as np
import pytest

from caffe_acu.cli.main import main
from caffe_acu.evenly import evenly
from caffe_acu.positions import LayerSeries
from caffe_acu.reproduce import table_files
from caffe_acu.reproduce.records import RunRecord
from caffe_acu.reproduce.results import read_runs
from caffe_acu.reproduce.table_files import write_table
from caffe_acu.reproduce.tables import find_table, paper_tables
from run_folders import write_log, write_run

BASE, ACU = "grouped/resnet29", "grouped/resnet29_acu"


@pytest.fixture
def shown(monkeypatch) -> list:
    """What the page was made of."""
    given = []

    def html_report(data):
        given.append(json.loads(json.dumps(data, allow_nan=False)))
        return f"<p>{data['remark']}</p>"

    monkeypatch.setattr(table_files, "html_report", html_report)
    return given


def write(folder, paper, name, scale=1):
    files = write_table(read_runs(find_table(paper, name), folder, scale), folder)
    return {ending: path.read_text() for ending, path in files.items()}


@pytest.mark.parametrize("table", paper_tables(), ids=lambda table: f"{table.paper} {table.id}")
def test_every_printed_number_is_in_every_file(tmp_path, table, shown):
    texts = write(tmp_path, table.paper, table.id)
    (markdown, lines) = texts["md"], list(csv.DictReader(io.StringIO(texts["csv"])))
    rows = json.loads(texts["json"])["rows"]
    assert len(rows) == len(lines) == len(table.rows)
    for row, line, one in zip(rows, lines, table.rows, strict=True):
        printed = one.printed
        assert (row["row"], row["paper_value"], row["ours"]) == (printed.row, printed.value, None)
        assert (line["row"], float(line["paper_value"]), line["mean"]) == (printed.row, printed.value, "")
        value = f"{printed.value:+.2f}" if printed.is_difference else f"{printed.value}"
        value += f" ± {printed.std}" if printed.std is not None else ""
        assert f"| {printed.row} | {printed.dataset} | {printed.metric} | {value}" in markdown
        assert line["status"] == row["status"] == "not run"
        assert int(line["params"]) == row["params"] and f"| {row['params']:,} | {row['madds']:,} |" in markdown
    on_page = shown[0]["table"]
    for cells in (on_page["columns"], *on_page["rows"]):
        assert f"| {' | '.join(cells)} |" in markdown


def test_files_agree(tmp_path):
    for seed, error in enumerate([6.1, 6.35, 6.2], 1):
        write_run(tmp_path, BASE, seed, error)
    texts = write(tmp_path, "grouped", "table1")
    row = json.loads(texts["json"])["rows"][0]
    line = next(csv.DictReader(io.StringIO(texts["csv"])))
    assert float(line["mean"]) == row["ours"]["mean"] == np.mean([6.1, 6.35, 6.2])
    assert float(line["std"]) == row["ours"]["std"]
    assert [float(value) for value in line["values"].split()] == row["ours"]["values"]
    assert (line["seeds"], line["n"], line["remark"]) == ("1 2 3", "3", "")
    assert float(line["difference"]) == row["difference"]
    assert "| 6.16 ± 0.15 (5) | 6.22 ± 0.13 (3) | +0.06 | 1,240,778 | " in texts["md"]
    assert "| 3 of 5 runs |" in texts["md"]


def test_what_is_compared_stands_in_words(tmp_path):
    for seed in (1, 2):
        write_run(tmp_path, BASE, seed, 6.0 + seed / 10)
        write_run(tmp_path, ACU, seed, 5.5 + seed / 10)
    lines = write(tmp_path, "grouped", "table1")["md"].splitlines()
    assert (
        '- CIFAR-10, test error %: "3x3 ACU" against "3x3 Conv": paper +0.60 points; ours +0.50 points, '
        "standard error 0.07: 7.1 standard errors; significant at 5 %"
    ) in lines
    assert "- runs: commit abc1234, A processor, 2 cores" in lines


def test_scaled_is_said_everywhere(tmp_path, shown):
    write_run(tmp_path, BASE, 1, 60.0, scale=64, max_iter=1000)
    texts = write(tmp_path, "grouped", "table1", 64)
    remark = "scaled 1/64, not comparable"
    for text in (texts["html"], texts["md"].splitlines()[0], *texts["csv"].splitlines()[1:]):
        assert remark in text
    assert json.loads(texts["json"])["remark"] == shown[0]["remark"] == remark
    assert f"| 60.00 (1), {remark} |" in texts["md"]
    assert sorted(path.name for path in (tmp_path / "scaled-64/grouped").iterdir()) == [
        "runs", "table1.csv", "table1.html", "table1.json", "table1.md",
    ]  # fmt: skip
    assert not (tmp_path / "grouped").exists()


def test_remarks_are_in_the_page_and_the_text(tmp_path, shown):
    folder = write_run(tmp_path, BASE, 1, 6.0)
    (folder / "test.json").write_text("{")
    (folder / "metrics.csv").write_text("damaged")
    texts = write(tmp_path, "grouped", "table1")
    assert "- grouped/runs/resnet29/seed1/test.json: damaged" in texts["md"]
    assert "grouped/runs/resnet29/seed1/test.json: damaged" in shown[0]["notes"][0]
    assert shown[0]["remark"] == ""
    assert str(tmp_path) not in texts["md"] + texts["json"]


def test_curves_of_the_page(tmp_path, shown):
    folder = write_run(tmp_path, ACU, 2)
    iterations = np.arange(2500)
    losses = np.where(iterations == 2499, np.nan, iterations / 100)
    write_log(folder, iterations, losses, [0, 1000], [90, 50], [0.1] * 2000 + [0.01] * 500)
    write_run(tmp_path, BASE, 1, 6.0)
    write(tmp_path, "grouped", "table1")
    base, acu = shown[0]["curves"]
    assert (base["row"], base["model"], base["kind"], base["seed"]) == ("3x3 Conv", BASE, "base", 1)
    assert (acu["row"], acu["kind"], acu["seed"], acu["warmup_iter"]) == ("3x3 ACU", "acu", 2, 100)
    assert (base["rate_drops"], acu["rate_drops"]) == ([], [[2000, 0.01]])
    assert acu["test"] == {"iteration": [0, 1000], "error": pytest.approx([90, 50])}
    # All of it: the page makes it shorter, by means.
    assert acu["train"]["iteration"] == list(range(2500))
    assert acu["train"]["loss"][:-1] == pytest.approx(losses[:-1].tolist())
    assert acu["train"]["loss"][-1] is None  # NaN is no JSON


def test_a_network_in_two_rows_has_its_curves_once(tmp_path, shown):
    write_run(tmp_path, "cvpr2017/alexnet", 1, 48.0, crops=10, max_iter=400_000)
    write(tmp_path, "cvpr2017", "table4")
    assert [(curve["row"], curve["seed"]) for curve in shown[0]["curves"]] == [("AlexNet, baseline", 1)]
    assert len(shown[0]["settings"]) == 4


def test_rows_of_two_data_sets_are_told_apart(tmp_path, shown):
    write_run(tmp_path, "cvpr2017/plain_cifar100", 1)
    write(tmp_path, "cvpr2017", "table2")
    assert [curve["row"] for curve in shown[0]["curves"]] == ["plain, baseline, CIFAR-100"]


def test_settings_of_the_page(tmp_path, shown):
    write_run(tmp_path, ACU, 1)
    write_run(tmp_path, ACU, 2, limit=50, data="/somewhere/lmdb-gcn", gpus_per_run=4)
    write(tmp_path, "grouped", "table1")
    texts = {setting["row"]: setting["text"] for setting in shown[0]["settings"]}
    assert texts["3x3 Conv"] == "not run"
    common = "64,000 iterations, positions fixed for the first 100, base_lr 0.1, type Nesterov, data"
    divided = "batches divided among 4 GPUs"
    assert texts["3x3 ACU"] == (
        f"{common} data/cifar10/lmdb-gcn; seed 1; {common} lmdb-gcn, limit 50, {divided}; seed 2"
    )


def test_shapes_of_the_page(tmp_path, shown, monkeypatch):
    write_run(tmp_path, ACU, 1)
    iterations, sets = np.arange(0, 25_100, 100), 70
    x = np.arange(sets)[None, :, None] + iterations[:, None, None] / 1e5 + np.zeros(9)
    series = LayerSeries("acu", "GroupedACU", iterations, x, -x, np.arange(sets), (3, 3), 0)
    monkeypatch.setattr(RunRecord, "positions", lambda run: [series])
    write(tmp_path, "grouped", "table1")
    (shape,) = shown[0]["shapes"]
    assert (shape["row"], shape["seed"], shape["layer"], shape["kernel"], shape["sets"]) == (
        "3x3 ACU", 1, "acu", [3, 3], 70,
    )  # fmt: skip
    assert np.shape(shape["x"]) == np.shape(shape["y"]) == (201, 32, 9)
    assert (shape["iterations"][0], shape["iterations"][-1], len(shape["iterations"])) == (0, 25_000, 201)
    assert shape["records"] == 251
    assert (shape["fixed"][0], shape["fixed"][-1], len(shape["fixed"])) == (0, 69, 32)
    assert shape["set_numbers"] == shape["fixed"]  # which the series above has alike
    # Each value belongs to its set and its iteration.
    expected = np.array(shape["fixed"])[None, :, None] + np.array(shape["iterations"])[:, None, None] / 1e5
    np.testing.assert_allclose(np.array(shape["x"]), np.broadcast_to(expected, (201, 32, 9)), atol=5.1e-4)


@pytest.mark.parametrize("x", [np.nan, np.inf])
def test_shapes_of_a_run_that_diverged(tmp_path, shown, monkeypatch, x):
    write_run(tmp_path, ACU, 1)
    values = np.full((1, 1, 1), x)
    series = LayerSeries("acu", "ACU", np.array([0]), values, values, np.array([-1]), (1, 1), 0)
    monkeypatch.setattr(RunRecord, "positions", lambda run: [series])
    write(tmp_path, "grouped", "table1")
    assert shown[0]["shapes"] == [] and "not finite" in shown[0]["notes"][0]


@pytest.mark.parametrize("count, most", [(0, 3), (1, 3), (3, 3), (4, 3), (1001, 1000), (64_001, 1000)])
def test_evenly(count, most):
    kept = evenly(count, most).tolist()
    assert len(kept) == min(count, most) == len(set(kept)) and kept == sorted(kept)
    if count:
        assert (kept[0], kept[-1]) == (0, count - 1)


def test_the_command(tmp_path, capsys):
    write_run(tmp_path, BASE, 1, 6.0)
    assert main(["table", "grouped", "table1", "--results", str(tmp_path), "--seeds", "1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith((tmp_path / "grouped/table1.md").read_text())
    assert "| 6.00 (1) | -0.16 |" in out and "| done |" in out


def test_scaled_runs_are_named_where_there_are_no_others(tmp_path, capsys):
    for model, scale in ((BASE, 64), (BASE, 640), ("cvpr2017/plain", 7)):
        write_run(tmp_path, model, 1, 6.0, scale=scale)
    line = ["table", "grouped", "table1", "--results", str(tmp_path)]
    hint = "No run of this schedule; there are some of --scale "
    for words, end in (([], hint + "64, 640"), (["--scale", "7"], hint + "64, 640"), (["--scale", "64"], "Files: ")):
        assert main([*line, *words]) == 0
        assert capsys.readouterr().out.splitlines()[-1].startswith(end)


@pytest.mark.parametrize(
    "words, message",
    [
        (["grouped", "table10"], "grouped table10: no such table; there are table1, table2,"),
        (["grouped", "table1", "--scale", "0"], "--scale 0: 1 or more was expected"),
        (["grouped", "table1", "--seeds", "-1"], "--seeds -1: 1 or more was expected"),
    ],
)
def test_mistakes_are_one_line(tmp_path, capsys, words, message):
    assert main(["table", *words, "--results", str(tmp_path / "results")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"caffe-acu table: {message}")
    assert not (tmp_path / "results").exists()


def test_a_file_in_place_of_the_folder(tmp_path, capsys):
    (tmp_path / "results").write_text("")
    assert main(["table", "grouped", "table1", "--results", str(tmp_path / "results")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be made: Not a directory" in line
