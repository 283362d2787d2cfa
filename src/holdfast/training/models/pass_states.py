"""Hidden states taken from the forward passes that score a model, in place of passes of their own."""

import logging
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from holdfast.training.models.hidden_states import (
    NoStatesError,
    Place,
    Pooling,
    gives_hidden_states,
    place_of,
    pooled_layers,
)

logger = logging.getLogger(__name__)

_HIDDEN = ("hidden_states", "encoder_hidden_states", "decoder_hidden_states")


class PassStates:
    """In its block, keeps each layer's hidden states of some rows, pooled, of every pass that ``model`` makes.

    Args:
        model: What makes the passes, its inputs given by name.
        wanted: Which rows are kept: their places among all that pass, from 0.
        pooling: As in ``pooled_states``.
    """

    def __init__(self, model: nn.Module, wanted: Sequence[int], pooling: Pooling) -> None:
        self.model = model
        self.wanted = sorted(wanted)
        self.pooling = pooling
        self._place: Place | None = None
        self._seen = 0
        self._parts: list[Tensor] = []
        self._asking = False
        self._problem = "" if gives_hidden_states(model) else f"{type(model).__name__} cannot return hidden states"

    def __enter__(self) -> "PassStates":
        self._hooks = [
            self.model.register_forward_pre_hook(self._ask, with_kwargs=True),
            self.model.register_forward_hook(self._keep, with_kwargs=True),
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def states(self) -> NDArray[np.float32] | None:
        """Return (layers, rows, width) in the order of the places; None, with a line in the log, where there are none.

        A row of several choices has one row each.
        """
        if self._problem:
            logger.warning("%s: no representations are kept", self._problem)
            return None
        return torch.cat(self._parts, dim=1).numpy() if self._parts else None

    def _ask(self, model: nn.Module, args: Any, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
        if self._problem or self._asking:
            return None
        return args, {**inputs, "output_hidden_states": True}

    def _keep(self, model: nn.Module, args: Any, inputs: dict[str, Any], outputs: Any) -> Any:
        if self._problem or self._asking:
            return None
        # The Trainer also passes numbers, such as that of the items in a batch.
        given = {name: one for name, one in inputs.items() if name != "labels" and isinstance(one, Tensor) and one.ndim}
        try:
            self._parts += self._pooled(given, outputs)
        except NoStatesError as reason:
            self._problem = str(reason)
        if not isinstance(outputs, Mapping):
            return None
        return type(outputs)(**{name: value for name, value in outputs.items() if name not in _HIDDEN})

    def _pooled(self, inputs: Mapping[str, Any], outputs: Any) -> list[Tensor]:
        if self._place is None:
            # Finding out may take a pass, which is none of those that score.
            self._asking = True
            try:
                self._place = place_of(self.model, inputs, self.pooling)
            finally:
                self._asking = False
        layers = pooled_layers(self.model, outputs, inputs, self._place)
        if len({layer.shape[1] for layer in layers}) > 1:
            raise NoStatesError(f"the hidden states of {type(self.model).__name__} cannot be lined up")
        rows = len(inputs["input_ids"])
        each = len(layers[0]) // rows
        chosen = [row - self._seen for row in self.wanted if self._seen <= row < self._seen + rows]
        self._seen += rows
        if not chosen:
            return []
        places = torch.tensor([row * each + choice for row in chosen for choice in range(each)])
        return [torch.stack([layer[places.to(layer.device)].float().cpu() for layer in layers])]
