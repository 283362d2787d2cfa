"""BitFit: which parameters move."""

import pytest
import torch
from torch import nn
from transformers import BertForMaskedLM, DebertaConfig, DebertaForSequenceClassification, Qwen2Config
from transformers import Qwen2ForSequenceClassification as Qwen2

from holdfast import BitFit, Engine, HoldfastError
from holdfast.methods.base import Plan
from loops import adamw, batches, train
from tiny import VOCABULARY, batch, classifier


def moved(model, *methods, steps=2):
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    engine = Engine(model, methods, optimizer=adamw(0.1, weight_decay=0.1), total_steps=steps)
    train(engine, batches(steps))
    engine.finish()
    assert flags == {name: p.requires_grad for name, p in model.named_parameters()}
    return {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}


def test_the_biases_and_the_classifier_of_bert_move_and_nothing_else():
    model = classifier("bert")
    expected = {"bert.embeddings.LayerNorm.bias", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"}
    parts = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
    parts += ("attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm")
    expected |= {f"bert.encoder.layer.{i}.{part}.bias" for i in range(2) for part in parts}
    assert set(BitFit().check(model).weights) == expected
    # Softmax does not see a bias of the keys.
    assert moved(model, BitFit()) >= {name for name in expected if "key" not in name}
    assert moved(model, BitFit()) <= expected


@pytest.mark.parametrize("name", ["roberta", "deberta_v3", "distilbert", "electra", "gpt2", "bart"])
def test_other_architectures_train_the_same_kinds(name):
    model = classifier(name)
    body = {f"{model.base_model_prefix}.{part}" for part, _ in model.base_model.named_parameters()}
    found = moved(model, BitFit())
    assert {part for part in found & body if not part.endswith(".bias")} == set()
    assert len(found & body) > 5
    head = {part for part, _ in model.named_parameters()} - body
    # RoBERTa's and BART's dense layer of the head is new, and so is DeBERTa's and DistilBERT's.
    assert head <= found


def test_biases_that_are_no_bias_of_a_layer():
    """DeBERTa's first version keeps two in its attention, nn.MultiheadAttention one for three projections."""
    config = DebertaConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48
    )
    found = BitFit().check(DebertaForSequenceClassification(config)).weights
    assert "deberta.encoder.layer.0.attention.self.q_bias" in found

    class Own(nn.Module):
        base_model = property(lambda self: self.body)

        def __init__(self):
            super().__init__()
            self.body = nn.TransformerEncoderLayer(8, 2, 8)
            self.head = nn.Linear(8, 2, bias=False)

    found = BitFit().check(Own()).weights
    assert {"body.self_attn.in_proj_bias", "body.norm1.bias", "head.weight"} <= set(found)


def test_a_model_with_few_biases_trains_those():
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=48,
    )
    layer = "model.layers.0.self_attn"
    expected = {f"{layer}.q_proj.bias", f"{layer}.k_proj.bias", f"{layer}.v_proj.bias", "score.weight"}
    assert set(BitFit().check(Qwen2(config)).weights) == expected


@pytest.mark.parametrize("name", ["t5", "llama", "modernbert"])
def test_models_without_biases_are_refused(name):
    """T5's relative_attention_bias is an embedding; the head's own biases do not count."""
    with pytest.raises(HoldfastError, match=r"bitfit trains biases, and the body of \w+ has none to train"):
        BitFit().check(classifier(name))


def test_what_was_frozen_stays_frozen():
    model = classifier("bert")
    model.bert.embeddings.LayerNorm.bias.requires_grad_(False)
    model.bert.pooler.requires_grad_(False)
    found = moved(model, BitFit())
    assert not {name for name in found if "embeddings" in name or "pooler" in name}
    assert not model.bert.pooler.dense.bias.requires_grad


def test_a_language_model_trains_no_output_layer():
    model = BertForMaskedLM(classifier("bert").config)
    found = BitFit().check(model).weights
    assert all(name.endswith("bias") for name in found)
    assert "cls.predictions.transform.dense.bias" in found


def test_a_model_whose_head_is_not_told_apart_is_refused():
    with pytest.raises(HoldfastError, match="Sequential does not tell it from the pre-trained body: give it a prop"):
        BitFit().check(nn.Sequential(nn.Linear(2, 2)))


def test_the_learning_rate_and_old_gradients():
    assert BitFit(lr_factor=20.0).requires.lr_scale == 20.0
    model = classifier("bert")
    model(**batch()).loss.backward()
    BitFit().start(model, Plan(None))
    assert model.bert.pooler.dense.weight.grad is None
    with pytest.raises(HoldfastError, match="lr_factor=0"):
        BitFit(lr_factor=0)
