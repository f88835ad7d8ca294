"""Active convolutions as they are: DeformConv with offsets that are the same at every place of every image."""

from dataclasses import dataclass

import numpy as np

from caffe_acu.active_layer import ACTIVE_TYPES, ActiveLayer, read_active_layer
from caffe_acu.onnx.dataflow import Step, Value
from caffe_acu.onnx.handlers.registry import handles
from caffe_acu.onnx.writer import Writer
from caffe_acu.start_shapes import Pair


@handles(*ACTIVE_TYPES)
def _active(step: Step, out: Writer) -> None:
    active = read_active_layer(step.layer)
    parts = _parts(step, out, active)
    for bottom, top in zip(step.bottoms, step.tops, strict=True):
        made = [_convolve(out, active, part, bottom, top, to=top if len(parts) == 1 else None) for part in parts]
        if len(made) > 1:
            out.node("Concat", *made, to=top, axis=1)


@dataclass(frozen=True)
class _Part:
    """Names of the constants of a slice of the outputs."""

    parameters: list[str]  # weight, offsets (1, 2 sets K, 1, 1); bias
    sets: int  # of positions, which divide the input channels


def _parts(step: Step, out: Writer, active: ActiveLayer) -> list[_Part]:
    """The authors' sets serve slices of the outputs, ours slices of the inputs, as in DeformConv."""
    weight, bias, x, y = step.blobs
    slices = active.sets if active.sets_slice_outputs else 1
    offsets = _offsets(active, x, y).reshape(slices, 1, -1, 1, 1)
    # Without a bias an ACU has a single zero there.
    biases = np.split(bias.reshape(-1), slices) if step.layer.convolution_param.bias_term else []
    parts = []
    for i, of_slice in enumerate(np.split(weight, slices)):
        names = [out.constant("weight", of_slice), out.constant("offsets", offsets[i])]
        names += [out.constant("bias", biases[i])] if biases else []
        parts.append(_Part(names, active.sets // slices))
    return parts


def _offsets(active: ActiveLayer, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(sets, K, 2) from the taps of DeformConv's own lattice to the synapses: down, right."""
    rows, columns = np.indices(active.kernel).reshape(2, -1)
    down, right = _dilation(active)
    offset_y = y.reshape(active.sets, -1) + active.centre[0] - rows * down
    offset_x = x.reshape(active.sets, -1) + active.centre[1] - columns * right
    return np.stack([offset_y, offset_x], axis=-1)


def _convolve(out: Writer, active: ActiveLayer, part: _Part, bottom: Value, top: Value, to: Value | None) -> str:
    weight, offsets, *bias = part.parameters
    shape = np.array([top.shape[0], 2 * part.sets * active.synapses, *top.shape[2:]])
    if out.graph.open_batch:
        wanted = out.node("Concat", out.graph.batch_size(), out.constant("behind_batch", shape[1:]), axis=0)
    else:
        wanted = out.constant("shape_of_offsets", shape)
    return out.node(
        "DeformConv",
        bottom,
        weight,
        out.node("Expand", offsets, wanted),
        *bias,
        to=to,
        kernel_shape=active.kernel,
        strides=active.stride,
        pads=[*active.pad, *_pad_behind(active)],
        dilations=_dilation(active),
        group=active.groups,
        offset_group=part.sets,
    )


def _dilation(active: ActiveLayer) -> Pair:
    """Where the output size is computed from a lattice its dilation, else 1."""
    down, right = ((extent - 1) // max(k - 1, 1) for k, extent in zip(active.kernel, active.extent, strict=True))
    return max(down, 1), max(right, 1)


def _pad_behind(active: ActiveLayer) -> list[int]:
    """Such that DeformConv, which sees a lattice, makes outputs of the layer's size, also where there is none."""
    lattice = [d * (k - 1) + 1 for d, k in zip(_dilation(active), active.kernel, strict=True)]
    return [pad + size - extent for pad, size, extent in zip(active.pad, lattice, active.extent, strict=True)]
