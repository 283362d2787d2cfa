"""NoisyTune: which weights it moves, by how much, and that it does so once."""

import copy

import pytest
import torch

from holdfast import Engine, HoldfastError, Mixout
from holdfast.methods import parse
from holdfast.methods.base import Plan
from holdfast.methods.noisytune import NoisyTune, weight_noise
from tiny import CLASSIFIERS, batch, classifier


def moved(model, **options):
    """Change of each parameter by name, and what it was."""
    start = copy.deepcopy(dict(model.named_parameters()))
    NoisyTune(**options).start(model, Plan(3, seed=1))
    return {name: (p - start[name]).detach() for name, p in model.named_parameters()}, start


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_each_weight_of_the_body_moves_by_its_own_spread(name):
    model = classifier(name)
    changes, start = moved(model, intensity=0.4)
    prefix = f"{model.base_model_prefix}."
    assert any(not key.startswith(prefix) for key in changes)
    for key, change in changes.items():
        values = start[key].detach().double()
        spread = float(((values - values.mean()) ** 2).mean() ** 0.5)
        if not key.startswith(prefix) or spread == 0:
            assert float(change.abs().max()) == 0, key
            continue
        assert float(change.abs().max()) <= 0.2 * spread * 1.001, key
        if change.numel() > 500:
            assert float(change.abs().max()) > 0.19 * spread, key
            assert float(change.std()) == pytest.approx(0.4 * spread / 12**0.5, rel=0.1), key
            assert abs(float(change.mean())) < 0.03 * spread, key


def test_noise_is_uniform_within_half_the_intensity():
    weight = torch.randn(300, 100) * 3 + 5
    noise = weight_noise(weight, 0.15, torch.Generator().manual_seed(0))
    share = (noise / weight.std() / 0.15 + 0.5).flatten().sort().values
    assert float((share - torch.linspace(0, 1, 30_000)).abs().max()) < 0.02


def test_a_single_number_has_no_spread():
    assert float(weight_noise(torch.tensor([3.0]), 0.5, torch.Generator())) == 0.0


def test_vectors_can_be_left_out():
    model = classifier("bert")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    changes, _ = moved(model, biases=False)
    for name, change in changes.items():
        assert bool(change.any()) == (change.dim() > 1 and name.startswith("bert.")), name


def test_frozen_weights_stay_and_tied_ones_move_once():
    from transformers import GPT2LMHeadModel

    model = GPT2LMHeadModel(classifier("gpt2").config)
    model.transformer.wpe.requires_grad_(False)
    changes, start = moved(model, intensity=0.4)
    assert not changes["transformer.wpe.weight"].any()
    assert model.lm_head.weight is model.transformer.wte.weight
    table = "transformer.wte.weight"
    assert float(changes[table].abs().max()) <= 0.2 * float(start[table].std()) * 1.001


def test_the_seed_decides_and_nothing_else_is_drawn():
    first, again, other = (classifier("bert") for _ in range(3))
    before = torch.get_rng_state()
    for model, seed in ((first, 1), (again, 1), (other, 2)):
        Engine(model, [NoisyTune()], optimizer=torch.optim.AdamW(model.parameters()), seed=seed)
    assert torch.equal(torch.get_rng_state(), before)
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)]
    differ = [torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True)]
    assert all(same)
    assert not all(differ)


def test_training_goes_on_as_ever():
    """The step after the noise is that of plain training from the noisy weights."""
    model = classifier("bert")
    engine = Engine(model, [NoisyTune(intensity=0.3)], optimizer=lambda p: torch.optim.SGD(p, 0.1), max_grad_norm=None)
    plain = copy.deepcopy(model)
    engine.backward(engine.loss(batch()))
    engine.step()
    optimizer = torch.optim.SGD(plain.parameters(), 0.1)
    plain(**batch()).loss.backward()
    optimizer.step()
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(a, b)


def test_half_precision_weights_stay_so():
    model = classifier("bert").to(torch.bfloat16)
    changes, _ = moved(model, intensity=0.4)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert changes["bert.embeddings.word_embeddings.weight"].any()


def test_check_needs_no_weights():
    with torch.device("meta"):
        model = classifier("bert")
    chosen = NoisyTune(biases=False).check(model)
    assert chosen.state_bytes == 0
    assert all(name.startswith("bert.") and weight.dim() > 1 for name, weight in chosen.weights.items())


def test_methods_that_keep_the_weights_keep_the_noisy_ones():
    """In whatever order they were given: what they pull to is what training starts from."""
    model = classifier("bert")
    engine = Engine(model, [Mixout(), NoisyTune(intensity=0.5)], optimizer=torch.optim.AdamW(model.parameters()))
    kept = next(session for session in engine.sessions if session.method.name == "mixout").state_dict()
    held = {name: kept[f"initial.{name}"] for name, _ in model.named_parameters() if f"initial.{name}" in kept}
    assert len(held) > 5
    assert all(torch.equal(model.get_parameter(name), value) for name, value in held.items())


def test_refused():
    with pytest.raises(HoldfastError, match=r"noisytune\(intensity=-1\)"):
        NoisyTune(intensity=-1)
    model = classifier("bert")
    model.bert.requires_grad_(False)
    with pytest.raises(HoldfastError, match="trains none below its head"):
        NoisyTune().check(model)


@pytest.mark.parametrize("other", ["bitfit", "lora", "sift", "top_k_layers", "head_tuning"])
def test_methods_that_freeze_weights_are_refused(other):
    with pytest.raises(HoldfastError, match=r"takes over the .* that noisytune works on, use one of them"):
        parse(f"{other}+noisytune")
