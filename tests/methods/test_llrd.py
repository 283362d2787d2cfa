"""Layer-wise learning rates: the hand-made groups of the literature, on every architecture."""

import re

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, T5ForConditionalGeneration

from holdfast import LLRD, Engine, HeadTuning, HoldfastError, LoRA
from holdfast.methods.base import Plan
from loops import sgd
from tiny import CLASSIFIERS, batch, classifier, t5_config


def multipliers(model):
    return LLRD(decay=0.5).start(model, Plan(None)).lr_multipliers()


def test_two_steps_are_those_of_groups_made_by_hand():
    """As the published code lists them: pooler and classifier, then the layers downwards, then the embeddings."""
    ours, theirs = classifier("bert"), classifier("bert")
    bert, rate = theirs.bert, 0.1
    parts = [[*theirs.classifier.parameters(), *bert.pooler.parameters()]]
    parts += [list(layer.parameters()) for layer in reversed(bert.encoder.layer)]
    parts.append(list(bert.embeddings.parameters()))
    optimizer = torch.optim.SGD([{"params": p, "lr": rate * 0.7**depth} for depth, p in enumerate(parts)], momentum=0.9)
    engine = Engine(ours, [LLRD(decay=0.7)], optimizer=sgd(momentum=0.9), max_grad_norm=None)
    for seed in range(2):
        engine.backward(engine.loss(batch(seed=seed)))
        engine.step()
        theirs(**batch(seed=seed)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_each_architecture_falls_from_the_head_to_the_embeddings(name):
    model = classifier(name)
    factors = multipliers(model)
    of = {n: factors.get(n, 1.0) for n, _ in model.named_parameters()}
    embedding = next(n for n, p in model.named_parameters() if p is model.get_input_embeddings().weight)
    assert of[embedding] == min(of.values()) < 0.5
    inside = {n for n in of if n.startswith(model.base_model_prefix)}
    assert all(of[n] == 1.0 for n in of if n not in inside), "the head keeps its rate"
    # Blocks are numbered in the names: "encoder.layer.0.", "h.1.", "decoder.block.0.".
    numbered = {n: re.match(r"(.*?)\.(\d+)\.", n) for n in inside}
    blocks = {n: (found[1], int(found[2])) for n, found in numbered.items() if found and "embed" not in n}
    assert blocks
    for n, (stack, at) in blocks.items():
        top = max(other for its, other in blocks.values() if its == stack)
        assert of[n] == 0.5 ** (1 + top - at), n


def test_stacks_of_encoder_and_decoder_count_from_their_own_tops():
    config = t5_config(0.0)
    config.num_layers, config.num_decoder_layers = 3, 2
    factors = multipliers(T5ForConditionalGeneration(config))
    for side, blocks in (("encoder", 3), ("decoder", 2)):
        for at in range(blocks):
            assert factors[f"{side}.block.{at}.layer.0.SelfAttention.q.weight"] == 0.5 ** (blocks - at)
        assert factors[f"{side}.final_layer_norm.weight"] == 1.0
    assert factors["shared.weight"] == 0.5**4


def test_an_output_layer_tied_to_the_embeddings_gets_their_rate():
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48}
    model = BertForMaskedLM(BertConfig(vocab_size=97, **sizes))
    assert model.cls.predictions.decoder.weight is model.bert.embeddings.word_embeddings.weight
    factors = multipliers(model)
    assert factors["bert.embeddings.word_embeddings.weight"] == 0.5**4
    assert factors.get("cls.predictions.transform.dense.weight", 1.0) == 1.0


def test_adapters_have_the_rate_of_their_block():
    model = classifier("bert")
    engine = Engine(model, [LLRD(decay=0.5), LoRA(rank=2)], optimizer=sgd(momentum=0.9))
    rates = {id(p): group["lr"] for group in engine.optimizer.param_groups for p in group["params"]}
    adapters = {n: rates[id(p)] for n, p in model.named_parameters() if p.requires_grad and ".layer." in n}
    assert adapters
    assert all(rate == pytest.approx(0.1 * 0.5 ** (2 - int(n.split("layer.")[1][0]))) for n, rate in adapters.items())


def test_decay_one_leaves_the_optimizer_alone():
    engine = Engine(classifier("bert"), [LLRD(decay=1.0)], optimizer=sgd(momentum=0.9))
    assert [group["lr"] for group in engine.optimizer.param_groups] == [0.1]


@pytest.mark.parametrize("decay", [0.0, 1.5, float("nan")])
def test_a_decay_that_is_none_is_refused(decay):
    with pytest.raises(HoldfastError, match="above 0 and be at most 1"):
        LLRD(decay=decay)


def test_a_body_that_is_not_trained_is_refused():
    model = classifier("bert")
    model.bert.requires_grad_(False)
    with pytest.raises(HoldfastError, match="below its head is trained"):
        Engine(model, [LLRD()], optimizer=sgd(momentum=0.9))
    with pytest.raises(HoldfastError, match="takes over the pre-trained body"):
        Engine(classifier("bert"), [LLRD(), HeadTuning()], optimizer=sgd(momentum=0.9))
