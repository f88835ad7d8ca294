"""Answers for the peers: PyTorch's convolution and plain network, and DCLS.

Runs in the peers' environment, started by run.py with the number of threads.
"""

import contextlib
import logging
import platform
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import arrays
import torch
from protocol import seconds_per_call, serve
from shapes import DCLS_BOX, NET_CLASSES, LayerCase
from torch import nn
from torch_layers import LayerCandidate


class NetCandidate:
    """The plain network and its solver; images and labels are always the same and already in memory."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self._net = _plain_net().train()
        decayed = [p for p in self._net.parameters() if p.dim() > 1]
        others = [p for p in self._net.parameters() if p.dim() <= 1]  # BatchNorm's and the bias
        groups = [{"params": decayed, "weight_decay": 1e-4}, {"params": others, "weight_decay": 0}]
        self._solver = torch.optim.SGD(groups, lr=0.01, momentum=0.9, nesterov=True)
        images, labels = arrays.net_input()
        self._images, self._labels = torch.from_numpy(images), torch.from_numpy(labels)

    def step(self) -> None:
        self._solver.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(self._net(self._images).flatten(1), self._labels).backward()
        self._solver.step()

    def calls(self) -> dict[str, Callable[[], object]]:
        return {"step": self.step}


def _plain_net() -> nn.Sequential:
    """As python/caffe_acu/nets/plain.py: kernel, outputs, stride of the layers under a BatchNorm."""
    net, channels = nn.Sequential(), 3
    for kernel, outputs, stride in (
        (1, 16, 1),
        (3, 48, 1),
        (3, 48, 1),
        (3, 96, 2),
        (3, 96, 1),
        (3, 192, 2),
        (3, 192, 1),
        (1, 1000, 1),
    ):
        convolution = nn.Conv2d(channels, outputs, kernel, stride, kernel // 2, bias=False)
        nn.init.kaiming_normal_(convolution.weight)
        net.extend([convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)])
        channels = outputs
    net.append(nn.AdaptiveAvgPool2d(1))
    net.append(nn.Conv2d(channels, NET_CLASSES, 1))
    return net


# Requests.


def hello() -> dict[str, str]:
    built = [line.strip(" -") for line in torch.__config__.show().splitlines()]
    versions = {
        "PyTorch": torch.__version__,
        "oneDNN of PyTorch": next((line for line in built if "DNN" in line), "none"),
        "instructions used by PyTorch": next((line.split()[-1] for line in built if "CPU capability" in line), "?"),
        "Python of PyTorch": platform.python_version(),
    }
    for package, how in (("DCLS", f", version v1 (bilinear), box {DCLS_BOX}"), ("torchvision", "")):
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package) + how
    return versions


def prepare(candidate: str, case: dict[str, Any] | None = None) -> dict[str, list[float]]:
    """Builds a layer (with ``case``) or a net, and computes with it once."""
    if case is None:
        _candidates[candidate] = NetCandidate()
        return {}
    layer = _candidates[candidate] = LayerCandidate(LayerCase(**case), candidate)
    return layer.digest()


def measure(candidate: str, pass_: str, repeats: int) -> float:
    return seconds_per_call(_candidates[candidate].calls()[pass_], repeats)


def release() -> None:
    _candidates.clear()


_candidates: dict[str, LayerCandidate | NetCandidate] = {}

if __name__ == "__main__":
    logging.disable(logging.WARNING)  # DCLS says for every layer that there is no CUDA
    torch.set_num_threads(int(sys.argv[1]))
    serve({"hello": hello, "prepare": prepare, "measure": measure, "release": release})
