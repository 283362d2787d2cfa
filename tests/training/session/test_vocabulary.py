"""The words that occur: with the embedding trimmed to them a training is the one with all of it."""

import copy

import pytest
import torch
from trainers import build, rows, same

import loops
from holdfast import EMA, R3F, HoldfastError, NoisyTune, Plan, Vanilla
from holdfast.methods.parts.model.embeddings import input_embedding
from holdfast.training.session.vocabulary import TrimVocabulary, trimming_problem
from method_table import TABLE
from tiny import CLASSIFIERS, batch, classifier, tokenizer

FEW = 12
"""Tokens that occur in the batches here, of 97."""


def few(seed, **options):
    data = batch(seed=seed, **options)
    ids = data["input_ids"]
    data["input_ids"] = torch.where(ids > 3, 4 + ids % FEW, ids)
    return data


def trained(model, method, trimmed, steps=10, **options):
    data = [few(seed) for seed in range(steps)]
    engine = loops.engine(
        model,
        method,
        optimizer=loops.adamw(1e-2, weight_decay=0.0),
        total_steps=steps,
        data=data,
        tokenizer=tokenizer() if method.requires.text else None,
        trim_vocabulary=trimmed,
        **options,
    )
    loops.train(engine, data)
    return engine


@pytest.mark.slow
@pytest.mark.parametrize("method", TABLE.values(), ids=TABLE)
def test_every_method_gives_what_it_gives_with_the_whole_embedding(method):
    results = []
    for trimmed in (False, True):
        torch.manual_seed(3)
        engine = trained(classifier("bert", dropout=0.1), method, trimmed)
        evaluation = few(99)
        with engine.evaluate():
            scores = engine.model(**evaluation).logits.clone()
        plain = engine.plain_state_dict()
        engine.finish(score=lambda: 0.0)
        results.append((engine.model.state_dict(), plain, scores))
    (whole, whole_plain, whole_scores), (trim, trim_plain, trim_scores) = results
    torch.testing.assert_close(trim_scores, whole_scores, rtol=1e-4, atol=1e-5)
    assert trim.keys() == whole.keys()
    for name, value in whole.items():
        torch.testing.assert_close(trim[name], value, rtol=1e-4, atol=1e-5, msg=name)
        torch.testing.assert_close(trim_plain[name], whole_plain[name], rtol=1e-4, atol=1e-5, msg=name)


def test_gradient_and_optimizer_hold_the_rows_that_occur():
    model = classifier("bert")
    before = input_embedding(model).weight.detach().clone()
    engine = trained(model, Vanilla(), True, steps=1)
    weight = input_embedding(model).weight
    assert len(weight) < 20
    assert engine.optimizer.state[weight]["exp_avg"].shape == weight.shape
    engine.finish()
    after = input_embedding(model).weight
    moved = (after != before).any(1).nonzero().flatten().tolist()
    assert after is weight
    assert moved == sorted(set(few(0)["input_ids"][few(0)["attention_mask"].bool()].tolist()))
    assert type(input_embedding(model)) is torch.nn.Embedding
    assert input_embedding(model).padding_idx == 1


@pytest.mark.parametrize("name", sorted(CLASSIFIERS))
def test_every_architecture_is_trimmed_or_says_why_not(name):
    """Models that share the table between an encoder and a decoder too."""
    model = classifier(name, dropout=0.0)
    if trimming_problem(model):
        pytest.skip(trimming_problem(model))
    other = copy.deepcopy(model)
    for one, trimmed in ((model, False), (other, True)):
        engine = trained(one, Vanilla(), trimmed, steps=3)
        engine.finish()
    for (key, value), (_, expected) in zip(other.state_dict().items(), model.state_dict().items(), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5, msg=key)


def test_tokens_that_did_not_occur_are_scored_as_pre_trained_and_not_trained_on():
    whole, trim = trained(classifier("bert"), Vanilla(), False), trained(classifier("bert"), Vanilla(), True)
    unseen = batch(seed=5)
    assert unseen["input_ids"].max() >= 4 + FEW
    scores = []
    for engine in (whole, trim):
        with engine.evaluate():
            scores.append(engine.model(**unseen).logits)
    torch.testing.assert_close(*scores, rtol=1e-4, atol=1e-5)
    with pytest.raises(HoldfastError, match=r"trim_vocabulary: a batch has token \d+, which .* train without"):
        trim.loss(unseen)


def test_an_interrupted_training_goes_on_bit_for_bit():
    data = [few(seed) for seed in range(6)]

    def made(seed=0):
        model = classifier("bert", dropout=0.1, seed=seed)
        return loops.engine(model, EMA(), R3F(), optimizer=loops.adamw(), data=data, trim_vocabulary=True)

    torch.manual_seed(1)
    whole = made()
    loops.train(whole, data)
    torch.manual_seed(1)
    first = made()
    loops.train(first, data[:3])
    state = copy.deepcopy((first.plain_state_dict(), first.optimizer.state_dict(), first.state_dict()))
    second = made(seed=7)
    second.model.load_state_dict(state[0])
    second.optimizer.load_state_dict(state[1])
    second.load_state_dict(state[2])
    loops.train(second, data[3:])
    for engine in (whole, second):
        engine.finish()
    assert same(whole.model, second.model)


@pytest.mark.slow
def test_a_trainer_saves_resumes_and_loads_plain_models(tmp_path):
    def made(folder, **options):
        data = rows(16)
        for row in data:
            row["input_ids"] = torch.where(row["input_ids"] > 3, 4 + row["input_ids"] % FEW, row["input_ids"])
        options = {"save_strategy": "steps", "save_steps": 2, "weight_decay": 0.0, "max_steps": 4} | options
        return build(folder, R3F(), data=data, trim_vocabulary=True, **options)[0]

    whole = made(tmp_path / "a")
    whole.train()
    saved = classifier("bert").from_pretrained(tmp_path / "a" / "checkpoint-2")
    assert len(input_embedding(saved).weight) == 97
    second = made(tmp_path / "b")
    second.train(resume_from_checkpoint=str(tmp_path / "a" / "checkpoint-2"))
    assert same(whole.model, second.model)


def test_where_it_cannot_be_exact_it_is_refused():
    from transformers import BertConfig, BertForMaskedLM

    model = BertForMaskedLM(BertConfig(vocab_size=97, hidden_size=32, num_hidden_layers=1, num_attention_heads=2))
    with pytest.raises(HoldfastError, match="trim_vocabulary: the output layer of BertForMaskedLM gives every token"):
        TrimVocabulary([1, 2]).check(model)
    with pytest.raises(HoldfastError, match=r"tokens 1 to 97, and BertForSequenceClassification embeds 0 to 96"):
        TrimVocabulary([1, 97]).check(classifier("bert"))
    with pytest.raises(HoldfastError, match=r"trim_vocabulary looks up which tokens .* Engine\(..., data=loader\)"):
        loops.engine(classifier("bert"), Vanilla(), trim_vocabulary=True)
    with pytest.raises(HoldfastError, match="they hold text and no input_ids: tokenise them before"):
        loops.engine(classifier("bert"), Vanilla(), data=[{"text": "a"}], trim_vocabulary=True)


def test_a_frozen_embedding_stays_whole():
    model = classifier("bert")
    input_embedding(model).weight.requires_grad_(False)
    engine = trained(model, NoisyTune(), True, steps=1)
    assert len(input_embedding(model).weight) == 97
    engine.finish()


def test_padding_that_no_row_has_is_told_from_the_last_row():
    """A table's padding row gets no gradient, and no other is to be taken for it."""
    data = {key: value[:, :4] if value.ndim == 2 else value for key, value in few(0).items()}
    model = classifier("bert")
    session = TrimVocabulary(data["input_ids"].flatten().tolist()).start(model, Plan(1))
    assert input_embedding(model).padding_idx == session.rows.row_of[1] >= 0
    model(**data).loss.backward()
    last = input_embedding(model).weight.grad[-1]
    assert last.abs().sum() > 0
    session.finish()
    assert input_embedding(model).padding_idx == 1


def test_a_model_that_does_not_name_its_embedding_is_trained_whole_in_studies():
    """A study asks first, and gets the reason in place of an error."""
    assert "does not say which module embeds its input" in trimming_problem(torch.nn.Linear(2, 2))
