"""What a model's head computes, learned from one batch instead of from a list of class names.

Stacked copies must not enter the task loss, so the loss of the clean rows is computed here from their logits.
Which formula is right, and whether the head divides by ``num_items_in_batch``, is settled by comparing with the
loss the model itself returns.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from holdfast.errors import HoldfastError
from holdfast.methods.forward import Kind

Formula = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Head:
    """The meaning of a model's outputs and the formula of its own loss."""

    kind: Kind
    formula: Formula | None
    """Mean task loss from (logits, labels); None when no known formula gives the model's own loss."""
    shifts: bool = False
    """Position t predicts the label at t + 1 (causal language models)."""
    counts_items: bool = False
    """The head divides its summed loss by ``num_items_in_batch`` when that is passed."""
    named: bool = True
    """The model names its outputs; else it returns a tuple, or the logits alone."""

    def loss(self, logits: Tensor, batch: Mapping[str, Any]) -> Tensor:
        """Return the task loss of the clean rows, as the model would have returned it. Needs ``formula``."""
        assert self.formula is not None
        labels = batch["labels"]
        mean = self.formula(logits, labels)
        items: Tensor | int | None = batch.get("num_items_in_batch")
        if items is None or not self.counts_items:
            return mean
        return mean * self.mask(labels).sum() / torch.as_tensor(items).clamp(min=1)

    def mask(self, labels: Tensor) -> Tensor:
        """Return, (rows, positions), which output positions have a label."""
        if self.shifts:
            labels = F.pad(labels[:, 1:], (0, 1), value=-100)
        labelled: Tensor = labels != -100
        return labelled


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy over labels other than -100, in float32; 0, where PyTorch's is NaN, without any."""
    labels = labels.flatten().to(logits.device)
    summed = F.cross_entropy(logits.float().flatten(0, -2), labels, reduction="sum")
    return summed / (labels != -100).sum().clamp(min=1)


def shifted_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """As ``cross_entropy``, where position t predicts the label at t + 1."""
    return cross_entropy(logits[:, :-1], labels[:, 1:])


def squared_error(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean squared error, in float32."""
    return F.mse_loss(logits.float().flatten(), labels.float().flatten())


def binary_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross entropy of independent labels, in float32."""
    return F.binary_cross_entropy_with_logits(logits.float(), labels.float())


def learn_head(model: nn.Module, batch: Mapping[str, Any]) -> Head | None:
    """Find out what ``model`` (not wrapped) computes on ``batch``, labels included, without changing anything.

    Costs one or two forward passes without gradient or dropout. A model that takes no labels leaves the loss to
    its trainer; its outputs tell the kind alone. Returns None when this batch cannot tell: its loss is not finite.
    Raises ``HoldfastError`` when the model returns no loss, or no logits that are one tensor.
    """
    # A part that the user froze in evaluation mode must stay there.
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            labels = batch["labels"]
            if not isinstance(labels, Tensor):
                raise HoldfastError(
                    f"the labels are a {type(labels).__name__}, and methods compare outputs with a tensor of them: "
                    "give one label a row or token, or use methods that work on weights or gradients, such as mixout"
                )
            if bool((labels == -100).all()):
                labels = torch.zeros_like(labels)  # any labels tell, none at all do not
            plain = {key: value for key, value in batch.items() if key not in ("labels", "num_items_in_batch")}
            if not _takes(model, "labels"):
                found = model(**plain)
                logits = _one_tensor(model, named(model, found, "logits")["logits"])
                kind, _, shifts = _match(logits, labels, None, _is_causal(model))
                return Head(kind, None, shifts, named=isinstance(found, Mapping))
            plain["labels"] = labels
            found = model(**plain)
            outputs = named(model, found)
            if outputs.get("loss") is None and outputs.get("logits") is not None:
                # It has an argument for labels, and leaves the loss to its trainer all the same.
                logits = _one_tensor(model, outputs["logits"])
                kind, _, shifts = _match(logits, labels, None, _is_causal(model))
                return Head(kind, None, shifts, named=isinstance(found, Mapping))
            outputs = named(model, outputs, "loss", "logits")
            logits, own = _one_tensor(model, outputs["logits"]), outputs["loss"].float()
            if not torch.isfinite(own):
                return None
            kind, formula, shifts = _match(logits, labels, own, _is_causal(model))
            if outputs.get("aux_loss") is not None:
                formula = None  # a mixture of experts adds the balance of its experts, which no formula knows
            counts = False
            if _takes(model, "num_items_in_batch"):
                # Twice the true count: a head that divides by it returns half its loss.
                mask = Head(kind, formula, shifts).mask(labels) if labels.ndim == 2 else labels != -100
                counted = named(model, model(**plain, num_items_in_batch=2 * mask.sum()), "loss")["loss"].float()
                counts = bool(torch.isclose(counted, own / 2, rtol=1e-2)) and not bool(torch.isclose(counted, own))
    finally:
        for module in training:
            module.training = True
        # Autocast remembers weights cast without gradient and would hand them to the next forward.
        torch.clear_autocast_cache()
    return Head(kind, formula, shifts, counts, isinstance(found, Mapping))


def _match(logits: Tensor, labels: Tensor, own: Tensor | None, causal: bool) -> tuple[Kind, Formula | None, bool]:
    candidates: list[tuple[Kind, Formula, bool]] = []
    if logits.ndim == 3:
        candidates = [("tokens", cross_entropy, False), ("tokens", shifted_cross_entropy, True)]
        if causal:  # an untrained head can give both formulas the same value, log of the vocabulary's size
            candidates = candidates[1:]
        if labels.shape != logits.shape[:2]:
            return "tokens", None, False
    elif labels.is_floating_point() or logits.shape[-1] == 1 or logits.ndim == 1:
        candidates = [("regression", squared_error, False)]
        if labels.shape == logits.shape:
            candidates.append(("multi_label", binary_cross_entropy, False))
    elif labels.numel() == len(logits):
        candidates = [("single_label", cross_entropy, False)]
    elif labels.shape == logits.shape:
        candidates = [("multi_label", binary_cross_entropy, False)]
    # Half-precision heads reduce in another order and width than the formulas do.
    exact = logits.dtype in (torch.float32, torch.float64)
    for kind, formula, shifts in candidates:
        if own is not None and torch.isclose(formula(logits, labels), own, rtol=1e-4 if exact else 2e-2, atol=1e-6):
            return kind, formula, shifts
    kind, _, shifts = candidates[0] if candidates else ("single_label", cross_entropy, False)
    return kind, None, shifts


def named(model: nn.Module, outputs: Any, *names: str) -> Mapping[str, Any]:
    """Return ``outputs`` by name; a tuple's are, as in Transformers, the loss, where there is one, and the logits.

    Raises ``HoldfastError`` when ``model`` returned something else, or one of ``names`` is missing.
    """
    kind = type(model).__name__
    if isinstance(outputs, (Tensor, tuple, list)):
        found = [value for value in ([outputs] if isinstance(outputs, Tensor) else outputs) if value is not None]
        loss = found[:1] if found and isinstance(found[0], Tensor) and found[0].ndim == 0 else []
        outputs = dict(zip(["loss"] * len(loss) + ["logits"], found, strict=False))
    if not isinstance(outputs, Mapping):
        raise HoldfastError(
            f"{kind} returned a {type(outputs).__name__}: return a dictionary with 'loss' and 'logits', or a tuple of "
            "loss and logits"
        )
    for name in names:
        if outputs.get(name) is None:
            raise HoldfastError(
                f"{kind} returned no {name} (only {', '.join(outputs)}): use a model with a task head, "
                "such as AutoModelForSequenceClassification, and no fused loss"
            )
    return outputs


def _one_tensor(model: nn.Module, logits: Any) -> Tensor:
    if not isinstance(logits, Tensor):
        count = f"{len(logits)} heads" if isinstance(logits, (tuple, list, Mapping)) else type(logits).__name__
        raise HoldfastError(
            f"{type(model).__name__} returned logits of {count}, and methods that compare outputs compare one tensor: "
            "return that, or use methods that work on weights or gradients, such as mixout"
        )
    return logits


def refuse_virtual_tokens(model: nn.Module, method: str) -> None:
    """Raise ``HoldfastError``, naming ``method``, where PEFT's learned tokens make outputs longer than labels.

    In prefix tuning they enter as past keys, and nothing is longer.
    """
    active: Any = getattr(model, "active_peft_config", None)
    longer = active is not None and active.is_prompt_learning and active.peft_type != "PREFIX_TUNING"
    if longer and active.task_type in ("CAUSAL_LM", "TOKEN_CLS"):
        raise HoldfastError(
            f"{method} compares the outputs at each token of the text, and {active.peft_type.lower()} puts "
            f"{active.num_virtual_tokens} learned tokens before it: use LoRA, or prefix tuning"
        )


def _is_causal(model: nn.Module) -> bool:
    generates = getattr(model, "can_generate", None)
    return callable(generates) and bool(generates()) and not model.config.is_encoder_decoder  # type: ignore[union-attr]


def _takes(model: nn.Module, name: str) -> bool:
    parameters = inspect.signature(model.forward).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
