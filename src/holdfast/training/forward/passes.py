"""The forward passes of one micro-batch: on the clean rows, on views, and on trial."""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.forward import Kind, Perturb, Step, TrialForward, View
from holdfast.training.forward.batch_stacking import stack, unstack
from holdfast.training.forward.block_cache import BlockMemo
from holdfast.training.forward.dropout_replay import SameDropout
from holdfast.training.forward.embedding_hook import Copy, EmbeddingHook
from holdfast.training.forward.task_loss import Head, named

Outputs = Mapping[str, Any]


@dataclass
class Passes:
    """Runs the copies of a micro-batch.

    ``call`` runs the model for what is to be differentiated: the model itself, or what wraps it (DDP). ``bare``: its
    keyword arguments without labels; ``rows``: how many it has, ``embedded`` of them at the embedding (multiple choice
    lays the choices of a row out as rows). ``memo`` is None where no view has a ``layer`` and
    nobody reads blocks.
    """

    model: nn.Module
    call: Any
    bare: Mapping[str, Any]
    rows: int
    embedded: int
    hook: EmbeddingHook
    memo: BlockMemo | None
    device: torch.device
    masks: SameDropout = field(init=False)
    """From the embedding on, of the clean rows and of the passes that share theirs."""

    def __post_init__(self) -> None:
        self.masks = SameDropout(self.device)

    def clean(
        self,
        inputs: Mapping[str, Any],
        copies: Sequence[View],
        perturb: Perturb | None,
        leaving: Sequence[View],
        shares_dropout: bool,
    ) -> tuple[Any, list[Tensor]]:
        """Run the clean rows with the stacked ``copies``; return the outputs of all and the clean rows' blocks.

        ``inputs`` are ``bare``, with the labels where there are no copies. ``leaving``: the views that will follow.
        ``shares_dropout``: whether other passes have the dropout of this one.
        """
        sizes = [self.rows, *(self.size(view) for view in copies)]
        shared = {view.layer for view in leaving if view.same_dropout}
        hooked: list[Copy] = [(self.embedded, perturb)]
        hooked += [(self._embedded(view), view.perturb) for view in copies]
        recording: contextlib.AbstractContextManager[list[Tensor]] = contextlib.nullcontext([])
        if self.memo is not None:
            layers = {layer for layer in shared if layer is not None}
            recording = self.memo.recording(sum(sizes), self.rows, layers, self.device)
        with self.hook.perturbing(hooked, self.masks if shares_dropout else None), recording as blocks:
            outputs = self.call(**(stack(inputs, self.rows, sizes) if copies else inputs))
        return outputs, blocks

    def views(self, views: Sequence[View], together: bool) -> dict[View, Outputs]:
        """Run plain views, stacked where ``together``."""
        found: dict[View, Outputs] = {}
        for part in [list(views)] if together and views else [[view] for view in views]:
            sizes = [self.size(view) for view in part]
            with self.hook.perturbing([(self._embedded(view), view.perturb) for view in part]):
                outputs = self.call(**stack(self.bare, self.rows, sizes))
            found |= dict(zip(part, unstack(named(self.model, outputs), sizes), strict=True))
        return found

    def special(self, view: View, trial: TrialForward) -> tuple[Outputs, list[Tensor]]:
        """Run a view that has to wait for the clean rows; return its outputs and its blocks, where those are kept."""
        perturb = view.perturb if view.find is None else view.find(trial)
        size, embedded = self.size(view), self._embedded(view)
        inputs = stack(self.bare, self.rows, [size])
        late = view.layer is not None
        masks = self.masks if view.same_dropout and not late else None
        leaving: contextlib.AbstractContextManager[list[Tensor]] = contextlib.nullcontext([])
        if self.memo is not None:
            noise, same = (perturb, view.same_dropout) if late else (None, False)
            leaving = self.memo.leaving(view.layer, size / self.rows, noise, same)
            perturb = None if late else perturb
        with self._gradient(view), self.hook.perturbing([(embedded, perturb)], masks), leaving as blocks:
            outputs = self._with_weights(view, inputs) if view.weights is not None else self.call(**inputs)
        return unstack(named(self.model, outputs), [size])[0], blocks

    def trial(self, perturb: Perturb, same_dropout: bool) -> Outputs:
        """Run all rows, perturbed."""
        with self.hook.perturbing([(self.embedded, perturb)], self.masks if same_dropout else None):
            # Not what wraps the model: no gradient is to be left on the weights, and none to be reduced.
            return named(self.model, self.model(**self.bare))

    def size(self, view: View) -> int:
        """Return the number of rows of ``view``."""
        # Not 3 rows for a share of 0.1 of 20, which is 2.0000000000000004.
        return min(self.rows, max(1, math.ceil(view.share * self.rows - 1e-9)))

    def _embedded(self, view: View) -> int:
        return self.size(view) * self.embedded // self.rows

    @contextlib.contextmanager
    def _gradient(self, view: View) -> Iterator[None]:
        if view.grad and view.weights is None:
            yield
            return
        with torch.no_grad():
            yield
        # Autocast remembers weights cast without gradient and would hand them to the next forward.
        torch.clear_autocast_cache()

    def _with_weights(self, view: View, inputs: Mapping[str, Any]) -> Any:
        assert view.weights is not None
        training = [module for module in self.model.modules() if module.training]
        self.model.eval()
        try:
            values = _at_every_module(self.model, view.weights.values)
            return torch.func.functional_call(self.model, values, (), dict(inputs), tie_weights=False)
        finally:
            for module in training:
                module.training = True


def _at_every_module(model: nn.Module, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return ``values`` under the name of every module that has the weight, tied ones too, each module once.

    ``functional_call`` ties by names, and leaves the values in a module that the model has under two.
    """
    names = set(values)
    given = {id(p): name for name, p in model.named_parameters(remove_duplicate=False) if name in names}
    return {
        f"{place}.{key}" if place else key: values[given[id(p)]]
        for place, module in model.named_modules()
        for key, p in module._parameters.items()
        if id(p) in given
    }


class Trial(TrialForward):
    """Trial passes, for methods."""

    def __init__(self, passes: Passes, batch: Mapping[str, Any], step: Step, head: Head | None) -> None:
        self.batch = batch
        self.kind: Kind = "single_label" if head is None else head.kind
        self.step = step
        self.outputs: Outputs | None = None
        self.shared = False
        """Whether a pass had the dropout of the clean rows."""
        self._passes = passes
        self._head = head

    def __call__(self, perturb: Perturb, *, same_dropout: bool = False) -> Outputs:
        """Run the rows with ``perturb`` at the input embeddings."""
        if same_dropout and self.outputs is not None and not self._passes.masks.begun:
            raise HoldfastError(
                "a method's View looks for its perturbation with same_dropout, which the clean rows ran without: "
                "give that View same_dropout=True"
            )
        self.shared |= same_dropout
        return self._passes.trial(perturb, same_dropout)

    def task_loss(self, logits: Tensor) -> Tensor | None:
        """Return the mean of the task's loss over the rows; None where it follows no known formula."""
        labels = self.batch.get("labels")
        if self._head is None or self._head.formula is None or labels is None:
            return None
        return self._head.formula(logits, labels)


def check_view(view: View, method: str) -> None:
    """Raise ``HoldfastError`` where the fields of a view that ``method`` asks for contradict each other."""
    problem = ""
    if not 0 < view.share <= 1:
        problem = f"share={view.share!r}: it is a part of the rows, above 0 and at most 1"
    elif view.same_dropout and view.share < 1:
        problem = f"same_dropout=True, share={view.share}: masks are drawn for all rows, use share=1"
    elif view.perturb is not None and view.find is not None:
        problem = "perturb and find: the perturbation is given or looked for, use one of the two"
    elif view.weights is not None and (view.same_dropout or view.layer is not None):
        problem = "weights with layer or same_dropout: such a copy runs whole and without dropout, leave these out"
    if problem:
        raise HoldfastError(f"{method} asks for a View with {problem}")


def composed(perturbs: Sequence[Perturb | None]) -> Perturb | None:
    """Return the perturbation that does one after another; None where there is none."""
    given = [perturb for perturb in perturbs if perturb is not None]
    if not given:
        return None

    def every(embeddings: Tensor) -> Tensor:
        for perturb in given:
            embeddings = perturb(embeddings)
        return embeddings

    return every
