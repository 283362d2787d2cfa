"""The loss of a ``Trainer`` with methods: the one that its ``compute_loss`` gives, put right, and what methods add."""

import contextlib
import copy
import inspect
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import Trainer

from holdfast.errors import HoldfastError
from holdfast.methods.forward import Step
from holdfast.training.forward.batches import no_labels
from holdfast.training.forward.objective import Window
from holdfast.training.trainer.item_counts import Uses, divides
from holdfast.training.trainer.model_proxy import Caller, StandIn
from holdfast.training.trainer.state import Attachment, Reduction


class Computing(Trainer):
    """Mixed in before the trainer's own class, whose ``compute_loss`` gets what the Trainer would give it."""

    _holdfast: Attachment

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """Keep the micro-batches of the optimizer step."""
        samples, items = super().get_batch_samples(*args, **kwargs)
        self._holdfast.samples, self._holdfast.window = samples, None
        return samples, items

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Return what the trainer's own gives, in training with what methods add and as ``training_step`` takes it.

        Raises ``HoldfastError`` where a method that compares outputs cannot get them.
        """
        own = self._holdfast
        # A copy, because the base class takes the labels out under label smoothing, as many subclasses do.
        given, objective = copy.copy(inputs), own.objective
        if not model.training or not self.is_in_train or objective is None:
            return super().compute_loss(model, given, *args, **kwargs)
        # Subclasses declare the arguments in an order of their own.
        plain = inspect.signature(super().compute_loss)
        asked = plain.bind(model, inputs, *args, **kwargs).arguments if args else kwargs
        return_outputs, items = asked.get("return_outputs", False), asked.get("num_items_in_batch")
        if objective.compares and "labels" not in inputs:
            raise HoldfastError(no_labels(inputs, objective.compares))
        objective.refuse_packed(inputs)
        own.computed = True
        step, divided = self._holdfast_step(), self._loss_is_scaled(items)
        uses = Uses(items) if divided and isinstance(items, Tensor) and self._holdfast_asks() else None
        stand_in = StandIn(model, objective, step, inputs.get("labels"), uses) if objective.acts else None
        caller = stand_in if stand_in is not None or uses is None else Caller(model, objective.model, uses)
        own.multiplied = False
        with contextlib.nullcontext() if uses is None else uses:
            found: Any = super().compute_loss(
                model if caller is None else cast(nn.Module, caller), given, *args, **kwargs
            )
        loss, outputs = found if return_outputs else (found, None)
        if uses is not None and caller is not None:
            self._holdfast_learn(uses.made(loss), caller.given, items)
        accumulation = self.current_gradient_accumulation_steps
        if self.args.world_size > 1:
            self._holdfast_window()  # processes count together
        scale = self._holdfast_scale(loss.detach(), inputs, divided)
        task = loss.nan_to_num(0.0) if scale == 0.0 else loss
        task = task if scale == 1.0 else task * scale
        part = task if divided else task / accumulation
        self._holdfast_note("task", part.detach())
        total = task
        if stand_in is not None:
            result = stand_in.result
            own_loss = loss is result.outputs.get("loss")
            if stand_in.fused:
                own_loss = self._holdfast_fused_is_own(part.detach(), result.outputs, stand_in.batch)
            for name, added in objective.losses(result, stand_in.batch, self._holdfast_window(), own_loss).items():
                self._holdfast_note(name, added.detach() / accumulation)
                total = total + (added / accumulation if divided else added)
        return (total, outputs) if return_outputs else total

    def _loss_is_scaled(self, num_items_in_batch: Any) -> bool:
        """Whether ``training_step`` takes the loss for a part of the mean over the optimizer step already."""
        if self.loss_is_scaled_for_ga is not None:
            return bool(self.loss_is_scaled_for_ga)
        counted = self.model_accepts_loss_kwargs and num_items_in_batch is not None
        return counted or self.compute_loss_func is not None

    def _holdfast_scale(self, loss: Tensor, inputs: Mapping[str, Any], divided: bool) -> float:
        """Return by what the loss is to be multiplied for ``training_step``, which takes it for ``divided`` or not."""
        reduction = self._holdfast.reduction
        if not divided:
            return self._holdfast_share(inputs)
        if reduction is not None and reduction.mean:
            return self._holdfast_share(inputs) / (self.current_gradient_accumulation_steps * reduction.processes)
        if self._holdfast_labelled(inputs) is not None and not bool(torch.isfinite(loss)):
            return min(1.0, self._holdfast_share(inputs))
        return 1.0

    def _holdfast_asks(self) -> bool:
        """Whether it matters what the loss was divided by, and is not known yet."""
        several = self.args.gradient_accumulation_steps > 1 or self.args.world_size > 1
        return several and self._holdfast.reduction is None and self.loss_is_scaled_for_ga is None

    def _holdfast_learn(self, divided: bool | None, given: Mapping[str, Any] | None, items: Any) -> None:
        """Note whether the loss was ``divided`` by ``items``, as the Trainer takes it.

        ``given`` is what the model got: where it was not divided outside of the model, its head may have done so.
        """
        own = self._holdfast
        assert own.objective is not None
        if not divided and given is not None and given.get("num_items_in_batch") is not None:
            divided = divides(own.objective.model, given, items)
        if divided is not None:
            own.reduction = Reduction(not divided, self.accelerator.num_processes if own.multiplied else 1)

    def get_tp_size(self) -> int:
        """Note that ``compute_loss`` multiplies by the number of processes, which it divides by this."""
        self._holdfast.multiplied = True
        return super().get_tp_size()

    def _holdfast_plain_loss(self, batch: Mapping[str, Any]) -> Tensor:
        """Return the mean loss of ``batch`` without methods, with gradient."""
        assert self._holdfast.objective is not None
        loss: Any = super().compute_loss
        counted = {}
        if loss.__func__ is not Trainer.compute_loss or self.compute_loss_func is not None:
            # A loss of the user's own may need the number, as in evaluation.
            names = inspect.signature(loss).parameters.values()
            if any(one.kind is one.VAR_KEYWORD or one.name == "num_items_in_batch" for one in names):
                counted = {"num_items_in_batch": self._get_num_items_in_batch([batch], self.args.device)}
        return cast(Tensor, loss(self._holdfast.objective.model, copy.copy(batch), **counted))

    def _holdfast_fused_is_own(self, part: Tensor, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> bool:
        """Whether ``part``, of the optimizer step's loss, is what the model's own would be; one batch tells for all."""
        own = self._holdfast
        head = None if own.objective is None else own.objective.head
        if head is None or head.kind != "tokens" or head.formula is None:
            return False
        if own.fused_loss_is_own is None:
            share = self._holdfast_share(batch) / self.current_gradient_accumulation_steps
            if share == 0.0:
                return True
            with torch.no_grad():
                expected = head.formula(outputs["logits"], batch["labels"]) * share
            own.fused_loss_is_own = bool(torch.isclose(part.float(), expected, rtol=1e-3))
        return own.fused_loss_is_own

    def _holdfast_step(self) -> Step:
        assert self._holdfast.objective is not None
        index = self.state.global_step - self._holdfast.skipped
        return Step(index, self.state.max_steps, self.optimizer)

    def _holdfast_window(self) -> Window:
        own = self._holdfast
        if own.window is None:
            micro = len(own.samples)
            rows = sum(map(_rows, own.samples)) / micro
            tokens = 0.0
            counts = [self._holdfast_labelled(sample) for sample in own.samples]
            if counts[0] is not None:
                count = torch.as_tensor(
                    sum(one for one in counts if one is not None), dtype=torch.float32, device=self.args.device
                )
                if self.args.world_size > 1:
                    count = self.accelerator.gather(count).mean()
                tokens = max(1.0, float(count)) / micro
            own.window = Window(rows, tokens)
        return own.window

    def _holdfast_labelled(self, batch: Mapping[str, Any]) -> Tensor | None:
        """Return how many labelled tokens ``batch`` has; None where rows have labels."""
        labels = batch.get("labels")
        objective = self._holdfast.objective
        head = None if objective is None else objective.head
        if head is not None:
            return head.mask(labels).sum() if head.kind == "tokens" and isinstance(labels, Tensor) else None
        if not isinstance(labels, Tensor) or labels.ndim < 2 or labels.is_floating_point():
            return None
        return (labels != -100).sum()

    def _holdfast_share(self, batch: Mapping[str, Any]) -> float:
        """This micro-batch's size over the mean size in its optimizer step."""
        window, labelled = self._holdfast_window(), self._holdfast_labelled(batch)
        if labelled is not None:
            return float(labelled) / window.tokens
        return _rows(batch) / window.rows

    def _holdfast_note(self, name: str, value: Tensor) -> None:
        terms = self._holdfast.terms
        terms[name] = terms[name] + value if name in terms else value


def _rows(batch: Mapping[str, Any]) -> float:
    for value in (batch.get("labels"), *batch.values()):
        if (isinstance(value, Tensor) and value.ndim) or isinstance(value, (list, tuple)):
            return float(len(value))
    return 1.0
