"""SIFT against dense AdamW with a mask, and what it leaves alone."""

import copy

import pytest
import torch
from transformers import BartForConditionalGeneration

from holdfast import SIFT, Engine, HoldfastError
from holdfast.methods import check_combination, parse
from tiny import CLASSIFIERS, DECODERS, bart_config, batch, classifier

ATTENTION = {"modernbert": 4, "gpt2": 4, "bart": 12, "t5": 12}
"""Matrices of attention, where they are not query, key, value and output in two layers: joined projections, and
cross attention in a layer of the decoder."""


def adamw(decay=0.0, rate=1e-2):
    return lambda p: torch.optim.AdamW(p, rate, weight_decay=decay, eps=1e-4)


def train(engine, steps, size=4):
    for seed in range(steps):
        data = batch(seed=seed)
        for at in range(0, 4, size):
            engine.backward(engine.loss({key: value[at : at + size] for key, value in data.items()}))
            engine.step()


def dense(model, steps, names, rate, decay):
    """AdamW over whole weights, gradients and results masked: slow, and without any of SIFT's parts."""
    initial, masks = copy.deepcopy(model.state_dict()), {}
    parameters = dict(model.named_parameters())
    body, head = [parameters[n] for n in names], list(model.classifier.parameters())
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in names or name.startswith("classifier"))
    groups = [{"params": body, "weight_decay": decay}, {"params": head, "weight_decay": 0.5}]
    optimizer = torch.optim.AdamW(groups, 1e-2, eps=1e-4)
    for seed in range(steps):
        optimizer.zero_grad()
        model(**batch(seed=seed)).loss.backward()
        for name in names:
            gradient = parameters[name].grad
            if name not in masks:
                size = sorted(gradient.abs().flatten().tolist(), reverse=True)[int(rate * gradient.numel())]
                masks[name] = gradient.abs() >= size
            gradient *= masks[name]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for name, mask in masks.items():
                parameters[name].copy_(torch.where(mask, parameters[name], initial[name]))
    return masks


def chosen(model):
    """Weights and biases of BERT's attention, as the published scripts' name patterns match them."""
    patterns = "query", "key", "value", "attention.output.dense"
    return [n for n, _ in model.named_parameters() if any(pattern in n for pattern in patterns)]


@pytest.mark.slow
@pytest.mark.parametrize("decay", [False, True])
def test_twenty_steps_equal_dense_adamw_under_a_mask(decay):
    """Weight decay of 0.5 acts on the trained entries only where asked for; the head has it in both."""
    model = classifier("bert", labels=2)
    reference, initial = copy.deepcopy(model), copy.deepcopy(model.state_dict())
    names = chosen(model)
    assert set(SIFT().check(model).weights) == set(names)
    engine = Engine(model, [SIFT(rate=0.1, decay=decay)], optimizer=adamw(0.5))
    train(engine, 20)
    masks = dense(reference, 20, names, 0.1, 0.5 if decay else 0.0)
    saved = engine.plain_state_dict()
    engine.finish()
    assert saved.keys() == initial.keys() == model.state_dict().keys()
    for name, parameter in model.named_parameters():
        assert torch.equal(saved[name], parameter), "the last update is in what is saved"
        if "key.bias" in name:
            continue  # its gradient is rounding noise, as it cancels in the softmax
        assert torch.allclose(parameter, reference.state_dict()[name], atol=2e-6), name
        if name in masks:
            assert torch.equal(parameter[~masks[name]], initial[name][~masks[name]])
            assert int((parameter != initial[name]).sum()) == int(0.1 * parameter.numel()) + 1
        elif not name.startswith("classifier"):
            assert torch.equal(parameter, initial[name])


@pytest.mark.parametrize("modules", ["attention", "linear"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_on_every_architecture_each_chosen_weight_is_trained_and_no_other(name, modules):
    model = classifier(name, labels=3)
    initial = {key: p.detach().clone() for key, p in model.named_parameters()}
    method = SIFT(rate=0.05, modules=modules)
    weights = method.check(model).weights
    engine = Engine(model, [method], optimizer=adamw())
    for seed in range(2):
        engine.backward(engine.loss(batch(labels=3, seed=seed, padding="left" if name in DECODERS else "right")))
        engine.step()
    engine.finish()
    body = f"{model.base_model_prefix}."
    for key, parameter in model.named_parameters():
        moved = int((parameter != initial[key]).sum())
        if key in weights:
            assert key.startswith(body)
            assert moved <= int(0.05 * parameter.numel()) + 1, key
            # A key's bias cancels in the softmax, so its gradient, and with it the step, may be zero.
            assert moved > 0 or key.endswith("bias"), key
        elif key.startswith(body):
            assert moved == 0, key
        elif parameter.dim() > 1:
            assert moved > 0, key
    if modules == "attention":
        assert sum(weight.dim() > 1 for weight in weights.values()) == ATTENTION.get(name, 8)
    assert all(p.requires_grad for p in model.parameters())


def test_nothing_dense_is_kept():
    """After the first step no whole gradient survives the backward pass, and Adam's state is 2 k values."""
    model = classifier("bert")
    method = SIFT(rate=0.05, modules="linear")
    found = method.check(model)
    counts = {name: int(0.05 * weight.numel()) + 1 for name, weight in found.weights.items()}
    engine = Engine(model, [method], optimizer=adamw(), accumulation=2)
    train(engine, 1, size=2)
    engine.backward(engine.loss(batch()))
    parameters = dict(model.named_parameters())
    assert all(parameters[name].grad is None for name in counts)
    assert all(p.grad is None or p.requires_grad for p in parameters.values())
    moments = [value for state in engine.optimizer.state.values() for value in state.values() if value.dim()]
    head = sum(p.numel() for p in model.classifier.parameters())
    assert sum(value.numel() for value in moments) == 2 * (sum(counts.values()) + head)
    increments = [p for name, p in parameters.items() if name.endswith("_increment")]
    places = [value for name, value in engine.state_dict()["methods"]["sift"].items() if name in counts]
    assert found.state_bytes == sum(t.numel() * t.element_size() for t in [*increments, *places])
    with torch.device("meta"):
        assert method.check(classifier("bert")).state_bytes == found.state_bytes


def test_accumulation_chooses_by_the_whole_first_batch():
    models = [classifier("bert") for _ in range(2)]
    places = []
    for model, size in zip(models, (4, 1), strict=True):
        engine = Engine(model, [SIFT(rate=0.02)], optimizer=adamw(), accumulation=4 // size)
        train(engine, 5, size)
        places.append(engine.state_dict()["methods"]["sift"])
        engine.finish()
    for name, parameter in models[0].named_parameters():
        if "key.bias" in name:
            continue  # its gradient is rounding noise, as it cancels in the softmax
        assert name not in places[0] or torch.equal(places[0][name], places[1][name]), name
        assert torch.allclose(parameter, models[1].get_parameter(name), atol=1e-5), name


def test_ties_choose_the_exact_number():
    """Equal gradients everywhere: a threshold would choose all."""
    model = classifier("bert")
    engine = Engine(model, [SIFT(rate=0.1)], optimizer=adamw())
    engine.backward(engine.loss(batch()))
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.fill_(1e-3)
    engine.step()
    state = engine.state_dict()["methods"]["sift"]
    for name, weight in SIFT().check(classifier("bert")).weights.items():
        assert len(state[name].unique()) == int(0.1 * weight.numel()) + 1


def test_fp16_scaling_and_a_skipped_first_step():
    """A first step with an infinite gradient chooses nothing; scaled gradients are not taken for whole ones."""
    models = [classifier("bert") for _ in range(2)]
    for model, scaler in zip(models, (None, torch.amp.GradScaler("cpu", init_scale=2.0**10)), strict=True):
        engine = Engine(model, [SIFT(rate=0.05)], optimizer=adamw(), scaler=scaler)
        engine.backward(engine.loss(batch()) * float("inf"))
        assert not engine.step()
        assert int(engine.state_dict()["methods"]["sift"]["chosen"]) == 0
        train(engine, 4)
        engine.finish()
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_what_cannot_work_is_refused():
    with pytest.raises(HoldfastError, match="rate is a share of the entries"):
        SIFT(rate=0)
    with pytest.raises(HoldfastError, match="both replace"):
        check_combination(parse("sift+bitfit"))
    model = classifier("bert")
    with pytest.raises(HoldfastError, match="a method made it, so pass a function"):
        Engine(model, [SIFT()], optimizer=torch.optim.AdamW(model.parameters()))
    frozen = classifier("bert")
    frozen.bert.requires_grad_(False)
    with pytest.raises(HoldfastError, match="finds no trained linear layer in the attention modules"):
        Engine(frozen, [SIFT()], optimizer=adamw())
    with pytest.raises(HoldfastError, match="in the pre-trained body of BertForSequenceClassification: unfreeze some"):
        Engine(frozen, [SIFT(modules="linear")], optimizer=adamw())


def test_generation_models_have_no_head_to_train():
    model = BartForConditionalGeneration(bart_config(0.0))
    trained = Engine(model, [SIFT(rate=0.05)], optimizer=adamw())
    data = batch() | {"labels": torch.randint(5, 97, (4, 7))}
    embeddings = model.model.shared.weight.detach().clone()
    trained.backward(trained.loss(data))
    trained.step()
    assert torch.equal(embeddings, model.lm_head.weight)
    assert SIFT().requires.lr_scale == 3.5
