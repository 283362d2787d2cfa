"""HyPe: where its noise goes, how it is distributed, and what is left of it afterwards."""

import copy
import logging

import pytest
import torch
from transformers import BartForConditionalGeneration

from holdfast import HoldfastError
from holdfast.methods.base import Plan
from holdfast.methods.hype import HyPe
from holdfast.methods.parts.model.layers import layer_stacks
from loops import engine
from tiny import CLASSIFIERS, VOCABULARY, bart_config, batch, classifier


def inputs_of_blocks(model):
    """Record what enters each block, before and after the hooks that come later."""
    seen = {}

    def hook(kind):
        def record(module, args, kwargs):
            hidden = args[0] if args else kwargs["hidden_states"]
            seen.setdefault((id(module), kind), []).append(hidden.detach())

        return record

    blocks = [block for stack in layer_stacks(model, "test") for _, block in stack]
    for block in blocks:
        block.register_forward_pre_hook(hook("before"), with_kwargs=True)
    return blocks, seen, hook("after")


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_loss_is_that_of_noise_before_every_block(name):
    """The same draws added by hand, block after block in the order in which they run."""
    model, data = classifier(name), batch()
    plain = copy.deepcopy(model)
    trained = engine(model, HyPe(sigma=0.3))
    torch.manual_seed(5)
    loss = float(trained.loss(data))
    ran = []

    def shake(module, args, kwargs):
        ran.append(module)
        hidden = args[0] if args else kwargs["hidden_states"]
        noisy = hidden + 0.3 * torch.randn(hidden.shape)
        return ((noisy, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": noisy})

    blocks = [block for stack in layer_stacks(plain, "test") for _, block in stack]
    for block in blocks:
        block.register_forward_pre_hook(shake, with_kwargs=True)
    torch.manual_seed(5)
    assert loss == pytest.approx(float(plain(**data).loss), rel=1e-5)
    assert len(ran) == len(blocks) == 2


@pytest.mark.parametrize(("noise", "spread"), [("normal", 0.5), ("uniform", 0.5 / 3**0.5)])
def test_noise_has_the_stated_distribution(noise, spread):
    model = classifier("bert", dropout=0.1)
    blocks, seen, after = inputs_of_blocks(model)
    trained = engine(model, HyPe(sigma=0.5, noise=noise))
    for block in blocks:
        block.register_forward_pre_hook(after, with_kwargs=True)
    trained.loss(batch(rows=16, tokens=20))
    for block in blocks:
        (before,), (behind,) = seen[id(block), "before"], seen[id(block), "after"]
        drawn = behind - before
        assert float(drawn.mean()) == pytest.approx(0, abs=0.02)
        assert float(drawn.std()) == pytest.approx(spread, rel=0.03)
        if noise == "uniform":
            assert float(drawn.abs().max()) <= 0.5 + 1e-6


def test_both_stacks_of_an_encoder_decoder_get_noise():
    model = BartForConditionalGeneration(bart_config(0.0)).train()
    blocks, seen, after = inputs_of_blocks(model)
    trained = engine(model, HyPe(sigma=0.1))
    for block in blocks:
        block.register_forward_pre_hook(after, with_kwargs=True)
    ids = torch.randint(5, VOCABULARY, (3, 6))
    trained.loss({"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids[:, :4].clone()})
    assert len(blocks) == 2
    for block in blocks:
        assert not torch.equal(seen[id(block), "before"][0], seen[id(block), "after"][0])


@pytest.mark.parametrize("name", ["bert", "llama", "t5"])
def test_activation_checkpointing_repeats_the_noise(name):
    """Noise drawn anew when blocks are run a second time would change the gradient."""
    model = classifier(name)
    gradients = []
    for checkpointing in (False, True):
        twin = copy.deepcopy(model)
        if checkpointing:
            twin.activation_checkpointing_enable({"use_reentrant": False})
        trained = engine(twin, HyPe(sigma=0.3))
        torch.manual_seed(2)
        trained.backward(trained.loss(batch()))
        gradients.append([p.grad for p in twin.parameters() if p.grad is not None])
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_evaluation_and_the_finished_model_are_plain():
    model, data = classifier("bert", dropout=0.1), batch()
    plain = copy.deepcopy(model)
    trained = engine(model, HyPe(sigma=1.0))
    assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} == {0.0}
    assert float(trained.loss(data)) != float(trained.loss(data))
    with trained.evaluate():
        assert float(trained.loss(data)) == float(plain.eval()(**data).loss)
    trained.finish()
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} == {0.1}
    torch.manual_seed(4)
    found = float(model(**data).loss)
    torch.manual_seed(4)
    assert found == float(plain.train()(**data).loss)


def test_the_models_own_dropout_can_stay():
    model = classifier("bert", dropout=0.1)
    engine(model, HyPe(dropout=None))
    assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} == {0.1}


@pytest.mark.parametrize(("dtype", "sigma", "warns"), [("bfloat16", 1e-5, True), ("bfloat16", 1e-2, False)])
def test_noise_that_rounds_away_is_announced(dtype, sigma, warns, caplog):
    model = classifier("bert").to(getattr(torch, dtype))
    with caplog.at_level(logging.WARNING):
        HyPe(sigma=sigma).start(model, Plan(3))
    assert ("hype: noise of 1.0e-05 rounds away in bfloat16" in caplog.text) == warns


def test_refused():
    for arguments in ({"sigma": -1.0}, {"sigma": float("nan")}, {"noise": "gaussian"}, {"dropout": 1.0}):
        with pytest.raises(HoldfastError, match=r"^hype\("):
            HyPe(**arguments)
    with pytest.raises(HoldfastError, match=r"nn\.ModuleList"):
        engine(torch.nn.Sequential(torch.nn.Linear(2, 2)), HyPe())
