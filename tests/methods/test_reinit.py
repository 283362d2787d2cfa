"""Re-initialisation: which layers are drawn, and that they are those of a model that was just built."""

from dataclasses import dataclass
from typing import ClassVar

import peft
import pytest
import torch
from torch import nn
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    AutoModelForSequenceClassification,
    FlaubertConfig,
    GPT2LMHeadModel,
)
from transformers import FlaubertForSequenceClassification as Flaubert

from holdfast import Engine, HoldfastError, Method, MethodSession, ReInit
from holdfast.methods import parse
from holdfast.methods.base import Plan
from tiny import CLASSIFIERS, VOCABULARY, classifier

DRAWN = {
    "bert": ("bert.encoder.layer.1.", "bert.pooler."),
    "roberta": ("roberta.encoder.layer.1.",),
    "deberta_v3": ("deberta.encoder.layer.1.",),
    "distilbert": ("distilbert.transformer.layer.1.",),
    "electra": ("electra.encoder.layer.1.",),
    "modernbert": ("model.layers.1.", "model.final_norm."),
    "gpt2": ("transformer.h.1.", "transformer.ln_f."),
    "llama": ("model.layers.1.", "model.norm."),
    "bart": ("model.decoder.layers.1.",),
    "t5": ("transformer.decoder.block.1.", "transformer.decoder.final_layer_norm."),
}


def built(name, blocks=2):
    """As ``tiny.classifier``, with as many blocks everywhere."""
    model = classifier(name, labels=3)
    config = model.config
    for key in ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers", "decoder_layers"):
        if hasattr(config, key):
            setattr(config, key, blocks)
    if hasattr(config, "layer_types"):
        config.layer_types = (config.layer_types * blocks)[:blocks]
    return type(model)(config)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_loaded_models_top_is_that_of_a_new_one(name, tmp_path):
    """Whose mean and spread each parameter gets, though all that was loaded was marked as not to be drawn."""
    model = built(name)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(7.0)
    model.save_pretrained(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path).train()
    generator = torch.get_rng_state()
    ReInit(layers=1).check(model)
    ReInit(layers=1).start(model, Plan(None))
    assert torch.equal(torch.get_rng_state(), generator)
    fresh = built(name)
    drawn = set(ReInit(layers=1).check(model).weights)
    assert drawn == {key for key, _ in model.named_parameters() if key.startswith(DRAWN[name])}
    for key, parameter in model.named_parameters():
        new = fresh.get_parameter(key)
        if key not in drawn:
            assert bool((parameter == 7.0).all()), key
        elif float(new.std()) == 0:
            assert torch.equal(parameter, new), key
        else:
            assert float(parameter.std()) == pytest.approx(float(new.std()), rel=0.2), key
            assert abs(float(parameter.mean())) < 0.2 * float(new.std()), key
            assert not torch.equal(parameter, new), key


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "blocks", "expected"),
    [
        (ReInit(), 24, range(19, 24)),
        (ReInit(), 12, range(10, 12)),
        (ReInit(), 6, [5]),
        (ReInit(), 2, [1]),
        (ReInit(layers=3), 4, [1, 2, 3]),
        (ReInit(layers=0), 4, []),
    ],
)
def test_how_many_blocks(method, blocks, expected):
    with torch.device("meta"):
        model = built("bert", blocks)
    method.check(model)
    found = {key.split(".")[3] for key in method.check(model).weights if ".layer." in key}
    assert found == {str(index) for index in expected}
    assert "bert.pooler.dense.weight" in method.check(model).weights
    method.start(model, Plan(None))


def test_the_pooler_can_be_kept():
    assert not any("pooler" in name for name in ReInit(pooler=False).check(classifier("bert")).weights)
    assert "transformer.ln_f.weight" in ReInit(pooler=False).check(classifier("gpt2")).weights
    with pytest.raises(HoldfastError, match=r"reinit\(layers=0\): GPT2ForSequenceClassification has no pooler"):
        ReInit(layers=0).check(classifier("gpt2"))


def test_draws_follow_the_seed_alone():
    found = []
    for seed, dtype in ((0, torch.float32), (0, torch.float32), (1, torch.float32), (0, torch.bfloat16)):
        torch.rand(3)
        model = classifier("bert").to(dtype)
        ReInit().start(model, Plan(None, seed))
        found.append(model.bert.encoder.layer[1].output.dense.weight.detach())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert torch.equal(found[0].bfloat16(), found[3])


def test_blocks_are_drawn_apart():
    model = built("bert", 4)
    ReInit(layers=2).start(model, Plan(None))
    lower, upper = (model.bert.encoder.layer[index].output.dense.weight for index in (2, 3))
    assert not torch.equal(lower, upper)


@dataclass(frozen=True)
class Copying(Method):
    """Keeps the weights it finds."""

    name: ClassVar[str] = "copying"

    def start(self, model, plan):
        return CopyingSession(self, model, plan)


class CopyingSession(MethodSession):
    """The weights found."""

    def __init__(self, method, model, plan):
        super().__init__(method, model, plan)
        self.found = {name: p.detach().clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("methods", [[ReInit(), Copying()], [Copying(), ReInit()]], ids=["first", "second"])
def test_others_find_the_weights_as_drawn_in_any_order(methods):
    drawn = classifier("bert")
    ReInit().start(drawn, Plan(None))
    engine = Engine(classifier("bert"), methods, optimizer=torch.optim.AdamW)
    found = next(session for session in engine.sessions if session.method.name == "copying").found
    for name, value in drawn.named_parameters():
        assert torch.equal(found[name], value), name


class Block(nn.Module):
    """A block with a parameter that no rule draws."""

    def __init__(self, loose):
        super().__init__()
        self.linear = nn.Linear(8, 8)
        if loose:
            self.scale = nn.Parameter(torch.ones(8))


class Own(nn.Module):
    """A model outside Transformers."""

    def __init__(self, loose):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 8)
        self.blocks = nn.ModuleList(Block(loose) for _ in range(3))


def test_a_model_of_ones_own_is_drawn_as_pytorch_does_or_refused():
    model = Own(loose=False)
    with torch.no_grad():
        model.blocks[2].linear.weight.fill_(7.0)
    ReInit().check(model)
    ReInit().start(model, Plan(None))
    weight = model.blocks[2].linear.weight
    assert float(weight.abs().max()) <= 8**-0.5
    assert float(weight.std()) == pytest.approx((1 / 24) ** 0.5, rel=0.2)
    with pytest.raises(HoldfastError, match=r"as Own initialises them, which says nothing of blocks.2.scale"):
        ReInit().check(Own(loose=True))


def test_a_language_model_keeps_its_output_layer():
    model = GPT2LMHeadModel(classifier("gpt2").config)
    names = ReInit().check(model).weights
    assert names
    assert all(name.startswith(DRAWN["gpt2"]) for name in names)


def test_mistakes_are_refused():
    with pytest.raises(HoldfastError, match=r"reinit\(layers=2\): BertForSequenceClassification has 2 blocks, and one"):
        ReInit(layers=2).check(classifier("bert"))
    with pytest.raises(HoldfastError, match=r"reinit\(layers=1\): T5ForSequenceClassification has 1 block, "):
        ReInit().check(classifier("t5"))
    with pytest.raises(HoldfastError, match=r"reinit\(layers=-1\)"):
        ReInit(layers=-1)
    frozen = classifier("bert")
    frozen.bert.encoder.requires_grad_(False)
    with pytest.raises(HoldfastError, match=r"leave bert.encoder.layer.1\S+ of BertForSequenceClassification random"):
        ReInit().check(frozen)
    shared = built("bert", 3)
    shared.bert.encoder.layer[2].output = shared.bert.encoder.layer[1].output
    with pytest.raises(HoldfastError, match=r"layer.1.output.dense.weight .*shares it: give fewer layers"):
        ReInit(layers=1).check(shared)
    albert = AlbertConfig(
        vocab_size=VOCABULARY, embedding_size=16, hidden_size=32, num_attention_heads=2, intermediate_size=48
    )
    with pytest.raises(HoldfastError, match="has 1 block, "):
        ReInit().check(AlbertForSequenceClassification(albert))
    assert set(ReInit(layers=0).check(AlbertForSequenceClassification(albert)).weights) == {
        "albert.pooler.weight",
        "albert.pooler.bias",
    }
    with pytest.raises(HoldfastError, match="several stacks"):
        ReInit().check(Flaubert(FlaubertConfig(vocab_size=VOCABULARY, emb_dim=32, n_layers=2, n_heads=2)))
    adapters = peft.inject_adapter_in_model(peft.LoraConfig(target_modules=["query"]), classifier("bert"))
    with pytest.raises(HoldfastError, match="train without adapters"):
        ReInit().check(adapters)


FREEZING = ("bitfit", "lora", "sift", "top_k_layers", "head_tuning")
HOLDING = ("l2_sp", "rec_adam", "pretrained_decay", "mixout", "dps(variant=mix)", "wise_ft")


@pytest.mark.parametrize("other", [*FREEZING, *HOLDING])
def test_what_is_drawn_must_be_trained_and_not_held(other):
    with pytest.raises(HoldfastError, match=r"that reinit works on, use one of them"):
        parse(f"{other}+reinit")
