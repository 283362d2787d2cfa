"""How far each layer moved, against weights that were moved by hand."""

import logging

import pytest
import torch
import transformers

from holdfast.collapse import layer_drift
from holdfast.training.models.hidden_states import layer_states
from holdfast.training.models.weight_distance import body_distance
from tiny import CLASSIFIERS, batch, classifier

ALBERT = {
    "vocab_size": 97,
    "embedding_size": 16,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_hidden_groups": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "pad_token_id": 1,
}


def moved(model, **steps):
    """Change one number of each weight named (dots as __) by its step."""
    with torch.no_grad():
        for name, step in steps.items():
            model.get_parameter(name.replace("__", ".")).view(-1)[0] += step
    return model


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_layers_are_those_of_the_states_and_add_up_to_the_body(name):
    start, model = classifier(name), classifier(name)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    found = layer_drift(model, start)
    assert len(found) == len(layer_states(model, [batch()]))
    assert sum(gap**2 for gap in found) ** 0.5 == pytest.approx(body_distance(model, start), rel=1e-6)
    assert layer_drift(start, start) == [0] * len(found)


def test_an_encoder_by_hand():
    model = moved(
        classifier("bert"),
        bert__embeddings__LayerNorm__bias=3,
        bert__embeddings__word_embeddings__weight=4,
        bert__encoder__layer__1__output__dense__bias=1,
        bert__pooler__dense__bias=2,
        classifier__weight=100,
    )
    assert layer_drift(model, classifier("bert")) == pytest.approx([5, 0, 5**0.5], rel=1e-5)


@pytest.mark.parametrize(("name", "norm"), [("gpt2", "transformer__ln_f__weight"), ("llama", "model__norm__weight")])
def test_a_decoders_last_normalisation_makes_its_last_state(name, norm):
    assert layer_drift(moved(classifier(name), **{norm: 2}), classifier(name)) == pytest.approx([0, 0, 2], rel=1e-5)


def test_relative_positions_that_all_blocks_read_count_with_the_embeddings():
    model = moved(classifier("deberta_v3"), deberta__encoder__rel_embeddings__weight=2)
    assert layer_drift(model, classifier("deberta_v3")) == pytest.approx([2, 0, 0], rel=1e-5)


def test_encoder_decoders_by_hand():
    """Encoder embeddings and block, decoder embeddings and block; the embedding of both counts once, with the first."""
    model = moved(classifier("bart"), model__shared__weight=3, model__decoder__embed_positions__weight=4)
    assert layer_drift(model, classifier("bart")) == pytest.approx([3, 0, 4, 0], rel=1e-5)
    model = moved(
        classifier("t5"),
        transformer__shared__weight=1,
        transformer__encoder__final_layer_norm__weight=2,
        transformer__decoder__block__0__layer__1__EncDecAttention__q__weight=3,
        transformer__decoder__final_layer_norm__weight=4,
    )
    assert layer_drift(model, classifier("t5")) == pytest.approx([1, 2, 0, 5], rel=1e-5)


def test_layers_that_share_a_block_have_its_distance():
    def albert():
        torch.manual_seed(0)
        return transformers.AlbertForSequenceClassification(transformers.AlbertConfig(**ALBERT))

    name = "albert__encoder__albert_layer_groups__1__albert_layers__0__ffn__bias"
    found = layer_drift(moved(albert(), **{name: 2}), albert())
    assert found == pytest.approx([0, 0, 0, 2, 2], rel=1e-5)
    assert len(layer_states(albert(), [batch()])) == 5


def test_a_layer_that_is_not_finite_has_no_distance():
    model = moved(classifier("bert"), bert__encoder__layer__0__output__dense__bias=float("nan"))
    assert layer_drift(model, classifier("bert")) == [0, None, 0]


def test_models_of_other_structure_have_none_and_a_line_says_why(caplog):
    with caplog.at_level(logging.WARNING):
        assert layer_drift(classifier("bert"), classifier("roberta")) is None
        assert layer_drift(torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)) is None
    assert all("are not kept: " in line for line in caplog.messages)
    assert len(caplog.messages) == 2
