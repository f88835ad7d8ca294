"""Theorem 2 and Lemma 1: against sampling by definition, and in Caffe."""

import json

import numpy as np
import pytest
from google.protobuf import text_format

from caffe_acu.active_layer import read_active_layer
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.errors import UserError
from caffe_acu.kernels import as_active, extrapolate, extrapolate_output_sets, statistics
from caffe_acu.start_shapes import lattice

# (groups, sets) of 12 channels: one, equal, nested both ways, across, depthwise, shared.
GROUPS_AND_SETS = [(1, 1), (2, 2), (4, 2), (2, 4), (2, 3), (12, 12), (12, 1), (1, 12)]


def hat(distance: np.ndarray) -> np.ndarray:
    return np.maximum(0, 1 - np.abs(distance))


def by_definition(image, weight, x, y, groups, *, stride=1, extent=3, centre=1, pad=1, set_of=None):
    """Equation 5 with the bilinear kernel written as a product of hats over all pixels (square settings)."""
    channels, height, width = image.shape
    outputs, per_group, synapses = weight.shape
    set_of = set_of or (lambda c, d: c * len(x) // channels)
    out_h, out_w = ((size + 2 * pad - extent) // stride + 1 for size in (height, width))
    result = np.zeros((outputs, out_h, out_w))
    for d, i, k in np.ndindex(outputs, per_group, synapses):
        c = d // (outputs // groups) * per_group + i
        s = set_of(c, d)
        rows = np.arange(out_h) * stride - pad + centre + y[s, k]
        columns = np.arange(out_w) * stride - pad + centre + x[s, k]
        by_row = hat(rows[:, None] - np.arange(height))
        by_column = hat(columns[:, None] - np.arange(width))
        result[d] += weight[d, i, k] * by_row @ image[c] @ by_column.T
    return result


def correlate(image, kernel, groups, stride, pad):
    """An ordinary convolution, tap by tap."""
    outputs, per_group, kh, kw = kernel.shape
    padded = np.pad(image, ((0, 0), (pad[0],) * 2, (pad[1],) * 2))
    out_h, out_w = ((size - k) // stride + 1 for size, k in zip(padded.shape[1:], (kh, kw), strict=True))
    result = np.zeros((outputs, out_h, out_w))
    for d, i, r, q in np.ndindex(*kernel.shape):
        c = d // (outputs // groups) * per_group + i
        result[d] += (
            kernel[d, i, r, q]
            * padded[c, r : r + stride * out_h : stride, q : q + stride * out_w : stride][:out_h, :out_w]
        )
    return result


def random_case(groups, sets, outputs=12, synapses=9, reach=2.5, channels=12, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(channels, 7, 8)),
        rng.normal(size=(outputs, channels // groups, synapses)),
        rng.uniform(-reach, reach, (sets, synapses)),
        rng.uniform(-reach, reach, (sets, synapses)),
    )


@pytest.mark.parametrize(("groups", "sets"), GROUPS_AND_SETS)
@pytest.mark.parametrize("stride", [1, 2])
def test_an_acu_is_a_convolution_with_the_extrapolated_kernel(groups, sets, stride):
    image, weight, x, y = random_case(groups, sets)
    kernel = extrapolate(weight, x, y, groups).padded((3, 3), (1, 1))
    expected = by_definition(image, weight, x, y, groups, stride=stride)
    actual = correlate(image, kernel.weight, groups, stride, kernel.pad)
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_depthwise_with_two_outputs_for_each_channel():
    image, weight, x, y = random_case(12, 12, outputs=24)
    kernel = extrapolate(weight, x, y, 12).padded((3, 3), (1, 1))
    actual = correlate(image, kernel.weight, 12, 1, kernel.pad)
    np.testing.assert_allclose(actual, by_definition(image, weight, x, y, 12), atol=1e-12)


@pytest.mark.parametrize("synapses", [1, 4, 25])
@pytest.mark.parametrize(
    ("extent", "centre", "pad"),
    [(1, 0, 0), (1, 0, 2), (2, 1, 0), (2, 1, 1), (3, 1, 0), (3, 2, 1), (5, 2, 2), (6, 3, 1)],
)
def test_size_and_origin_are_kept_for_every_kernel(synapses, extent, centre, pad):
    """Even kernels, and (3, 2): the extent of a 2x2 kernel with dilation 2."""
    image, weight, x, y = random_case(2, 2, synapses=synapses)
    kernel = extrapolate(weight, x, y, 2).padded((extent,) * 2, (pad,) * 2, (centre,) * 2)
    expected = by_definition(image, weight, x, y, 2, extent=extent, centre=centre, pad=pad)
    np.testing.assert_allclose(correlate(image, kernel.weight, 2, 1, kernel.pad), expected, atol=1e-12)


def test_sets_that_slice_the_outputs():
    image, weight, x, y = random_case(1, 3)
    kernel = extrapolate_output_sets(weight, x, y).padded((3, 3), (1, 1))
    expected = by_definition(image, weight, x, y, 1, set_of=lambda c, d: d // 4)
    np.testing.assert_allclose(correlate(image, kernel.weight, 1, 1, kernel.pad), expected, atol=1e-12)


def test_a_convolution_as_an_acu_and_back():
    weight = np.random.default_rng(1).normal(size=(4, 3, 3, 2))
    active = as_active(weight)
    kernel = extrapolate(active.weight, active.x, active.y)
    assert kernel.origin == (-1, -1)
    np.testing.assert_array_equal(kernel.weight, weight)


def test_one_synapse_by_hand():
    kernel = extrapolate(np.full((1, 1, 1), 8.0), np.array([[1.25]]), np.array([[-0.5]]))
    assert kernel.origin == (-1, 1)
    assert kernel.weight.tolist() == [[[[3, 1], [3, 1]]]]


def test_statistics_by_hand():
    on_lattice = statistics(*(axis[None] for axis in lattice((3, 3))))
    assert (on_lattice.size, on_lattice.taps, on_lattice.taps_of_set.tolist()) == ((3, 3), 9, [9])
    assert on_lattice.sparsity == 0
    # Half a pixel to the right: 3 rows of 4. A second set, far away, touches one tap.
    x, y = lattice((3, 3))
    two = statistics(np.stack([x + 0.5, np.full(9, 5.0)]), np.stack([y, np.full(9, 1.0)]))
    assert (two.size, two.taps, two.taps_of_set.tolist()) == ((3, 7), 13, [12, 1])
    assert two.sparsity == pytest.approx(1 - 6.5 / 21)


@pytest.mark.parametrize(
    ("shape", "sets", "groups", "message"),
    [
        ((4, 6, 9), 4, 1, "6 input channels cannot be divided into 4 position sets"),
        ((4, 6, 9), 1, 3, "4 outputs cannot be divided into 3 groups"),
        ((4, 6, 8), 1, 1, "weights for 8 synapses, positions for 9"),
    ],
)
def test_what_does_not_fit_is_refused(shape, sets, groups, message):
    with pytest.raises(UserError, match=message):
        extrapolate(np.zeros(shape), np.zeros((sets, 9)), np.zeros((sets, 9)), groups)


def test_positions_that_are_not_numbers_are_refused():
    with pytest.raises(UserError, match="synapse 0 of set 0 is at"):
        extrapolate(np.ones((1, 1, 1)), np.array([[np.nan]]), np.array([[0.0]]))


def test_a_kernel_beyond_all_proportion_is_refused():
    far = np.array([[0, 5e5]])
    with pytest.raises(UserError, match="the dense kernel would be of shape"):
        extrapolate(np.ones((1, 1, 2)), far, far)


def layer(type_: str, convolution: str, acu: str = "") -> str:
    return (
        "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 2 dim: 12 dim: 9 dim: 8 } } } "
        f"layer {{ name: 'a' type: '{type_}' bottom: 'data' top: 'a' convolution_param {{ {convolution} "
        f"weight_filler {{ type: 'gaussian' std: 1 }} bias_filler {{ type: 'gaussian' std: 1 }} }} {acu} }}"
    )


def net_of(text: str, path):
    import caffe

    path.write_text(text)
    return caffe.Net(str(path), caffe.TEST)


@pytest.mark.parametrize(
    ("type_", "convolution", "acu"),
    [
        ("ACU", "num_output: 5 kernel_size: 3 pad: 1 stride: 2", ""),
        ("ACU", "num_output: 5 kernel_size: 2", ""),
        ("ACU", "num_output: 5 pad: 1", "acu_param { position { x: 1.5 } position { y: -2.25 } position { } }"),
        ("AConvFast", "num_output: 6 kernel_size: 3 pad: 1", "aconv_param { position_group: 3 }"),
        ("GroupedACU", "num_output: 8 kernel_size: 3 pad: 1 dilation: 2 group: 2", "acu_param { position_group: 3 }"),
        ("GroupedACU", "num_output: 8 kernel_size: 3 group: 4", "acu_param { position_group: 2 }"),
        ("GroupedACU", "num_output: 24 kernel_size: 3 pad: 1 group: 12 stride: 2", ""),
        ("GroupedACU", "num_output: 12 kernel_size: 5 pad: 2 group: 12", "acu_param { position_group: 1 }"),
    ],
)
def test_caffes_layers_are_the_convolutions_that_the_theory_says(type_, convolution, acu, tmp_path):
    text = layer(type_, convolution, acu)
    active = net_of(text, tmp_path / "active.prototxt")
    rng = np.random.default_rng(3)
    for index in (2, 3):
        active.params["a"][index].data[...] += rng.uniform(-0.9, 0.9, active.params["a"][index].data.shape)
    weight, bias, x, y = (blob.data for blob in active.params["a"])
    description = read_active_layer(text_format.Parse(text, caffe_pb2.NetParameter()).layer[1])
    if description.sets_slice_outputs:
        dense = extrapolate_output_sets(weight, x, y)
    else:
        dense = extrapolate(weight, x, y, description.groups)
    kernel = dense.padded(description.extent, description.pad, description.centre)
    height, width = kernel.weight.shape[2:]
    plain = net_of(
        layer(
            "Convolution",
            f"num_output: {len(weight)} kernel_h: {height} kernel_w: {width} pad_h: {kernel.pad[0]} "
            f"pad_w: {kernel.pad[1]} stride: {description.stride[0]} group: {kernel.groups} engine: CAFFE",
        ),
        tmp_path / "plain.prototxt",
    )
    plain.params["a"][0].data[...] = kernel.weight
    plain.params["a"][1].data[...] = bias
    image = rng.normal(size=active.blobs["data"].data.shape)
    outputs = []
    for net in (active, plain):
        net.blobs["data"].data[...] = image
        outputs.append(net.forward()["a"].copy())
    np.testing.assert_allclose(outputs[0], outputs[1], atol=2e-6 * np.abs(outputs[0]).max())


def test_the_command_prints_kernels(tmp_path, capsys):
    path = tmp_path / "net.prototxt"
    path.write_text(layer("GroupedACU", "num_output: 12 kernel_size: 3 group: 12"))
    main(["positions", str(path), "--kernels"])
    assert capsys.readouterr().out.splitlines()[1].split() == ["a", "12", "9", "3", "x", "3", "9", "(9.0)", "0%"]
    main(["positions", str(path), "--kernels", "--json"])
    (kernel,) = json.loads(capsys.readouterr().out)
    assert (kernel["layer"], kernel["kernel"], kernel["taps_of_set"]) == ("a", [3, 3], [9] * 12)
