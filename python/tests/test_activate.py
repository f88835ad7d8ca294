"""`caffe-acu new`: before training, the active network is the original one."""

from collections import Counter
from pathlib import Path

import caffe
import numpy as np
import pytest
from google.protobuf import text_format

from active_pair import Pair, conv, data, layer, layers_of, random_net
from caffe_acu.cli.main import main
from caffe_acu.counts.network import count_file
from caffe_acu.net_param import blob_array, blob_shapes, read_net, set_blob

MODELS = Path(__file__).parents[2] / "models"


def worst_difference(pair: Pair) -> float:
    """Of all blobs and gradients, relative to the largest value of each."""
    worst = 0.0
    for expected, actual in zip(*pair.passes(), strict=True):
        assert actual.shape == expected.shape
        assert np.isfinite(actual).all() and actual.any()
        worst = max(worst, float(np.abs(actual - expected).max() / np.abs(expected).max()))
    return worst


# This build's convolutions run on an ACU's kernels, so that not a bit differs; upstream's im2col shares nothing.
@pytest.mark.parametrize(("engine", "tolerance"), [("", 0), ("engine: CAFFE ", 1e-5)], ids=("ours", "upstream"))
@pytest.mark.parametrize("seed", range(6))
def test_outputs_and_gradients_stay(tmp_path, seed, engine, tolerance):
    pair = Pair(tmp_path, random_net(seed, engine))
    types = Counter(description.type for description in layers_of(pair.out).values())
    assert types["ACU"] + types["GroupedACU"] >= 7
    assert worst_difference(pair) <= tolerance


@pytest.mark.parametrize("sets", [1, 4])
def test_other_position_sets(tmp_path, sets):
    net = data(8) + conv("one", "data", "num_output: 8 kernel_size: 3 dilation: 2 stride: 2 engine: CAFFE")
    net += conv("two", "one", "num_output: 16 kernel_size: 2 group: 8 engine: CAFFE")
    pair = Pair(tmp_path, net, "--position-sets", str(sets))
    assert worst_difference(pair) < 1e-5
    stored = layers_of(pair.out_weights)
    assert stored["one"].type == ("GroupedACU" if sets > 1 else "ACU")
    for name, kernel in (("one", 3), ("two", 2)):
        assert [blob_array(blob).shape for blob in stored[name].blobs[2:]] == [(sets, 1, kernel, kernel)] * 2


@pytest.mark.parametrize(
    "text",
    [
        "num_output: 4 kernel_size: 3 pad_h: 1",  # the other is 0 to upstream's convolution
        "num_output: 4 kernel_size: 3 pad_w: 2 force_nd_im2col: true",
        "num_output: 4 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 axis: 1",
        "num_output: 6 kernel_size: 2 kernel_size: 3 group: 2",
    ],
)
def test_all_spellings_of_a_convolution(tmp_path, text):
    pair = Pair(tmp_path, data() + conv("c", "data", f"engine: CAFFE {text}"))
    assert worst_difference(pair) < 1e-5


def test_a_convolution_of_several_bottoms(tmp_path):
    text = data() + layer("other", "Power", "data", "power_param { scale: 0.5 shift: 1 }")
    one = conv("c", "data other", "num_output: 3 kernel_size: 3 engine: CAFFE").replace('top: "c"', 'top: "c" top: "d"')
    pair = Pair(tmp_path, text + one)
    assert worst_difference(pair) < 1e-5


def test_without_weights_a_seed_starts_both_alike(tmp_path):
    pair = Pair(tmp_path, random_net(0, ""))
    outputs = []
    for path in (pair.net, pair.out):
        caffe.set_random_seed(5)
        net = caffe.Net(str(path), caffe.TEST)
        net.blobs["data"].data[...] = np.random.default_rng(6).normal(size=net.blobs["data"].data.shape)
        outputs.append(net.forward())
    assert all(np.array_equal(outputs[0][name], outputs[1][name]) for name in outputs[0])


LAST, DEPTHWISE = "--which last-of-block", "--which depthwise"


# The papers' networks come from generators that know nothing of this command. ACUs and coordinates: section 3 of the
# ACU paper and its poster; 2 (K - 1) for each position set of the grouped paper's tables 5, 7 and 8.
@pytest.mark.parametrize(
    ("source", "target", "options", "acus", "coordinates"),
    [
        ("cvpr2017/plain", "plain_acu", "--warmup 10000", 6, 96),
        ("cvpr2017/plain", "plain_acu_c23", "--warmup 10000 --except conv1*", 4, 64),
        ("cvpr2017/plain_f5", "plain_acu_f5", "--warmup 10000", 6, 160),
        ("cvpr2017/basic_residual32", "basic_residual32_acu", "--warmup 10000 --except conv0", 30, 480),
        ("cvpr2017/bottleneck_residual47", "bottleneck_residual47_acu", f"--warmup 10000 {LAST}", 15, 240),
        ("cvpr2017/alexnet", "alexnet_acu", "--warmup 50000 --layers conv[345] --position-lr-mult 0.1", 3, 80),
        ("cvpr2017/resnet26", "resnet26_acu", f"--warmup 50000 {LAST}", 8, 128),
        ("grouped/resnet29_x1d", "resnet29_x1d_acu", DEPTHWISE, 9, 16 * 3 * (64 + 128 + 256)),
        ("grouped/resnet29_x1d", "resnet29_x1d_acu_share", f"{DEPTHWISE} --position-sets 1", 9, 144),
        ("grouped/mobilenet_v2_x1.0", "mobilenet_v2_x1.0_acu", DEPTHWISE, 17, 114_176),
        ("grouped/xception", "xception_acu", LAST, 12, 16 * 7_664),
    ],
)
def test_it_makes_the_papers_active_networks(tmp_path, capsys, source, target, options, acus, coordinates):
    out, net = tmp_path / "out.prototxt", MODELS / source / "train_val.prototxt"
    assert main(["new", str(net), "-o", str(out), *options.split()]) == 0
    made, expected = read_net(out), read_net((MODELS / source).with_name(target) / "train_val.prototxt")
    assert list(made.layer) == list(expected.layer)
    assert f"{acus} convolution(s) active, with {coordinates:,} coordinates that learn\n" in capsys.readouterr().out


def test_the_number_of_coordinates_is_what_is_counted(tmp_path, capsys):
    pair = Pair(tmp_path, random_net(1, ""))
    more = count_file(pair.out).parameters - count_file(pair.net).parameters
    assert more > 0
    assert f"active, with {more:,} coordinates that learn" in capsys.readouterr().out


RATES = "{ lr_mult: 0.01 decay_mult: 0 }"


@pytest.mark.parametrize(
    ("before", "bias", "after"),
    [
        ([], True, ["{ lr_mult: 1 decay_mult: 1 }", "{ lr_mult: 1 decay_mult: 1 }"]),
        (["{ lr_mult: 3 }"], True, ["{ lr_mult: 3 }", "{ lr_mult: 1 decay_mult: 1 }"]),
        (["{ decay_mult: 0 }", "{ lr_mult: 2 }"], True, ["{ decay_mult: 0 }", "{ lr_mult: 2 }"]),
        ([], False, ["{ lr_mult: 1 decay_mult: 1 }", "{ lr_mult: 0 decay_mult: 0 }"]),
        (["{ name: 'w' lr_mult: 0 }"], False, ["{ name: 'w' lr_mult: 0 }", "{ lr_mult: 0 decay_mult: 0 }"]),
    ],
)
def test_rates_of_weights_and_biases_stay(tmp_path, before, bias, after):
    more = " ".join(f"param {param}" for param in before)
    pair = Pair(
        tmp_path, data() + conv("c", "data", f"num_output: 4 kernel_size: 3 bias_term: {str(bias).lower()}", more)
    )
    expected = type(layers_of(pair.out)["c"])()
    text_format.Merge(" ".join(f"param {param}" for param in (*after, RATES, RATES)), expected)
    for path in (pair.out, pair.out_weights):
        assert list(layers_of(path)["c"].param) == list(expected.param)


def test_stored_blobs_stay_and_positions_are_added(tmp_path):
    net = data(6) + conv("bare", "data", "num_output: 4 kernel_h: 2 kernel_w: 3 dilation: 2 group: 2 bias_term: false")
    full = conv("full", "bare", "num_output: 4 kernel_size: 3 engine: CAFFE force_nd_im2col: true")
    pair = Pair(tmp_path, net + full, "--warmup", "7", "--position-lr-mult", "0.1")
    before, after = layers_of(pair.weights), layers_of(pair.out_weights)
    for name in before:
        kept = len(before[name].blobs)
        pieces = ([blob.SerializeToString() for blob in layers[name].blobs[:kept]] for layers in (before, after))
        assert len(set(map(tuple, pieces))) == 1
    bias, x, y = (blob_array(blob) for blob in after["bare"].blobs[1:])
    assert bias.tolist() == [[[[0]]]]
    # By hand: two rows two pixels apart, the second of which is the base point's.
    assert x.tolist() == [[[[-2, 0, 2], [-2, 0, 2]]]] * 2
    assert y.tolist() == [[[[-2, -2, -2], [0, 0, 0]]]] * 2
    assert not any(blob.double_data for blob in after["bare"].blobs)
    described = layers_of(pair.out)
    for name in ("bare", "full"):
        assert not after[name].convolution_param.HasField("engine")
        assert not after[name].convolution_param.HasField("force_nd_im2col")
        assert after[name].acu_param == described[name].acu_param
        assert after[name].acu_param.warmup_iter == 7
        assert after[name].convolution_param == described[name].convolution_param
        assert [round(param.lr_mult, 6) for param in after[name].param[2:]] == [0.1, 0.1]


def test_blobs_of_old_files_and_doubles_fit(tmp_path):
    pair = Pair(tmp_path, data() + conv("c", "data"))
    expected = pair.passes()[0]
    net = read_net(pair.weights)
    (stored,) = (description for description in net.layer if description.name == "c")
    weight, bias = (blob_array(blob) for blob in stored.blobs)
    set_blob(stored.blobs[0], weight.astype(np.float64))
    stored.blobs[1].ClearField("shape")
    stored.blobs[1].num, stored.blobs[1].channels, stored.blobs[1].height, stored.blobs[1].width = 1, 1, 1, len(bias)
    pair.weights.write_bytes(net.SerializeToString())
    files = ["-o", pair.out, "--weights", pair.weights, "--out-weights", pair.out_weights]
    assert main(["new", str(pair.net), *map(str, files)]) == 0
    assert [legacy for _, legacy in blob_shapes(layers_of(pair.out_weights)["c"])] == [False, True, False, False]
    assert len(layers_of(pair.out_weights)["c"].blobs[2].double_data) == 9
    for e, a in zip(expected, pair.passes()[1], strict=True):
        assert np.array_equal(e, a)


def test_what_a_convolution_would_ignore_does_not_come_alive(tmp_path):
    pair = Pair(tmp_path, data() + conv("c", "data", more="acu_param { position_noise: 1 warmup_iter: 3 }"))
    assert worst_difference(pair) == 0
    assert str(layers_of(pair.out)["c"].acu_param) == "warmup_iter: 0\n"
