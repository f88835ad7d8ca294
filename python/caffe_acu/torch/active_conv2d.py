"""The layer: ACU and GroupedACU of Caffe as an ``nn.Module`` in the manner of ``nn.Conv2d``."""

import math
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral

import torch
from torch import Tensor, nn
from torch.nn import functional

from caffe_acu.start_shapes import Pair, lattice
from caffe_acu.torch.functional import Geometry, active_conv2d, dense_kernel, enclosing, pads, synapse_boxes

_LARGEST = 2**28  # values of a dense kernel
_NO_SYNAPSE = -1  # as in active_layer, which needs a built Caffe


class ActiveConv2d(nn.Module):
    """A convolution whose K synapses sit at real-valued positions, which are learned.

    Arguments that ``nn.Conv2d`` has mean what they mean there (``padding`` also "same" and "valid"). Outside the image
    the input counts as 0. Synapses start on the lattice of the kernel, where the layer is that convolution.

    Args:
        position_groups: number of position sets S, which divide the input channels: channel c of C has the positions
            of set floor(c S / C), whatever the groups are. Default: as many as groups; of explicit positions for
            several sets, as many as these.
        positions: explicit start positions, (K, 2) for all sets or (S, K, 2), x to the right before y down, in pixels.
            They make the kernel, so there is no kernel_size and no dilation; padding and output size are those of a
            1x1 kernel.
        position_noise: standard deviation, in pixels, of noise on the start positions; a fixed synapse has none.
        fixed_synapse: index of the synapse that never moves, -1 for none; default: in each set the first that sits at
            exactly (0, 0), if one does.
        learn_positions: if not, positions stay where they are, and need no gradient.
        normalize_gradient: for :func:`register_position_step`: equations 15 and 16.
        warmup_iterations: for the same: the number of first steps in which positions stay put (section 2.6).

    Parameters (and entries of the state_dict):
        weight: (D, C / groups, kh, kw); with explicit positions (D, C / groups, 1, K).
        bias: (D,), or None.
        positions: (S, K, 2), alpha = x and beta = y in pixels from the tap (kh div 2, kw div 2) of the convolution, or
            from the pixel of the 1x1 kernel. A state_dict of an ``nn.Conv2d`` has all but these; loaded with
            ``strict=False`` into a fresh layer, the outputs are the same (Lemma 1).

    A fixed synapse has gradient 0 always, so no optimizer moves it; weight decay on positions is best off, as
    :func:`parameter_groups` has it. Gradients are otherwise those of Caffe's layer: raw, and on a whole pixel the slope
    to the right and downwards. Half precision is best left to autocast: positions in halves cannot take small steps.

    ValueError for arguments that do not fit each other.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int] | None = None,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        position_groups: int | None = None,
        positions: Tensor | Sequence[object] | None = None,
        position_noise: float = 0.0,
        fixed_synapse: int | None = None,
        learn_positions: bool = True,
        normalize_gradient: bool = True,
        warmup_iterations: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.stride, self.dilation = _pair(stride, "stride", 1), _pair(dilation, "dilation", 1)
        self.position_noise = position_noise
        self.fixed_synapse = fixed_synapse
        self.learn_positions = learn_positions
        self.normalize_gradient = normalize_gradient
        self.warmup_iterations = warmup_iterations
        self.explicit_positions = positions is not None
        if positions is None:
            if kernel_size is None:
                raise ValueError("neither kernel_size nor positions are given")
            self.kernel_size = _pair(kernel_size, "kernel_size", 1)
            start = torch.tensor(list(zip(*lattice(self.kernel_size, self.dilation), strict=True)), device="cpu")
        else:
            if kernel_size is not None or self.dilation != (1, 1):
                raise ValueError("positions make the kernel: leave out kernel_size and dilation")
            start = torch.as_tensor(positions, dtype=torch.float64).detach().cpu()
            self.kernel_size = (1, start.shape[-2]) if start.dim() > 1 else (1, 0)
        self.position_groups = self._number_of_sets(position_groups, start)
        self._check()
        # Not a buffer: on the meta device it would be lost, and a copy of the layer needs no more than this.
        self._start = start.expand(self.position_groups, -1, -1)
        self.padding, self.geometry = self._geometry_with(padding)
        factory = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size, **factory))
        self.bias = nn.Parameter(torch.empty(out_channels, **factory)) if bias else None
        self.positions = nn.Parameter(torch.empty(self._start.shape, **factory), requires_grad=learn_positions)
        self.reset_parameters()

    @property
    def synapses(self) -> int:
        """K."""
        return self.kernel_size[0] * self.kernel_size[1]

    @property
    def fixed(self) -> Tensor:
        """(S, K), true for the synapse of each set that never moves."""
        if self.fixed_synapse is None:
            at_origin = (self.positions.detach() == 0).all(-1)
            return at_origin & (at_origin.cumsum(1) == 1)
        index = torch.arange(self.synapses, device=self.positions.device)
        return (index == self.fixed_synapse).expand(self.position_groups, -1)

    def reset_parameters(self) -> None:
        """Weights and biases as ``nn.Conv2d`` draws them; positions at their start, with noise if there is any."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_channels // self.groups * self.synapses)
            nn.init.uniform_(self.bias, -bound, bound)
        with torch.no_grad():
            self.positions.copy_(self._start)
            if self.position_noise > 0:
                noise = torch.randn_like(self.positions) * self.position_noise
                self.positions.add_(noise.masked_fill(self.fixed.unsqueeze(-1), 0))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, D, H', W'), or the same without N.

        ValueError if the input has other axes or channels, or is smaller than the kernel.
        """
        # PyTorch's own message would tell of the larger kernel and the padded input.
        if x.dim() not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ValueError(
                f"an input of shape {tuple(x.shape)}; (N, {self.in_channels}, H, W) or ({self.in_channels}, H, W) "
                "was expected"
            )
        positions = self.positions
        if self.fixed_synapse != _NO_SYNAPSE:
            positions = torch.where(self.fixed.unsqueeze(-1), positions.detach(), positions)
        return active_conv2d(x, self.weight, self.bias, positions, self.geometry, self.groups)

    def to_conv2d(self) -> nn.Conv2d:
        """A plain convolution with the same outputs (Theorem 2), for what knows no active ones.

        Its kernel is as small as the positions of all sets together allow. ValueError if a position is not finite, or
        the kernel would have more than 2^28 values.
        """
        positions = self.positions.detach().double()
        if not positions.isfinite().all():
            raise ValueError("a position is not finite")
        box = enclosing(synapse_boxes(positions, learns=False))
        (above, below), (left, right) = pads(self.geometry, box)
        # A Conv2d pads both sides alike, so where more than that is needed its kernel gets zeros.
        rows, columns = max(above, below, 0), max(left, right, 0)
        zeros = (columns - left, columns - right, rows - above, rows - below)
        size = (box.size[0] + zeros[2] + zeros[3], box.size[1] + zeros[0] + zeros[1])
        if math.prod(size) * self.weight.shape[0] * self.weight.shape[1] > _LARGEST:
            raise ValueError(f"the plain convolution would have a kernel of {size[0]}x{size[1]} pixels")
        kernel = dense_kernel(self.weight.detach().double().flatten(2), positions, box, self.groups)
        convolution = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            size,
            self.stride,
            (rows, columns),
            groups=self.groups,
            bias=self.bias is not None,
            device=self.weight.device,
            dtype=self.weight.dtype,
        )
        with torch.no_grad():
            convolution.weight.copy_(functional.pad(kernel, zeros))
            if self.bias is not None:
                convolution.bias.copy_(self.bias)
        return convolution.train(self.training)

    def extra_repr(self) -> str:
        shape = f"synapses={self.synapses}" if self.explicit_positions else f"kernel_size={self.kernel_size}"
        parts = [f"{self.in_channels}, {self.out_channels}, {shape}, stride={self.stride}"]
        told = {
            "padding": (self.padding, (0, 0)),
            "dilation": (self.dilation, (1, 1)),
            "groups": (self.groups, 1),
            "bias": (self.bias is not None, True),
            "position_groups": (self.position_groups, self.groups),
            "position_noise": (self.position_noise, 0),
            "fixed_synapse": (self.fixed_synapse, None),
            "learn_positions": (self.learn_positions, True),
            "normalize_gradient": (self.normalize_gradient, True),
            "warmup_iterations": (self.warmup_iterations, 0),
        }
        parts += [f"{name}={value!r}" for name, (value, default) in told.items() if value != default]
        return ", ".join(parts)

    def _number_of_sets(self, wanted: int | None, start: Tensor) -> int:
        if start.dim() not in (2, 3) or start.shape[-1] != 2 or not start.numel():
            raise ValueError(f"positions of shape {tuple(start.shape)}; (K, 2) or (position_groups, K, 2) was expected")
        if not start.isfinite().all():
            raise ValueError("a start position is not finite")
        if start.dim() == 2:
            return self.groups if wanted is None else wanted
        if wanted not in (None, len(start)):
            raise ValueError(f"positions for {len(start)} sets, but position_groups is {wanted}")
        return len(start)

    def _check(self) -> None:
        counts = {"in_channels": 1, "out_channels": 1, "groups": 1, "position_groups": 1, "warmup_iterations": 0}
        for name, least in counts.items():
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise ValueError(f"{name} is {value!r}; a whole number of at least {least} was expected")
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(
                f"{self.groups} groups do not divide both {self.in_channels} in_channels and "
                f"{self.out_channels} out_channels"
            )
        if self.in_channels % self.position_groups:
            raise ValueError(f"{self.position_groups} position_groups do not divide {self.in_channels} in_channels")
        if self.fixed_synapse not in (None, *range(_NO_SYNAPSE, self.synapses)):
            raise ValueError(
                f"fixed_synapse is {self.fixed_synapse}; the synapses are 0 to {self.synapses - 1}, and -1 fixes none"
            )
        if not 0 <= self.position_noise < math.inf:
            raise ValueError(f"position_noise is {self.position_noise}; a standard deviation is 0 or more")

    def _geometry_with(self, padding: int | Sequence[int] | str) -> tuple[Pair | str, Geometry]:
        extent = centre = (0, 0)
        if self.explicit_positions:
            extent = (1, 1)
        else:
            extent = _each(lambda axis: self.dilation[axis] * (self.kernel_size[axis] - 1) + 1)
            centre = _each(lambda axis: self.dilation[axis] * (self.kernel_size[axis] // 2))
        if padding == "same":
            if self.stride != (1, 1):
                raise ValueError(f"padding='same' needs a stride of 1; it is {self.stride}")
            # As in nn.Conv2d: what is odd goes below and to the right.
            sides = tuple(((size - 1) // 2, size // 2) for size in extent)
        elif isinstance(padding, str):
            if padding != "valid":
                raise ValueError(f"padding is {padding!r}; pixels, 'same' or 'valid' were expected")
            sides = ((0, 0), (0, 0))
        else:
            padding = _pair(padding, "padding", 0)
            sides = tuple((pixels, pixels) for pixels in padding)
        return padding, Geometry(extent, centre, self.stride, (sides[0], sides[1]))


def _pair(value: int | Sequence[int], name: str, least: int) -> Pair:
    pair = tuple(value) if isinstance(value, Iterable) else (value, value)
    if len(pair) != 2 or not all(isinstance(number, Integral) and number >= least for number in pair):
        raise ValueError(f"{name} is {value!r}; a whole number, or height and width, of at least {least} was expected")
    return int(pair[0]), int(pair[1])


def _each(of_axis: Callable[[int], int]) -> Pair:
    return of_axis(0), of_axis(1)
