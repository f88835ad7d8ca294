"""Convolutions and their transposes."""

from caffe_acu.active_layer import read_spatial
from caffe_acu.onnx.dataflow import Step
from caffe_acu.onnx.handlers.registry import axis_of, handles, refuse
from caffe_acu.onnx.writer import Writer


@handles("Convolution", "Deconvolution")
def _convolution(step: Step, out: Writer) -> None:
    param, axes = step.layer.convolution_param, len(step.bottoms[0].shape) - 2
    if axis_of(step.bottoms[0], param.axis) != 1:
        refuse(step, f"has its channels on axis {param.axis}, in ONNX they are on axis 1; reshape around it")
    spatial = read_spatial(step.layer, axes)
    parameters = [out.constant("weight", step.blobs[0])]
    parameters += [out.constant("bias", bias.reshape(-1)) for bias in step.blobs[1:]]
    op = "Conv" if step.layer.type == "Convolution" else "ConvTranspose"
    for bottom, top in zip(step.bottoms, step.tops, strict=True):
        out.node(
            op,
            bottom,
            *parameters,
            to=top,
            kernel_shape=spatial.kernel,
            strides=spatial.stride,
            pads=spatial.pad * 2,
            dilations=spatial.dilation,
            group=param.group,
        )
