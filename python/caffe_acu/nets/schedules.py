"""How the papers train: their solvers, each value with a mark if it is assumed.

What no paper mentions because it has no influence on the result (how often the test runs, what is shown and saved) is
chosen here. Networks with batch normalisation are not tested before they train: their statistics are still empty, and
what is divided by them grows with every layer until it is infinite.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.net_param import format_prototxt

CIFAR_ITERATIONS = 64_000  # CVPR section 3.1; grouped paper, appendix B
CIFAR_WARMUP_ITER = 10_000  # the same sections
PLACES_WARMUP_ITER = 50_000  # CVPR section 5
_IMAGENET_EPOCH = 5_004  # iterations of 256 images


@dataclass(frozen=True)
class Schedule:
    """A solver. ``printed_in``: where its values stand; ``assumed``: by the name of a field, why it has its value."""

    printed_in: str
    settings: Mapping[str, Any]
    assumed: Mapping[str, str] = field(default_factory=dict)

    def message(self, net: str = "", snapshot_prefix: str = "") -> "caffe_pb2.SolverParameter":
        """The solver for the network in the file ``net``, on the CPU unless ``caffe train --gpu`` is told otherwise."""
        return caffe_pb2.SolverParameter(
            net=net,
            snapshot_prefix=snapshot_prefix,
            random_seed=1,
            solver_mode=caffe_pb2.SolverParameter.CPU,
            **self.settings,
        )

    def text(self, net: str, snapshot_prefix: str, comment: str) -> str:
        """The prototxt, with a comment beside every assumed value."""
        lines = format_prototxt(self.message(net, snapshot_prefix), comment).splitlines()
        for i, line in enumerate(lines):
            reason = self.assumed.get(line.partition(":")[0])
            if reason:
                lines[i] = f"{line}  # assumed: {reason}"
        return "\n".join(lines) + "\n"


_CIFAR = {
    "type": "Nesterov",
    "base_lr": 0.1,
    "momentum": 0.9,
    "lr_policy": "multistep",
    "gamma": 0.1,
    "stepvalue": [32_000, 48_000],
    "max_iter": CIFAR_ITERATIONS,
    "test_iter": [100],
    "test_interval": 1_000,
    "test_initialization": False,
    "display": 100,
    "snapshot": 5_000,
}
_PLACES = {
    "type": "SGD",
    "momentum": 0.9,
    "lr_policy": "multistep",
    "gamma": 0.1,
    "stepvalue": [200_000, 300_000],
    "test_iter": [730],
    "test_interval": 5_000,
    "display": 100,
    "snapshot": 10_000,
}

CVPR_CIFAR = Schedule("CVPR section 3.1", {**_CIFAR, "weight_decay": 1e-4})
ACU_ROUND = Schedule(
    "the poster",
    {
        **{name: value for name, value in _CIFAR.items() if name not in ("gamma", "stepvalue")},
        "weight_decay": 1e-4,
        "base_lr": 1e-3,
        "lr_policy": "fixed",
        "max_iter": 20_000,
    },
    {
        "type": "as in the training before it",
        "base_lr": "the rate with which the training before it ended",
        "lr_policy": "no drop of the rate is mentioned",
        "weight_decay": "as in the training before it",
        "momentum": "as in the training before it",
    },
)
ALEXNET = Schedule("CVPR section 5.1", {**_PLACES, "base_lr": 0.01, "weight_decay": 5e-4, "max_iter": 400_000})
RESNET26 = Schedule(
    "CVPR section 5.2; stopped at 350,000 of 400,000 iterations, as there",
    {**_PLACES, "test_initialization": False, "base_lr": 0.1, "weight_decay": 1e-4, "max_iter": 350_000},
    {"momentum": "printed for AlexNet only"},
)
GROUPED_CIFAR = Schedule("appendix B of the grouped paper", {**_CIFAR, "weight_decay": 5e-4})
TABLE9 = Schedule(
    GROUPED_CIFAR.printed_in,
    GROUPED_CIFAR.settings,
    {"max_iter": "appendix B; ResNeXt's own paper trains for 300 epochs"},
)
IMAGENET = Schedule(
    "section 5.1 of the grouped paper: a rate of 0.1 that falls linearly over 60 epochs",
    {
        "type": "Nesterov",
        "base_lr": 0.1,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "lr_policy": "poly",
        "power": 1,
        "max_iter": 60 * _IMAGENET_EPOCH,
        "test_iter": [1_000],
        "test_interval": _IMAGENET_EPOCH,
        "test_initialization": False,
        "display": 100,
        "snapshot": 2 * _IMAGENET_EPOCH,
    },
    {
        "type": "not printed; as on CIFAR-10",
        "momentum": "not printed; as on CIFAR-10",
        "weight_decay": "not printed; that of the CVPR paper's ResNet26, one for all networks",
        "lr_policy": "linear as printed; that it ends at 0 is not",
        "max_iter": "60 epochs in batches of 256; the batch is not printed",
    },
)
