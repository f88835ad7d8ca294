"""Functions of one value at a time, and sums, products and maxima of blobs."""

import math

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.onnx.dataflow import Step
from caffe_acu.onnx.handlers.registry import handles
from caffe_acu.onnx.writer import Writer

_E = -1  # the base of Exp and Log that stands for e


def _same_in_onnx(type_: str, op: str) -> None:
    @handles(type_)
    def handler(step: Step, out: Writer) -> None:
        out.node(op, step.bottoms[0], to=step.tops[0])


for _type, _op in (("AbsVal", "Abs"), ("BNLL", "Softplus"), ("Sigmoid", "Sigmoid"), ("TanH", "Tanh")):
    _same_in_onnx(_type, _op)


@handles("Dropout")
def _dropout(step: Step, out: Writer) -> None:
    out.node("Identity", step.bottoms[0], to=step.tops[0])  # in the test phase; in training it scales what it keeps


@handles("ReLU")
def _relu(step: Step, out: Writer) -> None:
    slope = step.layer.relu_param.negative_slope
    if slope:
        out.node("LeakyRelu", step.bottoms[0], to=step.tops[0], alpha=slope)
    else:
        out.node("Relu", step.bottoms[0], to=step.tops[0])


@handles("PReLU")
def _prelu(step: Step, out: Writer) -> None:
    bottom, slope = step.bottoms[0], step.blobs[0]
    axes = len(bottom.shape) - 2  # behind the channels
    slope = out.constant("slope", slope.reshape(slope.size, *[1] * axes))
    out.node("PRelu", bottom, slope, to=step.tops[0])


@handles("ELU")
def _elu(step: Step, out: Writer) -> None:
    out.node("Elu", step.bottoms[0], to=step.tops[0], alpha=step.layer.elu_param.alpha)


@handles("Swish")
def _swish(step: Step, out: Writer) -> None:
    bottom, beta = step.bottoms[0], step.layer.swish_param.beta
    scaled = bottom if beta == 1 else out.node("Mul", bottom, out.number("beta", beta))
    out.node("Mul", bottom, out.node("Sigmoid", scaled), to=step.tops[0])


@handles("Clip")
def _clip(step: Step, out: Writer) -> None:
    param = step.layer.clip_param
    out.node("Clip", step.bottoms[0], out.number("min", param.min), out.number("max", param.max), to=step.tops[0])


@handles("Threshold")
def _threshold(step: Step, out: Writer) -> None:
    above = out.node("Greater", step.bottoms[0], out.number("threshold", step.layer.threshold_param.threshold))
    out.node("Where", above, out.number("above", 1), out.number("not_above", 0), to=step.tops[0])


@handles("Power")
def _power(step: Step, out: Writer) -> None:
    param = step.layer.power_param
    shifted = _scale_and_shift(step, out, param.scale, param.shift)
    if param.power == 1:
        out.node("Identity", shifted, to=step.tops[0])
    else:
        out.node("Pow", shifted, out.number("power", param.power), to=step.tops[0])


@handles("Exp")
def _exp(step: Step, out: Writer) -> None:
    param = step.layer.exp_param
    log_base = 1.0 if param.base == _E else math.log(param.base)
    out.node("Exp", _scale_and_shift(step, out, log_base * param.scale, log_base * param.shift), to=step.tops[0])


@handles("Log")
def _log(step: Step, out: Writer) -> None:
    param = step.layer.log_param
    log = out.node("Log", _scale_and_shift(step, out, param.scale, param.shift))
    base = math.e if param.base == _E else param.base
    out.node("Mul", log, out.number("log_of_base", 1 / math.log(base)), to=step.tops[0])


def _scale_and_shift(step: Step, out: Writer, scale: float, shift: float) -> str:
    value = step.bottoms[0].name
    if scale != 1:
        value = out.node("Mul", value, out.number("scale", scale))
    if shift:
        value = out.node("Add", value, out.number("shift", shift))
    return value


@handles("Eltwise")
def _eltwise(step: Step, out: Writer) -> None:
    param, bottoms = step.layer.eltwise_param, [bottom.name for bottom in step.bottoms]
    kinds = caffe_pb2.EltwiseParameter
    if param.operation == kinds.MAX:
        out.node("Max", *bottoms, to=step.tops[0])
    elif param.operation == kinds.PROD:
        product = bottoms[0]
        for factor in bottoms[1:-1]:
            product = out.node("Mul", product, factor)
        out.node("Mul", product, bottoms[-1], to=step.tops[0])
    else:
        for i, coefficient in enumerate(param.coeff):
            if coefficient != 1:
                bottoms[i] = out.node("Mul", bottoms[i], out.number("coeff", coefficient))
        out.node("Sum" if len(bottoms) > 2 else "Add", *bottoms, to=step.tops[0])
