"""Results that are committed, beside the papers' in models/."""

import json

import pytest

from caffe_acu.errors import UserError
from caffe_acu.nets import zoo
from caffe_acu.papers.our_results import read_our_results
from caffe_acu.reproduce.results import read_runs
from caffe_acu.reproduce.table_files import write_table
from caffe_acu.reproduce.tables import find_table
from run_folders import write_run

PAGE, TABLE = "grouped/resnet29/readme.md", "README.md"


@pytest.fixture
def committed(tmp_path):
    """Writes errors of resnet29 as the result of a table; gives the folder."""

    def write(name, errors, scale=1, **settings):
        runs = tmp_path / f"{name}-{scale}"
        for seed, error in enumerate(errors, 1):
            write_run(runs, "grouped/resnet29", seed, error, scale=scale, **settings)
        text = write_table(read_runs(find_table("grouped", name), runs, scale), runs)["json"].read_text()
        (tmp_path / "docs/grouped").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"docs/grouped/{name}.json").write_text(text)
        return tmp_path / "docs"

    return write


def test_nothing_committed_is_not_run(tmp_path):
    assert zoo.model_files(tmp_path) == zoo.model_files()
    assert "trained here" not in zoo.model_files(tmp_path)[PAGE].replace("not trained here", "")


def test_results_stand_in_page_and_table(committed):
    folder = committed("table1", [6.1, 6.2, 6.3])
    files, before = zoo.model_files(folder), zoo.model_files()
    assert {name for name in files if files[name] != before[name]} == {PAGE, TABLE}
    assert "| Table 1 | 3x3 Conv | CIFAR-10 | 6.16 ± 0.15 (test error %) | 6.20 ± 0.10 (3) |" in files[PAGE]
    assert 'status: "trained here: 6.20 ± 0.10 (3)"' in files[PAGE]
    # The same network in Table 2.
    assert "| Table 2 | Base | CIFAR-10 | 6.16 ± 0.15 (test error %) | 6.20 ± 0.10 (3) |" in files[PAGE]
    assert files[TABLE].count("| 6.16 ± 0.15 (test error %) | 6.20 ± 0.10 (3) |") == 2


def test_scaled_results_say_so(committed):
    page = zoo.model_files(committed("table1", [60.0], scale=64))[PAGE]
    assert "| 60.00 (1), scaled 1/64, not comparable |" in page


def test_of_two_tables_that_with_more_runs_stands(committed):
    committed("table1", [6.1, 6.2, 6.3])
    assert "6.20 ± 0.10 (3)" in zoo.model_files(committed("table2", [7.0]))[PAGE]


def test_wherever_it_stands(committed):
    committed("table1", [7.0])
    assert "6.20 ± 0.10 (3)" in zoo.model_files(committed("table2", [6.1, 6.2, 6.3]))[PAGE]


def test_full_runs_stand_before_scaled_ones(committed):
    committed("table1", [60.0, 61.0], scale=64)
    assert "| 7.00 (1) |" in zoo.model_files(committed("table2", [7.0]))[PAGE]


def test_those_of_all_data_stand_before_others(committed):
    committed("table1", [5.0, 5.1], differs="data from image files")
    page = zoo.model_files(committed("table2", [7.0]))[PAGE]
    assert "| 7.00 (1) |" in page and "image files" not in page


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": [{}]}', '{"rows": 5}'])
def test_a_damaged_result_is_named(tmp_path, text):
    (tmp_path / "cvpr2017").mkdir()
    (tmp_path / "cvpr2017/table2.json").write_text(text)
    with pytest.raises(UserError, match=r"cvpr2017/table2.json: not what `caffe-acu table` writes"):
        read_our_results(tmp_path)


def test_rows_that_were_not_run_are_passed_over(tmp_path):
    (tmp_path / "cvpr2017").mkdir()
    rows = [{"ours": None}]
    (tmp_path / "cvpr2017/table2.json").write_text(json.dumps({"rows": rows}))
    assert read_our_results(tmp_path).cells == {}
