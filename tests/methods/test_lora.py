"""LoRA: what is adapted and trained, and that a plain model comes out."""

import copy
import sys

import peft
import pytest
import torch
from torch import nn
from transformers import BertForMaskedLM, LlamaForCausalLM, T5ForConditionalGeneration

from holdfast import DPS, R3F, R4F, BitFit, Engine, HoldfastError, LoRA, Mixout, TopKLayers
from holdfast.methods.base import Plan
from loops import adamw, batches, train
from tiny import CLASSIFIERS, batch, classifier, t5_config


def trained(model, *methods, steps=3, eps=1e-8):
    optimizer = adamw(0.02, weight_decay=0.1, eps=eps)
    engine = Engine(model, methods, optimizer=optimizer, total_steps=12)
    train(engine, batches(steps))
    return engine


def logits(model):
    training = model.training
    with torch.no_grad():
        found = model.eval()(**batch(seed=7)).logits
    model.train(training)
    return found


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_plain_model_of_the_same_function_comes_out(name):
    model, plain = classifier(name, dropout=0.1), classifier(name, dropout=0.1, seed=1)
    kinds = {key: type(module) for key, module in model.named_modules()}
    flags = {key: p.requires_grad for key, p in model.named_parameters()}
    before = {key: value.clone() for key, value in model.state_dict().items()}
    engine = trained(model, LoRA(rank=4))
    during, state = logits(model), copy.deepcopy(model.state_dict())
    found = engine.plain_state_dict()
    assert found.keys() == before.keys()
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items()), "the model is untouched"
    plain.load_state_dict(found)
    assert torch.allclose(logits(plain), during, atol=1e-5)

    engine.finish()
    assert torch.equal(logits(model), logits(plain))
    assert {key: type(module) for key, module in model.named_modules()} == kinds
    assert {key: p.requires_grad for key, p in model.named_parameters()} == flags
    assert model.state_dict().keys() == before.keys()
    assert not hasattr(model, "peft_config")
    targets = {f"{key}.weight" for key, kind in kinds.items() if kind.__name__ in ("Linear", "Conv1D")}
    targets = {key for key in targets if key.startswith(f"{model.base_model_prefix}.")}
    head = {key for key in before if not key.startswith(f"{model.base_model_prefix}.")}
    moved = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == targets | head


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_the_change_is_alpha_over_rank_times_b_a_and_pefts_own_merge_agrees(name):
    layer = {"bert": "bert.encoder.layer.1.output.dense", "gpt2": "transformer.h.1.mlp.c_fc"}[name]
    model = classifier(name)
    start = model.get_parameter(f"{layer}.weight").detach().clone()
    engine = trained(model, LoRA(rank=2, alpha=6.0, dropout=0.0))
    assert torch.equal(model.get_parameter(f"{layer}.base_layer.weight"), start), "the frozen weight stays"
    a, b = (model.get_parameter(f"{layer}.lora_{which}.default.weight") for which in "AB")
    assert (a.shape[0], b.shape[1]) == (2, 2)
    change = 6.0 / 2 * torch.einsum("or,ri->oi", b, a)
    expected = start + (change if name == "bert" else change.T)
    assert float(change.detach().abs().max()) > 0.01
    theirs = copy.deepcopy(model.get_submodule(layer))
    theirs.merge()
    engine.finish()
    assert torch.allclose(model.get_parameter(f"{layer}.weight"), expected, atol=1e-6)
    assert torch.allclose(model.get_parameter(f"{layer}.weight"), theirs.base_layer.weight, atol=1e-6)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of Transformers, about a name that PEFT uses
@pytest.mark.parametrize(
    ("name", "targets"),
    [
        *((name, "linear") for name in ("bert", "distilbert", "modernbert", "gpt2", "llama")),
        *((name, "attention") for name in ("bert", "roberta", "deberta_v3", "electra", "gpt2", "llama", "bart", "t5")),
    ],
)
def test_the_layers_are_those_peft_adapts(name, targets):
    config = peft.LoraConfig(
        task_type="SEQ_CLS",
        target_modules="all-linear" if targets == "linear" else None,
        # PEFT leaves out the output layer of the head, here all of it is trained in full.
        exclude_modules={"distilbert": ["pre_classifier"], "modernbert": ["head.dense"]}.get(name),
        fan_in_fan_out=name == "gpt2",
    )
    theirs = peft.get_peft_model(classifier(name), config)
    expected = {f"{key.removeprefix('base_model.model.')}" for key, m in theirs.named_modules() if hasattr(m, "lora_A")}
    found = LoRA(targets=targets).check(classifier(name)).weights
    assert set(found) == {f"{key}.weight" for key in expected}


def test_what_peft_does_not_list_is_told():
    with pytest.raises(HoldfastError, match="PEFT lists no layers for modernbert, use targets=linear"):
        LoRA(targets="attention").check(classifier("modernbert"))


def test_a_plain_checkpoint_loads_into_the_model_while_it_is_adapted():
    """Its function is then that of the checkpoint; the Trainer does so before the state of methods is restored."""
    model, other = classifier("bert"), classifier("bert", seed=3)
    engine = trained(model, LoRA())
    missing, unexpected = model.load_state_dict(other.state_dict(), strict=True)
    assert (missing, unexpected) == ([], [])
    assert torch.equal(logits(model), logits(other))
    engine.finish()
    assert torch.equal(logits(model), logits(other))


def test_state_restores_another_model_bit_for_bit():
    model, other = classifier("bert"), classifier("bert", seed=3)
    engine, second = trained(model, LoRA()), trained(other, LoRA(), steps=1)
    merged, state = engine.plain_state_dict(), engine.sessions[0].state_dict()
    other.load_state_dict(merged)
    second.sessions[0].load_state_dict(state)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_other_precision(dtype):
    model = classifier("bert").to(dtype)
    engine = trained(model, LoRA(), steps=2, eps=1e-3)
    query = model.bert.encoder.layer[0].attention.self.query
    assert query.lora_A["default"].weight.dtype == (torch.float64 if dtype is torch.float64 else torch.float32)
    during = logits(model)
    engine.finish()
    assert {p.dtype for p in model.parameters()} == {dtype}
    assert during.isfinite().all()
    assert torch.allclose(logits(model).float(), during.float(), atol=1e-5 if dtype is torch.float64 else 0.05)


def test_adapters_depend_on_the_seed_and_leave_the_trainings_generator_alone():
    def first(seed):
        model, state = classifier("bert"), torch.get_rng_state()
        LoRA().start(model, Plan(None, seed))
        assert torch.equal(state, torch.get_rng_state())
        key = model.bert.encoder.layer[0].attention.self.key
        assert not key.lora_B["default"].weight.any()
        return key.lora_A["default"].weight

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))
    # Kaiming's uniform distribution as PEFT draws it: within 1 / sqrt(inputs).
    assert 0.9 * 32**-0.5 < float(first(1).detach().abs().max()) <= 32**-0.5


def test_check_and_surgery_on_a_model_without_memory():
    with torch.device("meta"):
        model = classifier("bert")
    found = LoRA(rank=8).check(model)
    sizes = {(32, 32): 4 * 2 + 1, (48, 32): 2, (32, 48): 2}
    assert {tuple(w.shape) for w in found.weights.values()} == sizes.keys()
    assert found.state_bytes == sum(4 * 8 * sum(shape) * count for shape, count in sizes.items())
    LoRA(rank=8).start(model, Plan(None))
    assert model.classifier.weight.requires_grad
    assert not model.bert.embeddings.word_embeddings.weight.requires_grad


@pytest.mark.parametrize("name", ["llama", "t5", "bert"])
def test_language_models_keep_their_output_layer(name):
    if name == "t5":
        model = T5ForConditionalGeneration(t5_config(0.0, tie_word_embeddings=False))
    else:
        kind = {"llama": LlamaForCausalLM, "bert": BertForMaskedLM}[name]
        model = kind(classifier(name).config)
    method = LoRA()
    found = method.check(model).weights
    assert not any("head" in key or "cls" in key for key in found)
    method.start(model, Plan(None))
    assert all(".lora_" in key for key, p in model.named_parameters() if p.requires_grad)


def test_layers_that_share_a_weight_are_left_out():
    model = classifier("bert")
    layers = model.bert.encoder.layer
    layers[1].output = layers[0].output
    layers[1].intermediate.dense.weight = layers[0].intermediate.dense.weight
    found = LoRA().check(model).weights
    assert not any("intermediate" in key or "0.output.dense" in key for key in found)
    assert "bert.encoder.layer.1.attention.output.dense.weight" in found


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", [R3F(sigma=0.1), DPS(update_ratio=0.25), DPS("mix", update_ratio=0.25), Mixout(), R4F()], ids=repr
)
def test_with_other_methods_a_plain_model_of_the_same_function_comes_out(method):
    """They work on the adapters and the head, whatever the order in which they are named."""
    model, plain = classifier("bert"), classifier("bert", seed=1)
    engine = trained(model, method, LoRA(), steps=5)
    assert [own.name for own in engine.methods] == ["lora", method.name]
    during = logits(model)
    plain.load_state_dict(engine.plain_state_dict())
    assert torch.allclose(logits(plain), during, atol=1e-4)
    engine.finish()
    assert torch.equal(logits(model), logits(plain))
    assert {type(m).__name__ for m in model.modules()} == {type(m).__name__ for m in plain.modules()}


def test_dps_selects_among_the_adapters():
    engine = trained(classifier("bert"), LoRA(), DPS(update_ratio=0.25))
    names = {matrix.name for matrix in engine.sessions[1].matrices}
    assert {name for name in names if ".lora_" not in name} == {"classifier.weight"}
    assert "bert.encoder.layer.0.attention.self.query.lora_A.default.weight" in names


def test_finishing_twice_does_nothing_more():
    model = classifier("bert")
    engine = trained(model, LoRA())
    engine.finish()
    after = logits(model)
    engine.finish()
    assert torch.equal(after, logits(model))


def test_mistakes_are_refused(monkeypatch):
    adapted = peft.inject_adapter_in_model(peft.LoraConfig(target_modules=["query"]), classifier("bert"))
    with pytest.raises(HoldfastError, match="BertForSequenceClassification has adapters already"):
        LoRA().check(adapted)
    frozen = classifier("bert")
    frozen.bert.requires_grad_(False)
    with pytest.raises(HoldfastError, match="no plain linear layer to adapt in the body of BertFor"):
        LoRA().check(frozen)
    for other in (BitFit(), TopKLayers(k=1)):
        with pytest.raises(HoldfastError, match="lora both replace the choice of what is trained, use one of them"):
            trained(classifier("bert"), other, LoRA())
    with pytest.raises(HoldfastError, match="does not tell it from the pre-trained body"):
        LoRA().check(nn.Sequential(nn.Linear(2, 2)))
    for wrong in ({"rank": 0}, {"alpha": 0.0}, {"dropout": 1.0}, {"lr_factor": -1.0}):
        with pytest.raises(HoldfastError, match=rf"lora\({next(iter(wrong))}="):
            LoRA(**wrong)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(HoldfastError, match=r'^lora needs PEFT: pip install "holdfast\[lora\]"$'):
        LoRA().check(classifier("bert"))


def test_the_learning_rate_is_larger():
    assert LoRA().requires.lr_scale == 10.0
