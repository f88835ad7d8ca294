"""Batch normalisation folded into the layer before it: in Caffe, against the network with its layers."""

import numpy as np
import pytest

from caffe_acu.convert.fold import fold
from caffe_acu.convert.options import ConvolutionOptions
from caffe_acu.convert.to_convolution import convert_to_convolutions
from caffe_acu.convert.verify import verify
from caffe_acu.errors import UserError
from trained_text import input_text, run, trained_of

SHAPE = (2, 6, 7, 9)
SOURCE = input_text(SHAPE)
NORM = "layer {{ name: 'bn' type: 'BatchNorm' bottom: '{0}' top: '{1}' }}"
SCALE = "layer {{ name: 'scale' type: 'Scale' bottom: '{0}' top: '{1}' scale_param {{ bias_term: true }} }}"
BIAS = "layer {{ name: 'shift' type: 'Bias' bottom: '{0}' top: '{1}' }}"
LINEAR = {
    "ACU": "convolution_param { num_output: 4 kernel_size: 3 pad: 1 bias_term: false }",
    "GroupedACU": "convolution_param { num_output: 4 kernel_size: 3 group: 2 } acu_param { position_group: 3 }",
    "AConvFast": "convolution_param { num_output: 4 kernel_size: 3 } aconv_param { position_group: 2 }",
    "Convolution": "convolution_param { num_output: 4 kernel_size: 3 group: 2 bias_term: false }",
    "Deconvolution": "convolution_param { num_output: 4 kernel_size: 3 stride: 2 group: 2 }",
    "InnerProduct": "inner_product_param { num_output: 4 }",
    "InnerProduct transposed": "inner_product_param { num_output: 4 transpose: true bias_term: false }",
}


def linear(kind: str, bottom: str = "data", top: str = "a", name: str = "a") -> str:
    return f"layer {{ name: '{name}' type: '{kind.split()[0]}' bottom: '{bottom}' top: '{top}' {LINEAR[kind]} }}"


def relu(bottom: str, name: str = "relu") -> str:
    return f"layer {{ name: '{name}' type: 'ReLU' bottom: '{bottom}' top: '{name}' }}"


def network(*layers: str):
    """A trained network of these, with statistics that a batch normalisation can have."""
    trained = trained_of(SOURCE + "".join(layers), exact=False)
    random = np.random.default_rng(5)
    for layer in trained.net.layer:
        if layer.type == "BatchNorm":
            mean, variance, times = trained.blobs[layer.name]
            variance[...] = random.uniform(0.1, 4, variance.shape)
            times[...] = 3.5
    return trained


def check(trained, gone: list[str]) -> None:
    """Folds; exactly these layers are gone, everything that both have is the same."""
    converted = convert_to_convolutions(trained, ConvolutionOptions(fold=True))
    left = {layer.name for layer in converted.net.layer}
    assert [layer.name for layer in trained.net.layer if layer.name not in left] == gone
    values = np.random.default_rng(2).normal(size=SHAPE).astype(np.float32)
    before, after = (run(net.net, net.blobs, values) for net in (trained, converted))
    made, read = ({name for layer in trained.net.layer for name in getattr(layer, end)} for end in ("top", "bottom"))
    assert made - read <= set(after)
    for name in set(before) & set(after):
        np.testing.assert_allclose(after[name], before[name], atol=1e-5 * np.abs(before[name]).max(), err_msg=name)
    if converted.layers:
        verify(trained, converted)


@pytest.mark.parametrize("kind", LINEAR)
def test_every_linear_layer(kind):
    """In place and not, whole chains and parts of them."""
    in_place = NORM.format("a", "a") + SCALE.format("a", "a") + BIAS.format("a", "a")
    check(network(linear(kind), in_place, relu("a")), ["bn", "scale", "shift"])
    apart = NORM.format("a", "b") + SCALE.format("b", "c") + BIAS.format("c", "c")
    check(network(linear(kind), apart), ["bn", "scale", "shift"])
    check(network(linear(kind), NORM.format("a", "b"), relu("b")), ["bn"])
    check(network(linear(kind), SCALE.format("a", "a"), relu("a")), ["scale"])


@pytest.mark.parametrize(
    ("layers", "gone"),
    [
        # Another layer reads what the convolution makes, or what the batch normalisation makes.
        ([NORM.format("a", "b"), SCALE.format("b", "b"), relu("a")], []),
        ([NORM.format("a", "a"), relu("a"), SCALE.format("a", "c")], ["bn"]),
        # Something stands between.
        ([relu("a"), NORM.format("relu", "b")], []),
        ([NORM.format("a", "a"), relu("a"), SCALE.format("relu", "c")], ["bn"]),
        # Statistics of the batch.
        ([NORM.format("a", "a").replace("bottom", "batch_norm_param { use_global_stats: false } bottom", 1)], []),
        # Other axes than the channels: all of them, rows, channels and rows. Counted from the end, -3 is the channels.
        (["layer { name: 's' type: 'Scale' bottom: 'a' top: 'b' scale_param { num_axes: -1 } }"], []),
        (["layer { name: 's' type: 'Scale' bottom: 'a' top: 'b' scale_param { axis: 2 } }"], []),
        (["layer { name: 's' type: 'Scale' bottom: 'a' top: 'b' scale_param { num_axes: 2 } }"], []),
        (["layer { name: 's' type: 'Scale' bottom: 'a' top: 'b' scale_param { axis: -3 } }"], ["s"]),
        (["layer { name: 's' type: 'Bias' bottom: 'a' top: 'b' bias_param { axis: 2 } }"], []),
        # Two bottoms: a scale that the network computes.
        (["layer { name: 's' type: 'Scale' bottom: 'a' bottom: 'a' top: 'b' scale_param { axis: 0 } }"], []),
        # Scale without bias.
        ([NORM.format("a", "a"), "layer { name: 's' type: 'Scale' bottom: 'a' top: 'a' }"], ["bn", "s"]),
        # eps.
        ([NORM.format("a", "a").replace("bottom", "batch_norm_param { eps: 0.5 } bottom", 1)], ["bn"]),
    ],
)  # fmt: skip
def test_only_what_follows_directly(layers, gone):
    check(network(linear("Convolution"), *layers), gone)


def test_leading_batch_normalisation_stays():
    """A pre-activation block: what comes first normalises a sum, which the shortcut reads too."""
    block = (
        NORM.format("a", "bn")
        + relu("bn")
        + linear("ACU", "relu", "b", "b").replace("num_output: 4", "num_output: 4 bias_term: true")
        + "layer { name: 'bn2' type: 'BatchNorm' bottom: 'b' top: 'b' }"
        + "layer { name: 'sum' type: 'Eltwise' bottom: 'a' bottom: 'b' top: 'sum' }"
    ).replace("bias_term: true kernel_size: 3 pad: 1 bias_term: false", "kernel_size: 3 pad: 1")
    check(network(linear("Convolution").replace("kernel_size: 3", "kernel_size: 3 pad: 1"), block), ["bn2"])


def test_statistics_of_no_iteration():
    """Caffe takes a mean and a variance of 0."""
    trained = network(linear("Convolution"), NORM.format("a", "a"))
    trained.blobs["bn"][2][...] = 0
    check(trained, ["bn"])


def test_a_mean_that_cancels_a_large_bias():
    """Rounding is that of the large numbers, which the folded network does not have."""
    trained = network(linear("Deconvolution"), NORM.format("a", "a"))
    trained.blobs["a"][1][...] = 1e5
    trained.blobs["bn"][0][...] = 3.5 * 1e5
    converted = convert_to_convolutions(trained, ConvolutionOptions(fold=True))
    assert np.abs(converted.blobs["a"][1]).max() < 1
    assert verify(trained, converted).layers["a"].largest > 1e-3


def test_a_layer_of_several_tops_is_left_alone():
    trained = network(
        "layer { name: 'a' type: 'Convolution' bottom: 'data' bottom: 'data' top: 'a' top: 'b' "
        "convolution_param { num_output: 4 kernel_size: 1 } }",
        NORM.format("a", "a"),
        relu("b"),
    )
    check(trained, [])


def test_layers_that_share_weights_get_kernels_of_their_own():
    """One of two that share everything is normalised; a third shares with it nothing but the weight."""
    shared = "param { name: 'w' } param { name: 'bias' } convolution_param"
    layers = [linear("GroupedACU", top=name, name=name).replace("convolution_param", shared) for name in "abc"]
    trained = network(*layers, NORM.format("b", "b"), relu("b"))
    for name in "bc":
        trained.blobs[name] = [*trained.blobs["a"][:2], *trained.blobs[name][2:]]
    trained.blobs["c"][2:] = trained.blobs["a"][2:]
    check(trained, ["bn"])


def test_a_variance_below_0_is_refused():
    trained = network(linear("Convolution"), NORM.format("a", "a"))
    trained.blobs["bn"][1][2] = -1
    with pytest.raises(UserError, match=r"layer 'bn' \(BatchNorm\): variance and eps of channel 2 are not above 0"):
        fold(trained.net, trained.blobs)


def test_what_goes_in_is_not_changed():
    trained = network(linear("ACU"), NORM.format("a", "a"))
    text, blobs = str(trained.net), {name: [array.copy() for array in of] for name, of in trained.blobs.items()}
    convert_to_convolutions(trained, ConvolutionOptions(fold=True))
    assert str(trained.net) == text
    for name, arrays in blobs.items():
        for array, old in zip(trained.blobs[name], arrays, strict=True):
            np.testing.assert_array_equal(array, old)
