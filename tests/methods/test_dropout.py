"""Setting every dropout of a model and putting it back."""

import copy
import pickle

import pytest
import torch
import transformers as t
from torch import nn

from holdfast import HoldfastError
from holdfast.methods.parts.model.dropout import check_dropout, restore_dropout, set_dropout
from tiny import CLASSIFIERS, VOCABULARY, bart_config, batch, classifier, t5_config


def build(name, attention):
    if name == "bart-generation":
        model = t.BartForConditionalGeneration(bart_config(0.3, encoder_layerdrop=0.3, decoder_layerdrop=0.3))
    elif name == "t5-generation":
        model = t.T5ForConditionalGeneration(t5_config(0.3))
    elif name == "falcon":  # reads config.hidden_dropout while it runs
        model = t.FalconForSequenceClassification(
            t.FalconConfig(
                vocab_size=VOCABULARY,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                hidden_dropout=0.3,
                attention_dropout=0.3,
                pad_token_id=1,
                problem_type="single_label_classification",
            )
        )
    else:
        model = classifier(name, dropout=0.3)
    if name != "deberta_v3":  # has one attention of its own
        model.set_attn_implementation(attention)
    return model.train()


def outputs(model):
    data = batch(labels=2)
    if model.config.is_encoder_decoder and "Generation" in type(model).__name__:
        data["labels"] = data["input_ids"]
    return model(**data).logits


def attributes(model):
    """Every plain number and the configuration's identity, by module."""
    kept = {}
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if isinstance(value, (int, float)):
                kept[name, key] = (type(value), value)
        kept[name, "config"] = id(vars(module).get("config"))
    return kept


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", [*CLASSIFIERS, "bart-generation", "t5-generation", "falcon"])
def test_without_dropout_two_forwards_are_one_and_afterwards_all_is_as_before(name, attention):
    torch.manual_seed(0)
    model = build(name, attention)
    before, saved = attributes(model), model.config.to_dict()
    assert not torch.equal(outputs(model), outputs(model))
    undo = set_dropout(model, 0.0)
    assert torch.equal(outputs(model), outputs(model))
    assert model.config.to_dict() == saved
    restore_dropout(undo)
    assert attributes(model) == before
    assert model.config.to_dict() == saved
    assert not torch.equal(outputs(model), outputs(model))


@pytest.mark.parametrize("name", ["falcon", "bart"])
def test_every_saved_configuration_is_the_original(name, tmp_path):
    model = build(name, "eager")
    set_dropout(model, 0.0)
    for part in (model, model.base_model):
        part.save_pretrained(tmp_path)
        assert t.AutoConfig.from_pretrained(tmp_path).attention_dropout == 0.3
    assert pickle.loads(pickle.dumps(model.base_model)).config.attention_dropout == 0.3
    assert copy.deepcopy(model).base_model.config.attention_dropout == 0.3


def test_what_is_written_to_a_configuration_in_between_is_kept():
    model = build("falcon", "eager")
    undo = set_dropout(model, 0.0)
    inner = next(module for name, module in model.named_modules() if name.endswith("h.0"))
    assert inner.config.hidden_dropout == 0.0
    model.config.use_cache = False
    assert inner.config.use_cache is False
    inner.config.problem_type = "regression"
    restore_dropout(undo)
    assert model.config.problem_type == "regression"
    assert inner.config is model.config


def test_a_positive_rate_is_what_every_layer_drops_and_whole_layers_are_left_alone():
    model = t.BartForSequenceClassification(bart_config(0.1, encoder_layerdrop=0.2))
    set_dropout(model, 0.5)
    encoder = model.model.encoder
    assert (encoder.dropout, encoder.layers[0].self_attn.dropout, encoder.layers[0].activation_dropout) == (0.5,) * 3
    assert encoder.layerdrop == 0.2
    rates = {module.p for module in model.modules() if isinstance(module, nn.Dropout)}
    assert rates == {0.5}


def test_modules_outside_transformers():
    model = nn.Sequential(nn.Dropout1d(0.2), nn.MultiheadAttention(8, 2, dropout=0.2), nn.LSTM(8, 8, 2, dropout=0.2))
    before = attributes(model)
    undo = set_dropout(model, 0.0)
    assert (model[0].p, model[1].dropout, model[2].dropout) == (0, 0, 0)
    restore_dropout(undo)
    assert attributes(model) == before
    assert undo == []


@pytest.mark.parametrize("wrong", [-0.1, 1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(wrong):
    with pytest.raises(HoldfastError, match=r"dps.dropout="):
        check_dropout("dps", wrong)
    check_dropout("dps", None)
