"""R-Drop against its loss written out over two passes of the model."""

import copy
import logging
import math

import pytest
import torch
from torch import nn
from transformers import BartForConditionalGeneration

from holdfast import HoldfastError, View
from holdfast.methods.base import Plan
from holdfast.methods.forward import Forward, Step
from holdfast.methods.r_drop import RDrop
from loops import engine
from tiny import CLASSIFIERS, VOCABULARY, bart_config, batch, classifier


def both_passes(model, data, seed):
    """Outputs of the model for the batch twice over, as one stacked forward draws its dropout."""
    torch.manual_seed(seed)
    twice = {key: torch.cat([value, value]) for key, value in data.items() if key != "labels"}
    return model(**twice).logits.chunk(2)


def session():
    return RDrop().start(nn.Identity(), Plan(None))


def kl(p, q):
    """KL(P || Q) of one row in plain Python."""
    return sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_loss_is_the_published_one_over_two(name):
    """CE of both passes and KL both ways, row by row in plain Python."""
    model, data = classifier(name, dropout=0.3, labels=3), batch(labels=3)
    trained = engine(model, RDrop(alpha=1.7))
    torch.manual_seed(6)
    loss = float(trained.loss(data))
    trained.finish()
    rows = [logits.double().softmax(-1).tolist() for logits in both_passes(model, data, seed=6)]
    total = 0.0
    for p, q, label in zip(*rows, data["labels"].tolist(), strict=True):
        total += -math.log(p[label]) / 2 - math.log(q[label]) / 2 + 1.7 / 2 * (kl(p, q) + kl(q, p))
    assert loss == pytest.approx(total / 4, rel=1e-4)
    assert sum(trained.terms.values()) == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_gradient_is_that_of_the_loss_written_out(accumulation):
    """Through both passes, of the task loss too."""
    model = classifier("bert", dropout=0.3)
    plain = copy.deepcopy(model)
    trained = engine(model, RDrop(alpha=0.8), accumulation=accumulation)
    for part in range(accumulation):
        torch.manual_seed(part)
        trained.backward(trained.loss(batch(seed=part)))
    for part in range(accumulation):
        data = batch(seed=part)
        a, b = both_passes(plain, data, seed=part)
        ce = nn.functional.cross_entropy
        p, q = a.log_softmax(-1), b.log_softmax(-1)
        apart = nn.functional.kl_div(p, q, log_target=True, reduction="batchmean")
        apart = apart + nn.functional.kl_div(q, p, log_target=True, reduction="batchmean")
        loss = (ce(a, data["labels"]) + ce(b, data["labels"])) / 2 + 0.8 / 2 * apart
        (loss / accumulation).backward()
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None)
        assert a.grad is None or torch.allclose(a.grad, b.grad, atol=1e-5)


def test_regression_is_the_mean_of_both_errors_and_their_distance():
    model = classifier("bert", dropout=0.3, labels=1, problem="regression")
    data = {**batch(), "labels": torch.tensor([0.5, 2.0, -1.0, 3.0])}
    trained = engine(model, RDrop(alpha=2.0))
    torch.manual_seed(6)
    loss = float(trained.loss(data))
    trained.finish()
    a, b = (logits.squeeze(-1).double() for logits in both_passes(model, data, seed=6))
    errors = ((a - data["labels"]) ** 2 + (b - data["labels"]) ** 2) / 2 + (a - b) ** 2
    assert loss == pytest.approx(float(errors.mean()), rel=1e-5)


def test_independent_labels_have_the_divergence_of_bernoulli_variables():
    model = classifier("bert", dropout=0.3, labels=3, problem="multi_label_classification")
    data = {**batch(), "labels": torch.randint(0, 2, (4, 3)).float()}
    trained = engine(model, RDrop(alpha=1.0))
    torch.manual_seed(6)
    loss = float(trained.loss(data))
    trained.finish()
    a, b = (logits.double() for logits in both_passes(model, data, seed=6))
    bce = nn.functional.binary_cross_entropy_with_logits
    expected = float((bce(a, data["labels"].double()) + bce(b, data["labels"].double())) / 2)
    for x, y in zip(a.sigmoid().flatten().tolist(), b.sigmoid().flatten().tolist(), strict=True):
        expected += (kl((x, 1 - x), (y, 1 - y)) + kl((y, 1 - y), (x, 1 - x))) / 2 / 4
    assert loss == pytest.approx(expected, rel=1e-5)


def test_generation_averages_over_labelled_positions():
    """Padding of the labels counts in neither part."""
    model = BartForConditionalGeneration(bart_config(0.3)).train()
    ids = torch.randint(5, VOCABULARY, (3, 6))
    labels = ids[:, :5].clone()
    labels[0, 3:] = labels[2, 1:] = -100
    data = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    trained = engine(model, RDrop(alpha=1.3))
    torch.manual_seed(6)
    loss = float(trained.loss(data))
    trained.finish()
    decoder = model.prepare_decoder_input_ids_from_labels(labels=labels)
    a, b = both_passes(model, {**data, "decoder_input_ids": decoder}, seed=6)
    total = 0.0
    for row, position in (labels != -100).nonzero().tolist():
        p, q = (logits[row, position].double().softmax(-1).tolist() for logits in (a, b))
        label = int(labels[row, position])
        total += -math.log(p[label]) / 2 - math.log(q[label]) / 2 + 1.3 / 2 * (kl(p, q) + kl(q, p))
    assert loss == pytest.approx(total / int((labels != -100).sum()), rel=1e-4)


def test_swapping_the_passes_gives_the_same_loss():
    a, b = {"logits": torch.randn(4, 3)}, {"logits": torch.randn(4, 3)}
    labels = torch.tensor([0, 1, 2, 0])

    def task(logits):
        return nn.functional.cross_entropy(logits, labels)

    def loss(first, second):
        forward = Forward(first, [second], {}, "single_label", 4, task_loss=task)
        return task(first["logits"]) + session().loss(forward)

    assert torch.allclose(loss(a, b), loss(b, a))


def test_it_shares_a_view_with_whoever_asks_for_a_plain_copy():
    assert session().views(Step(0, None)) == (View(),)


def test_a_model_without_dropout_is_told_once(caplog):
    model, data = classifier("bert"), batch()
    plain = float(model(**data).loss)
    trained = engine(model, RDrop())
    with caplog.at_level(logging.WARNING):
        assert float(trained.loss(data)) == pytest.approx(plain, rel=1e-6)
        trained.loss(data)
    assert caplog.text.count("r_drop does nothing") == 1
    caplog.clear()
    engine(classifier("bert", dropout=0.1), RDrop()).loss(data)
    assert not caplog.text


def test_refused():
    with pytest.raises(HoldfastError, match=r"r_drop\(alpha=-1\)"):
        RDrop(alpha=-1)
    outputs = {"logits": torch.randn(2, 2), "loss": torch.tensor(1.0)}
    forward = Forward(outputs, [outputs], {}, "single_label", 2)
    with pytest.raises(HoldfastError, match="r_drop needs the model's own loss"):
        session().loss(forward)
    fused = Forward({"logits": None}, [outputs], {}, "single_label", 2)
    with pytest.raises(HoldfastError, match="r_drop needs logits"):
        session().loss(fused)
    lost = Forward({**outputs, "loss": torch.tensor(math.nan)}, [outputs], {}, "single_label", 2)
    assert session().loss(lost) is None
