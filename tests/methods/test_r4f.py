"""R4F: the head's singular values, what is saved, and where it is refused."""

import copy
from functools import partial

import pytest
import torch
from torch.func import functional_call
from transformers import AutoModelForSequenceClassification, T5ForConditionalGeneration

import loops
from holdfast import R3F, R4F, HoldfastError
from holdfast.methods.parts.spectral import release
from loops import batches, train
from tiny import CLASSIFIERS, batch, classifier, t5_config

HEADS = {
    "bert": ["classifier"],
    "roberta": ["classifier.dense", "classifier.out_proj"],
    "deberta_v3": ["pooler.dense", "classifier"],
    "distilbert": ["pre_classifier", "classifier"],
    "electra": ["classifier.dense", "classifier.out_proj"],
    "modernbert": ["head.dense", "classifier"],
    "gpt2": ["score"],
    "llama": ["score"],
    "bart": ["classification_head.dense", "classification_head.out_proj"],
    "t5": ["classification_head.dense", "classification_head.out_proj"],
}


engine = partial(loops.engine, optimizer=loops.adamw(0.05), max_grad_norm=None)


def largest(weight):
    return float(torch.linalg.svdvals(weight.detach())[0])


@pytest.mark.slow
@pytest.mark.parametrize("layers", ["last", "all"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_head_has_singular_value_one_after_many_steps(name, layers):
    """Within 1 % after 60 large steps, on the saved weights, for the layers asked for and no others."""
    model = classifier(name, labels=3)
    trained = engine(model, R4F(head=layers), optimizer=loops.adamw())
    before = {module: model.get_submodule(module).normalised_weight().clone() for module in HEADS[name][-1:]}
    train(trained, batches(60, labels=3))
    plain = trained.plain_state_dict()
    constrained = HEADS[name] if layers == "all" else HEADS[name][-1:]
    for module in constrained:
        assert largest(plain[f"{module}.weight"]) == pytest.approx(1.0, rel=0.01)
    for module in set(HEADS[name]) - set(constrained):
        assert largest(plain[f"{module}.weight"]) != pytest.approx(1.0, rel=0.01)
    for module, weight in before.items():
        assert (plain[f"{module}.weight"] - weight).abs().max() > 0.01, "the steps did not move the head"


def test_division_is_by_the_singular_value_also_below_one():
    model = classifier("bert")
    with torch.no_grad():
        model.classifier.weight.mul_(0.01 / largest(model.classifier.weight))
    trained = engine(model, R4F())
    assert largest(trained.plain_state_dict()["classifier.weight"]) == pytest.approx(1.0, rel=1e-5)


def test_gradient_goes_through_the_singular_value():
    """Against finite differences of the loss with the weight divided by its exact largest singular value."""
    model, data = classifier("bert").double(), batch()
    trained = engine(model, R4F(weight=0.0))
    trained.loss(data).backward()
    found = model.classifier.weight.grad.clone()
    raw = model.classifier.weight.detach().clone()
    plain = copy.deepcopy(model)
    release(plain.classifier)

    def loss(weight):
        sigma = torch.linalg.svdvals(weight)[0]
        return functional_call(plain, {"classifier.weight": weight / sigma}, kwargs=data).loss

    for _ in range(3):
        direction, h = torch.randn_like(raw), 1e-5
        with torch.no_grad():
            slope = (loss(raw + h * direction) - loss(raw - h * direction)) / (2 * h)
        assert float((found * direction).sum()) == pytest.approx(float(slope), rel=1e-3, abs=1e-7)


def test_forward_changes_no_state():
    model, data = classifier("roberta"), batch()
    engine(model, R4F())
    before = {key: value.clone() for key, value in dict(model.named_buffers()).items()}
    for _ in range(3):
        model(**data)
    assert all(torch.equal(before[key], value) for key, value in dict(model.named_buffers()).items())


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2"])
def test_checkpoints_in_mid_training_and_at_the_end_are_plain(name, tmp_path):
    model, data = classifier(name), batch()
    keys = set(model.state_dict())
    trained = engine(model, R4F())
    train(trained, batches(3))
    model.eval()
    with torch.no_grad():
        expected = model(**data).logits
    model.save_pretrained(tmp_path / "middle", state_dict=trained.plain_state_dict())
    trained.finish()
    model.save_pretrained(tmp_path / "end")
    assert set(model.state_dict()) == keys
    for folder in ("middle", "end"):
        loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / folder).eval()
        assert type(loaded.get_submodule(HEADS[name][-1])) is torch.nn.Linear
        with torch.no_grad():
            assert torch.equal(loaded(**data).logits, expected)


def test_state_restores_the_undivided_weights():
    """Plain checkpoint + state continue exactly like the uninterrupted training."""

    def train(trained, seeds):
        for seed in seeds:
            torch.manual_seed(seed)
            trained.backward(trained.loss(batch(seed=seed)))
            trained.step()

    whole = engine(classifier("bert"), R4F())
    train(whole, range(6))
    first = engine(classifier("bert"), R4F())
    train(first, range(3))
    saved = (first.plain_state_dict(), first.optimizer.state_dict(), first.state_dict())
    second = engine(classifier("bert", seed=9), R4F())
    second.model.load_state_dict(saved[0])
    second.optimizer.load_state_dict(saved[1])
    second.load_state_dict(saved[2])
    train(second, range(3, 6))
    for a, b in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_generation_is_refused_with_the_reason():
    with pytest.raises(HoldfastError, match="output layer is the vocabulary's; use r3f"):
        engine(T5ForConditionalGeneration(t5_config(0.0)), R4F())


def test_a_head_that_is_not_plain_is_refused():
    class Odd(torch.nn.Linear):
        pass

    model = classifier("bert")
    model.classifier.__class__ = Odd
    with pytest.raises(HoldfastError, match="classifier of BertForSequenceClassification is a Odd"):
        engine(model, R4F())


def test_a_head_of_zeros_is_refused():
    model = classifier("bert")
    torch.nn.init.zeros_(model.classifier.weight)
    with pytest.raises(HoldfastError, match="classifier is all zero"):
        engine(model, R4F())
    model = classifier("roberta")
    torch.nn.init.zeros_(model.classifier.out_proj.weight)
    with pytest.raises(HoldfastError, match="out_proj is all zero"):
        engine(model, R4F())
    assert type(model.classifier.dense) is torch.nn.Linear, "refused before anything was changed"


def test_together_with_r3f_is_refused():
    with pytest.raises(HoldfastError, match="same penalty"):
        engine(classifier("bert"), R3F(), R4F())
