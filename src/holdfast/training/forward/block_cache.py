"""What the transformer blocks gave for the clean rows, kept so that a copy can leave them further up."""

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.forward import Perturb
from holdfast.methods.parts.model.layers import bottom_stack
from holdfast.training.forward.batch_stacking import cut
from holdfast.training.forward.dropout_replay import SameDropout


@dataclass(frozen=True)
class _Leaving:
    """How a copy leaves the clean rows: before block ``layer``, with the first ``share`` of their rows."""

    layer: int | None
    share: float
    perturb: Perturb | None
    same_dropout: bool


class BlockMemo:
    """Stands before the blocks of a model's first stack: the only one, or the encoder's.

    In a pass under ``recording`` it keeps what each block gives. In a later pass of the same batch under ``leaving``,
    blocks below the chosen one give that again instead of computing it, with the same graph, so that both passes go
    backward through them once. Raises ``HoldfastError``, naming ``method``, for a model without blocks, and later for
    one that runs a block several times or computes whole ones again in the backward pass.
    """

    def __init__(self, model: nn.Module, method: str) -> None:
        self.model = model
        self.method = method
        self.blocks = [block for _, block in bottom_stack(model, method)]
        self._rows: tuple[int, int] = (1, 1)
        """Rows of the pass under way: all, and those whose hidden states are told."""
        self._kept: dict[int, Any] = {}
        self._entered: dict[int, Tensor] = {}
        """What entered each block: the one below may not be all that comes before it (DeBERTa's convolution)."""
        self._heard: dict[int, Tensor] | None = None
        """Hidden states of the pass under way; None outside of one."""
        self._leaving: _Leaving | None = None
        self._masks: dict[int, SameDropout] = {}
        self._given = [vars(block).get("forward") for block in self.blocks]
        for index, block in enumerate(self.blocks):
            block.forward = self._before(index, block.forward)

    @contextmanager
    def recording(self, rows: int, clean: int, shared: Iterable[int], device: torch.device) -> Iterator[list[Tensor]]:
        """Keep what the blocks give in a pass of ``rows`` rows, the first of which are the ``clean`` ones.

        Yields a list that holds, once the pass has ended, what each gave for those, bottom first, each
        (rows, tokens, width). ``shared``: the blocks before which a copy with the same dropout will leave.
        """
        self.forget()
        self._rows = rows, clean
        self._masks = {layer: SameDropout(device) for layer in shared}
        told: list[Tensor] = []
        with self._listening() as heard:
            yield told
        told += [heard[index] for index in range(len(self.blocks))]

    @contextmanager
    def leaving(
        self, layer: int | None, share: float, perturb: Perturb | None, same_dropout: bool
    ) -> Iterator[list[Tensor]]:
        """Answer for the blocks below ``layer`` in a pass of the first rows, and perturb what enters it.

        Yields the same as ``recording``. With ``layer`` None the blocks compute as ever.
        """
        if layer is not None and layer not in range(len(self.blocks)):
            raise HoldfastError(
                f"{self.method} asks for a View with layer={layer}, and {type(self.model).__name__} has "
                f"{len(self.blocks)} blocks: give 0, the lowest, to {len(self.blocks) - 1}"
            )
        self._leaving = _Leaving(layer, share, perturb, same_dropout)
        told: list[Tensor] = []
        try:
            with self._listening() as heard:
                yield told
        finally:
            self._leaving = None
            if layer is not None and same_dropout:
                self._masks[layer].end()
        told += [heard[index] for index in range(len(self.blocks))]

    def forget(self) -> None:
        """Let go of what was kept."""
        self._kept, self._entered, self._masks = {}, {}, {}

    def remove(self) -> None:
        """Give the blocks their own ``forward`` back."""
        self.forget()
        for block, given in zip(self.blocks, self._given, strict=True):
            if given is None:
                vars(block).pop("forward", None)
            else:
                block.forward = given

    @contextmanager
    def _listening(self) -> Iterator[dict[int, Tensor]]:
        heard: dict[int, Tensor] = {}
        self._heard = heard
        try:
            yield heard
        finally:
            self._heard = None
        if len(heard) < len(self.blocks):
            raise HoldfastError(
                f"{self.method} follows the blocks of {type(self.model).__name__}, and only {len(heard)} of "
                f"{len(self.blocks)} ran: switch layerdrop off, and attach before the first compiled call"
            )

    def _before(self, index: int, original: Callable[..., Any]) -> Callable[..., Any]:
        run = torch.compiler.disable(self._run)  # type: ignore[no-untyped-call]

        @functools.wraps(original)
        def forward(*args: Any, **kwargs: Any) -> Any:
            if self._heard is None:
                if not torch.compiler.is_compiling() and torch._C._current_graph_task_id() >= 0:
                    raise self._computed_again()
                return original(*args, **kwargs)
            return run(index, original, args, kwargs)

        return forward

    def _computed_again(self) -> HoldfastError:
        # In the backward pass nobody says which copy it is, and the block would get what it did not get forward.
        return HoldfastError(
            f"{self.method} follows the blocks of {type(self.model).__name__}, which checkpoints its activations "
            "around whole blocks: switch that off, or use Transformers 5.23, which checkpoints inside them"
        )

    def _run(self, index: int, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        assert self._heard is not None
        if index in self._heard:
            raise HoldfastError(
                f"{self.method} leaves the clean rows before a block, and {type(self.model).__name__} runs its "
                "blocks several times: use a form of the method without layers"
            )
        leaving = self._leaving
        if leaving is None:
            if index in self._masks:
                self._masks[index].reach()
            output = original(*args, **kwargs)
            every, clean = self._rows
            entering = args[0] if args else kwargs["hidden_states"]
            self._entered[index] = entering if every == clean else _first(entering, clean / every)
            self._kept[index] = output if every == clean else _first(output, clean / every)
            self._heard[index] = _hidden(self._kept[index])
            return output
        if leaving.layer is not None and index < leaving.layer:
            output = self._kept[index]
            output = output if leaving.share == 1 else _first(output, leaving.share)
        else:
            if index == leaving.layer:
                args, kwargs = self._entering(leaving, args, kwargs)
                if leaving.same_dropout:
                    self._masks[index].reach()
            output = original(*args, **kwargs)
        self._heard[index] = _hidden(output)
        return output

    def _entering(
        self, leaving: _Leaving, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of the block before which a copy leaves, with what entered it for the clean rows."""
        # The embeddings ran anew, with dropout of their own.
        assert leaving.layer is not None
        hidden = self._entered[leaving.layer]
        hidden = hidden if leaving.share == 1 else _first(hidden, leaving.share)
        hidden = hidden if leaving.perturb is None else leaving.perturb(hidden)
        return ((hidden, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": hidden})


def _hidden(output: Any) -> Tensor:
    found: Tensor = output if isinstance(output, Tensor) else output[0]
    return found


def _first(output: Any, share: float) -> Any:
    """Return a block's output for the first rows; what has another first size (shared biases) stays."""
    total = len(_hidden(output))
    size = round(share * total)
    if isinstance(output, Tensor):
        return output[:size]
    pieces = [cut(item, 0, size, total) for item in output]
    return type(output)(item if piece is None else piece for item, piece in zip(output, pieces, strict=True))
