"""L2-SP against the penalty written out and differentiated."""

import copy

import pytest
import torch

from holdfast import L2SP, Engine, HoldfastError
from loops import sgd
from tiny import batch, classifier


def penalised(model, initial, alpha, beta, biases, data):
    """The published loss, summed over the weights one by one."""
    loss = model(**data).loss
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1 and not biases:
            continue
        if name.startswith("bert."):
            loss = loss + alpha / 2 * (parameter - initial[name]).square().sum()
        else:
            loss = loss + beta / 2 * parameter.square().sum()
    return loss


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("biases", [False, True])
def test_the_gradient_is_that_of_the_penalty_in_the_loss(biases, accumulation):
    """Clipped together with the task's, and not multiplied by the number of micro-batches."""
    model = classifier("bert", labels=3)
    reference, initial = copy.deepcopy(model), copy.deepcopy(model.state_dict())
    method = L2SP(alpha=3.0, beta=0.5, biases=biases)
    engine = Engine(model, [method], optimizer=sgd(0.1), accumulation=accumulation, max_grad_norm=1.0)
    for seed in range(3):
        data = batch(rows=4, labels=3, seed=seed)
        for part in range(accumulation):
            rows = slice(part * 4 // accumulation, (part + 1) * 4 // accumulation)
            engine.backward(engine.loss({key: value[rows] for key, value in data.items()}))
            engine.step()
        reference.zero_grad()
        penalised(reference, initial, 3.0, 0.5, biases, data).backward()
        torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
        with torch.no_grad():
            for parameter in reference.parameters():
                parameter -= 0.1 * parameter.grad
        for a, b in zip(model.parameters(), reference.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-6)


def test_decoupled_pulls_after_the_step():
    """w -= lr alpha (w - w0), whatever the optimizer made of the gradient."""
    model = classifier("bert")
    initial = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.AdamW(
        [{"params": model.bert.parameters(), "lr": 0.01}, {"params": model.classifier.parameters(), "lr": 0.1}],
        weight_decay=0.0,
        eps=1e-3,
    )
    plain = copy.deepcopy(model)
    groups = [{"params": plain.bert.parameters(), "lr": 0.01}, {"params": plain.classifier.parameters(), "lr": 0.1}]
    plain_optimizer = torch.optim.AdamW(groups, weight_decay=0.0, eps=1e-3)
    engine = Engine(model, [L2SP(alpha=20.0, beta=2.0, decoupled=True)], optimizer=optimizer, max_grad_norm=None)
    for seed in range(3):
        engine.backward(engine.loss(batch(seed=seed)))
        engine.step()
        plain_optimizer.zero_grad()
        plain(**batch(seed=seed)).loss.backward()
        plain_optimizer.step()
        with torch.no_grad():
            for name, parameter in plain.named_parameters():
                if parameter.dim() > 1 and name.startswith("bert."):
                    parameter -= 0.01 * 20.0 * (parameter - initial[name])
                elif parameter.dim() > 1:
                    parameter *= 1 - 0.1 * 2.0
        for a, b in zip(model.parameters(), plain.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-5)


def test_what_cannot_work_is_refused():
    with pytest.raises(HoldfastError, match="alpha must be a number of at least 0"):
        L2SP(alpha=float("nan"))
    for argument in ("alpha", "beta"):
        engine = Engine(classifier("bert"), [L2SP(**{argument: 50.0}, decoupled=True)], optimizer=sgd(0.1))
        engine.backward(engine.loss(batch()))
        with pytest.raises(HoldfastError, match=rf"l2_sp\({argument}=50\) diverges at learning rate 0.1"):
            engine.step()


def test_the_footprint_says_what_is_pulled_to_what():
    footprint = L2SP().check(classifier("bert"))
    assert "classifier.weight" in footprint.weights
    assert footprint.action == "pre-trained weights pulled to their values, the head's to zero"
    assert "classifier.weight" not in L2SP(beta=0.0).check(classifier("bert")).weights
