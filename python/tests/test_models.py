"""The networks in models/: what the generators make, the papers' rows and counts."""

import json
import os
from pathlib import Path

import pytest
from google.protobuf import text_format

from caffe_acu.active_layer import ACTIVE_TYPES, read_active_layer
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.counts.network import count_network
from caffe_acu.nets import zoo
from caffe_acu.nets.model_page import model_page
from caffe_acu.papers.printed import printed_results

MODELS = Path(__file__).resolve().parents[2] / "models"
BY_FOLDER = {model.folder: model for model in zoo.all_models()}

every_model = pytest.mark.parametrize("model", zoo.all_models(), ids=lambda model: model.folder)

# Parameters (exact, or in millions) and millions of multiply-adds, as another program counted them in the reading of
# the papers that reproduces all printed cells.
EXACT = {
    "cvpr2017/plain": (855_162, 104.4),
    "cvpr2017/plain_acu": (855_258, 107.3),
    "cvpr2017/plain_cifar100": (945_252, 104.4),
    "cvpr2017/plain_acu_cifar100": (945_348, 107.3),
    "cvpr2017/plain_authors": (855_258, 107.3),
    "cvpr2017/basic_residual32": (466_714, 69.1),
    "cvpr2017/basic_residual32_acu": (467_194, 75.9),
    "cvpr2017/bottleneck_residual47": (497_690, 73.8),
    "cvpr2017/bottleneck_residual47_acu": (497_930, 77.3),
    "cvpr2017/basic_residual32_cifar100": (472_564, 69.1),
    "cvpr2017/basic_residual32_acu_cifar100": (473_044, 75.9),
    "cvpr2017/bottleneck_residual47_cifar100": (520_820, 73.9),
    "cvpr2017/bottleneck_residual47_acu_cifar100": (521_060, 77.3),
    "cvpr2017/alexnet": (58_363_629, 721.8),
    "cvpr2017/alexnet_acu": (58_363_709, 726.0),
    "cvpr2017/resnet26": (14_686_381, 2341.0),
    "cvpr2017/resnet26_acu": (14_686_509, 2359.0),
    "cvpr2017/plain_d2": (855_162, 104.4),
    "cvpr2017/plain_acu_round": (855_258, 107.3),
    "cvpr2017/plain_acu_c23": (855_162 + 64, 105.7),
    "cvpr2017/plain_f5": (1_739_898, 161.0),
    "cvpr2017/plain_acu_f5": (1_739_898 + 160, 164.8),
    "grouped/resnet29": (1_240_778, 193.7),
    "grouped/resnet29_acu": (1_240_922, 197.8),
    "grouped/resnet29_acu_no_warmup": (1_240_922, 197.8),
    "grouped/resnet29_acu_fixed": (1_240_922, 197.8),
    "grouped/resnet29_7x7": (3.8213, 571.2),
    "grouped/resnet29_d2": (1_240_778, 193.7),
    "grouped/resnet29_16x4d": (1.2811, 211.8),
    "grouped/resnet29_16x4d_5x5": (1.5391, 249.5),
    "grouped/resnet29_16x4d_acu": (1.2834, 220.0),
    "grouped/resnet29_x4d": (1.1843, 202.9),
    "grouped/resnet29_x4d_5x5": (1.2703, 224.9),
    "grouped/resnet29_x4d_acu": (1.1897, 211.2),
    "grouped/resnet29_x2d": (1.1601, 196.7),
    "grouped/resnet29_x2d_5x5": (1.2031, 207.7),
    "grouped/resnet29_x2d_acu": (1.1709, 205.0),
    "grouped/resnet29_x1d": (1.1480, 193.6),
    "grouped/resnet29_x1d_5x5": (1.1695, 199.1),
    "grouped/resnet29_x1d_acu": (1_169_546, 201.9),
    "grouped/resnet29_x1d_acu_warmup": (1_169_546, 201.9),
    "grouped/resnet29_x1d_acu_fixed": (1_169_546, 201.9),
    "grouped/resnet29_x1d_acu_share": (1.1482, 201.9),
    "grouped/inception": (7.0058, 1582.67),
    "grouped/inception_acu": (7.1125, 1469.96),
    "grouped/xception": (22.8560, 4594.94),
    "grouped/xception_acu": (22.9786, 4697.26),
    "grouped/mobilenet_v2_x0.8": (2.4572, 200.63),
    "grouped/mobilenet_v2_x0.8_acu": (2.5479, 243.95),
    "grouped/mobilenet_v2_x1.0": (3.5060, 313.62),
    "grouped/mobilenet_v2_x1.0_acu": (3.6201, 368.86),
    "grouped/mobilenet_v2_x1.2": (4.7066, 436.76),
    "grouped/mobilenet_v2_x1.2_acu": (4.8430, 502.18),
    "grouped/mobilenet_v2_x1.4": (6.0846, 586.50),
    "grouped/mobilenet_v2_x1.4_acu": (6.2437, 662.78),
    "grouped/resnext29_8x64d": (34.4231, 5387.3),
    "grouped/depthwise_acu29": (16.1125, 2760.2),
    "grouped/depthwise_acu47": (27.3375, 4431.4),
}


@every_model
def test_counts(model):
    parameters, multiply_adds = EXACT[model.folder]
    count = model.count
    if isinstance(parameters, int):
        assert count.parameters == parameters
    else:
        assert round(count.parameters / 1e6, 4) == parameters
    digits = 1 if multiply_adds == round(multiply_adds, 1) else 2
    assert round(count.multiply_adds / 1e6, digits) == multiply_adds


@every_model
def test_what_is_trained_counts_as_what_is_deployed(model):
    source = model.data.source
    trained = count_network(model.train_val(), (3, source.crop_size, source.crop_size))
    assert (trained.parameters, trained.multiply_adds) == (model.count.parameters, model.count.multiply_adds)


def test_committed_files_are_what_the_generators_make():
    assert zoo.differing(MODELS) == []


def test_there_is_no_other_file():
    generated = set(zoo.model_files())
    kinds = (".prototxt", ".md")
    assert {str(path.relative_to(MODELS)) for path in MODELS.rglob("*") if path.suffix in kinds} == generated


def test_a_changed_file_is_noticed_and_mended(tmp_path):
    assert len(zoo.write_models(tmp_path)) == len(zoo.model_files())
    changed = tmp_path / "cvpr2017/plain/solver.prototxt"
    changed.write_text(changed.read_text().replace("0.1", "0.2"))
    assert zoo.differing(tmp_path) == [changed]
    assert zoo.write_models(tmp_path) == [changed]
    assert zoo.differing(tmp_path) == []


# ---- The papers' tables
def test_every_printed_row_has_a_network():
    assert len(printed_results()) == 77
    assert {row.model for row in printed_results()} == set(BY_FOLDER) - {"cvpr2017/plain_authors"}
    assert set(BY_FOLDER) == set(EXACT)


def test_printed_results_are_the_papers():
    shared = os.environ.get("CAFFE_ACU_SHARED")
    if not shared:
        pytest.skip("CAFFE_ACU_SHARED is not set: nothing to compare with")
    papers = {"ACU (CVPR 2017)": "cvpr2017", "ACU poster": "poster", "Grouped ACU": "grouped"}
    rows = json.loads((Path(shared) / "reference" / "paper_results.json").read_text())
    for theirs, ours in zip(rows, printed_results(), strict=True):
        assert papers[theirs["paper"]] == ours.paper
        for field in ("table", "row", "dataset", "metric", "value", "std", "runs"):
            assert theirs.get(field) == getattr(ours, field), ours
        assert (theirs.get("params_printed", ""), theirs.get("madds_printed", "")) == (ours.params, ours.madds)


@pytest.mark.parametrize(
    ("folder", "layers", "sets"),
    [
        ("cvpr2017/plain", 0, 0),
        ("cvpr2017/plain_acu", 6, 6),
        ("cvpr2017/plain_acu_c23", 4, 4),
        ("cvpr2017/plain_acu_f5", 6, 6),
        ("cvpr2017/basic_residual32_acu", 30, 30),
        ("cvpr2017/bottleneck_residual47_acu", 15, 15),
        ("cvpr2017/alexnet_acu", 3, 5),
        ("cvpr2017/resnet26_acu", 8, 8),
        ("grouped/resnet29_acu", 9, 9),
        ("grouped/resnet29_16x4d_acu", 9, 9 * 16),
        ("grouped/resnet29_x4d_acu", 9, 3 * (16 + 32 + 64)),
        ("grouped/resnet29_x2d_acu", 9, 3 * (32 + 64 + 128)),
        ("grouped/resnet29_x1d_acu", 9, 3 * (64 + 128 + 256)),
        ("grouped/resnet29_x1d_acu_share", 9, 9),
        ("grouped/inception_acu", 9, 358 + 672 + 3 * 716 + 739 + 2 * 1164 + 1024),
        ("grouped/xception_acu", 12, 128 + 256 + 10 * 728),
        ("grouped/depthwise_acu29", 9, 3 * (512 + 1024 + 2048)),
        ("grouped/depthwise_acu47", 15, 5 * (512 + 1024 + 2048)),
        *((f"grouped/mobilenet_v2_x{width}_acu", 17, None) for width in ("0.8", "1.0", "1.2", "1.4")),
    ],
)
def test_position_sets(folder, layers, sets):
    active = [read_active_layer(layer) for layer in BY_FOLDER[folder].deploy().layer if layer.type in ACTIVE_TYPES]
    assert len(active) == layers
    assert sets is None or sum(layer.sets for layer in active) == sets


# ---- What is printed of counts
@pytest.mark.parametrize("row", [row for row in printed_results() if row.params or row.madds], ids=str)
def test_printed_counts(row):
    """Every cell, by the convention of its table: M = 2^20 on the poster, fixed synapses counted in two of Table 9."""
    count = BY_FOLDER[row.model].counted_by(row.counted_by)
    assert not row.params or row.as_printed(count.parameters, row.params) == row.params
    assert not row.madds or row.as_printed(count.multiply_adds, row.madds) == row.madds


def test_only_the_acus_of_table_9_need_a_convention_that_equation_7_does_not_give():
    rows = {row.model: row for row in printed_results() if row.convention == "table9"}
    assert set(rows) == {"grouped/depthwise_acu29", "grouped/depthwise_acu47"}
    for folder, row in rows.items():
        by_equation_7 = BY_FOLDER[folder].count.parameters
        assert row.as_printed(by_equation_7, row.params) == {"16.13M": "16.11M", "27.37M": "27.34M"}[row.params]


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ("Inception + BN", "72.0 (top-1 accuracy %, 1 crop)"),
        ("x1d/ACU/Share", "5.2 ± 0.04 (test error %)"),
        ("Base-D2", "-0.02 (improvement over Base, points)"),
        ("ACU-all", "+0.68 (improvement over Base, points)"),
    ],
)
def test_results_are_shown_as_printed(row, shown):
    assert shown in [printed.result for printed in printed_results() if printed.row == row]


@every_model
def test_a_page_tells_how_to_test_as_the_paper_did(model):
    (line,) = (line for line in model_page(model).splitlines() if "caffe-acu evaluate" in line)
    assert ("--crops 10" in line) == (model.data.name == "Places365-Standard")
    solver = text_format.Parse(
        (MODELS / model.folder / "solver.prototxt").read_text(encoding="utf-8"), caffe_pb2.SolverParameter()
    )
    assert f"{solver.net} {solver.snapshot_prefix}_iter_{solver.max_iter}.caffemodel" in line


def test_the_table_of_networks_shows_paper_and_ours():
    lines = (MODELS / "README.md").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("| Depthwise ACU-29, x1d |"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1] == "[depthwise_acu29](grouped/depthwise_acu29)"
    assert cells[2:4] == ["16.13M", "16.13M (16,133,962)"]
    assert cells[-2:] == ["3.9 ± 0.09 (test error %)", "not run"]
    tables = [line for line in lines if line.startswith("| ") and not line.startswith("| row |")]
    assert len(tables) == len(printed_results())
    for line in tables:
        folder = line.split("](")[1].split(")")[0]
        assert (MODELS / folder / "train_val.prototxt").is_file()
