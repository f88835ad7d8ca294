"""The tables of both papers: rows, what is compared, and the printed gains."""

import pytest

from caffe_acu.errors import UserError
from caffe_acu.papers.printed import printed_results
from caffe_acu.reproduce.tables import find_table, paper_tables

IDS = {
    ("cvpr2017", name): count for name, count in (("table2", 4), ("table3", 8), ("table4", 8), ("poster_ablation", 7))
} | {
    ("grouped", name): count
    for name, count in (
        ("table1", 3), ("table2", 4), ("table3", 12), ("table4", 4), ("table5", 3), ("section433", 2), ("table6", 2),
        ("table7", 2), ("table8", 16), ("table9", 3),
    )
}  # fmt: skip


def test_every_printed_number_has_its_row():
    assert {(table.paper, table.id): len(table.rows) for table in paper_tables()} == IDS
    rows = [row.printed for table in paper_tables() for row in table.rows]
    assert set(rows) == set(printed_results())
    # Only section 4.3.3 has a row of another table: that from which its number is measured.
    assert len(rows) == len(printed_results()) + 1


@pytest.mark.parametrize(
    "paper, name, gains",
    [
        ("cvpr2017", "table2", [0.68, 0.74]),
        ("cvpr2017", "table3", [0.47, 0.68, 0.52, 0.46]),
        ("cvpr2017", "table4", [0.60, 0.79, 0.38, 0.49]),
        ("cvpr2017", "poster_ablation", [-0.02, 0.32, 0.58, 0.68, 0.72, 1.12]),
        ("grouped", "table1", [0.60, -0.07]),
        ("grouped", "table2", [-0.12, 0.60, 0.72]),
        ("grouped", "table3", [0.45, -0.15, 0.56, 0.09, 0.76, 0.23, 0.85, 0.28]),
        ("grouped", "table4", [0.08, -0.14]),
        ("grouped", "table5", [0.55, 0.85]),
        ("grouped", "section433", [-0.38]),
        ("grouped", "table6", [0.1]),
        ("grouped", "table7", [0.3]),
        ("grouped", "table8", [1.0, 0.6, 0.8, 0.6, 0.9, 0.6, 0.7, 0.4]),
        ("grouped", "table9", [0.05, 0.30]),
    ],
)
def test_what_the_papers_gain(paper, name, gains):
    assert [comparison.paper_gain for comparison in find_table(paper, name).comparisons] == gains


def test_number_of_runs_and_crops():
    def row(paper, name, i):
        return find_table(paper, name).rows[i]

    assert [row(*place).runs for place in (("cvpr2017", "table2", 0), ("grouped", "table1", 0))] == [1, 5]
    assert [row(*place).runs for place in (("grouped", "table8", 0), ("grouped", "table9", 0))] == [3, 5]
    assert [(row("cvpr2017", "table4", i).top, row("cvpr2017", "table4", i).crops) for i in (0, 1)] == [
        (1, 10),
        (5, 10),
    ]
    assert (row("grouped", "table8", 1).top, row("grouped", "table8", 1).crops) == (5, 1)


def test_which_networks_are_active():
    kinds = [row.kind for row in find_table("cvpr2017", "poster_ablation").rows]
    assert kinds == ["base", "base", "acu", "acu", "acu", "base", "acu"]


def test_a_difference_needs_the_other_network_too():
    (other, frozen) = find_table("grouped", "section433").models
    assert (other.folder, frozen.folder) == ("grouped/resnet29_x1d_acu", "grouped/resnet29_x1d_acu_fixed")


@pytest.mark.parametrize(
    "paper, name, words", [("poster", "table2", "no such paper"), ("grouped", "table10", "table9")]
)
def test_what_there_is_not(paper, name, words):
    with pytest.raises(UserError, match=words):
        find_table(paper, name)
