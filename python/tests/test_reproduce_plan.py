"""Which networks a table needs, how often, and from which training each starts."""

import pytest

from caffe_acu.errors import UserError
from caffe_acu.nets.zoo import all_models
from caffe_acu.reproduce.plan import plan
from caffe_acu.reproduce.tables import paper_tables

MOBILENETS = [f"mobilenet_v2_x{width}{acu}" for width in ("0.8", "1.0", "1.2", "1.4") for acu in ("", "_acu")]
GROUPINGS = [
    f"resnet29_{grouping}{what}" for grouping in ("16x4d", "x4d", "x2d", "x1d") for what in ("", "_5x5", "_acu")
]

# As the tables are printed: networks, and runs of each.
NEEDED = {
    ("cvpr2017", "table2"): (["plain", "plain_acu", "plain_cifar100", "plain_acu_cifar100"], 1),
    ("cvpr2017", "table3"): (
        [
            f"{kind}{acu}{data}"
            for data in ("", "_cifar100")
            for kind in ("basic_residual32", "bottleneck_residual47")
            for acu in ("", "_acu")
        ],
        1,
    ),
    ("cvpr2017", "table4"): (["alexnet", "alexnet_acu", "resnet26", "resnet26_acu"], 1),
    ("cvpr2017", "poster_ablation"): (
        ["plain", "plain_d2", "plain_acu", "plain_acu_round", "plain_acu_c23", "plain_f5", "plain_acu_f5"],
        1,
    ),
    ("grouped", "table1"): (["resnet29", "resnet29_acu", "resnet29_7x7"], 5),
    ("grouped", "table2"): (["resnet29", "resnet29_d2", "resnet29_acu", "resnet29_acu_fixed"], 5),
    ("grouped", "table3"): (GROUPINGS, 5),
    ("grouped", "table4"): (
        ["resnet29_acu_no_warmup", "resnet29_acu", "resnet29_x1d_acu", "resnet29_x1d_acu_warmup"],
        5,
    ),
    ("grouped", "table5"): (["resnet29_x1d", "resnet29_x1d_acu_share", "resnet29_x1d_acu"], 5),
    ("grouped", "table6"): (["inception", "inception_acu"], 3),
    ("grouped", "table7"): (["xception", "xception_acu"], 3),
    ("grouped", "table8"): (MOBILENETS, 3),
    ("grouped", "table9"): (["resnext29_8x64d", "depthwise_acu29", "depthwise_acu47"], 5),
    ("grouped", "section433"): (["resnet29_x1d_acu", "resnet29_x1d_acu_fixed"], 5),
}


@pytest.mark.parametrize(("name", "needed"), NEEDED.items(), ids=map(" ".join, NEEDED))
def test_a_table_needs_its_rows_as_often_as_the_paper_ran_them(name, needed):
    networks, seeds = needed
    trainings = plan(*name).trainings
    assert {(training.model.folder, training.seed) for training in trainings} == {
        (f"{name[0]}/{network}", seed) for network in networks for seed in range(1, seeds + 1)
    }
    assert len({training.folder for training in trainings}) == len(trainings)
    folders = [training.folder for training in trainings]
    for i, training in enumerate(trainings):  # what a training starts from comes before it
        assert (training.start is None) == (training.model.start is None)
        assert training.start is None or training.start.folder in folders[:i]


def test_every_table_is_known_and_every_network_but_the_authors_own_is_in_one():
    assert {(table.paper, table.id) for table in paper_tables()} == set(NEEDED)
    planned = {model.folder for name in NEEDED for model in plan(*name).models}
    assert {model.folder for model in all_models()} - planned == {"cvpr2017/plain_authors"}


def starts(paper: str, table: str, seeds: int) -> dict[str, str]:
    trainings = plan(paper, table, seeds).trainings
    return {str(training.folder): str(training.start.folder) for training in trainings if training.start}


def test_fixed_positions_are_those_of_one_training_and_rounded_ones_of_each():
    assert starts("grouped", "table2", 3) == {
        f"grouped/runs/resnet29_acu_fixed/seed{seed}": "grouped/runs/resnet29_acu/seed1" for seed in (1, 2, 3)
    }
    assert starts("grouped", "section433", 2) == {
        f"grouped/runs/resnet29_x1d_acu_fixed/seed{seed}": "grouped/runs/resnet29_x1d_acu/seed1" for seed in (1, 2)
    }
    assert starts("cvpr2017", "poster_ablation", 2) == {
        f"cvpr2017/runs/plain_acu_round/seed{seed}": f"cvpr2017/runs/plain_acu/seed{seed}" for seed in (1, 2)
    }


def test_the_user_chooses_the_number_of_seeds():
    assert [training.seed for training in plan("grouped", "table6", 2).trainings] == [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (("cvpr2017", "table1"), "cvpr2017 table1: no such table; there are table2, table3, table4, poster_ablation"),
        (("cvpr", "table2"), "cvpr: no such paper; there are cvpr2017, grouped"),
    ],
)
def test_other_names_are_refused(name, message):
    with pytest.raises(UserError, match=message):
        plan(*name)
