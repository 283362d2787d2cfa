"""The loss of one batch: the task's, and what every method adds, from as few forward passes as there can be."""

import contextlib
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import MethodSession
from holdfast.methods.forward import Forward, Step, View
from holdfast.methods.parts.padding import is_packed
from holdfast.methods.requires import Part
from holdfast.training.forward.batch_stacking import unstack
from holdfast.training.forward.block_cache import BlockMemo
from holdfast.training.forward.embedding_hook import EmbeddingHook
from holdfast.training.forward.feature_hook import FeatureHook
from holdfast.training.forward.passes import Passes, Trial, check_view, composed
from holdfast.training.forward.task_loss import Formula, Head, learn_head, named, refuse_virtual_tokens

logger = logging.getLogger(__name__)

Call = Callable[..., Any]
"""What runs the model: the model itself, or what wraps it (DDP, a compiled model)."""


@dataclass
class Pass:
    """The outputs of one forward: on the clean rows, and on each view."""

    outputs: Mapping[str, Any]
    returned: Any
    """What the model returned for the clean rows: the outputs, or a tuple of them without names."""
    views: dict[View, Mapping[str, Any]]
    features: Tensor | None = None
    """As in ``Forward``, and so are the following."""
    blocks: Sequence[Tensor] = ()
    view_blocks: Mapping[View, Sequence[Tensor]] = field(default_factory=dict)
    requested: Sequence[Sequence[View]] = ()
    """The views of each session, in the order of ``Objective.sessions``."""


@dataclass(frozen=True)
class Window:
    """What an optimizer step averages over, as seen from one of its micro-batches.

    Dividing sums over the micro-batch by these gives means over the whole step once the micro-batches' losses
    are averaged, also where they differ in size.
    """

    rows: float
    tokens: float


class Objective:
    """Runs a model on batches for a list of methods.

    All views that need gradient are stacked with the clean batch into one forward; views without gradient are
    stacked into one before it. With ``stacked=False``, and for models where stacking would be wrong (batch
    statistics, a loss of their own making), the copies run in turn with the same results. So do batches of one
    row with position ids: it may be several texts in a row, which attention kernels tell apart in single rows only.
    """

    def __init__(self, model: nn.Module, sessions: Sequence[MethodSession[Any]], *, stacked: bool = True) -> None:
        self.model = model
        self.sessions = sessions
        """Of one training; others of the same methods may take their place."""
        self.head: Head | None = None
        self._hook: EmbeddingHook | None = None
        self._stacked = stacked
        if stacked and (name := _batch_statistics(model)):
            logger.warning("%s normalises over the batch, so copies of a batch run in turn", name)
            self._stacked = False
        requires = {session.method.name: session.method.requires for session in sessions}
        comparing = [name for name, needs in requires.items() if needs.outputs]
        self.compares = comparing[0] if comparing else ""
        """A method that compares outputs, and needs to know what the labels make of them; empty without one."""
        for name in comparing:
            refuse_virtual_tokens(model, name)
        self._by_text = next((name for name, needs in requires.items() if Part.TEXTS in needs.uses), "")
        self._perturbs = any(needs.inputs for needs in requires.values())
        self._needs_blocks = any(needs.blocks for needs in requires.values())
        self._block_users = " and ".join(name for name, needs in requires.items() if needs.blocks or needs.views)
        self._memo: BlockMemo | None = None
        if self._perturbs or self._needs_blocks or any(needs.views for needs in requires.values()):
            self._hook = EmbeddingHook(model)
        listener = next((name for name, needs in requires.items() if needs.features), None)
        self._features = None if listener is None else FeatureHook(model, listener)
        self.acts = bool(self.compares) or self._hook is not None or self._features is not None
        """Whether a method has a hand in the forward passes; else the model may be run by itself."""

    def run(self, call: Call, batch: Mapping[str, Any], step: Step, labels: Tensor | None = None) -> Pass:
        """Run the model on ``batch`` and on every view the methods ask for at ``step``.

        The outputs hold the task's ``loss`` when ``batch`` holds ``labels``. Where the caller computes the
        task's loss itself and took them out, ``labels`` tells what they were.
        """
        labelled = batch if labels is None else {**batch, "labels": labels}
        self.refuse_packed(batch)
        if self.compares:
            self.learn(labelled)
        requested = [self._requested(session, step) for session in self.sessions]
        wanted = list(dict.fromkeys(view for views in requested for view in views))
        if self._hook is None or not (wanted or self._perturbs or self._needs_blocks):
            return self._run_clean(call, batch, requested)
        main = self._main(batch)
        passes = Passes(
            model=self.model,
            call=call,
            bare=self._without_labels(labelled),
            rows=len(main),
            # Multiple choice: the model lays the choices of a row, (rows, choices, tokens), out as rows.
            embedded=len(main.flatten(0, 1)) if main.ndim == 3 and not main.is_floating_point() else len(main),
            hook=self._hook,
            memo=self._blocks_of(wanted),
            device=main.device,
        )
        trial = Trial(passes, labelled, step, self.head)
        perturb = composed([session.perturb_inputs(trial) for session in self.sessions])
        later = [view for view in wanted if self._waits(view)]
        alone = trial.shared or any(view.same_dropout for view in later)
        together = self._stacked and not alone and not (len(main) == 1 and "position_ids" in batch)
        plain = [view for view in wanted if view not in later]
        silent = [view for view in plain if not view.grad]
        with torch.no_grad():
            views = passes.views(silent, together)
        if silent:
            # Autocast remembers weights cast without gradient and would hand them to the next forward.
            torch.clear_autocast_cache()
        loud = [view for view in plain if view.grad]
        copies = loud if loud and together and self._can_leave_labels(batch) else []
        # With labels some models switch their cache off, and attention then draws its dropout in another way.
        bare = bool(copies) or (alone and self._can_leave_labels(batch))
        with self._listening():
            outputs, blocks = passes.clean(passes.bare if bare else batch, copies, perturb, later, alone)
        if bare:
            clean, *rest = unstack(named(self.model, outputs), [passes.rows, *(passes.size(view) for view in copies)])
            views |= dict(zip(copies, rest, strict=True))
        else:
            clean, returned = self._named(outputs, batch), outputs
        features = self._heard(clean, sum(passes.size(view) for view in copies), batch)
        if bare and "labels" in batch:
            assert self.head is not None
            clean = type(clean)(**{"loss": self.head.loss(clean["logits"], batch), **clean})
        if bare:
            returned = clean
        views |= passes.views([view for view in loud if view not in copies], together)
        trial.outputs = clean
        view_blocks = {}
        for view in later:
            views[view], view_blocks[view] = passes.special(view, trial)
        if self._memo is not None:
            self._memo.forget()
        return Pass(clean, returned, views, features, blocks, view_blocks, requested)

    def losses(
        self,
        result: Pass,
        batch: Mapping[str, Any],
        window: Window | None = None,
        own_loss: bool = True,
    ) -> dict[str, Tensor]:
        """Return what each method adds to the loss, weight included, by its name. ``batch`` holds the labels.

        ``own_loss``: whether the task's loss is the one the model returned.
        """
        losses: dict[str, Tensor] = {}
        for session, views in zip(self.sessions, result.requested, strict=True):
            name = session.method.name
            if not session.method.requires.outputs:
                continue
            loss = session.loss(self._forward_of(name, views, result, batch, window, own_loss))
            if loss is not None:
                losses[name] = loss
        return losses

    def refuse_packed(self, batch: Mapping[str, Any]) -> None:
        """Raise ``HoldfastError`` where rows are several texts, and a method treats each text by itself."""
        if self._by_text and is_packed(batch):
            raise HoldfastError(
                f"{self._by_text} treats each text by itself, and this batch has several in one row: train without "
                "padding_free, and pack with packing_strategy=wrapped or not at all"
            )

    def remove(self) -> None:
        """Take the hooks off the model."""
        for hook in (self._hook, self._features, self._memo):
            if hook is not None:
                hook.remove()

    def _forward_of(
        self,
        method: str,
        views: Sequence[View],
        result: Pass,
        batch: Mapping[str, Any],
        window: Window | None,
        own_loss: bool,
    ) -> Forward:
        labels, logits = batch.get("labels"), result.outputs.get("logits")
        rows = len(self._main(batch))
        head = self.head
        mask = head.mask(labels) if head is not None and head.kind == "tokens" and labels is not None else None
        if isinstance(logits, Tensor) and (logits.ndim > 3 or (mask is not None and logits.shape[:-1] != mask.shape)):
            raise HoldfastError(
                f"{type(self.model).__name__} gives logits of shape {tuple(logits.shape)}, which do not match its "
                f"labels: {method} compares one row of logits a label, as for classes, values or tokens"
            )
        tokens = max(1.0, float(mask.sum())) if mask is not None and window is None else 0.0
        tokens = tokens if window is None else window.tokens
        mean_rows = rows if window is None else window.rows
        share = rows / mean_rows if mask is None else mask.sum() / tokens
        task_loss = None
        if own_loss and labels is not None and head is not None and head.formula is not None:
            task_loss = functools.partial(_task_loss, head.formula, labels, share)
        return Forward(
            outputs=result.outputs,
            views=[result.views[view] for view in views],
            batch=batch,
            kind="single_label" if head is None else head.kind,
            rows=mean_rows,
            token_mask=mask,
            tokens=tokens,
            features=result.features,
            share=share,
            blocks=result.blocks,
            view_blocks=[result.view_blocks.get(view, ()) for view in views],
            task_loss=task_loss,
        )

    def learn(self, batch: Mapping[str, Any]) -> None:
        """Find out what the model's head computes, at the first batch that tells; ``batch`` holds the labels."""
        if self.head is None and "labels" in batch:
            self.head = learn_head(self.model, batch)

    def _can_leave_labels(self, batch: Mapping[str, Any]) -> bool:
        """Whether the loss of the clean rows, as their model returns it, can be had from their logits."""
        if self.head is not None and not self.head.named:
            return False
        if "labels" not in batch:
            return True
        if self.head is not None and self.head.formula is None:
            name = type(self.model).__name__
            logger.warning("%s computes a task loss of its own making, so copies of a batch run in turn", name)
            self._stacked = False
        return self.head is not None and self.head.formula is not None

    def _named(self, outputs: Any, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        return named(self.model, outputs, *(("loss",) if "labels" in batch else ()))

    def _run_clean(self, call: Call, batch: Mapping[str, Any], requested: Sequence[Sequence[View]]) -> Pass:
        with self._listening():
            returned = call(**batch)
        outputs = self._named(returned, batch)
        return Pass(outputs, returned, {}, self._heard(outputs, 0, batch), requested=requested)

    def _listening(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self._features is None else self._features.listen()

    def _heard(self, outputs: Mapping[str, Any], copied: int, batch: Mapping[str, Any]) -> Tensor | None:
        if self._features is None:
            return None
        rows = len(self._main(batch))
        return self._features.features(outputs["logits"], rows / (rows + copied), batch)

    def _requested(self, session: MethodSession[Any], step: Step) -> Sequence[View]:
        views = tuple(session.views(step))
        for view in views:
            check_view(view, session.method.name)
        return views

    def _waits(self, view: View) -> bool:
        """Whether ``view`` runs after the clean rows, in a forward of its own."""
        bound = view.layer is not None or view.same_dropout or view.find is not None or view.weights is not None
        return bound or self._needs_blocks

    def _blocks_of(self, wanted: Sequence[View]) -> BlockMemo | None:
        """Return the memo where this batch needs it; the blocks are taken hold of when it first does."""
        if not self._needs_blocks and all(view.layer is None for view in wanted):
            return None
        if self._memo is None:
            self._memo = BlockMemo(self.model, self._block_users)
        return self._memo

    def _main(self, batch: Mapping[str, Any]) -> Tensor:
        main = batch.get(getattr(self.model, "main_input_name", "input_ids"))
        if not isinstance(main, Tensor):
            main = next((value for value in batch.values() if isinstance(value, Tensor) and value.ndim), None)
        if main is None:
            raise HoldfastError(
                f"the batch holds no tensors (its keys: {', '.join(batch) or 'none'}): pass the model's inputs"
            )
        return main

    def _without_labels(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        bare = {key: value for key, value in batch.items() if key not in ("labels", "num_items_in_batch")}
        config = getattr(self.model, "config", None)
        if "labels" in batch and getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" not in bare:
            # The model derives the decoder's input from the labels, which the copies do not get.
            derive = getattr(self.model, "prepare_decoder_input_ids_from_labels", None)
            if callable(derive) and batch["labels"].ndim == 2:
                bare["decoder_input_ids"] = read = derive(labels=batch["labels"])
                if getattr(config, "model_type", "") == "encoder-decoder" and "decoder_attention_mask" not in bare:
                    # Transformers' pairs hide the padding of what they derive themselves; other models do not.
                    bare["decoder_attention_mask"] = (read != config.pad_token_id).long()  # type: ignore[union-attr]
        return bare


def _task_loss(formula: Formula, labels: Tensor, share: Tensor | float, logits: Tensor) -> Tensor:
    return formula(logits, torch.cat([labels] * (len(logits) // len(labels)))) * share


def _batch_statistics(model: nn.Module) -> str:
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            return f"{name} ({type(module).__name__})"
    return ""
