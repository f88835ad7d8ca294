"""What is measured, and what is expected of it, as data. Read by both environments; standard library only."""

from dataclasses import dataclass

KERNEL = 3
DISPLACEMENT = 0.9  # pixels; synapses lie up to this far from their place on the lattice, in x and in y
DCLS_BOX = 5  # the smallest odd box that holds a 3x3 lattice displaced by less than a pixel
CAFFE, TORCH, TORCH_KEPT = "caffe", "torch", "torch-kept"  # the workers


@dataclass(frozen=True)
class LayerCase:
    """One layer of 3x3 taps, padded by 1, without bias."""

    family: str
    batch: int
    channels: int
    outputs: int
    size: int  # height and width of the input
    stride: int = 1
    group: int = 1
    moved: float = DISPLACEMENT  # how far synapses lie from the lattice, in x and in y, at most
    spread: int = 1  # the lattice of which is this many times as wide

    @property
    def name(self) -> str:
        channels = f"{self.channels}" if self.depthwise else f"{self.channels}-{self.outputs}"
        group = f"-g{self.group}" if 1 < self.group < self.channels else ""
        stride = f"-s{self.stride}" if self.stride > 1 else ""
        moved = f"-moved{self.moved:g}" if self.moved != DISPLACEMENT else ""
        spread = f"-spread{self.spread}" if self.spread > 1 else ""
        return f"{self.family}/{channels}-{self.size}x{self.size}{group}{stride}{moved}{spread}"

    @property
    def depthwise(self) -> bool:
        return self.group == self.channels > 1

    @property
    def out_size(self) -> int:
        return (self.size + 2 * (KERNEL // 2) - KERNEL) // self.stride + 1

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return (self.batch, self.channels, self.size, self.size)

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        return (self.batch, self.outputs, self.out_size, self.out_size)

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        return (self.outputs, self.channels // self.group, KERNEL, KERNEL)

    @property
    def sets(self) -> int:
        """Position sets of the ACU: one for each group."""
        return self.group


def depthwise(family: str, batch: int, channels: int, size: int, stride: int = 1) -> LayerCase:
    return LayerCase(family, batch, channels, channels, size, stride, group=channels)


LAYERS = (
    # The plain network of the CVPR paper (Table 1), batch of its training.
    LayerCase("plain", 64, 16, 48, 32),
    LayerCase("plain", 64, 48, 48, 32),
    LayerCase("plain", 64, 48, 96, 32, stride=2),
    LayerCase("plain", 64, 96, 96, 16),
    LayerCase("plain", 64, 96, 192, 16, stride=2),
    LayerCase("plain", 64, 192, 192, 8),
    # The 29-layer network.
    LayerCase("29-layer", 128, 32, 32, 32),
    LayerCase("29-layer", 128, 64, 64, 16),
    LayerCase("29-layer", 128, 128, 128, 8),
    # One channel a group.
    depthwise("depthwise", 128, 64, 32),
    depthwise("depthwise", 128, 128, 16),
    depthwise("depthwise", 128, 256, 8),
    depthwise("depthwise-mobilenet2", 8, 96, 112, stride=2),
    depthwise("depthwise-xception", 8, 728, 14),
)
QUICK_LAYERS = ("plain/48-48-32x32", "29-layer/64-64-16x16", "depthwise/128-16x16")

# Candidates: where they run, and what the tables call them.
CANDIDATES = {
    "acu": (CAFFE, "ACU"),
    "conv": (CAFFE, "Convolution"),
    "stock": (CAFFE, "stock Caffe"),
    "torch": (TORCH, "PyTorch"),
    "torch_kept": (TORCH_KEPT, "PyTorch kept"),  # freed memory is kept for the next tensor, see README.md
    "dcls": (TORCH, "DCLS"),
}
DENSE = ("acu", "conv", "stock", "torch", "torch_kept")
DEPTHWISE = (*DENSE, "dcls")

FORWARD, BOTH = "forward", "forward+backward"
PASSES = (FORWARD, BOTH)


@dataclass(frozen=True)
class Target:
    """The time of ``ours`` divided by the time of ``peer`` is to be at most ``limit`` (None: for information)."""

    ours: str
    peer: str
    limit: float | None = None
    strict: bool = False  # less than the limit

    @property
    def key(self) -> str:
        return f"{self.ours}/{self.peer}"

    def met(self, ratio: float) -> bool | None:
        if self.limit is None:
            return None
        return ratio < self.limit if self.strict else ratio <= self.limit

    def limit_text(self) -> str:
        return "" if self.limit is None else f"{'<' if self.strict else '<='} {self.limit:g}"


_FOR_INFORMATION = (
    Target("acu", "stock"),
    Target("acu", "torch_kept"),
    Target("conv", "torch"),
    Target("conv", "torch_kept"),
)
DENSE_TARGETS = {
    FORWARD: (
        Target("acu", "conv", 1.05),
        Target("acu", "torch", 1.10),
        *_FOR_INFORMATION,
    ),
    BOTH: (
        Target("acu", "conv", 1.15),
        Target("acu", "torch", 1.20),
        *_FOR_INFORMATION,
    ),
}
_DEPTHWISE_BOTH = (
    Target("acu", "torch", 1.5),
    Target("acu", "stock", 0.1),
    Target("acu", "dcls", 1.0, strict=True),
    Target("acu", "torch_kept"),
    Target("conv", "torch"),
    Target("conv", "torch_kept"),
)
DEPTHWISE_TARGETS = {
    FORWARD: (
        Target("acu", "conv"),
        *_DEPTHWISE_BOTH,
    ),
    BOTH: (
        Target("acu", "conv", 2.0),
        *_DEPTHWISE_BOTH,
    ),
}

# The plain network's training iteration.
NET_BATCH, NET_CLASSES = 64, 10
NETS = {
    "plain": (CAFFE, "plain"),
    "plain_acu": (CAFFE, "plain ACU"),
    "plain_stock": (CAFFE, "plain stock Caffe"),
    "plain_torch": (TORCH, "PyTorch"),
    "plain_torch_kept": (TORCH_KEPT, "PyTorch kept"),
}
NET_TARGETS = (
    Target("plain", "plain_torch", 1.0),
    Target("plain_acu", "plain_torch", 1.1),
    Target("plain", "plain_torch_kept"),
    Target("plain_acu", "plain_torch_kept"),
    Target("plain_acu", "plain"),
    Target("plain_acu", "plain_stock"),
)
BUSY_NETS = ("plain", "plain_acu", "plain_torch")

# Layers whose buffers are weighed against threads x K C H' W' floats.
MEMORY_LAYERS = (LayerCase("memory", 64, 48, 48, 32), depthwise("memory-depthwise", 128, 64, 32))


def layer_candidates(case: LayerCase) -> tuple[str, ...]:
    return DEPTHWISE if case.depthwise else DENSE


def layer_targets(case: LayerCase, pass_: str) -> tuple[Target, ...]:
    return (DEPTHWISE_TARGETS if case.depthwise else DENSE_TARGETS)[pass_]
