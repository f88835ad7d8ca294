"""An active convolution as ordinary ones (Theorem 2 of the grouped paper), differentiable in weights and positions.

A weight at a real-valued position acts like four weights on the pixels around it. Their sum over the synapses is the
kernel of a convolution; autograd takes that kernel's gradient back to weights and positions, which is equations 10 to
14, and PyTorch has the fastest convolution of the machine. Where synapses are so far apart that the one kernel would
be nearly empty, each gets a small convolution of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional

from caffe_acu.start_shapes import Pair

# One kernel, unless it is this many times as large as those of the synapses together. From measurements on a CPU: of
# 3x3 synapses up to 3 pixels off the lattice one kernel is faster, of dilated ones several.
_MOSTLY_EMPTY = 2.5


@dataclass(frozen=True)
class Geometry:
    """What size and base points of an output follow from; pairs are (height, width), in pixels."""

    extent: Pair  # out = (in + pads - extent) // stride + 1
    centre: Pair  # the base point within the extent
    stride: Pair
    pad: tuple[Pair, Pair]  # (above, below), (left, right)

    def output_size(self, size: Sequence[int]) -> Pair:
        """Height and width of the output for an input of this height and width; ValueError if there is none."""
        height, width = (
            (n + sum(pad) - extent) // stride + 1
            for n, pad, extent, stride in zip(size, self.pad, self.extent, self.stride, strict=True)
        )
        if height < 1 or width < 1:
            raise ValueError(
                f"an input of {size[0]}x{size[1]} pixels, with its padding, is smaller than the kernel's "
                f"{self.extent[0]}x{self.extent[1]}"
            )
        return height, width

    def visible(self, size: Sequence[int]) -> tuple[Pair, Pair]:
        """First and last pixel, from a base point, that any output sees of the input: of rows and of columns."""
        first, last = [], []
        for axis, out in enumerate(self.output_size(size)):
            base = self.centre[axis] - self.pad[axis][0]
            first.append(-base - (out - 1) * self.stride[axis])
            last.append(size[axis] - 1 - base)
        return (first[0], last[0]), (first[1], last[1])


@dataclass(frozen=True)
class Box:
    """Pixels from (top, left) to (bottom, right), these included, down and to the right of a base point."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> Pair:
        return self.bottom - self.top + 1, self.right - self.left + 1

    @property
    def area(self) -> int:
        return self.size[0] * self.size[1]

    def clipped(self, rows: Pair, columns: Pair) -> "Box":
        """What is left of it within rows and columns; a pixel of the border if nothing is."""
        top, bottom = (_clamp(value, rows) for value in (self.top, self.bottom))
        left, right = (_clamp(value, columns) for value in (self.left, self.right))
        return Box(top, left, bottom, right)


# Where the taps are depends on values: a compiler would make the layer anew again and again.
@torch.compiler.disable
def active_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None, positions: Tensor, geometry: Geometry, groups: int = 1
) -> Tensor:
    """Equation 5, with sampling as in equation 6; what lies outside the image counts as 0.

    Args:
        x: (N, C, H, W) or (C, H, W), finite.
        weight: (D, C / groups, kh, kw) or (D, C / groups, K).
        bias: (D,) or None.
        positions: (sets, K, 2), x = alpha to the right before y = beta down, in pixels from the base point. Input
            channel c of C has those of set floor(c sets / C), whatever the groups are.
        geometry: of the layer.
        groups: of the convolution.

    The derivative with respect to a position on a whole pixel is that to the right and downwards, as in Caffe's layer.
    ValueError if the input is smaller than the kernel.
    """
    weight = weight.flatten(2)
    visible = geometry.visible(x.shape[-2:])
    boxes = [box.clipped(*visible) for box in synapse_boxes(positions, _differentiated(positions))]
    whole = enclosing(boxes)
    if whole.area <= _MOSTLY_EMPTY * sum(box.area for box in boxes):
        return _at_once(x, dense_kernel(weight, positions, whole, groups), bias, geometry, whole, groups)
    return _one_by_one(x, weight, bias, positions, geometry, boxes, groups)


def synapse_boxes(positions: Tensor, learns: bool) -> list[Box]:
    """For each synapse the pixels that it takes a part of in any set; K boxes.

    With ``learns`` also those whose part is 0, on a whole pixel, but not the derivative of that part.
    """
    values = positions.detach().nan_to_num()  # numbers that are none show in the kernel
    low = values.floor()
    high = low + 1 if learns else values.ceil()
    # The only values that are fetched from the device, at once.
    firsts, lasts = torch.stack([low.amin(0), high.amax(0)]).tolist()
    return [
        Box(int(top), int(left), int(bottom), int(right))
        for (left, top), (right, bottom) in zip(firsts, lasts, strict=True)
    ]


def enclosing(boxes: Sequence[Box]) -> Box:
    return Box(
        min(box.top for box in boxes),
        min(box.left for box in boxes),
        max(box.bottom for box in boxes),
        max(box.right for box in boxes),
    )


def dense_kernel(weight: Tensor, positions: Tensor, box: Box, groups: int) -> Tensor:
    """The extrapolated weights (equations 12 to 17) within ``box``: (D, C / groups, *box.size), for (D, C / groups, K).

    Computed at least in single precision, and not under autocast: positions and their fractions need it.
    """
    outputs, per_group, synapses = weight.shape
    channels, sets = per_group * groups, len(positions)
    dtype = torch.promote_types(positions.dtype, torch.float32)
    x, y = positions.to(dtype).unbind(-1)
    rows, columns = _shares(y, box.top, box.bottom), _shares(x, box.left, box.right)
    spread = (rows.unsqueeze(-1) * columns.unsqueeze(-2)).flatten(2)  # sets, K, pixels
    # From outputs of each group to input channels, which the sets divide.
    of_channel = weight.to(dtype).view(groups, outputs // groups, per_group, synapses).transpose(1, 2)
    with torch.autocast(weight.device.type, enabled=False):
        product = torch.bmm(of_channel.reshape(sets, channels // sets * (outputs // groups), synapses), spread)
    kernel = product.view(groups, per_group, outputs // groups, *box.size).transpose(1, 2)
    return kernel.reshape(outputs, per_group, *box.size).to(weight.dtype)


def pads(geometry: Geometry, box: Box) -> tuple[Pair, Pair]:
    """The padding, negative to cut off, with which a kernel on ``box`` has the layer's base points and output size."""
    sides = []
    for axis, (first, last) in enumerate(((box.top, box.bottom), (box.left, box.right))):
        after_centre = geometry.extent[axis] - 1 - geometry.centre[axis]
        before, after = geometry.pad[axis]
        sides.append((before - geometry.centre[axis] - first, after - after_centre + last))
    return sides[0], sides[1]


def _shares(displacement: Tensor, first: int, last: int) -> Tensor:
    """Of each displacement (sets, K) the part that each pixel from first to last has of it (equation 7 or 8)."""
    whole = displacement.detach().floor()
    fraction = (displacement - whole).unsqueeze(-1)
    pixel = torch.arange(first, last + 1, dtype=whole.dtype, device=whole.device) - whole.unsqueeze(-1)
    # A product, not a choice: what is not a number shows.
    return (pixel == 0) * (1 - fraction) + (pixel == 1) * fraction


def _differentiated(positions: Tensor) -> bool:
    backward = torch.is_grad_enabled() and positions.requires_grad
    return backward or forward_ad.unpack_dual(positions).tangent is not None


def _at_once(x: Tensor, kernel: Tensor, bias: Tensor | None, geometry: Geometry, box: Box, groups: int) -> Tensor:
    """The convolution with the kernel on that box."""
    (above, below), (left, right) = padding = pads(geometry, box)
    if above == below >= 0 and left == right >= 0:  # the convolution pads without a copy
        return functional.conv2d(x, kernel, bias, geometry.stride, (above, left), groups=groups)
    return functional.conv2d(_pad(x, padding), kernel, bias, geometry.stride, groups=groups)


def _one_by_one(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    positions: Tensor,
    geometry: Geometry,
    boxes: Sequence[Box],
    groups: int,
) -> Tensor:
    """A convolution for each synapse, with the kernel on its box, of its part of the padded input."""
    whole, out = enclosing(boxes), geometry.output_size(x.shape[-2:])
    padded = _pad(x, pads(geometry, whole))

    def of_synapse(k: int) -> Tensor:
        box = boxes[k]
        rows, columns = (
            slice(first, first + (count - 1) * stride + size)
            for first, count, stride, size in zip(
                (box.top - whole.top, box.left - whole.left), out, geometry.stride, box.size, strict=True
            )
        )
        kernel = dense_kernel(weight[:, :, k : k + 1], positions[:, k : k + 1], box, groups)
        return functional.conv2d(
            padded[..., rows, columns], kernel, bias if k == 0 else None, geometry.stride, groups=groups
        )

    return reduce(torch.add, map(of_synapse, range(len(boxes))))


def _pad(x: Tensor, padding: tuple[Pair, Pair]) -> Tensor:
    (above, below), (left, right) = padding
    return functional.pad(x, (left, right, above, below))


def _clamp(value: int, limits: Pair) -> int:
    return min(max(value, limits[0]), limits[1])
