"""Layers that cut, join, choose and reshape; none learns or multiplies."""

import math

from caffe_acu.active_layer import label
from caffe_acu.counts.handlers.registry import LayerCount, Shape, axis_of, handles, require_axes, require_positive
from caffe_acu.errors import UserError


@handles("Split", free=True)
def _split(layer, bottoms: list[Shape]) -> LayerCount:
    return LayerCount(bottoms * len(layer.top))


@handles("Concat", free=True)
def _concat(layer, bottoms: list[Shape]) -> LayerCount:
    param = layer.concat_param
    axis = axis_of(layer, bottoms[0], param.concat_dim if param.HasField("concat_dim") else param.axis)
    before, after = bottoms[0][:axis], bottoms[0][axis + 1 :]
    if len({(len(bottom), bottom[:axis] + bottom[axis + 1 :]) for bottom in bottoms}) != 1:
        raise UserError(f"{label(layer)}: bottoms of shapes {bottoms} differ in more than axis {axis}")
    return LayerCount([(*before, sum(bottom[axis] for bottom in bottoms), *after)])


@handles("Slice", free=True)
def _slice(layer, bottoms: list[Shape]) -> LayerCount:
    param, bottom, parts = layer.slice_param, bottoms[0], len(layer.top)
    axis = axis_of(layer, bottom, param.slice_dim if param.HasField("slice_dim") else param.axis)
    points = list(param.slice_point)
    if not points and parts and bottom[axis] % parts == 0:
        points = [bottom[axis] // parts * part for part in range(1, parts)]
    edges = [0, *points, bottom[axis]]
    sizes = [right - left for left, right in zip(edges, edges[1:], strict=False)]
    if len(sizes) != parts or min(sizes) < 1:
        raise UserError(f"{label(layer)}: axis {axis} of its bottom {bottom} cannot be cut as asked into {parts} tops")
    return LayerCount([(*bottom[:axis], size, *bottom[axis + 1 :]) for size in sizes])


@handles("Flatten", free=True)
def _flatten(layer, bottoms: list[Shape]) -> LayerCount:
    bottom = bottoms[0]
    first = axis_of(layer, bottom, layer.flatten_param.axis)
    last = axis_of(layer, bottom, layer.flatten_param.end_axis)
    if first > last + 1:
        raise UserError(f"{label(layer)}: end_axis {layer.flatten_param.end_axis} comes before axis {first}")
    return LayerCount([(*bottom[:first], math.prod(bottom[first : last + 1]), *bottom[last + 1 :])])


@handles("Reshape", free=True)
def _reshape(layer, bottoms: list[Shape]) -> LayerCount:
    param, bottom = layer.reshape_param, bottoms[0]
    first = param.axis if param.axis >= 0 else len(bottom) + param.axis + 1
    last = len(bottom) if param.num_axes == -1 else first + param.num_axes
    # 0 copies the bottom's axis at the same place, -1 takes what is left.
    copied = dict(enumerate(bottom[first:]))
    dims = [copied.get(i, 0) if dim == 0 else dim for i, dim in enumerate(param.shape.dim)]
    top = [*bottom[:first], *dims, *bottom[last:]]
    if -1 in dims:
        others = -math.prod(top)
        top[top.index(-1)] = math.prod(bottom) // others if others > 0 else 0
    if not 0 <= first <= last <= len(bottom) or min(top, default=1) < 1 or math.prod(top) != math.prod(bottom):
        wanted = ", ".join(map(str, param.shape.dim))
        raise UserError(f"{label(layer)}: its bottom of shape {bottom} cannot be reshaped to ({wanted})")
    return LayerCount([tuple(top)])


@handles("Tile", free=True)
def _tile(layer, bottoms: list[Shape]) -> LayerCount:
    bottom, tiles = bottoms[0], layer.tile_param.tiles
    require_positive(layer, tiles=tiles)
    axis = axis_of(layer, bottom, layer.tile_param.axis)
    return LayerCount([(*bottom[:axis], bottom[axis] * tiles, *bottom[axis + 1 :])])


@handles("Crop", bottoms=2, free=True)
def _crop(layer, bottoms: list[Shape]) -> LayerCount:
    bottom, like = bottoms[0], bottoms[1]
    axis = axis_of(layer, bottom, layer.crop_param.axis)
    top = (*bottom[:axis], *like[axis:])
    if len(top) != len(bottom) or any(n > available for n, available in zip(top, bottom, strict=True)):
        raise UserError(f"{label(layer)}: its bottom of shape {bottom} cannot be cropped to that of {like}")
    return LayerCount([top])


@handles("BatchReindex", bottoms=2, free=True)
def _batch_reindex(layer, bottoms: list[Shape]) -> LayerCount:
    require_axes(layer, bottoms[1], 1, 1)
    return LayerCount([(*bottoms[1], *bottoms[0][1:])])


@handles("Filter", bottoms=2, free=True)
def _filter(layer, bottoms: list[Shape]) -> LayerCount:
    return LayerCount(bottoms[:-1])  # at most: how many records pass, the last bottom says at run time


@handles("ArgMax", free=True)
def _arg_max(layer, bottoms: list[Shape]) -> LayerCount:
    param, bottom = layer.argmax_param, bottoms[0]
    require_positive(layer, top_k=param.top_k)
    if param.HasField("axis"):
        axis = axis_of(layer, bottom, param.axis)
        return LayerCount([(*bottom[:axis], param.top_k, *bottom[axis + 1 :])])
    require_axes(layer, bottom, 1)
    return LayerCount([(bottom[0], 2 if param.out_max_val else 1, param.top_k, *[1] * (len(bottom) - 3))])


@handles("Reduction", free=True)
def _reduction(layer, bottoms: list[Shape]) -> LayerCount:
    axis = axis_of(layer, bottoms[0], layer.reduction_param.axis)
    return LayerCount([bottoms[0][:axis]])
