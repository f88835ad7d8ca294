"""Kernels of layers from files against sums over synapses, pixel by pixel."""

import numpy as np
import pytest

import authors_net
import position_sources
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.layer_kernels import layers_with_kernels, read_kernel
from caffe_acu.net_param import read_net, set_blob


def write_layer(path, kind: str, weight: np.ndarray, positions=(), **convolution) -> None:
    net = caffe_pb2.NetParameter()
    net.layer.add(name="relu", type="ReLU")
    layer = net.layer.add(name="conv", type=kind)
    layer.convolution_param.num_output = len(weight)
    for name, value in convolution.items():
        if name == "group":
            layer.convolution_param.group = value
        else:
            getattr(layer.convolution_param, name).append(value)
    for values in (weight, *((np.zeros(len(weight)), *positions) if len(positions) else ())):
        set_blob(layer.blobs.add(), values)
    path.write_bytes(net.SerializeToString())


def check(kernel, weight, at) -> None:
    """``weight`` (D, C, K); ``at(d, c)``: x and y (K,) of the synapses between that output and input."""
    top, left = kernel.origin
    for (d, c, row, column), found in np.ndenumerate(kernel.weight):
        x, y = at(d, c)
        near = np.maximum(0, 1 - abs(x - column - left)) * np.maximum(0, 1 - abs(y - row - top))
        assert found == pytest.approx(np.sum(weight[d, c] * near), abs=1e-6)
    # Nothing is beyond the edges: a weight's four shares add up to it.
    np.testing.assert_allclose(kernel.weight.sum((2, 3)), weight.sum(2), atol=1e-6)


@pytest.mark.parametrize("dilation", [1, 2])
def test_a_convolution_as_it_is(tmp_path, dilation):
    weight = np.random.default_rng(0).normal(size=(4, 3, 3, 3))
    write_layer(tmp_path / "a", "Convolution", weight, kernel_size=3, dilation=dilation)
    kernel = read_kernel(tmp_path / "a", "conv")
    assert kernel.origin == (-dilation, -dilation)
    np.testing.assert_array_equal(kernel.weight[:, :, ::dilation, ::dilation], weight)
    assert np.count_nonzero(kernel.weight) == weight.size


def test_a_grouped_acu_has_the_positions_of_the_inputs(tmp_path):
    random = np.random.default_rng(1)
    weight, x, y = random.normal(size=(8, 2, 3, 3)), *random.uniform(-2, 2, (2, 4, 1, 3, 3))
    write_layer(tmp_path / "a", "GroupedACU", weight, (x, y), kernel_size=3, group=4)
    x, y = x.reshape(4, 9), y.reshape(4, 9)
    check(read_kernel(tmp_path / "a", "conv"), weight.reshape(8, 2, 9), lambda d, c: (x[d // 2], y[d // 2]))


def test_the_authors_layers(tmp_path):
    authors_net.write_caffemodel(tmp_path / "a")
    assert layers_with_kernels(tmp_path / "a") == ["second/1", "second/2"]
    weight, x, y = authors_net.weights()[2]
    check(read_kernel(tmp_path / "a", "second/2"), weight, lambda d, c: (x, y))


def test_mistakes(tmp_path):
    path = position_sources.write_snapshot(tmp_path / "a_iter_5.caffemodel", 5)
    with pytest.raises(UserError, match="no convolution 'data' with weights; there are stem, deep"):
        read_kernel(path, "data")
    (tmp_path / "a.prototxt").write_text(position_sources.PROTOTXT)
    with pytest.raises(UserError, match="no convolution 'stem' with weights; there are none; a caffemodel has them"):
        read_kernel(tmp_path / "a.prototxt", "stem")
    net = read_net(path)
    net.layer[1].blobs[0].data[7] = np.nan
    path.write_bytes(net.SerializeToString())
    with pytest.raises(UserError, match=r"a_iter_5.caffemodel: layer 'stem' \(ACU\): weights that are not finite"):
        read_kernel(path, "stem")
    net.layer[1].blobs[0].data.pop()
    path.write_bytes(net.SerializeToString())
    with pytest.raises(UserError, match=r"a_iter_5.caffemodel: layer 'stem' \(ACU\): a blob of shape .* is damaged"):
        read_kernel(path, "stem")
