"""What happens to positions between their gradients and the optimizer's step, as in Caffe's solver.

Caffe's PositionStep: the gradient of each synapse, summed over passes and processes, is divided by its length
(equations 15 and 16); for the first iterations (warm-up) positions get no step. The fixed synapse is held by the layer.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from caffe_acu.torch.active_conv2d import ActiveConv2d

POSITION_LR_MULT = 0.01  # of the papers: 0.001 pixels where weights learn at 0.1
_STEPS = "position_steps"  # in the optimizer's first group, so that its state_dict has it


def position_parameters(module: nn.Module) -> list[nn.Parameter]:
    """The positions of all active convolutions in ``module``, each once, those that do not learn included."""
    return list(dict.fromkeys(layer.positions for layer in _active_layers(module)))


def parameter_groups(module: nn.Module, lr: float, position_lr_mult: float = POSITION_LR_MULT) -> list[dict[str, Any]]:
    """For an optimizer: all other parameters at rate ``lr``, positions at ``lr * position_lr_mult`` without decay.

    A unit gradient makes the positions' rate their step in pixels; with momentum m a steady drift is 1 / (1 - m) times
    that. Options of the optimizer, such as its weight decay, hold for the others.
    """
    positions = position_parameters(module)
    known = set(positions)
    others = [parameter for parameter in module.parameters() if parameter not in known]
    groups = [{"params": others, "lr": lr}, {"params": positions, "lr": lr * position_lr_mult, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


@torch.no_grad()
def normalize_position_gradients(module: nn.Module, scale: float | torch.Tensor = 1.0) -> None:
    """Gives the gradient of each synapse and set the length ``scale``, in place; a zero gradient stays zero.

    For all active convolutions in ``module`` with normalize_gradient. To be called when gradients are complete: after
    all passes and, in a data-parallel training, their mean over the processes.
    """
    for layer in _active_layers(module):
        gradient = layer.positions.grad
        if gradient is None or not layer.normalize_gradient:
            continue
        length = torch.hypot(*gradient.unbind(-1)).unsqueeze(-1)
        gradient.div_(torch.where(length == 0, 1, length)).mul_(scale)


def register_position_step(module: nn.Module, optimizer: torch.optim.Optimizer) -> RemovableHandle:
    """From now on every step of ``optimizer`` treats the positions of ``module`` as Caffe's solver does.

    Before the step gradients of positions are normalized, or set to 0 while a layer's warm-up lasts: then its positions
    stay, unless they decay, and the optimizer gathers no momentum for them. The number of steps is kept in the
    optimizer, whose state_dict has it. Works with gradient accumulation, closures, DistributedDataParallel and
    GradScaler; clipping should leave out :func:`position_parameters`, as Caffe's does. The result's ``remove()`` ends
    it.
    """
    optimizer.param_groups[0].setdefault(_STEPS, 0)

    def before(stepping: torch.optim.Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        group = stepping.param_groups[0]
        step = group.get(_STEPS, 0)
        group[_STEPS] = step + 1
        # Where a fused optimizer divides gradients by the scale of a GradScaler itself, that is still to come.
        scale = getattr(stepping, "grad_scale", None)

        def prepare() -> None:
            for layer in _active_layers(module):
                if step < layer.warmup_iterations and layer.positions.grad is not None:
                    layer.positions.grad.zero_()  # None would be no better: fused SGD then misses a buffer later
            normalize_position_gradients(module, 1.0 if scale is None else scale)

        # With a closure, the first argument after the optimizer, gradients come to be within the step.
        if kwargs.get("closure") is not None:
            return args, kwargs | {"closure": _then(kwargs["closure"], prepare)}
        if len(args) > 1 and args[1] is not None:
            return (args[0], _then(args[1], prepare), *args[2:]), kwargs
        prepare()
        return None

    return optimizer.register_step_pre_hook(before)


def _then(closure: Callable[[], Any], follow: Callable[[], None]) -> Callable[[], Any]:
    def both() -> Any:
        loss = closure()
        follow()
        return loss

    return both


def _active_layers(module: nn.Module) -> list[ActiveConv2d]:
    return [layer for layer in module.modules() if isinstance(layer, ActiveConv2d)]
