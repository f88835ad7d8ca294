"""Parameters and multiply-adds against closed forms and the papers' numbers."""

import json
from pathlib import Path

import pytest
from google.protobuf import text_format

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.counts.network import count_network
from caffe_acu.errors import UserError
from caffe_acu.nets.builder import Acu
from caffe_acu.nets.datasets import CVPR_CIFAR10
from caffe_acu.nets.plain import plain
from caffe_acu.nets.plain_authors import plain_authors

INPUT = "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 4 dim: 6 dim: 11 dim: 9 } } }"


def count(layers: str):
    return count_network(text_format.Parse(INPUT + layers, caffe_pb2.NetParameter()))


def layer(type_: str, param: str, bottoms: str = "bottom: 'data'", name: str = "a") -> str:
    return f"layer {{ name: '{name}' type: '{type_}' {bottoms} top: '{name}' {param} }}"


@pytest.mark.parametrize(("acu", "parameters", "multiply_adds"), [(None, 855_162, 104.4e6), (Acu(), 855_258, 107.3e6)])
def test_plain_network(acu, parameters, multiply_adds):
    counts = count_network(plain(acu))
    assert counts.parameters == parameters
    assert abs(counts.multiply_adds - multiply_adds) < 0.05e6
    trained = count_network(plain(acu, source=CVPR_CIFAR10.source), (3, 32, 32))
    assert (trained.parameters, trained.multiply_adds) == (counts.parameters, counts.multiply_adds)


def test_the_authors_network_counts_as_ours():
    assert count_network(plain_authors()).parameters == 855_258


def test_cifar_100_has_the_papers_945252_parameters():
    assert count_network(plain(classes=100)).parameters == 945_252
    assert count_network(plain(Acu(), classes=100)).parameters == 945_348


def test_convolution():
    param = "convolution_param { num_output: 8 kernel_h: 3 kernel_w: 2 stride: 2 pad_h: 1 pad_w: 0 group: 2 }"
    (_, row) = count(layer("Convolution", param)).rows
    # 6 x 4 outputs: (11 + 2 - 3) // 2 + 1 and (9 - 2) // 2 + 1.
    assert row.top == (1, 8, 6, 4)
    assert row.parameters == 8 * 3 * 6 + 8
    assert row.multiply_adds == 8 * 3 * 6 * 24


def test_acu_with_listed_positions_and_none_fixed():
    param = "convolution_param { num_output: 5 bias_term: false } acu_param { position { x: 1 } position { y: 2 } "
    (_, row) = count(layer("ACU", param + "}")).rows
    assert row.top == (1, 5, 11, 9)
    assert row.parameters == 5 * 6 * 2 + 4  # no synapse at the origin, so both move
    assert row.multiply_adds == (5 * 6 * 2 + 3 * 2 * 6) * 99
    (_, fixed) = count(layer("ACU", param + "fixed_synapse: 0 }")).rows
    assert fixed.parameters == 5 * 6 * 2 + 2


def test_pooling_rounds_up_as_caffe_does():
    param = "pooling_param { kernel_size: 3 stride: 2 }"
    assert count(layer("Pooling", param)).rows[1].top == (1, 6, 5, 4)
    assert count(layer("Pooling", "pooling_param { kernel_size: 2 stride: 2 }")).rows[1].top == (1, 6, 6, 5)
    # A last window that would start in the padding is dropped.
    assert count(layer("Pooling", "pooling_param { kernel_size: 2 stride: 2 pad: 1 }")).rows[1].top == (1, 6, 6, 5)
    # A window may be larger than its bottom, as long as rounding up leaves one.
    assert count(layer("Pooling", "pooling_param { kernel_size: 12 stride: 4 }")).rows[1].top == (1, 6, 1, 1)
    assert count(layer("Pooling", "pooling_param { global_pooling: true }")).rows[1].top == (1, 6, 1, 1)


def test_inner_product_concat_and_eltwise():
    counts = count(
        layer("Concat", "", "bottom: 'data' bottom: 'data'", "both")
        + layer("Eltwise", "", "bottom: 'both' bottom: 'both'", "sum")
        + layer("InnerProduct", "inner_product_param { num_output: 7 }", "bottom: 'sum'", "fc")
    )
    assert counts.rows[1].top == (1, 12, 11, 9)
    assert counts.parameters == 12 * 99 * 7 + 7
    assert counts.multiply_adds == 12 * 99 * 7


@pytest.mark.parametrize(
    ("param", "parameters"),
    [("bias_term: true", 6 * 2), ("num_axes: -1 bias_term: true", 6 * 11 * 9 * 2), ("axis: -1", 9), ("num_axes: 0", 1)],
)
def test_scale_has_a_factor_for_every_place_of_its_axes(param, parameters):
    assert count(layer("Scale", f"scale_param {{ {param} }}")).parameters == parameters


def test_scale_by_another_bottom_learns_nothing():
    assert count(layer("Scale", "scale_param { axis: 0 }", "bottom: 'data' bottom: 'data'")).parameters == 0


def test_inner_product_over_the_last_axes_is_done_at_every_place():
    counts = count(layer("InnerProduct", "inner_product_param { num_output: 4 axis: 2 }"))
    assert counts.rows[1].top == (1, 6, 4)
    assert counts.parameters == 11 * 9 * 4 + 4
    assert counts.multiply_adds == 6 * 11 * 9 * 4


def test_concat_in_the_old_spelling():
    counts = count(layer("Concat", "concat_param { concat_dim: 2 }", "bottom: 'data' bottom: 'data'"))
    assert counts.rows[1].top == (1, 6, 22, 9)


def test_layers_of_another_stage_are_left_out():
    rules = ("include { stage: 'x' }", "exclude { phase: TEST }", "include { phase: TEST min_level: 1 }")
    for rule in rules:
        assert len(count(layer("ReLU", rule)).rows) == 1
    for rule in ("", "include { not_stage: 'x' }", "include { phase: TRAIN } include { phase: TEST }"):
        assert len(count(layer("ReLU", rule)).rows) == 2
    with_stage = text_format.Parse(INPUT + "state { stage: 'x' }" + layer("ReLU", rules[0]), caffe_pb2.NetParameter())
    assert len(count_network(with_stage).rows) == 2


@pytest.mark.parametrize(
    ("type_", "param", "message"),
    [
        ("Convolution", "convolution_param { num_output: 4 }", "kernel_size is missing"),
        ("Convolution", "convolution_param { num_output: 4 kernel_size: 3 stride: 0 }", "stride must be at least 1"),
        ("Convolution", "convolution_param { num_output: 8 kernel_size: 1 group: 4 }", "4 groups"),
        ("Pooling", "pooling_param { kernel_size: 40 }", "is smaller than its kernel"),
        ("Pooling", "", "kernel and stride must be at least 1"),
    ],
)
def test_what_caffe_refuses_is_not_counted(type_, param, message):
    with pytest.raises(UserError, match=message):
        count(layer(type_, param))


def test_shared_parameters_are_refused_rather_than_counted_twice():
    shared = "param { name: 'w' } convolution_param { num_output: 6 kernel_size: 1 bias_term: false }"
    with pytest.raises(UserError, match="layer 'b': shares the parameter 'w' with layer 'a'"):
        count(layer("Convolution", shared) + layer("Convolution", shared, "bottom: 'a'", "b"))


def test_unknown_types_and_broken_nets_are_reported():
    with pytest.raises(UserError, match="layer 'a': type Mystery is not known to the counter"):
        count(layer("Mystery", ""))
    with pytest.raises(UserError, match="layer 'a': no layer before it makes its bottom 'nothing'"):
        count(layer("ReLU", "", "bottom: 'nothing'"))
    with pytest.raises(UserError, match="'a' .Convolution.: its bottom, .* is smaller than its kernel"):
        count(layer("Convolution", "convolution_param { num_output: 1 kernel_size: 20 }"))
    with pytest.raises(UserError, match="give --input"):
        count_network(plain(source=CVPR_CIFAR10.source))


def test_command(capsys):
    path = Path(__file__).resolve().parents[2] / "models/cvpr2017/plain_acu/deploy.prototxt"
    assert main(["counts", str(path)]) == 0
    last = capsys.readouterr().out.splitlines()[-1].split()
    assert last == ["total", "855,258", "107,259,664"]
    assert main(["counts", str(path), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["parameters"] == 855_258 == sum(row["parameters"] for row in data["layers"])
    assert main(["counts", str(path), "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("| layer | type |")
    assert main(["counts", "missing.prototxt"]) == 2
    assert "missing.prototxt: cannot be read" in capsys.readouterr().err


def test_a_caffemodel_is_refused(tmp_path, capsys):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(plain().SerializeToString())
    assert main(["counts", str(path)]) == 2
    assert "a binary file; a network's prototxt was expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "sets", "parameters", "per_output"),
    [
        ("num_output: 6 group: 6", "", 54 + 6 * 16, 33),  # depthwise: 9 products, 24 for interpolating
        ("num_output: 12 group: 6", "", 108 + 6 * 16, 21),  # its samples serve two outputs
        ("num_output: 6 group: 6", "position_group: 1", 54 + 16, 33),  # "Share"
        ("num_output: 6 group: 3", "position_group: 2", 108 + 2 * 16, 18 + 24),
        ("num_output: 6", "position_group: 3", 324 + 3 * 16, 54 + 24),
    ],
)
def test_grouped_acu(settings, sets, parameters, per_output):
    """An input is interpolated once, whatever the groups and sets (papers' counts: 33 products for 9)."""
    text = f"convolution_param {{ {settings} kernel_size: 3 pad: 1 bias_term: false }} acu_param {{ {sets} }}"
    counts = count(layer("GroupedACU", text))
    outputs = 12 if "num_output: 12" in settings else 6
    assert (counts.parameters, counts.multiply_adds) == (parameters, per_output * outputs * 11 * 9)


@pytest.mark.parametrize(
    ("type_", "settings", "sets", "message"),
    [
        ("GroupedACU", "group: 4", "", "4 groups do not divide both 6 channels and 6 outputs"),
        ("GroupedACU", "group: 2", "position_group: 4", "4 position sets do not divide 6 input channels"),
        ("GroupedACU", "group: 2", "position_group: 0", "group 2 and position_group 0; both must be at least 1"),
        ("ACU", "group: 2", "", "group 2; only a GroupedACU has more than one"),
        ("ACU", "", "position_group: 2", "position_group 2; only a GroupedACU has more than one set"),
    ],
)
def test_groups_that_do_not_fit_are_refused(type_, settings, sets, message):
    with pytest.raises(UserError, match=message):
        count(layer(type_, f"convolution_param {{ num_output: 6 kernel_size: 3 {settings} }} acu_param {{ {sets} }}"))
