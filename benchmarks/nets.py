"""The networks that are timed, as Caffe's messages. Needs no libcaffe."""

from collections.abc import Sequence

import arrays
import numpy as np
from shapes import KERNEL, LayerCase

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.net_param import set_blob
from caffe_acu.nets.builder import POSITION_LR_MULT, Acu
from caffe_acu.nets.datasets import CVPR_CIFAR10
from caffe_acu.nets.plain import plain
from caffe_acu.nets.schedules import CVPR_CIFAR

WEIGHT, BIAS, X, Y = range(4)  # blobs
ENGINES = {"stock": caffe_pb2.ConvolutionParameter.CAFFE, "cudnn": caffe_pb2.ConvolutionParameter.CUDNN}


def layer_net(case: LayerCase, kind: str) -> "caffe_pb2.NetParameter":
    """An Input layer ``data`` and the layer ``layer``; ``kind`` as :func:`add_layer`."""
    net = caffe_pb2.NetParameter(name=case.name, force_backward=True)
    _add_input(net, case)
    add_layer(net, "layer", case, kind)
    return net


def candidates_net(case: LayerCase, kinds: Sequence[str], *, bias: bool = False) -> "caffe_pb2.NetParameter":
    """An Input layer ``data`` and a layer for each of ``kinds``, named so, with its parameters as blobs."""
    net = caffe_pb2.NetParameter(name=case.name, force_backward=True)
    _add_input(net, case)
    for kind in kinds:
        layer = add_layer(net, kind, case, kind)
        layer.convolution_param.bias_term = bias
        has_bias = bias or kind == "acu"
        for _ in range(1 + has_bias + 2 * (kind == "acu")):
            layer.blobs.add()
        set_blob(layer.blobs[WEIGHT], arrays.weights(case))
        if has_bias:
            # Without a bias an ACU keeps a single zero.
            set_blob(layer.blobs[BIAS], arrays.biases(case) if bias else np.zeros((1, 1, 1, 1), np.float32))
        if kind == "acu":
            for blob, values in zip((X, Y), arrays.layer_positions(case), strict=True):
                set_blob(layer.blobs[blob], values.reshape(case.sets, 1, KERNEL, KERNEL))
    return net


def add_layer(net: "caffe_pb2.NetParameter", name: str, case: LayerCase, kind: str) -> "caffe_pb2.LayerParameter":
    """Appends a layer that reads ``data``; ``kind``: "acu", or a convolution by a key of ENGINES or the default."""
    type_ = ("GroupedACU" if case.group > 1 else "ACU") if kind == "acu" else "Convolution"
    layer = net.layer.add(name=name, type=type_, bottom=["data"], top=[name])
    convolution = layer.convolution_param
    convolution.num_output, convolution.bias_term = case.outputs, False
    convolution.kernel_size.append(KERNEL)
    convolution.pad.append(KERNEL // 2)
    convolution.stride.append(case.stride)
    if case.group > 1:
        convolution.group = case.group
    if kind in ENGINES:
        convolution.engine = ENGINES[kind]
    if kind == "acu":
        for rate in (1, 1, POSITION_LR_MULT, POSITION_LR_MULT):
            layer.param.add(lr_mult=rate)
    return layer


def plain_net(kind: str, noise: float = 0) -> "caffe_pb2.NetParameter":
    """The network of models/cvpr2017/plain or plain_acu, with images and labels in memory.

    ``noise`` in pixels, its standard deviation, moves synapses off the lattice.
    """
    whole = plain(Acu() if kind == "plain_acu" else None, source=CVPR_CIFAR10.source)
    net = caffe_pb2.NetParameter(name=kind)
    data = net.layer.add(name="data", type="Input", top=["data", "label"])
    for array in arrays.net_input():
        data.input_param.shape.add().dim.extend(array.shape)
    for layer in whole.layer:
        if layer.type in ("Data", "Accuracy"):
            continue
        net.layer.add().CopyFrom(layer)
        if kind == "plain_stock" and layer.type == "Convolution":
            net.layer[-1].convolution_param.engine = ENGINES["stock"]
        if noise and layer.type == "ACU":
            net.layer[-1].acu_param.position_noise = noise
    return net


def plain_solver(kind: str, noise: float = 0) -> "caffe_pb2.SolverParameter":
    """The paper's solver of :func:`plain_net`, at a constant rate, without tests, snapshots and a log."""
    solver = CVPR_CIFAR.message()
    for field in ("net", "test_iter", "test_interval", "stepvalue"):
        solver.ClearField(field)
    solver.net_param.CopyFrom(plain_net(kind, noise))
    solver.lr_policy, solver.base_lr, solver.display, solver.snapshot = "fixed", 0.01, 0, 0
    return solver


def _add_input(net: "caffe_pb2.NetParameter", case: LayerCase) -> None:
    data = net.layer.add(name="data", type="Input", top=["data"])
    data.input_param.shape.add().dim.extend(case.input_shape)
