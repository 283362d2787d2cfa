"""Encoder-decoders as they are pre-trained: what is read, learnt, written, scored and kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from rouge_score.rouge_scorer import RougeScorer
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
)
from writers import END, START, of, plainly_written, save, spec, split, task, tokenizer

from holdfast import HoldfastError
from holdfast.study.run.train_and_measure import run as run_and_measure
from holdfast.training.run.check import check_run
from holdfast.training.run.train_run import run
from holdfast.training.task_models import task_model_of


@pytest.fixture(scope="module")
def bart(tmp_path_factory):
    return save(tmp_path_factory.mktemp("bart"), "bart", dropout=0.1)


def test_text_and_target_are_cut_each_to_its_length_and_counted_apart(bart):
    given = task()
    rows = replace(split(3, 0), texts=["good " * 20, "bad film", "the " * 10])
    rows = replace(rows, labels=["fine meal", "a " * 9, "the very bad film"])
    task_model = task_model_of(spec(bart), given)
    encoded, cut = task_model.encode(rows, tokenizer(), training=True)
    assert (cut, task_model.count_cut(rows, tokenizer())) == (1, {"--max-length": 1, "--max-target-length": 1})
    assert encoded[0]["input_ids"] == [START, *of("good " * 10), END]
    assert encoded[2]["input_ids"] == [START, *of("the " * 10), END]
    assert [row["labels"] for row in encoded] == [
        [START, *of("fine meal"), END],
        [START, *of("a a a a"), END],
        [START, *of("the very bad film"), END],
    ]
    batch = task_model.collator(tokenizer(), task_model.load())([encoded[1], encoded[2]])
    assert batch["input_ids"][0].tolist() == [START, *of("bad film"), END, *[1] * 8]
    assert batch["attention_mask"].sum(1).tolist() == [4, 12]
    unlabelled, _ = task_model.encode(replace(rows, labels=None), tokenizer(), training=False)
    assert "labels" not in unlabelled[0]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "beams"), [("bart", 1), ("t5", 3)])
def test_what_is_scored_is_what_the_saved_model_writes_without_holdfast(tmp_path, name, beams):
    source = save(tmp_path / "start", name, dropout=0.1)
    given = task(validation=split(6, 1, several=True))
    record = run(spec(source, "r3f(sigma=0.1)", settings={"num_beams": beams}), given, tmp_path)
    assert (record.status, record.form, record.scored_split) == ("finished", "Seq2Seq", "validation")
    assert (record.steps, record.scored_rows, record.evaluations) == (2, 6, []), "the last batch has two rows"
    assert all(entry["loss/r3f"] > 0 for entry in record.losses)
    scored = given.splits["validation"]
    stored = np.load(tmp_path / "predictions.npz", allow_pickle=False)
    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "model")
    read = AutoTokenizer.from_pretrained(tmp_path / "model")
    written = plainly_written(model, read, scored.texts)
    assert stored["texts"].tolist() == written
    assert stored["ids"].tolist() == scored.ids
    assert [[text for text in row if text] for row in stored["references"].tolist()] == scored.references
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    pairs = zip(scored.references, written, strict=True)
    found = [scorer.score_multi(right, text) for right, text in pairs]
    for metric, score in record.metrics.items():
        assert score == pytest.approx(np.mean([one[metric].fmeasure for one in found])), metric
    assert record.constant_scores == dict.fromkeys(given.metrics, 0.0)
    assert record.dominant_share == max(written.count(text) for text in written) / 6
    assert record.distance > 0


@pytest.mark.slow
def test_the_step_with_the_best_rouge_is_the_one_that_is_scored(bart, tmp_path):
    given = task(test=split(5, 2), ood=split(3, 3))
    record = run(spec(bart, settings={"epochs": 3, "learning_rate": 1e-2}), given, tmp_path, keep_model=False)
    assert (record.scored_split, record.scored_rows, set(record.extra_metrics)) == ("test", 5, {"ood"})
    scores = [entry.metrics["rougeL"] for entry in record.evaluations]
    assert [entry.step for entry in record.evaluations] == [2, 3, 4, 5, 6]
    assert record.selection_score == max(scores)
    assert record.chosen_step == 2 + scores.index(max(scores))


@pytest.mark.slow
def test_label_smoothing_is_that_of_the_plain_trainer(tmp_path):
    source = save(tmp_path / "start", "bart")
    given = task()
    smoothed = spec(source, "r3f(sigma=0.3)", settings={"label_smoothing": 0.2})
    first = run(smoothed, given, tmp_path / "run", keep_model=False).losses[0]
    task_model = task_model_of(smoothed, given)
    model, read = task_model.load(), tokenizer()
    rows, _ = task_model.encode(given.splits["train"], read, training=True)
    losses = {}
    for smoothing in (0.0, 0.2):
        arguments = Seq2SeqTrainingArguments(
            str(tmp_path), label_smoothing_factor=smoothing, per_device_train_batch_size=8, data_seed=0, seed=0,
            max_steps=1, logging_steps=1, report_to="none", disable_tqdm=True, save_strategy="no",
            dataloader_pin_memory=False,
        )  # fmt: skip
        collator = DataCollatorForSeq2Seq(read, model)
        trainer = Seq2SeqTrainer(task_model.load(), arguments, train_dataset=rows, data_collator=collator)
        trainer.train()
        losses[smoothing] = next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
    assert first["loss/task"] == pytest.approx(losses[0.2], rel=1e-4)
    assert first["loss/task"] != pytest.approx(losses[0.0], rel=1e-3)
    assert first["loss"] == pytest.approx(first["loss/task"] + first["loss/r3f"], rel=1e-4)


def test_the_checkpoint_s_own_way_of_writing_does_not_stay(tmp_path):
    source = save(tmp_path / "start", "bart", min_length=5, no_repeat_ngram_size=3, length_penalty=2.0, num_beams=4)
    model = task_model_of(spec(source), task()).load()
    asked = model.generation_config
    assert (asked.max_length, asked.num_beams, asked.do_sample) == (7, 1, False)
    assert (asked.min_length, asked.no_repeat_ngram_size, asked.length_penalty) == (None, None, None)
    assert (asked.decoder_start_token_id, asked.eos_token_id, asked.pad_token_id) == (3, 3, 1)
    model.save_pretrained(tmp_path / "saved")


@pytest.mark.slow
def test_layers_are_the_encoder_s_mean_over_the_text_that_was_read(bart, tmp_path):
    given = task(validation=split(8, 1))
    wanted = spec(bart, settings={"epochs": 4})
    record = run_and_measure(wanted, given, tmp_path, lambda progress: None, {})
    held = np.load(tmp_path / "representations.npz")
    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "model").eval()
    read = AutoTokenizer.from_pretrained(tmp_path / "model")
    for row, text in enumerate(given.splits["validation"].texts):
        inputs = read(text, return_tensors="pt", return_token_type_ids=False)
        with torch.no_grad():
            layers = model.get_encoder()(**inputs, output_hidden_states=True).hidden_states
        states = held["states"][:, row].astype(np.float32) * held["scales"][:, None]
        assert np.allclose(states, torch.stack([layer[0].mean(0) for layer in layers]), atol=1e-2)
    layers = record.layers
    assert [one.layer for one in layers] == [0, 1]
    start, tuned = AutoModelForSeq2SeqLM.from_pretrained(bart), model
    pairs = zip(tuned.model.encoder.layers[0].parameters(), start.model.encoder.layers[0].parameters(), strict=True)
    moved = sum(float((a - b).double().square().sum()) for a, b in pairs) ** 0.5
    assert layers[1].weight_distance == pytest.approx(moved, rel=1e-4)
    assert layers[1].cka < 1


def test_longer_texts_than_the_decoder_has_positions_for_are_refused(bart):
    with pytest.raises(HoldfastError, match=r"--max-target-length 65: .* writes 64 tokens at most"):
        check_run(spec(bart, settings={"max_target_length": 65}), task())
    with pytest.raises(HoldfastError, match=r"r4f needs a classification head: BartForConditionalGeneration"):
        check_run(spec(bart, "r4f"), task())
