"""Texts that one of several choices follows: tensors, what is cut, and runs."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers as t

from holdfast import HoldfastError
from holdfast.records.run import RunSpec, TrainingSettings
from holdfast.records.task import TaskSpec
from holdfast.tasks.task import Split, Task
from holdfast.training.run.preview import decoded_rows
from holdfast.training.run.train_run import run
from holdfast.training.task_models import task_model_of
from tiny import WORDS, save_model

NAMES = ("choice1", "choice2", "choice3")


def questions(rows, seed, longest=5):
    """Of three choices the one that has "good" in it is right."""
    draw = np.random.default_rng(seed)
    others = [word for word in WORDS if word != "good"]

    def text():
        return " ".join(draw.choice(others, size=draw.integers(2, longest + 1)))

    labels = [int(label) for label in draw.integers(0, 3, size=rows)]
    choices = [[text() + (" good" if place == label else "") for place in range(3)] for label in labels]
    return Split([text() for _ in labels], None, labels, [f"q{i}" for i in range(rows)], choices=choices)


def task(rows=50):
    splits = {"train": questions(rows, 0), "validation": questions(14, 1)}
    return Task("questions", "choice", splits, NAMES, ("accuracy",), fingerprint="f")


def spec(model, method="vanilla", **settings):
    chosen = TrainingSettings(**{"epochs": 1, "batch_size": 8, "max_length": 32, "learning_rate": 1e-3} | settings)
    source = TaskSpec(source="questions")
    return RunSpec(model=str(model), method=method, settings=chosen, seed=0, data_seed=0, data="f", task=source)


def task_model(model="unused", **settings):
    return task_model_of(spec(model, **settings), task())


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_batch_holds_the_text_with_each_choice(tokenizer, side):
    split, chooser = questions(4, 2), task_model()
    rows, cut = chooser.encode(split, tokenizer, training=True)
    tokenizer.padding_side = side
    batch = chooser.collator(tokenizer, None)(list(rows))
    tokenizer.padding_side = "right"
    assert batch["input_ids"].shape[:2] == (4, 3)
    assert batch["labels"].tolist() == split.labels
    assert cut == 0
    for row in range(4):
        for place in range(3):
            ids = batch["input_ids"][row, place][batch["attention_mask"][row, place] == 1]
            assert ids.tolist() == tokenizer(split.texts[row], split.choices[row][place])["input_ids"]


def test_rows_not_texts_are_counted_as_cut(tokenizer):
    """Two words and three marks are five tokens; of the first row two pairs are longer, of the last none."""
    split = Split(
        texts=["a", "a", "a"],
        pairs=None,
        labels=[0, 1, 2],
        ids=["0", "1", "2"],
        choices=[["good bad", "the very film", "a"], ["a", "a", "a the"], ["a", "a", "a"]],
    )
    chooser = task_model(max_length=5)
    rows, cut = chooser.encode(split, tokenizer, training=False)
    assert cut == 2
    assert chooser.count_cut(split, tokenizer) == {"--max-length": 2}
    assert max(len(ids) for row in rows for ids in row["input_ids"]) == 5
    with pytest.raises(HoldfastError, match="--max-length 4: no room for text beside 3 special tokens"):
        task_model(max_length=4).count_cut(split, tokenizer)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["r3f(sigma=0.1, same_dropout=True)", "r3f(sigma=0.1, layers=1, rows=0.5)"])
def test_a_run_learns_to_choose(model, tmp_path, method):
    given = task(rows=242)
    record = run(spec(model, method, epochs=4, learning_rate=5e-3), given, tmp_path)
    assert record.metrics["accuracy"] > 0.7
    counts = np.bincount(given.splits["validation"].labels)
    assert record.constant_scores["accuracy"] == pytest.approx(counts.max() / 14)
    assert 1 / 3 <= record.dominant_share < 0.8
    saved = np.load(tmp_path / "predictions.npz")
    assert saved["logits"].shape == (14, 3)
    assert (saved["logits"].argmax(-1) == saved["labels"]).mean() == pytest.approx(record.metrics["accuracy"])


@pytest.mark.slow
def test_the_saved_model_gives_the_kept_logits_and_states_without_holdfast(model, tmp_path):
    given = task()
    run(spec(model), given, tmp_path)
    saved, states = np.load(tmp_path / "predictions.npz"), np.load(tmp_path / "representations.npz")
    chooser = t.AutoModelForMultipleChoice.from_pretrained(tmp_path / "model").eval()
    tokenizer = t.AutoTokenizer.from_pretrained(tmp_path / "model")
    split = given.splits["validation"]
    inputs = tokenizer([split.texts[1]] * 3, split.choices[1], padding=True, return_tensors="pt")
    with torch.no_grad():
        found = chooser(**{name: value[None] for name, value in inputs.items()}, output_hidden_states=True)
    np.testing.assert_allclose(found.logits[0].numpy(), saved["logits"][1], rtol=1e-4, atol=1e-5)
    assert chooser.config.id2label == dict(enumerate(NAMES))
    # The mean over the choices of what stands at the first token.
    expected = [layer[:, 0].mean(0).numpy() for layer in found.hidden_states]
    for layer, (kept, scale) in enumerate(zip(states["states"], states["scales"], strict=True)):
        np.testing.assert_allclose(kept[1].astype(np.float32) * scale, expected[layer], rtol=2e-2, atol=2e-3)


def test_predictions_are_scored_by_the_place_of_the_largest():
    split = questions(3, 5)
    logits = np.eye(3)[[split.labels[0], split.labels[1], (split.labels[2] + 1) % 3]]
    chooser = task_model()
    outputs = chooser.read(SimpleNamespace(predictions=logits), None)
    assert chooser.score(outputs, split, ("accuracy",)) == {"accuracy": pytest.approx(2 / 3)}


def test_what_the_model_will_see_of_a_row_is_shown(tmp_path):
    source = save_model(tmp_path, "bert")
    given = task()
    told = decoded_rows(spec(source, max_length=6), given, [3])
    train = given.splits["train"]
    read = t.AutoTokenizer.from_pretrained(source)
    expected = [
        read.decode(read(train.texts[3], choice, truncation="longest_first", max_length=6)["input_ids"])
        for choice in train.choices[3]
    ]
    assert told == [" | ".join(expected)]
    assert all(part.startswith("[CLS]") and part.endswith("[SEP]") for part in told[0].split(" | "))
