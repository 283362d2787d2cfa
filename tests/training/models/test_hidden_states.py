"""Hidden states where the head reads them, against loops over single unpadded rows."""

import itertools
import logging

import numpy as np
import pytest
import torch
from torch import nn
from transformers import XLNetConfig, XLNetForSequenceClassification

from holdfast.errors import HoldfastError
from holdfast.training.models.hidden_states import layer_states, pooled_states, spread_rows, write_states
from tiny import PAD, VOCABULARY, batch, classifier


def alone(model, given):
    """Each row without its padding, in a forward of its own."""
    for ids, mask in zip(given["input_ids"], given["attention_mask"], strict=True):
        real = ids[mask.bool()][None]
        with torch.no_grad():
            yield real[0].tolist(), model(real, attention_mask=torch.ones_like(real), output_hidden_states=True)


def collected(model, **options):
    model.eval()
    parts = [batch(4, 10, seed=seed, **options) for seed in (0, 1)]
    return [one for part in parts for one in alone(model, part)], layer_states(model, parts)


@pytest.mark.parametrize("name", ["bert", "roberta", "modernbert", "deberta_v3"])
def test_encoders_are_read_at_the_first_token(name):
    model = classifier(name)
    rows, states = collected(model)
    expected = [[layer[0, 0].numpy() for layer in outputs.hidden_states] for _, outputs in rows]
    assert states.shape == (3, 8, 32)
    assert np.allclose(states, np.swapaxes(np.array(expected), 0, 1), atol=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("padding", ["left", "right"])
def test_decoders_are_read_at_the_last_real_token_on_either_side_of_the_padding(name, padding):
    model = classifier(name)
    rows, states = collected(model, padding=padding)
    expected = [[layer[0, -1].numpy() for layer in outputs.hidden_states] for _, outputs in rows]
    # GPT-2 counts positions from the batch's left edge, padding included.
    if name == "gpt2" and padding == "left":
        ends, given = [], [batch(4, 10, seed=seed, padding=padding) for seed in (0, 1)]
        for one in given:
            del one["labels"]
            with torch.no_grad():
                ends.append(torch.stack([layer[:, -1] for layer in model(**one, output_hidden_states=True)[-1]]))
        assert np.allclose(states, torch.cat(ends, 1), atol=1e-5)
    else:
        assert np.allclose(states, np.swapaxes(np.array(expected), 0, 1), atol=1e-5)


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_encoder_decoders_are_read_at_the_end_token_of_both(name):
    model = classifier(name)
    rows, states = collected(model)
    expected = []
    for ids, outputs in rows:
        end = len(ids) - 1 - ids[::-1].index(3)
        expected.append(
            [layer[0, end].numpy() for layer in (*outputs.encoder_hidden_states, *outputs.decoder_hidden_states)]
        )
    assert states.shape == (4, 8, 32)
    assert np.allclose(states, np.swapaxes(np.array(expected), 0, 1), atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "gpt2", "t5"])
def test_the_last_layer_is_what_the_head_makes_logits_of(name):
    model = classifier(name).eval()
    given = batch(4, 10, padding="left" if name == "gpt2" else "right")
    last = torch.from_numpy(layer_states(model, [given])[-1])
    if name == "bert":
        logits = model.classifier(torch.tanh(model.bert.pooler.dense(last)))
    else:
        logits = (model.score if name == "gpt2" else model.classification_head)(last)
    with torch.no_grad():
        assert torch.allclose(logits, model(**given).logits, atol=1e-5)


def test_the_model_is_left_as_it_was_and_dropout_is_off():
    model = classifier("bert", dropout=0.5)
    model.bert.pooler.eval()
    given = [batch(2)]
    first, second = layer_states(model, given), layer_states(model, given)
    assert (first == second).all()
    assert model.training
    assert not model.bert.pooler.training
    assert not model.classifier._forward_hooks


class Narrowing(nn.Module):
    """Layers of two widths."""

    def forward(self, input_ids, output_hidden_states=False, **rest):
        rows = torch.zeros(*input_ids.shape, 8)
        return type("Outputs", (), {"hidden_states": (rows, rows[..., :4])})()


class Silent(nn.Module):
    """Knows of no hidden states."""

    def forward(self, input_ids, attention_mask):
        raise AssertionError("need not run")


@pytest.mark.parametrize(("model", "told"), [(Narrowing(), "cannot be lined up"), (Silent(), "cannot return")])
def test_what_cannot_be_read_is_left_out_with_a_line(model, told, caplog):
    with caplog.at_level(logging.WARNING):
        assert layer_states(model, [{"input_ids": torch.full((2, 3), PAD)}]) is None
    assert [told in line for line in caplog.messages] == [True]


def test_rows_are_spread_evenly_and_depend_on_the_count_alone():
    assert spread_rows(3, 5) == [0, 1, 2]
    assert spread_rows(10, 5) == [0, 2, 4, 6, 8]
    rows = spread_rows(1043)
    assert len(rows) == len(set(rows)) == 512
    assert {later - earlier for earlier, later in itertools.pairwise(rows)} == {2, 3}
    assert rows[-1] < 1043


def test_what_is_written_reads_back_to_half_precision_whatever_its_size(tmp_path):
    draw = np.random.default_rng(0)
    states = draw.normal(size=(3, 5, 4)).astype(np.float32) * np.array([1.0, 1e6, 0.0], np.float32)[:, None, None]
    write_states(tmp_path / "r.npz", states, [f"row {row}" for row in range(5)])
    with np.load(tmp_path / "r.npz") as held:
        assert held["states"].dtype == np.float16
        back = held["states"].astype(np.float32) * held["scales"][:, None, None]
        assert held["ids"].tolist() == ["row 0", "row 1", "row 2", "row 3", "row 4"]
    # 11 bits of a number below 1.
    assert (np.abs(back - states).max(axis=(1, 2)) <= np.abs(states).max(axis=(1, 2)) * 2.0**-11).all()


def test_a_layer_that_is_not_finite_stays_so(tmp_path):
    states = np.ones((2, 2, 2), np.float32)
    states[1, 0, 0], states[1, 0, 1] = np.nan, 1e9
    write_states(tmp_path / "r.npz", states, ["a", "b"])
    with np.load(tmp_path / "r.npz") as held:
        assert np.isfinite(held["states"][0]).all()
        assert not np.isfinite(held["states"][1]).all()


def by_row(model, given, read):
    """``read(layer, ids)`` of each row alone, unpadded: (layers, rows, width)."""
    model.eval()
    rows = [
        [read(layer[0], ids).numpy() for layer in outputs.get("hidden_states") or outputs.encoder_hidden_states]
        for ids, outputs in alone(model, given)
    ]
    return np.swapaxes(np.array(rows), 0, 1)


# BERT counts positions from the batch's left edge, padding included: its rows cannot be compared when that is there.
@pytest.mark.parametrize(
    ("name", "padding"),
    [
        ("bert", "right"),
        *itertools.product(["deberta_v3", "modernbert", "llama", "t5"], ["left", "right"]),
    ],
)
def test_the_mean_and_the_last_are_of_real_tokens_on_either_side_of_the_padding(name, padding):
    model = classifier(name)
    given = batch(4, 10, padding=padding)
    mean, last = (next(pooled_states(model, [given], pooling)) for pooling in ("mean", "last"))
    # T5's decoder sees the padding's place, so its encoder alone is compared.
    expected = by_row(model, given, lambda layer, ids: layer.mean(0))
    assert np.allclose(torch.stack(mean)[: len(expected)], expected, atol=1e-5)
    expected = by_row(model, given, lambda layer, ids: layer[-1])
    assert np.allclose(torch.stack(last)[: len(expected)], expected, atol=1e-5)


def test_cls_is_the_first_real_token():
    model = classifier("deberta_v3")
    given = batch(4, 10, padding="left")
    expected = by_row(model, given, lambda layer, ids: layer[0])
    assert np.allclose(torch.stack(next(pooled_states(model, [given], "cls"))), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "llama", "t5", "bart"])
def test_cls_is_refused_where_there_is_none(name):
    with pytest.raises(HoldfastError, match="no classification token; use auto"):
        next(pooled_states(classifier(name), [batch(2)], "cls"))


@pytest.mark.parametrize("padding", ["left", "right"])
def test_a_head_that_reads_the_mean_is_followed(padding):
    model = classifier("modernbert").eval()
    model.config.classifier_pooling = "mean"
    given = batch(4, 10, padding=padding)
    states = next(pooled_states(model, [given]))
    with torch.no_grad():
        assert torch.allclose(model.classifier(model.head(states[-1])), model(**given).logits, atol=1e-5)
    assert np.array_equal(layer_states(model, [given])[-1], states[-1])


@pytest.mark.parametrize("padding", ["left", "right"])
def test_a_head_that_reads_the_last_place_is_followed(padding):
    torch.manual_seed(0)
    config = XLNetConfig(vocab_size=VOCABULARY, d_model=32, n_layer=2, n_head=2, d_inner=48, pad_token_id=PAD)
    model = XLNetForSequenceClassification(config).eval()
    given = batch(4, 10, padding=padding)
    last = next(pooled_states(model, [given]))[-1]
    summary = model.sequence_summary
    with torch.no_grad():
        logits = model.logits_proj(summary.activation(summary.summary(last)))
        assert torch.allclose(logits, model(**given).logits, atol=1e-5)


@pytest.mark.parametrize("name", ["modernbert", "llama", "bart"])
def test_the_last_layer_is_behind_the_final_norm(name):
    model = classifier(name).eval()
    given = batch(4, 10)
    states = next(pooled_states(model, [given]))
    head = {"modernbert": lambda x: model.classifier(model.head(x)), "bart": lambda x: model.classification_head(x)}
    with torch.no_grad():
        assert torch.allclose(head.get(name, lambda x: model.score(x))(states[-1]), model(**given).logits, atol=1e-5)


def test_between_batches_gradients_can_be_taken_and_an_early_end_restores_the_model():
    model = classifier("bert", dropout=0.1)
    states = pooled_states(model, [batch(2), batch(2)])
    next(states)
    assert torch.is_grad_enabled()
    assert not model.training
    states.close()
    assert all(module.training for module in model.modules())
