"""A trainer's own loss gets what the Trainer gives it, and trains to the same weights; what is mended is mended around.

Three steps of two micro-batches unless said otherwise, which the Trainer of Transformers 5 gets wrong for losses that
ignore the number of items.
"""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from trainers import Gradients, Log, arguments, rows, same
from transformers import Trainer, set_seed

from holdfast import R3F, ChildTuningD, HoldfastError, Mixout, Vanilla, attach
from tiny import classifier

WEIGHT = torch.tensor([1.0, 4.0])
ACTING = R3F(sigma=0.0, weight=0.0, gradient="clean")
"""Runs through the stand-in for the model, and without dropout adds nothing."""


def summed(logits, labels):
    return cross_entropy(logits, labels, weight=WEIGHT, reduction="sum")


class Noting(Trainer):
    """Notes what its ``compute_loss`` is given."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.counts = []

    def note(self, items):
        self.counts.append(None if items is None else float(items))


class Sum(Noting):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        self.note(num_items_in_batch)
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = summed(outputs.logits, labels) / num_items_in_batch
        return (loss, outputs) if return_outputs else loss


class ByKeyword(Noting):
    """As a Python number, which leaves no trace in the graph."""

    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        self.note(kwargs["num_items_in_batch"])
        outputs = model(**inputs)
        loss = summed(outputs.logits, inputs["labels"]) / float(kwargs["num_items_in_batch"])
        return (loss, outputs) if return_outputs else loss


class WithoutOutputs(Noting):
    """Takes no ``return_outputs``, which the Trainer does not pass in training."""

    def compute_loss(self, model, inputs, num_items_in_batch=None):
        self.note(num_items_in_batch)
        return summed(model(**inputs).logits, inputs["labels"]) / num_items_in_batch


class Drawing(Noting):
    """Draws numbers of its own, and counts its calls."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        self.note(num_items_in_batch)
        share = float(np.random.rand()) + 0.1 * len(self.counts)
        outputs = model(**inputs)
        loss = share * summed(outputs.logits, inputs["labels"]) / num_items_in_batch
        return (loss, outputs) if return_outputs else loss


class Scaled(Sum):
    loss_is_scaled_for_ga = True


class Mean(Noting):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        self.note(num_items_in_batch)
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = cross_entropy(outputs.logits, labels)
        return (loss, outputs) if return_outputs else loss


class DeclaredMean(Mean):
    loss_is_scaled_for_ga = False


class OfTheModel(Noting):
    """Makes its loss of the model's, which ignores the number that it gets."""

    def compute_loss(self, model, inputs, *args, **kwargs):
        self.note(kwargs["num_items_in_batch"])
        return 2 * super().compute_loss(model, inputs, *args, **kwargs)


class OfTheModelAlone(Noting):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        self.note(num_items_in_batch)
        return 2 * super().compute_loss(model, inputs)


class OwnStep(Noting):
    """Divides by itself."""

    def training_step(self, model, inputs, num_items_in_batch=None):
        model.train()
        loss = self.compute_loss(model, self._prepare_inputs(inputs)) / self.args.gradient_accumulation_steps
        self.accelerator.backward(loss)
        return loss.detach()

    def compute_loss(self, model, inputs, return_outputs=False):
        self.note(None)
        outputs = model(**inputs)
        return (outputs.loss, outputs) if return_outputs else outputs.loss


class Declining(Noting):
    """As for a model whose class says ``accepts_loss_kwargs = False``."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = False

    def compute_loss(self, model, inputs, *args, num_items_in_batch=None, **kwargs):
        self.note(num_items_in_batch)
        return super().compute_loss(model, inputs, *args, **kwargs)


def divided(outputs, labels, num_items_in_batch=None):
    return summed(outputs.logits, labels) / num_items_in_batch


def averaged(outputs, labels, num_items_in_batch=None):
    return cross_entropy(outputs.logits, labels)


def trained(folder, kind, *methods, dropout=0.0, function=None, stacked=True, **options):
    log, gradients = Log(), Gradients()
    settings = {"gradient_accumulation_steps": 2, "max_steps": 3, "learning_rate": 1e-3} | options
    trainer = kind(
        classifier("bert", dropout=dropout),
        arguments(folder, **settings),
        train_dataset=rows(16),
        compute_loss_func=function,
        callbacks=[log, gradients],
    )
    if methods:
        attach(trainer, *methods, stacked=stacked)
    set_seed(3)
    trainer.train()
    return trainer, log.values("loss"), torch.cat([g.flatten() for g in gradients.found])


RIGHT = {
    "sum": (Sum, {}),
    "sum, no average over processes": (Sum, {"average_tokens_across_devices": False}),
    "by keyword": (ByKeyword, {}),
    "without outputs": (WithoutOutputs, {}),
    "drawing": (Drawing, {}),
    "declared scaled": (Scaled, {}),
    "declared mean": (DeclaredMean, {}),
    "own training_step": (OwnStep, {}),
    "no number wanted": (Declining, {}),
    "function": (Noting, {"function": divided}),
    "label smoothing": (Noting, {"label_smoothing_factor": 0.1}),
}
"""Losses that the Trainer accumulates rightly."""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "options"), RIGHT.values(), ids=RIGHT)
@pytest.mark.parametrize("accumulation", [1, 2])
def test_attached_it_trains_to_the_same_weights_bit_for_bit(kind, options, accumulation, tmp_path):
    options = options | {"gradient_accumulation_steps": accumulation}
    for method, dropout in ((Vanilla(), 0.1), (ACTING, 0.0)):
        stock, losses, _ = trained(tmp_path, kind, dropout=dropout, **options)
        attached, found, _ = trained(tmp_path, kind, method, dropout=dropout, stacked=False, **options)
        assert same(stock.model, attached.model), method.name
        assert found == losses
        assert attached.counts == stock.counts, "called as often, with the same numbers"


MEANS = {
    "mean": (Mean, {}),
    "of the model": (OfTheModel, {}),
    "of the model alone": (OfTheModelAlone, {}),
    "function": (Noting, {"function": averaged}),
}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "options"), MEANS.values(), ids=MEANS)
@pytest.mark.parametrize("method", [Vanilla(), ACTING], ids=["vanilla", "r3f"])
def test_a_mean_that_ignores_the_number_is_divided_around_it(kind, options, method, tmp_path):
    """The gradient of two micro-batches is that of one of all rows, and the loss gets the number all the same."""
    options = options | {"max_steps": 1, "max_grad_norm": 0}
    whole = {"gradient_accumulation_steps": 1, "per_device_train_batch_size": 8}
    _, once, expected = trained(tmp_path, kind, method, **options, **whole)
    split, twice, found = trained(tmp_path, kind, method, **options)
    assert torch.allclose(found, expected, atol=1e-5, rtol=1e-3)
    assert twice == pytest.approx(once, rel=1e-5)
    stock, inflated, _ = trained(tmp_path, kind, **options)
    assert inflated == pytest.approx([2 * value for value in once], rel=1e-5), "or there is nothing to mend any more"
    assert split.counts == stock.counts


@pytest.mark.slow
def test_methods_that_measure_give_the_loss_its_number(tmp_path):
    for kind in (Sum, ByKeyword, WithoutOutputs, OwnStep):
        trainer, losses, _ = trained(tmp_path, kind, ChildTuningD())
        assert len(losses) == 3
        assert trainer.state.global_step == 3


@pytest.mark.slow
def test_the_penalty_stands_beside_a_sum_as_beside_a_mean(tmp_path):
    found = {}
    for kind in (Sum, Mean):
        log = Log()
        trainer = kind(
            classifier("bert"),
            arguments(tmp_path, gradient_accumulation_steps=2, max_steps=1),
            train_dataset=rows(8),
            callbacks=[log],
        )
        set_seed(3)
        attach(trainer, R3F(sigma=0.3)).train()
        (entry,) = log.entries
        assert entry["loss"] == pytest.approx(entry["loss/task"] + entry["loss/r3f"], rel=1e-5)
        found[kind] = entry["loss/r3f"]
    assert found[Sum] == pytest.approx(found[Mean], rel=1e-5)
    assert found[Sum] > 0


class Unwilling(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False):
        outputs = model(**inputs)
        return (outputs.loss, outputs) if return_outputs else outputs.loss


class OwnLoop(Trainer):
    def training_step(self, model, inputs, num_items_in_batch=None):
        model.train()
        loss = model(**self._prepare_inputs(inputs)).loss
        self.accelerator.backward(loss)
        return loss.detach()


def test_what_the_trainer_cannot_call_is_told_when_methods_are_attached(tmp_path):
    with pytest.raises(HoldfastError, match=r"compute_loss of Unwilling takes no num_items_in_batch.*add"):
        trained(tmp_path, Unwilling, Vanilla())


@pytest.mark.slow
def test_a_training_step_that_computes_the_loss_elsewhere(tmp_path):
    """Methods on weights do not mind."""
    with pytest.raises(HoldfastError, match=r"training_step of OwnLoop does not call self.compute_loss, where r3f"):
        trained(tmp_path, OwnLoop, R3F())
    stock, _, _ = trained(tmp_path, OwnLoop)
    attached, _, _ = trained(tmp_path, OwnLoop, Mixout(drop=0.0))
    assert same(stock.model, attached.model)
