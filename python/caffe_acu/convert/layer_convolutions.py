"""One active layer as one plain convolution, or, where its synapses lie far apart, what else it can be."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from caffe_acu.active_layer import ActiveLayer
from caffe_acu.convert.options import ConvolutionOptions
from caffe_acu.errors import UserError
from caffe_acu.kernels import (
    DenseKernel,
    Window,
    extrapolate,
    extrapolate_output_sets,
    input_sets,
    output_sets,
    smallest_window,
    statistics,
)
from caffe_acu.start_shapes import Pair
from caffe_acu.wide_kernels import DilatedKernel, Pruned, cost, dilated, farthest, prune

_LARGEST = 2**26  # values of a kernel that is made: 512 MiB
_WIDEST = 4096  # pixels, of a kernel that is pruned or divided


class TooWide(UserError):
    """A kernel beyond --max-kernel, where nothing was chosen that could be done."""


@dataclass(frozen=True)
class LayerConvolutions:
    """What an active layer is equal to: the sum of these Convolutions, most often one, all with the layer's stride."""

    kernels: tuple[DilatedKernel, ...]  # float64
    # Where taps were dropped: the kernel that is left. Then the sum is equal to this one only.
    pruned: Pruned | None


def layer_convolutions(
    active: ActiveLayer, blobs: Sequence[np.ndarray], options: ConvolutionOptions
) -> LayerConvolutions | None:
    """The convolutions that do the same as a layer, borders included (Theorem 2); None where it is to stay active.

    Args:
        active: the layer.
        blobs: its weight (D, C / groups, kh, kw), bias, x and y (sets, 1, kh, kw), in pixels.

    TooWide for a kernel larger than ``options.max_kernel`` with ``wide`` "refuse"; UserError if the other ways do not
    help, or the kernel would be beyond all proportion.
    """
    weight, _, x, y = blobs
    box = statistics(x, y)
    window = _window(active, box.origin, box.size)
    wide = max(window.size) > options.max_kernel
    if wide and options.prune is None:
        if options.wide == "refuse":
            raise TooWide(_too_wide(active, blobs, window, options))
        if options.wide == "keep":
            return None
    size = box.size if wide else window.size
    values = math.prod((*weight.shape[:2], *size))
    if values > _LARGEST or (wide and max(size) > _WIDEST):
        if options.wide == "keep" and options.prune is None:
            return None
        raise UserError(
            f"its dense kernel would be {_by(size)}, {values:,} values in all, which is beyond all proportion; "
            f"{_farthest(active, blobs, size)}; give --wide keep, without --prune, to let it stay active"
        )
    if active.sets_slice_outputs:
        dense = extrapolate_output_sets(weight, x, y)
    else:
        dense = extrapolate(weight, x, y, active.groups)
    pruned = None if options.prune is None else prune(dense, options.prune)
    dense = pruned.kernel if pruned else dense
    window = _window(active, dense.origin, dense.weight.shape[2:])
    if max(window.size) <= options.max_kernel:
        padded = dense.padded(active.extent, active.pad, active.centre)
        return LayerConvolutions((DilatedKernel(padded.weight, padded.pad, padded.groups, (1, 1)),), pruned)
    if options.wide == "refuse":
        raise TooWide(_too_wide(active, blobs, window, options))
    return None if options.wide == "keep" else LayerConvolutions(_divided(active, dense, options), pruned)


def _window(active: ActiveLayer, origin: Pair, size: Pair) -> Window:
    return smallest_window(origin, size, active.extent, active.pad, active.centre)


def _divided(active: ActiveLayer, dense: DenseKernel, options: ConvolutionOptions) -> tuple[DilatedKernel, ...]:
    parts = dilated(dense, active.extent, active.pad, active.centre)
    taps = cost(parts)
    if taps > options.max_kernel**2:
        raise UserError(
            f"its taps lie so that {len(parts)} dilated convolution(s) would still have {taps:,} of them, more than a "
            f"kernel of side {options.max_kernel}; raise --max-kernel, drop small taps with --prune, or give "
            "--wide keep"
        )
    return tuple(parts)


def _too_wide(active: ActiveLayer, blobs: Sequence[np.ndarray], window: Window, options: ConvolutionOptions) -> str:
    """Which synapse is to blame, what the kernel would cost, and what can be done."""
    weight, taps = blobs[0], math.prod(window.size)
    pruned = " without the taps below --prune" if options.prune is not None else ""
    return (
        f"as a convolution{pruned} its kernel is {_by(window.size)}, more than --max-kernel {options.max_kernel}: "
        f"{taps:,} taps for {active.synapses} synapses, {math.prod(weight.shape[:2]) * taps:,} weights for "
        f"{weight.size:,}; {_farthest(active, blobs, window.size)}; raise --max-kernel, drop taps below a "
        "share T of the largest with --prune T, or choose --wide dilated (several convolutions) or --wide keep (it "
        "stays active, for this Caffe only)"
    )


def _farthest(active: ActiveLayer, blobs: Sequence[np.ndarray], size: Pair) -> str:
    """Which synapse makes the kernel as high, or as broad if it is broader, as it is, and what it weighs."""
    weight, _, x, y = blobs
    above, below, left, right = farthest(x, y)
    if size[0] > size[1]:
        far = max(above, below, key=lambda synapse: abs(synapse.y))
    else:
        far = max(left, right, key=lambda synapse: abs(synapse.x))
    if active.sets_slice_outputs:
        set_of = output_sets(weight.shape[:2], active.sets)
    else:
        set_of = input_sets(weight.shape[:2], active.groups, active.sets)
    weights = np.abs(weight.reshape(*weight.shape[:2], -1))
    share = weights[set_of == far.set, far.synapse].max() / (weights.max() or 1)
    return f"farthest out is {far}, with weights of at most {share:.2%} of the layer's largest"


def _by(size: Pair) -> str:
    return f"{size[0]}x{size[1]}"
