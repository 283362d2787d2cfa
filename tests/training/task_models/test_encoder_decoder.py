"""Encoder-decoders made of an encoder: what comes from the checkpoint, what is new, what is saved."""

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, EncoderDecoderModel
from writers import END, PAD, START, plainly_written, save, spec, split, task, tokenizer

from holdfast import HoldfastError
from holdfast.methods.parts.model.embeddings import input_embedding
from holdfast.training.models.loading import load_tuned
from holdfast.training.run.check import check_run
from holdfast.training.run.train_run import run
from holdfast.training.task_models import task_model_of


def pair(model, method="vanilla", **changes):
    return spec(model, method, seq2seq_from_encoder=True, **changes)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save(tmp_path_factory.mktemp("bert"), "bert", dropout=0.1)


def test_both_sides_are_the_checkpoint_and_only_what_it_lacks_is_drawn(bert):
    task_model, source = task_model_of(pair(bert), task()), AutoModel.from_pretrained(bert).state_dict()
    models = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        models.append(task_model.load())
    one, again, other = (model.state_dict() for model in models)
    assert all(torch.equal(one[name], again[name]) for name in one)
    new = {name for name in one if not torch.equal(one[name], other[name])}
    assert new
    assert all("crossattention" in name or ".cls." in name for name in new)
    for name, weight in source.items():
        assert torch.equal(one[f"encoder.{name}"], weight)
        if "pooler" not in name:
            assert torch.equal(one[f"decoder.bert.{name}"], weight)
    tied = models[0].decoder.get_output_embeddings().weight
    assert tied is models[0].decoder.get_input_embeddings().weight
    assert tied is not models[0].encoder.get_input_embeddings().weight
    assert input_embedding(models[0]) is models[0].encoder.get_input_embeddings()


def test_the_output_layer_is_the_checkpoint_s_where_it_has_one(tmp_path):
    source = save(tmp_path, "roberta")
    task_model = task_model_of(pair(source), task())
    one, other = (task_model.load().decoder.lm_head.dense.weight for _ in range(2))
    assert torch.equal(one, other)


def test_targets_have_no_start_of_their_own_and_the_decoder_s_padding_is_masked(bert):
    task_model, given = task_model_of(pair(bert), task()), task()
    rows, _ = task_model.encode(given.splits["train"], tokenizer(), training=True)
    first = tokenizer()(given.splits["train"].targets[0], add_special_tokens=False)["input_ids"]
    assert rows[0]["labels"] == [*first, END]
    few = [{**rows[0], "labels": [7, END]}, {**rows[1], "labels": [7, 8, 9, END]}]
    batch = task_model.collator(tokenizer(), task_model.load())(few)
    assert batch["decoder_input_ids"].tolist() == [[START, 7, END, PAD], [START, 7, 8, 9]]
    assert batch["decoder_attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert batch["labels"].tolist() == [[7, END, -100, -100], [7, 8, 9, END]]


@pytest.mark.slow
def test_what_is_saved_writes_the_same_without_holdfast(bert, tmp_path):
    given = task(test=split(5, 2))
    record = run(pair(bert, "r3f(sigma=0.1)"), given, tmp_path)
    assert (record.form, record.scored_split, record.steps) == ("EncoderDecoder", "test", 2)
    assert record.distance > 0
    model = EncoderDecoderModel.from_pretrained(tmp_path / "model")
    read = AutoTokenizer.from_pretrained(tmp_path / "model")
    stored = np.load(tmp_path / "predictions.npz")
    assert stored["texts"].tolist() == plainly_written(model, read, given.splits["test"].texts)
    again = load_tuned(tmp_path / "model")
    assert type(again) is EncoderDecoderModel
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))


@pytest.mark.slow
def test_without_steps_of_any_size_it_has_not_moved(bert, tmp_path):
    still = pair(bert, settings={"learning_rate": 1e-12, "max_steps": 1})
    record = run(still, task(), tmp_path, keep_model=False)
    assert record.distance < 1e-6, "what was drawn at the start is drawn again"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gpt2", "it is no encoder"),
        ("t5", "it is no encoder"),
        ("bart", "it is no encoder"),
        ("distilbert", "no decoder"),
    ],
)
def test_what_is_no_such_encoder_is_refused(tmp_path, name, told):
    with pytest.raises(HoldfastError, match=f"--seq2seq-from-encoder .*{told}"):
        check_run(pair(save(tmp_path, name)), task())


def test_a_tokenizer_without_marks_is_refused(tmp_path):
    source = save(tmp_path, "bert", marks={"sep_token": None, "eos_token": None})
    with pytest.raises(HoldfastError, match="no token to start or to end a text with"):
        check_run(pair(source), task())


def test_lengths_are_checked_on_both_sides(bert):
    with pytest.raises(HoldfastError, match=r"--max-length 65: .* takes 64 tokens at most"):
        check_run(pair(bert, settings={"max_length": 65}), task())
    with pytest.raises(HoldfastError, match=r"--max-target-length 65: .* writes 64 tokens at most"):
        check_run(pair(bert, settings={"max_target_length": 65}), task())
    with pytest.raises(HoldfastError, match=r"r4f needs a classification head: EncoderDecoderModel"):
        check_run(pair(bert, "r4f"), task())
