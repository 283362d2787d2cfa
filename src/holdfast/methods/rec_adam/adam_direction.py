"""The direction of Adam's step, read from the optimizer's state."""

import torch
from torch import Tensor, nn

from holdfast.methods.parts.param_groups import Group


def adam_direction(optimizer: torch.optim.Optimizer | None, group: Group, parameter: nn.Parameter) -> Tensor:
    """Return the step that Adam just made of ``parameter``, a weight of ``group``, for a learning rate of 1."""
    assert optimizer is not None
    state = optimizer.state[parameter]
    first, second = group["betas"]
    # In float32, 1 - 0.999 is wrong in the fifth digit.
    count = torch.as_tensor(state["step"]).double()
    squares: Tensor = state["max_exp_avg_sq"] if group["amsgrad"] else state["exp_avg_sq"]
    scale = (squares / (1 - second**count)).sqrt_().add_(group["eps"])
    mean: Tensor = state["exp_avg"]
    step: Tensor = mean / (1 - first**count) / scale
    return step
