"""The layer over NetSpec in which networks are written, and NetSpec without libcaffe."""

import subprocess
import sys

import pytest

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.counts.network import count_network
from caffe_acu.nets.builder import Acu, DataSource, Net

SOURCE = DataSource("a", "b", train_batch=4, test_batch=5, crop_size=6, crop_test=True, mean=(1, 2, 3), scale=0.5)


def test_one_argument_makes_a_grouped_convolution_a_grouped_acu():
    net = Net("n", None, (8, 9, 9))
    x = net.conv(net.data, "conv", 8, 3, group=4)
    x = net.conv(x, "grouped", 8, 3, group=4, acu=Acu())
    x = net.conv(x, "share", 8, 3, group=8, acu=Acu(position_group=1))
    net.conv(x, "plain", 8, 3, acu=Acu())
    layers = {layer.name: layer for layer in net.message().layer}
    assert [layers[name].type for name in ("conv", "grouped", "share", "plain")] == [
        "Convolution",
        "GroupedACU",
        "GroupedACU",
        "ACU",
    ]
    assert [layers[name].convolution_param.group for name in layers if name != "data"] == [4, 4, 8, 1]
    assert layers["share"].acu_param.position_group == 1
    assert not layers["grouped"].acu_param.HasField("position_group")
    assert count_network(net.message()).parameters == 2 * 8 * 2 * 9 + 4 * 16 + 8 * 9 + 16 + 64 * 9 + 16


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("learn", [False, True])
def test_rates_of_an_acu(bias, learn):
    net = Net("n", None, (8, 9, 9))
    net.conv(net.data, "a", 8, 3, bias=bias, bias_lr_mult=2, acu=Acu(7, learn=learn, position_lr_mult=0.25))
    layer = net.message().layer[1]
    rate = 0.25 if learn else 0
    assert [param.lr_mult for param in layer.param] == [1, 2 if bias else 0, rate, rate]
    assert [param.decay_mult for param in layer.param] == [1, 0, 0, 0]
    assert layer.acu_param.learn_positions == learn
    assert layer.acu_param.warmup_iter == (7 if learn else 0)


@pytest.mark.parametrize(("kernel", "dilation", "pad"), [(1, 1, 0), (3, 1, 1), (3, 2, 2), (5, 1, 2), (5, 2, 4)])
def test_padding_keeps_the_size(kernel, dilation, pad):
    net = Net("n", None, (1, 20, 20))
    net.conv(net.data, "a", 1, kernel, dilation=dilation)
    conv = net.message().layer[1].convolution_param
    assert (conv.pad[0] if conv.pad else 0) == pad
    assert count_network(net.message()).rows[-1].top == (1, 1, 20, 20)


def test_data_of_both_phases_stand_at_the_top():
    net = Net("n", SOURCE, (3, 6, 6))
    message = net.classify(net.fc(net.data, "score", 7), top5=True)
    train, test, *rest = message.layer
    assert [layer.name for layer in rest] == ["score", "loss", "accuracy", "accuracy_top5"]
    assert list(train.top) == list(test.top) == ["data", "label"]
    assert [layer.data_param.source for layer in (train, test)] == ["a", "b"]
    assert [layer.data_param.batch_size for layer in (train, test)] == [4, 5]
    assert [layer.data_param.shuffle for layer in (train, test)] == [True, False]
    assert [layer.transform_param.mirror for layer in (train, test)] == [True, False]
    for layer in (train, test):
        assert layer.transform_param.crop_size == 6
        assert list(layer.transform_param.mean_value) == [1, 2, 3]
        assert layer.transform_param.scale == 0.5
    assert message.layer[-1].accuracy_param.top_k == 5
    assert [[rule.phase for rule in layer.include] for layer in rest] == [[], [], [caffe_pb2.TEST], [caffe_pb2.TEST]]


def test_test_images_of_the_right_size_are_not_cropped():
    assert "crop_size" not in DataSource("a", "b", 1, 1, 32).transform(1)


def test_two_layers_of_one_name_are_a_mistake():
    net = Net("n", None, (1, 5, 5))
    x = net.conv(net.data, "a", 1, 1)
    with pytest.raises(ValueError, match="two layers are called 'a'"):
        net.conv(x, "a", 1, 1)


@pytest.mark.parametrize("first", ["caffe", "caffe_acu.net_spec"])
def test_netspec_is_pycaffes_and_needs_no_libcaffe(first):
    """Generators run where pycaffe's extension does not load, and share their classes with it where it does."""
    second = "caffe_acu.net_spec" if first == "caffe" else "caffe"
    code = (
        f"import sys, {first}\n"
        f"assert ('caffe._caffe' in sys.modules) == ({first!r} == 'caffe')\n"
        f"import {second}\n"
        "from caffe_acu.net_spec import NetSpec, layers\n"
        "import caffe\n"
        "assert caffe.NetSpec is NetSpec and caffe.layers is layers\n"
        "from caffe.proto import caffe_pb2 as theirs\n"
        "from caffe_acu.caffe_proto import caffe_pb2 as ours\n"
        "assert theirs is ours\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
