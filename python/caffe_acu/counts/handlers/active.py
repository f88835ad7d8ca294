"""Active convolutions: learned matrices at learned positions."""

import math

import numpy as np

from caffe_acu.active_layer import ACTIVE_TYPES, ActiveLayer, check_division, read_active_layer
from caffe_acu.counts.conventions import Synapses
from caffe_acu.counts.handlers.registry import LayerCount, Shape, handles, require_axes, require_positive
from caffe_acu.counts.handlers.windows import convolved


@handles(*ACTIVE_TYPES)
def _active(layer, bottoms: list[Shape]) -> LayerCount:
    active, outputs = read_active_layer(layer), layer.convolution_param.num_output
    require_positive(layer, num_output=outputs, stride=min(active.stride))
    tops = []
    for bottom in bottoms:  # of any size, as long as the channels agree
        require_axes(layer, bottom, 4, 4)
        check_division(layer, active, bottom[1])
        tops.append((bottom[0], outputs, *convolved(layer, bottom[2:], active.extent, active.stride, active.pad)))
    channels = bottoms[0][1]
    places = sum(top[0] * math.prod(top[2:]) for top in tops)
    weights = outputs * channels // active.groups * active.synapses
    fixed = active.fixed(active.start_x[None], active.start_y[None]).item()
    # An input is interpolated once, whatever the groups and sets; but anew for each slice of the outputs.
    slices = active.sets if active.sets_slice_outputs else 1
    return LayerCount(
        tops,
        learned=(weights, outputs if layer.convolution_param.bias_term else 0),  # without bias: a single zero
        products=weights * places,
        interpolated=_interpolated(active, fixed) * channels * slices * places,
        synapses=Synapses(active.sets, active.synapses, free=active.synapses - (fixed >= 0)),
    )


def _interpolated(active: ActiveLayer, fixed: int) -> int:
    """Synapses of a set that may sit between pixels: all but the fixed one, unless that does too."""
    on_pixel = fixed >= 0 and all(np.rint(start[fixed]) == start[fixed] for start in (active.start_x, active.start_y))
    return active.synapses - on_pixel
