"""Training on text without labels, before a task's own training."""

import itertools
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from holdfast.errors import HoldfastError
from holdfast.methods.base import SelfSupervised
from holdfast.methods.parts.rng import own_generator
from holdfast.modes import same_modes
from holdfast.training.pretraining.corruption import check_words, corruption
from holdfast.training.pretraining.language_models import LanguageModel, language_model
from holdfast.training.pretraining.questions import IGNORED, Question, real_tokens

logger = logging.getLogger(__name__)

_WARMUP = 0.1
_MAX_GRAD_NORM = 1.0
_READ = ("input_ids", "attention_mask", "token_type_ids", "position_ids")


@dataclass(frozen=True)
class Text:
    """The training texts, as the task's training sees them."""

    batches: Callable[[], Iterator[Mapping[str, Any]]]
    """Gives one pass over the training rows: the model's keyword arguments, on the model's device; labels are not
    looked at. Under DDP a process gets its share of the rows."""
    length: int | None
    """Batches of a pass; None when that is not known."""
    accumulation: int
    """Batches to an optimizer step."""
    tokenizer: Any
    autocast: Callable[[], AbstractContextManager[Any]]
    """Makes the context of mixed precision."""


@dataclass(frozen=True)
class StageProgress:
    """Where a stage is."""

    method: str
    step: int
    """Optimizer steps done."""
    total: int
    loss: float | None
    """Mean loss a token asked for, of the last step; None before the first."""


OnStage = Callable[[StageProgress], None]


def log_progress(progress: StageProgress) -> None:
    """Tell where a stage is in the log, about ten times in all."""
    every = max(1, progress.total // 10)
    if progress.loss is not None and (progress.step % every == 0 or progress.step == progress.total):
        logger.info("%s: step %d of %d, loss %.4f", progress.method, progress.step, progress.total, progress.loss)


def retrain(model: nn.Module, stage: SelfSupervised, text: Text, seed: int, method: str, report: OnStage) -> None:
    """Carry out ``stage`` on the body of ``model``; its head stays as it is.

    The global random generators are put back afterwards, and the weights too when it breaks off (Ctrl-C), so that it
    can begin again. Steps with a gradient that is not finite are left out.
    Raises ``HoldfastError``, naming ``method``, when the model or the texts do not lend themselves to it.
    """
    if text.length is None:
        raise HoldfastError(
            f"{method} goes over the training texts {stage.epochs} times: give it a dataset with a length"
        )
    if not text.length:
        raise HoldfastError(
            f"{method} got no batch of training texts: give it some, or a smaller batch where the last is dropped"
        )
    check_words(model, text.tokenizer, method)
    rank = torch.distributed.get_rank() if _distributed() else 0
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    before = [(p, p.detach().cpu().clone()) for p in model.parameters() if p.requires_grad]
    try:
        with torch.random.fork_rng(devices), same_modes(model):
            torch.manual_seed(seed)
            whole = language_model(model, method)
            # Processes draw the same output layer and different masks.
            torch.manual_seed(seed + rank)
            ask = corruption(whole.objective, text.tokenizer, stage.mask_rate, own_generator(f"{method} {rank}", seed))
            _train(whole, stage, text, lambda batch: ask(_text_of(batch, method)), method, report)
    except BaseException:
        with torch.no_grad():
            for parameter, value in before:
                parameter.copy_(value)
        raise
    finally:
        model.zero_grad(set_to_none=True)


def _train(
    whole: LanguageModel,
    stage: SelfSupervised,
    text: Text,
    ask: Callable[[Mapping[str, Any]], Question],
    method: str,
    report: OnStage,
) -> None:
    from transformers import get_linear_schedule_with_warmup

    assert text.length is not None
    whole.model.train()
    parameters = [p for p in whole.model.parameters() if p.requires_grad]
    total = stage.epochs * math.ceil(text.length / text.accumulation)
    optimizer = torch.optim.AdamW(parameters, stage.learning_rate, weight_decay=0.0, fused=True)
    schedule = get_linear_schedule_with_warmup(  # type: ignore[no-untyped-call]
        optimizer, math.ceil(_WARMUP * total), total
    )
    report(StageProgress(method, 0, total, None))
    checked = whole.objective != "causal"
    step = 0
    for _ in range(stage.epochs):
        for window in _windows(text.batches(), text.accumulation):
            questions = [ask(batch) for batch in window]
            checked = checked or _reads_forward(whole, questions[0], method)
            loss = _accumulate(whole, questions, text.autocast)
            norm = nn.utils.clip_grad_norm_(parameters, _MAX_GRAD_NORM)
            if bool(torch.isfinite(norm)):
                optimizer.step()
                schedule.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            report(StageProgress(method, step, total, float(loss)))


def _accumulate(
    whole: LanguageModel, questions: list[Question], autocast: Callable[[], AbstractContextManager[Any]]
) -> Tensor:
    """Add the gradient of the mean loss a token asked for, over all questions and processes; return that loss."""
    device = questions[0].labels.device
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    sums[0] = sum((question.labels != IGNORED).sum() for question in questions)
    if _distributed():
        torch.distributed.all_reduce(sums)
    count = sums[0].clamp(min=1.0)
    for question in questions:
        if not bool((question.labels != IGNORED).any()):
            continue
        with autocast():
            loss = _summed_loss(whole, question) / count.to(torch.float32)
        loss.backward()  # type: ignore[no-untyped-call]
        sums[1] += loss.detach()
    if _distributed():
        torch.distributed.all_reduce(sums[1])
        for parameter in whole.model.parameters():
            if parameter.requires_grad:
                if parameter.grad is None:
                    # Of a process whose batch asked for nothing.
                    parameter.grad = torch.zeros_like(parameter)
                torch.distributed.all_reduce(parameter.grad)
    return sums[1]


def _summed_loss(whole: LanguageModel, question: Question) -> Tensor:
    """Return the sum of the losses of the tokens asked for."""
    scored = question.labels != IGNORED
    arguments = dict(question.batch)
    if whole.objective == "masked":
        logits = _masked_logits(whole, arguments, scored)
    elif whole.objective == "spans":
        logits = whole.model(**arguments, labels=question.labels, use_cache=False).logits[scored]
    else:
        logits = whole.model(**arguments, use_cache=False).logits[scored]
    return F.cross_entropy(logits.float(), question.labels[scored], reduction="sum")


def _masked_logits(whole: LanguageModel, arguments: Mapping[str, Any], scored: Tensor) -> Tensor:
    """Return the logits, (tokens asked for, vocabulary), at those positions alone.

    An output layer of 30,000 words costs as much as the rest of a small model, and all but a seventh of it would
    be thrown away: it gets those positions as one row.
    """

    def only_scored(module: nn.Module, args: Any, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state[scored][None]
        return output

    handle = whole.body.register_forward_hook(only_scored)
    try:
        logits: Tensor = whole.model(**arguments, return_dict=True).logits
    finally:
        handle.remove()
    # Models that do not call their body as a module give all.
    return logits[scored] if logits.shape[:2] == scored.shape else logits[0]


@torch.no_grad()
def _reads_forward(whole: LanguageModel, question: Question, method: str) -> bool:
    """Return true for a model whose first token does not see the last, false where all texts are of one token.

    Raises ``HoldfastError`` for a model that reads in both directions: it would be asked for what it sees.
    """
    ids, real = question.batch["input_ids"], real_tokens(question.batch)
    positions = torch.arange(ids.shape[1], device=ids.device)
    first, last = real.int().argmax(1), (positions * real).argmax(1)
    rows = (last > first).nonzero().flatten()
    other = ids.clone()
    other[rows, last[rows]] = torch.where(ids[rows, last[rows]] == 0, 1, 0)
    whole.model.eval()
    states = [whole.body(**{**question.batch, "input_ids": given}, use_cache=False)[0] for given in (ids, other)]
    whole.model.train()
    # At padding there may be anything.
    begin, changed = (state[rows, first[rows]] for state in states)
    if not torch.allclose(begin, changed, rtol=1e-3, atol=1e-4, equal_nan=True):
        raise HoldfastError(
            f"{method} asks decoders for the next token, and {type(whole.body).__name__} sees the tokens that come "
            "after: leave it out"
        )
    return bool(len(rows))


def _text_of(batch: Mapping[str, Any], method: str) -> dict[str, Tensor]:
    if "input_ids" not in batch:
        raise HoldfastError(
            f"{method} re-trains on tokens, and the batches hold no input_ids (they hold {', '.join(batch)})"
        )
    # Multiple choice: each choice is a text.
    return {name: batch[name].flatten(0, -2) for name in _READ if batch.get(name) is not None}


def _windows(batches: Iterable[Mapping[str, Any]], size: int) -> Iterator[list[Mapping[str, Any]]]:
    iterator = iter(batches)
    while window := list(itertools.islice(iterator, size)):
        yield window


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
