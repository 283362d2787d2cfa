"""Looks at a model while it is trained, in any loop: its representation of fixed rows against the pre-trained one."""

import logging
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.measures.layers import measure_layer
from holdfast.methods.parts.model.layers import body_of, is_encoder_decoder
from holdfast.records.run import LayerMeasures, Monitored
from holdfast.training.models.hidden_states import NoStatesError, Pooling, pooled_states

logger = logging.getLogger(__name__)

Layers = Literal["last", "all"]
States = list[NDArray[np.float32]]
"""(rows, width) a layer."""


class Look(Monitored):
    """The last hidden layer at one step of training; None where a measure is undefined (see ``LayerMeasures``)."""

    layers: tuple[LayerMeasures, ...] = ()
    """All hidden layers, the embeddings first, where these are watched."""


class Monitor:
    """Compares a model with what it was when the monitor was made, on a fixed batch.

    Rows are read where ``pooled_states`` reads them for the model's own head; causal language models at the last real
    token, and encoder-decoders that generate at the end token, their decoder fed with the input, as the classifiers of
    these families do.

    A look runs without dropout or gradient, and leaves model, gradients and random generators as they were: the
    training goes on bit for bit as without it. A body whose weights are still those of the start is not run again.
    The weights are those being trained, also where a method will end with others (``ema``).

    Args:
        model: Model with hidden states.
        batch: The model's keyword arguments, or several such to be run in turn, of at least 4 rows in all; labels are
            not used.
        layers: ``"all"`` measures every hidden layer, ``"last"`` the last one.
        distance: Measure the distance of the body's weights too, of which a copy is kept on the CPU in their own
            precision.
        context: Makes the context that the model runs in, such as autocast.

    Raises:
        HoldfastError: The model has no hidden states, there are fewer than 4 rows, or the last layer is not finite or
            the same for every row.
    """

    def __init__(
        self,
        model: nn.Module,
        batch: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        layers: Layers = "last",
        distance: bool = True,
        context: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        if layers not in ("last", "all"):
            raise HoldfastError(f"the monitor watches layers={layers!r}: choose last or all")
        self.model = model
        """What is looked at; another one with weights of the same names may take its place."""
        self._batches = [batch] if isinstance(batch, Mapping) else list(batch)
        self._all = layers == "all"
        self._context = context
        self._reference = self._states()
        rows = len(self._reference[-1]) if self._reference else 0
        if rows < 4:
            raise HoldfastError(f"the monitor got {rows} rows to look at: give it at least 4, better 64")
        measured = self._measure(self._reference)
        if measured[-1].effective_rank is None:
            raise HoldfastError(
                f"the last hidden layer of {type(model).__name__} is not finite, or the same for all {rows} rows that "
                "the monitor looks at: give it rows that differ, tokenised as the model was trained"
            )
        self._weights = _copy_of_body(model) if distance else None
        self.start = self._look(0, measured, None if self._weights is None else 0.0)
        """What the model was before training."""

    def look(self, step: int = 0) -> Look:
        """Return what the model is now; ``step`` is noted in it."""
        distance = None if self._weights is None else self._distance(self._weights)
        if distance == 0:
            return self.start.model_copy(update={"step": step})
        return self._look(step, self._measure(self._states()), distance)

    def _look(self, step: int, measured: list[LayerMeasures], distance: float | None) -> Look:
        last, layers = measured[-1], tuple(measured) if self._all else ()
        return Look(
            step=step,
            cka=last.cka,
            effective_rank=last.effective_rank,
            participation_ratio=last.participation_ratio,
            mean_cosine=last.mean_cosine,
            distance=distance,
            layers=layers,
        )

    def _measure(self, states: States) -> list[LayerMeasures]:
        return [measure_layer(layer, *pair) for layer, pair in enumerate(zip(states, self._reference, strict=True))]

    def _states(self) -> States:
        device = next(self.model.parameters()).device
        batches = (_inputs(self.model, batch, device) for batch in self._batches)
        parts: list[list[Tensor]] = []
        try:
            with same_draws(), self._context():
                for layers in pooled_states(self.model, batches, _pooling(self.model)):
                    parts.append(layers if self._all else layers[-1:])
        except NoStatesError as reason:
            raise HoldfastError(f"{reason}, and the monitor reads them: train this model without it") from None
        finally:
            # Autocast remembers weights cast without gradient and would hand them to the next forward.
            torch.clear_autocast_cache()
        return [torch.cat(layer).numpy() for layer in zip(*parts, strict=True)]

    def _distance(self, start: Mapping[str, Tensor]) -> float | None:
        weights = _weights_of_body(self.model)
        if weights is None or _shapes(weights) != _shapes(start):
            logger.warning(
                "the body of %s has other weights than when the monitor was made: no distance is kept",
                type(self.model).__name__,
            )
            self._weights = None
            return None
        with torch.no_grad():
            gaps = [_gap(weight, start[name]).cpu() for name, weight in weights.items()]
        moved = float(torch.stack(gaps).double().norm())
        return moved if math.isfinite(moved) else None


@contextmanager
def same_draws() -> Iterator[None]:
    """Put the random generators of Python, NumPy and torch back into the state in which they were."""
    own, arrays = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(own)
        np.random.set_state(arrays)


def _pooling(model: nn.Module) -> Pooling:
    return "last" if _generates(model) and not is_encoder_decoder(model) else "auto"


def _generates(model: Any) -> bool:
    return hasattr(model, "can_generate") and bool(model.can_generate())


def _inputs(model: Any, batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    inputs = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}
    shift = getattr(model, "prepare_decoder_input_ids_from_labels", None)
    if shift is None or "input_ids" not in inputs:
        return inputs
    inputs = {name: value for name, value in inputs.items() if not name.startswith("decoder_")}
    return inputs | {"decoder_input_ids": shift(labels=inputs["input_ids"])}


def _copy_of_body(model: nn.Module) -> dict[str, Tensor] | None:
    weights = _weights_of_body(model)
    if weights is None:
        logger.warning(
            "%s has adapters, or no body apart from its head: no distance from the pre-trained weights is kept",
            type(model).__name__,
        )
        return None
    return {name: weight.detach().to("cpu", copy=True) for name, weight in weights.items()}


def _weights_of_body(model: nn.Module) -> dict[str, Tensor] | None:
    """Return the body's weights; None where they cannot be told from the head, or adapters move in their place."""
    body = body_of(model)
    # The output layer of a model that generates is pre-trained like the rest.
    if (body is model and not _generates(model)) or any(hasattr(module, "base_layer") for module in body.modules()):
        return None
    return {name: weight for name, weight in body.named_parameters() if weight.is_floating_point()}


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in weights.items()}


def _gap(weight: Tensor, start: Tensor) -> Tensor:
    # One weight at a time on the model's device, where the memory of a whole copy may be missing.
    gap: Tensor = torch.linalg.vector_norm(weight.float() - start.to(weight.device).float())
    return gap
