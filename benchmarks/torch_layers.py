"""Layers in PyTorch, on the CPU or a GPU: Conv2d, DCLS, torchvision's deform_conv2d, grid_sample, and ours."""

from collections.abc import Callable

import arrays
import numpy as np
import torch
from protocol import Refused
from shapes import BOTH, DCLS_BOX, FORWARD, KERNEL, LayerCase
from torch import nn


class LayerCandidate:
    """A layer with its weights, positions and output gradient.

    ``kind``: "dcls"; "deform", whose offsets are the same everywhere; "grid"; "active", ours; "dense", the plain
    convolution that ours is equal to; else a plain 3x3 convolution. ``copies`` inputs take turns. Raises Refused where
    a package is missing.
    """

    def __init__(self, case: LayerCase, kind: str, device: str = "cpu", copies: int = 1) -> None:
        self._layer = _KINDS.get(kind, _convolution)(case).to(device)
        values = torch.from_numpy(arrays.layer_input(case)).to(device)
        self._inputs = [values.clone().requires_grad_() for _ in range(copies)]
        self._output_gradient = torch.from_numpy(arrays.output_gradient(case)).to(device)
        self._turn = 0

    def forward(self) -> torch.Tensor:
        with torch.no_grad():
            return self._layer(self._next_input())

    def both(self) -> tuple[torch.Tensor, ...]:
        # Returned, not accumulated: no time goes into adding to an older gradient.
        values = self._next_input()
        return torch.autograd.grad(self._layer(values), [values, *self._layer.parameters()], self._output_gradient)

    def calls(self) -> dict[str, Callable[[], object]]:
        return {FORWARD: self.forward, BOTH: self.both}

    def digest(self) -> dict[str, list[float]]:
        names = ["input", *(name for name, _ in self._layer.named_parameters())]
        gradients = {name: gradient.numpy() for name, gradient in zip(names, self.both(), strict=True)}
        return arrays.digest(
            output=self.forward().numpy(),
            input_gradient=gradients["input"],
            weight_gradient=gradients["weight"],
            position_gradient=_position_gradient(gradients),
        )

    def _next_input(self) -> torch.Tensor:
        self._turn = (self._turn + 1) % len(self._inputs)
        return self._inputs[self._turn]


class DeformConvolution(nn.Module):
    """torchvision's deform_conv2d with offsets that are the same for all outputs and images, as in an ACU.

    The offsets are one large parameter, so that no time goes into expanding positions, and none into summing
    their gradients.
    """

    def __init__(self, case: LayerCase) -> None:
        super().__init__()
        self._function = deform_conv2d()
        self._stride = case.stride
        self.weight = nn.Parameter(torch.from_numpy(arrays.weights(case)))
        offsets = deform_offsets(torch.from_numpy(arrays.layer_positions(case)), case.batch, case.out_size)
        self.offsets = nn.Parameter(offsets)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self._function(values, self.offsets, self.weight, None, self._stride, KERNEL // 2)


class GridConvolution(nn.Module):
    """An ACU in a few lines of PyTorch: grid_sample makes K copies of the input, a product does the rest."""

    def __init__(self, case: LayerCase) -> None:
        super().__init__()
        self._case = case
        self.weight = nn.Parameter(torch.from_numpy(arrays.weights(case)))
        self.positions = nn.Parameter(torch.from_numpy(arrays.layer_positions(case)).permute(1, 2, 0).contiguous())
        self._base = torch.arange(case.out_size, dtype=torch.float32) * case.stride  # the pad is the centre of 3x3

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        case, out, taps = self._case, self._case.out_size, KERNEL**2
        x, y = self.positions.unbind(-1)
        columns = x[..., None, None] + self._base.to(x)
        rows = y[..., None, None] + self._base.to(y)[:, None]
        pixels = torch.stack(torch.broadcast_tensors(columns, rows), -1)  # sets, K, out, out, (x, y)
        grid = (pixels * (2 / (case.size - 1)) - 1).reshape(1, case.sets, taps * out, out, 2)
        grid = grid.expand(case.batch, -1, -1, -1, -1).flatten(0, 1)
        by_set = values.reshape(-1, case.channels // case.sets, case.size, case.size)
        samples = nn.functional.grid_sample(by_set, grid, align_corners=True)
        columns = samples.reshape(case.batch, case.group, case.channels // case.group * taps, out * out)
        weight = self.weight.reshape(case.group, case.outputs // case.group, -1)
        return (weight @ columns).reshape(case.output_shape)


def _position_gradient(gradients: dict[str, np.ndarray]) -> np.ndarray | None:
    """x before y, as Caffe has them, of the layers that have positions."""
    if "P" in gradients:
        return arrays.moving(gradients["P"])
    if "positions" in gradients:
        return arrays.moving(np.ascontiguousarray(np.moveaxis(gradients["positions"], -1, 0)))
    return None


def deform_conv2d() -> Callable[..., torch.Tensor]:
    try:
        from torchvision.ops import deform_conv2d
    except ImportError as error:
        raise Refused(f"torchvision cannot be imported: {error}") from error
    return deform_conv2d


def deform_offsets(positions: torch.Tensor, batch: int, out_size: int) -> torch.Tensor:
    """Offsets (batch, sets * K * 2, out, out) of deform_conv2d, y before x, for ``positions`` (2, sets, K), x first.

    An offset counts from the tap of the ordinary convolution, a position from its centre.
    """
    sets = positions.shape[1]
    places = torch.arange(KERNEL, dtype=positions.dtype) - KERNEL // 2
    lattice = torch.stack([places.repeat(KERNEL), places.repeat_interleave(KERNEL)])
    offsets = (positions - lattice[:, None, :]).flip(0).permute(1, 2, 0)  # sets, K, (y, x)
    flat = offsets.reshape(1, sets * KERNEL**2 * 2, 1, 1)
    return flat.expand(batch, -1, out_size, out_size).contiguous()


def _convolution(case: LayerCase) -> nn.Module:
    layer = nn.Conv2d(case.channels, case.outputs, KERNEL, case.stride, KERNEL // 2, groups=case.group, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(arrays.weights(case)))
    return layer


def _active(case: LayerCase) -> nn.Module:
    try:
        from caffe_acu.torch import ActiveConv2d
    except ImportError as error:
        raise Refused(f"caffe_acu.torch cannot be imported: {error}") from error
    layer = ActiveConv2d(case.channels, case.outputs, KERNEL, case.stride, KERNEL // 2, groups=case.group, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(arrays.weights(case)))
        layer.positions.copy_(torch.from_numpy(arrays.layer_positions(case)).permute(1, 2, 0))
    return layer


def _dense(case: LayerCase) -> nn.Module:
    return _active(case).to_conv2d()


def _dcls(case: LayerCase) -> nn.Module:
    try:
        from DCLS.construct.modules import Dcls2d
    except ImportError as error:
        raise Refused(f"DCLS cannot be imported: {error}") from error
    layer = Dcls2d(
        case.channels,
        case.outputs,
        kernel_count=KERNEL**2,
        stride=case.stride,
        padding=DCLS_BOX // 2,
        dilated_kernel_size=DCLS_BOX,
        groups=case.group,
        bias=False,
        version="v1",
        use_implicit_gemm=False,  # depthwise layers on a GPU only, and a package of its own
    )
    # It has positions for every filter; filters of a group share theirs here.
    of_output = np.repeat(arrays.layer_positions(case), case.outputs // case.sets, axis=1)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(arrays.weights(case)).reshape(layer.weight.shape))
        layer.P.copy_(torch.from_numpy(of_output)[:, :, None, :].expand(layer.P.shape))
    return layer


_KINDS = {"dcls": _dcls, "deform": DeformConvolution, "grid": GridConvolution, "active": _active, "dense": _dense}
