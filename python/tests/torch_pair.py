"""Layers of PyTorch and Caffe's of the same settings and values, for comparison."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import caffe
import numpy as np
import torch

from caffe_acu.torch import ActiveConv2d
from torch_training import POSITION_LR_MULT


@dataclass(frozen=True)
class Case:
    """Settings of a layer by the names of ActiveConv2d, its input's size, and where synapses are put."""

    name: str
    channels: int = 4
    outputs: int = 6
    kernel: tuple[int, int] | None = (3, 3)
    explicit: int = 0  # synapses at explicit positions, in place of a kernel
    settings: dict[str, Any] = field(default_factory=dict)
    size: tuple[int, int] = (7, 9)
    reach: float = 0.9  # pixels off the start, at most
    scale: float = 1  # of the positions thereafter
    far: tuple[float, float] | None = None  # where the first synapse of the last set is put

    def module(self, seed: int = 0) -> ActiveConv2d:
        """With random positions; every third synapse stays on a whole pixel in x, every fourth in y."""
        torch.manual_seed(seed)
        start = torch.empty(self.explicit, 2).uniform_(-3, 3) if self.explicit else None
        kernel = None if self.explicit else self.kernel
        module = ActiveConv2d(self.channels, self.outputs, kernel, positions=start, fixed_synapse=-1, **self.settings)
        with torch.no_grad():
            module.positions.add_(torch.empty_like(module.positions).uniform_(-self.reach, self.reach))
            module.positions.mul_(self.scale)
            for axis, every in ((0, 3), (1, 4)):
                module.positions[:, ::every, axis] = module.positions[:, ::every, axis].round()
            if self.far:
                module.positions[-1, 0] = torch.tensor(self.far)
        return module

    def input(self, batch: int = 2) -> torch.Tensor:
        return torch.randn(batch, self.channels, *self.size)


CASES = [
    Case("lattice", settings={"padding": 1}, reach=0),
    Case("plain", settings={"padding": 1}),
    Case("oblong", kernel=(1, 4), settings={"padding": (0, 2), "stride": (2, 1), "bias": False}),
    Case("even", kernel=(2, 4), settings={"padding": (1, 0), "stride": (1, 2)}),
    Case("groups", settings={"padding": 1, "groups": 2, "stride": 2}),
    Case("one-set", settings={"padding": 1, "groups": 2, "position_groups": 1}),
    Case("more-sets", channels=8, settings={"padding": 2, "groups": 2, "position_groups": 4, "bias": False}),
    Case("across", channels=12, settings={"groups": 2, "position_groups": 3, "padding": 1}, reach=2.5),
    Case("depthwise", channels=6, settings={"groups": 6, "padding": 1, "stride": (2, 1)}, reach=2.5),
    Case("shared", channels=6, outputs=12, settings={"groups": 6, "position_groups": 1, "padding": 1}),
    Case("each-channel", settings={"position_groups": 4}),
    Case("dilated", settings={"dilation": (3, 2), "padding": (3, 1), "groups": 2}),
    Case("dilated-wide", settings={"dilation": 6, "padding": 6, "stride": 3}, size=(13, 16)),
    Case("explicit", explicit=5, settings={"padding": 1}),
    Case("explicit-sets", explicit=4, settings={"groups": 2, "stride": (1, 3)}),
    Case("single", explicit=1, settings={}),
    Case("corner", settings={"padding": 1}, far=(-7.5, 6.25)),
    Case("outside", settings={"padding": 1, "position_groups": 2}, far=(1e6, -30.5)),
    Case("all-outside", explicit=1, settings={"padding": 1}, far=(-40.25, 0.0)),
    Case("within-the-kernel", kernel=(5, 5), settings={"groups": 2}, reach=0, scale=0.2),
    Case("wide-padding", kernel=(2, 2), settings={"padding": (5, 4)}),
    Case("more-stride-than-kernel", kernel=(1, 1), settings={"stride": 4}, reach=1.5),
]


def description(module: ActiveConv2d, name: str = "a", bottom: str = "data") -> str:
    """The module as a layer, as text."""
    (top, _), (left, _) = module.geometry.pad
    if module.explicit_positions:
        kernel, acu = "", " ".join("position { }" for _ in range(module.synapses))
    else:
        kernel = "kernel_h: {} kernel_w: {} dilation: {} dilation: {}".format(*module.kernel_size, *module.dilation)
        acu = ""
    grouped = (module.groups, module.position_groups) != (1, 1)
    if grouped:
        kernel += f" group: {module.groups}"
        acu += f" position_group: {module.position_groups}"
    if module.fixed_synapse is not None:
        acu += f" fixed_synapse: {module.fixed_synapse}"
    of_positions = f"param {{ lr_mult: {POSITION_LR_MULT} decay_mult: 0 }}"
    return (
        f"layer {{ name: '{name}' type: '{'GroupedACU' if grouped else 'ACU'}' bottom: '{bottom}' top: '{name}' "
        f"param {{ }} param {{ }} {of_positions} {of_positions} "
        f"convolution_param {{ num_output: {module.out_channels} bias_term: {_word(module.bias is not None)} "
        f"stride_h: {module.stride[0]} stride_w: {module.stride[1]} pad_h: {top} pad_w: {left} {kernel} }} "
        f"acu_param {{ {acu} warmup_iter: {module.warmup_iterations} "
        f"normalize_gradient: {_word(module.normalize_gradient)} }} }} "
    )


def _word(value: bool) -> str:
    return str(value).lower()


def source(shape: tuple[int, ...], name: str = "data") -> str:
    dims = " ".join(f"dim: {n}" for n in shape)
    return f"layer {{ name: '{name}' type: 'Input' top: '{name}' input_param {{ shape {{ {dims} }} }} }} "


def caffe_net(module: ActiveConv2d, x: torch.Tensor, folder: Path) -> caffe.Net:
    """A net of one layer, "a", with the module's values and the input."""
    path = folder / "net.prototxt"
    path.write_text("force_backward: true " + source(tuple(x.shape)) + description(module))
    net = caffe.Net(str(path), caffe.TRAIN)
    give_values(net.params["a"], module)
    net.blobs["data"].data[...] = x
    return net


def give_values(blobs: Any, module: ActiveConv2d) -> None:
    weight, bias, x, y = blobs
    weight.data[...] = module.weight.detach()
    if module.bias is not None:
        bias.data[...] = module.bias.detach()
    for blob, axis in ((x, 0), (y, 1)):
        blob.data[...] = module.positions.detach()[..., axis].reshape(blob.data.shape)


def in_caffe(module: ActiveConv2d, x: torch.Tensor, folder: Path) -> dict[str, np.ndarray]:
    """Output and gradients of Caffe's layer, by the names of :func:`in_torch`."""
    net = caffe_net(module, x, folder)
    output = net.forward()["a"].copy()
    net.blobs["a"].diff[...] = output_gradient(output.shape)
    net.clear_param_diffs()
    net.backward()
    weight, bias, alpha, beta = (blob.diff.copy() for blob in net.params["a"])
    results = {"output": output, "input": net.blobs["data"].diff.copy(), "weight": weight}
    results["positions"] = np.stack([alpha, beta], -1).reshape(module.positions.shape)
    return results | ({} if module.bias is None else {"bias": bias})


def in_torch(module: ActiveConv2d, x: torch.Tensor) -> dict[str, np.ndarray]:
    """Output, and gradients of input and parameters for a random gradient of the output."""
    x = x.clone().requires_grad_()
    output = module(x)
    wanted = {"input": x, **dict(module.named_parameters())}
    gradient = torch.from_numpy(output_gradient(tuple(output.shape))).to(output.dtype)
    gradients = torch.autograd.grad(output, list(wanted.values()), gradient)
    values = {name: gradient.numpy() for name, gradient in zip(wanted, gradients, strict=True)}
    return {"output": output.detach().numpy()} | values


def output_gradient(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def assert_same(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray], tolerance: float) -> None:
    """Equal up to ``tolerance`` in units of the largest value of each array."""
    assert actual.keys() == expected.keys()
    for name, values in expected.items():
        largest = max(np.abs(values).max(), 1e-3)
        np.testing.assert_allclose(actual[name], values, rtol=0, atol=tolerance * largest, err_msg=name)
