"""A small network of active layers and its training in PyTorch, in one process or in two. No Caffe."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from caffe_acu.torch import ActiveConv2d, parameter_groups, register_position_step

SHAPE, OUTPUTS, RATE, POSITION_LR_MULT, DECAY, MOMENTUM = (3, 2, 8, 7), 5, 0.02, 0.2, 0.01, 0.9
WARMUP, STEPS = 4, 12
torch.set_num_threads(1)  # for small arrays


def network() -> nn.Sequential:
    """Three active layers, from the lattice, with everything that a step can differ by."""
    torch.manual_seed(0)
    return nn.Sequential(
        ActiveConv2d(2, 4, 3, padding=1, warmup_iterations=WARMUP),
        nn.ReLU(),
        ActiveConv2d(4, 4, 3, groups=2, fixed_synapse=2, stride=2, padding=1),
        nn.ReLU(),
        ActiveConv2d(4, 3, positions=[[0.5, 0], [0, 0], [-1.25, 1]], normalize_gradient=False),
        nn.Flatten(),
        nn.Linear(3 * 4 * 4, OUTPUTS),
    )


def batches(count: int = STEPS) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Inputs, and what the network is to answer."""
    rng = np.random.default_rng(5)
    for _ in range(count):
        yield rng.normal(size=SHAPE).astype(np.float32), rng.normal(size=(SHAPE[0], OUTPUTS)).astype(np.float32)


def loss_of(net: nn.Module, x: np.ndarray, wanted: np.ndarray) -> torch.Tensor:
    """Caffe's EuclideanLoss."""
    return (net(torch.from_numpy(x)) - torch.from_numpy(wanted)).square().sum() / (2 * len(x))


def optimizer_of(net: nn.Module, *, nesterov: bool = False, **options: bool) -> torch.optim.Optimizer:
    settings = {"momentum": MOMENTUM, "weight_decay": DECAY, "nesterov": nesterov} | options
    return torch.optim.SGD(parameter_groups(net, RATE, POSITION_LR_MULT), **settings)


def worker(rank: int, folder: str) -> None:
    """One of two processes, which take every other batch; writes ``<rank>.pt`` into the folder."""
    torch.distributed.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=2)
    net = network()
    parallel = nn.parallel.DistributedDataParallel(net)
    optimizer = optimizer_of(net)
    register_position_step(parallel, optimizer)
    for i, (x, wanted) in enumerate(batches()):
        if i % 2 == rank:
            optimizer.zero_grad()
            loss_of(parallel, x, wanted).backward()
            optimizer.step()
    torch.save(net.state_dict(), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()
