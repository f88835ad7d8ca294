"""That a wrong conversion is noticed: mistakes are planted, one by one."""

import numpy as np
import pytest

from caffe_acu import kernels, wide_kernels
from caffe_acu.convert import fold
from caffe_acu.convert.options import ConvolutionOptions
from caffe_acu.convert.to_convolution import convert_to_convolutions
from caffe_acu.convert.verify import verify
from caffe_acu.errors import UserError
from caffe_acu.start_shapes import lattice
from trained_text import input_text, run, trained_of

NETWORK = (
    input_text((2, 8, 12, 10))
    + """
layer { name: 'a' type: 'GroupedACU' bottom: 'data' top: 'a'
  convolution_param { num_output: 16 kernel_size: 3 pad: 1 group: 2 bias_term: false } }
layer { name: 'bn' type: 'BatchNorm' bottom: 'a' top: 'a' }
layer { name: 'scale' type: 'Scale' bottom: 'a' top: 'a' scale_param { bias_term: true } }
layer { name: 'relu' type: 'ReLU' bottom: 'a' top: 'a' }
layer { name: 'b' type: 'ACU' bottom: 'a' top: 'b' convolution_param { num_output: 5 kernel_size: 3 stride: 2 } }
layer { name: 'pool' type: 'Pooling' bottom: 'b' top: 'pool' pooling_param { pool: AVE global_pooling: true } }
layer { name: 'prob' type: 'Softmax' bottom: 'pool' top: 'prob' }
"""
)


def network(text: str = NETWORK):
    trained = trained_of(text, exact=False)
    for blob in trained.blobs["bn"][1:]:
        np.abs(blob, out=blob)
    return trained


def convert(fold_too: bool = True):
    trained = network()
    return trained, convert_to_convolutions(trained, ConvolutionOptions(fold=fold_too))


@pytest.mark.parametrize("fold_too", [False, True])
def test_a_right_conversion_passes_by_a_wide_margin(fold_too):
    trained, converted = convert(fold_too)
    for seed in range(5):
        differences = verify(trained, converted, seed)
        assert differences.outputs == ("prob",)
        assert all(layer.explained < 0.3 for layer in differences.layers.values())
        assert all(blob.largest <= 0.3 * blob.allowed for blob in differences.blobs.values())
        # What is allowed is no licence: of the values themselves it is a small part.
        assert all(blob.allowed < 5e-3 * blob.magnitude for blob in differences.blobs.values())


@pytest.mark.parametrize("moved", [1e-2, 1e-4, 1e-6])
def test_synapses_that_have_hardly_moved(moved):
    """At -moved the fraction is 1 - moved, rounded: what is left for the neighbour is wrong by much, and tiny.

    That shows where the other neighbours are zero, of sparse features or beyond a border.
    """
    text = input_text((2, 8, 20, 20)) + (
        "layer { name: 'sparse' type: 'Power' bottom: 'data' top: 'data' power_param { shift: -2 } }"
        "layer { name: 'relu' type: 'ReLU' bottom: 'data' top: 'data' }"
        "layer { name: 'a' type: 'ACU' bottom: 'data' top: 'a' convolution_param { num_output: 8 kernel_size: 3 pad: 2 "
        "bias_term: false } }"
    )
    trained = trained_of(text, exact=False)
    random = np.random.default_rng(3)
    for blob, start in zip(trained.blobs["a"][2:], lattice((3, 3), (1, 1)), strict=True):
        blob.flat = start + random.normal(0, moved, blob.size)
    converted = convert_to_convolutions(trained)
    assert verify(trained, converted).layers["a"].explained < 0.3
    converted.blobs["a"][0][0] *= 1 + 1e-4
    with pytest.raises(UserError, match="layer 'a' .* what stands for it differs by"):
        verify(trained, converted)


def test_values_that_overflow_on_the_way():
    large = "layer { name: 'large' type: 'Power' bottom: 'pool' top: 'large' power_param { scale: 1e38 } }\n"
    bounded = NETWORK.replace("'Softmax' bottom: 'pool'", "'Sigmoid' bottom: 'large'")
    trained = network(bounded.replace("layer { name: 'prob'", f"{large}layer {{ name: 'prob'"))
    trained.blobs["b"][0][...] *= 10
    with pytest.raises(UserError, match="blob 'large' of the network is not finite on random inputs"):
        verify(trained, convert_to_convolutions(trained))


_symmetric = kernels._symmetric


def _larger(*axis):
    """A pad of one too much, so that outputs are larger."""
    before, size, pad = _symmetric(*axis)
    return before, size, pad + 1


def _beside(*axis):
    """The right size of outputs, but each is what the one beside it should be."""
    before, size, pad = _symmetric(*axis)
    return before, size + 2, pad + 1


@pytest.mark.parametrize("rule", [_larger, _beside])
def test_a_pad_that_is_wrong_by_one(rule, monkeypatch):
    monkeypatch.setattr(kernels, "_symmetric", rule)
    trained, converted = convert()
    with pytest.raises(UserError, match="layer 'a' .* mistake of the conversion, and nothing is written"):
        verify(trained, converted)


def test_one_tap_that_is_wrong():
    trained, converted = convert()
    weight = converted.blobs["b"][0]
    weight[np.unravel_index(np.abs(weight).argmax(), weight.shape)] *= 1.01
    with pytest.raises(UserError, match="layer 'b' .* what stands for it differs by"):
        verify(trained, converted)


def test_a_wrong_fold(monkeypatch):
    scaled = fold._scaled
    monkeypatch.setattr(fold, "_scaled", lambda layer, weight, factor: scaled(layer, weight, np.roll(factor, 1)))
    trained, converted = convert()
    with pytest.raises(UserError, match="layer 'a' .* what stands for it differs by"):
        verify(trained, converted)


def test_layers_that_are_connected_wrongly():
    """Each layer alone is right; the network is not."""
    trained = network(NETWORK.replace("bottom: 'b' top: 'pool'", "bottom: 'c' top: 'pool'").replace(
        "layer { name: 'pool'",
        "layer { name: 'c' type: 'Eltwise' bottom: 'b' bottom: 'b' top: 'c' } layer { name: 'pool'",
    ))  # fmt: skip
    converted = convert_to_convolutions(trained, ConvolutionOptions(fold=True))
    verify(trained, converted)
    (join,) = (layer for layer in converted.net.layer if layer.name == "c")
    join.type, join.bottom[:] = "Power", ["b"]
    with pytest.raises(UserError, match="blob 'c' differs by .*, where rounding explains"):
        verify(trained, converted)


def test_an_output_that_is_lost():
    trained, converted = convert()
    converted.net.layer[-1].top[0] = "probability"
    with pytest.raises(UserError, match="output 'prob' is missing"):
        verify(trained, converted)


@pytest.mark.parametrize("layer", ["a", "b", "prob"])
def test_values_that_are_not_finite(layer):
    text = NETWORK.replace("type: 'Softmax'", "type: 'Exp' exp_param { scale: 1e6 }") if layer == "prob" else NETWORK
    trained = network(text)
    if layer != "prob":
        trained.blobs[layer][0][...] = 1e38
    with pytest.raises(UserError, match=f"blob '{layer}' of the network is not finite on random inputs"):
        verify(trained, convert_to_convolutions(trained))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("type: 'HingeLoss' bottom: 'prob' bottom: 'number'", "dim: 2"),
        ("type: 'SoftmaxWithLoss' bottom: 'b' bottom: 'number'", "dim: 2 dim: 5 dim: 4"),
        ("type: 'BatchReindex' bottom: 'b' bottom: 'number'", "dim: 3"),
        ("type: 'Embed' bottom: 'number' embed_param { input_dim: 2 num_output: 3 }", "dim: 4"),
    ],
)
def test_inputs_that_are_looked_up(layer, shape):
    """Caffe reads and writes wherever a wrong index leads."""
    number = f"layer {{ name: 'number' type: 'Input' top: 'number' input_param {{ shape {{ {shape} }} }} }}"
    trained = network(number + NETWORK + f"layer {{ name: 'looks' {layer} top: 'looks' }}")
    differences = verify(trained, convert_to_convolutions(trained))
    assert differences.blobs["number"].magnitude == 0 and differences.blobs["looks"].magnitude > 0
    assert differences.blobs["data"].magnitude > 1


@pytest.mark.parametrize("groups", [1, 4, 8])
def test_pruned_kernels_are_checked_against_what_is_left_of_them(groups, monkeypatch):
    layer = "layer { name: 'a' type: 'GroupedACU' bottom: 'data' top: 'a' convolution_param { num_output: 8 "
    layer += f"kernel_size: 3 pad: 2 stride: 2 group: {groups} }} acu_param {{ position_group: 2 }} }}"
    trained = trained_of(input_text((2, 8, 9, 10)) + layer, exact=False)
    options = ConvolutionOptions(prune=0.3)
    converted = convert_to_convolutions(trained, options)
    differences = verify(trained, converted)
    # The real difference, measured here anew, on the input that is drawn there.
    values = np.random.default_rng(0).normal(size=(2, 8, 9, 10))
    before, after = (run(net.net, net.blobs, values)["a"] for net in (trained, converted))
    assert differences.layers["a"].largest == pytest.approx(np.abs(before - after).max(), rel=1e-4)
    assert differences.layers["a"].largest > 0.1
    assert differences.layers["a"].explained < 0.3
    monkeypatch.setattr(kernels, "_symmetric", _beside)
    with pytest.raises(UserError, match="mistake of the conversion"):
        verify(trained, convert_to_convolutions(trained, options))


def test_what_pruning_drops_is_as_small_as_asked_for():
    trained = network()
    pruned, whole = (convert_to_convolutions(trained, ConvolutionOptions(prune=share)) for share in (0.1, 0))
    for name in "ab":
        (layer,) = (layer for layer in pruned.layers if layer.name == name)
        taps, kept = (np.abs(net.blobs[name][0]) for net in (whole, pruned))
        assert layer.convolutions.pruned.dropped == np.count_nonzero((taps > 0) & (taps < 0.1 * taps.max())) > 0
        assert kept[kept > 0].min() >= 0.1 * taps.max() * (1 - 1e-6)
        np.testing.assert_array_equal(np.sort(kept[kept > 0]), np.sort(taps[taps >= np.float32(0.1) * taps.max()]))


def test_dilated_convolutions_with_one_lost(monkeypatch):
    trained = network()
    trained.blobs["b"][2][0, 0, 0, 0] = 40
    dilated = wide_kernels.dilated
    monkeypatch.setattr("caffe_acu.convert.layer_convolutions.dilated", lambda *layer: dilated(*layer)[:-1])
    converted = convert_to_convolutions(trained, ConvolutionOptions(wide="dilated"))
    assert len(converted.layers) == 2
    with pytest.raises(UserError, match="layer 'b' .* what stands for it differs by"):
        verify(trained, converted)


def test_random_data_layers_are_given_to_both():
    text = NETWORK.replace("type: 'Input'", "type: 'DummyData'").replace("input_param", "dummy_data_param")
    text = text.replace("dim: 10 }", "dim: 10 } data_filler { type: 'gaussian' std: 1 }")
    trained = network(text)
    converted = convert_to_convolutions(trained)
    assert converted.net.layer[0].dummy_data_param.data_filler[0].type == "gaussian"
    verify(trained, converted)
