"""Matrix products: inner products and softmax over them."""

import math

from caffe_acu.onnx.dataflow import Step
from caffe_acu.onnx.handlers.registry import axis_of, handles
from caffe_acu.onnx.writer import Writer


def _product_axis(step: Step) -> int:
    return axis_of(step.bottoms[0], step.layer.inner_product_param.axis)


@handles("InnerProduct", mixes_images=lambda step: _product_axis(step) == 0)
def _inner_product(step: Step, out: Writer) -> None:
    bottom, top, axis = step.bottoms[0], step.tops[0], _product_axis(step)
    rows, length = bottom.shape[:axis], math.prod(bottom.shape[axis:])
    weight, bias = step.blobs[0], step.blobs[1:]
    transposed = step.layer.inner_product_param.transpose  # as it is stored: a row for each input
    if axis == 1:
        vectors = bottom if len(bottom.shape) == 2 else out.reshape(bottom, (*rows, length))
        terms = [out.constant("bias", bias[0].reshape(-1))] if bias else []
        out.node("Gemm", vectors, out.constant("weight", weight), *terms, to=top, transB=int(not transposed))
        return
    matrix = out.constant("weight", weight if transposed else weight.T)
    product = out.node("MatMul", out.reshape(bottom, (*rows, length)), matrix, to=None if bias else top)
    if bias:
        out.node("Add", product, out.constant("bias", bias[0].reshape(-1)), to=top)


def _softmax_axis(step: Step) -> int:
    return axis_of(step.bottoms[0], step.layer.softmax_param.axis)


@handles("Softmax", mixes_images=lambda step: _softmax_axis(step) == 0)
def _softmax(step: Step, out: Writer) -> None:
    out.node("Softmax", step.bottoms[0], to=step.tops[0], axis=_softmax_axis(step))
