"""A moving average of a model's weights, beside them."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn


def average_bytes(parameters: Mapping[str, Tensor]) -> int:
    """Return how many bytes a ``WeightAverage`` of ``parameters`` keeps; they may be on the meta device."""
    return sum(p.numel() * _precise(p).itemsize for p in parameters.values())


class WeightAverage:
    """Exponential moving average of the trained weights of ``model``, which starts with their present values.

    Kept in float32, as half precision would round the small steps of an average away. Frozen weights are their own
    average and are left out; one unfrozen later joins with the value it then has. Make it once all methods have
    prepared the model, as they may give it other weights.
    """

    def __init__(self, model: nn.Module) -> None:
        self._parameters = {name: p for name, p in model.named_parameters() if p.is_floating_point()}
        self._averages: dict[str, Tensor] = {}
        self._settle()
        self.values: Mapping[str, Tensor] = _Values(self)
        """The average by parameter name, in each weight's own precision and on its device; follows every update."""

    @torch.no_grad()
    def update(self, decay: float) -> None:
        """Move the average: average <- decay * average + (1 - decay) * weight. Call it once an optimizer step."""
        averages: list[Tensor] = []
        weights: list[Tensor] = []
        for name, average in self._settle().items():
            weight = self._parameters[name].detach()
            if weight.dtype == average.dtype:
                averages.append(average)
                weights.append(weight)
            else:
                # One at a time: copies of all weights at once would double the memory.
                average.lerp_(weight.to(average.dtype), 1 - decay)
        if averages:
            torch._foreach_lerp_(averages, weights, 1 - decay)

    def state_dict(self) -> dict[str, Tensor]:
        """Return a copy of the average by parameter name."""
        return {name: average.clone() for name, average in self._settle().items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the average from ``state``, which may be on another device."""
        self._averages = {name: v.to(_precise(self._parameters[name]), copy=True) for name, v in state.items()}

    def _settle(self) -> dict[str, Tensor]:
        # Weights may be unfrozen, moved or loaded at any time.
        for name, parameter in self._parameters.items():
            average = self._averages.get(name)
            if average is not None and average.device != parameter.device:
                self._averages[name] = average.to(parameter.device)
            elif average is None and parameter.requires_grad:
                self._averages[name] = parameter.detach().to(_precise(parameter), copy=True)
        return self._averages

    def _value(self, name: str) -> Tensor:
        parameter, average = self._parameters[name], self._averages.get(name)
        if average is None or average.device != parameter.device:
            average = self._settle()[name]
        return average.to(parameter.dtype)


class _Values(Mapping[str, Tensor]):
    def __init__(self, average: WeightAverage) -> None:
        self._average = average

    def __getitem__(self, name: str) -> Tensor:
        return self._average._value(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._average._settle())

    def __len__(self) -> int:
        return len(self._average._settle())


def _precise(parameter: Tensor) -> torch.dtype:
    return torch.promote_types(parameter.dtype, torch.float32)
