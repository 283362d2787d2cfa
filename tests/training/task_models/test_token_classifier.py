"""Words with a class each: where labels go, what is cut, how predictions are scored and kept."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers as t
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from holdfast import R3F, Engine, HoldfastError
from holdfast.records.run import RunSpec, TrainingSettings
from holdfast.records.task import TaskSpec
from holdfast.study.analysis.failures import outcomes
from holdfast.tasks.task import Split, Task
from holdfast.training.run.train_run import run
from holdfast.training.task_models import task_model_of
from tiny import WORDS, batch, classifier

NAMES = ("O", "B-PER", "I-PER")
PEOPLE = ("good", "bad")


def sentences(rows, seed, longest=7):
    """A word of PEOPLE begins a name, and "very" after one goes on with it."""
    draw = np.random.default_rng(seed)
    words = [list(draw.choice(WORDS, size=draw.integers(2, longest + 1))) for _ in range(rows)]
    tags = []
    for row in words:
        found = [int(word in PEOPLE) for word in row]
        for i, word in enumerate(row):
            found[i] = 2 if word == "very" and i and found[i - 1] else found[i]
        tags.append(found)
    return made(words, tags)


def made(words, tags):
    words = [[str(word) for word in row] for row in words]
    return Split([" ".join(row) for row in words], None, tags, [f"r{i}" for i in range(len(words))], words=words)


def task(names=NAMES, metrics=("entity_f1", "accuracy"), rows=60):
    splits = {"train": sentences(rows, 0), "validation": sentences(15, 1)}
    return Task("names", "tokens", splits, names, metrics, fingerprint="f")


def spec(model, method="vanilla", **settings):
    chosen = TrainingSettings(**{"epochs": 1, "batch_size": 8, "max_length": 32, "learning_rate": 1e-3} | settings)
    source = TaskSpec(source="names")
    return RunSpec(model=str(model), method=method, settings=chosen, seed=0, data_seed=0, data="f", task=source)


def task_model(model="unused", names=NAMES, **settings):
    return task_model_of(spec(model, **settings), task(names))


def test_a_word_has_its_class_at_its_first_piece(tokenizer):
    """The tiny tokenizer splits at punctuation, so that "good-bad-a" has five pieces."""
    split = made([["a", "good-bad-a", "film"], ["very"]], [[0, 1, 2], [1]])
    rows, cut = task_model().encode(split, tokenizer, training=True)
    assert rows[0]["labels"] == [-100, 0, 1, -100, -100, -100, -100, 2, -100]
    assert tokenizer.convert_ids_to_tokens(rows[0]["input_ids"])[2] == "good"
    assert rows[1]["labels"] == [-100, 1, -100]
    assert cut == 0


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_last_words_are_cut_whichever_side_the_tokenizer_would_cut(tokenizer, side):
    split = made([["good", "bad", "a", "the"], ["good", "bad", "a"], ["a"]], [[1, 1, 0, 0], [1, 1, 0], [0]])
    tokenizer.truncation_side = side
    rows, cut = task_model(max_length=5).encode(split, tokenizer, training=False)
    assert tokenizer.truncation_side == side
    tokenizer.truncation_side = "right"
    assert cut == 1
    assert task_model(max_length=5).count_cut(split, tokenizer) == {"--max-length": 1}
    assert [row["labels"] for row in rows][:2] == [[-100, 1, 1, 0, -100]] * 2


@pytest.mark.parametrize("side", ["left", "right"])
def test_predictions_come_back_in_the_order_of_words(tokenizer, side):
    """Through the collator's padding on either side, with logits that tell where they stood."""
    split = sentences(5, 3)
    tagger = task_model()
    rows, _ = tagger.encode(split, tokenizer, training=False)
    tokenizer.padding_side = side
    batch = tagger.collator(tokenizer, None)([dict(row) for row in rows])
    tokenizer.padding_side = "right"
    logits = torch.nn.functional.one_hot(batch["labels"].clamp(min=0), 3).float().numpy()
    outputs = tagger.read(SimpleNamespace(predictions=logits, label_ids=batch["labels"].numpy()), tokenizer)
    assert [row.argmax(-1).tolist() for row in outputs] == split.tags
    assert tagger.score(outputs, split, ("accuracy", "entity_f1")) == {"accuracy": 1.0, "entity_f1": 1.0}


def logits_of(tags, classes=3):
    return [np.eye(classes, dtype=np.float32)[row] for row in tags]


def test_scores_are_over_words_and_over_names():
    """By hand: 7 of 9 words; of 3 names 1 is found whole, of 2 predicted ones 1 is right."""
    split = made([["a"] * 5, ["a"] * 4], [[1, 2, 0, 1, 0], [0, 1, 2, 0]])
    outputs = logits_of([[1, 2, 0, 0, 0], [0, 1, 0, 0]])
    assert task_model().score(outputs, split, ("entity_f1", "accuracy")) == {
        "entity_f1": pytest.approx(2 * 1 / (3 + 2)),
        "accuracy": pytest.approx(7 / 9),
    }


@pytest.mark.parametrize(("names", "right"), [(("O", "B-PER", "I-PER"), 3), (("D", "B-PER", "I-PER"), 2)])
def test_words_that_were_cut_count_as_outside_or_as_wrong(names, right):
    split = made([["a"] * 4], [[1, 2, 0, 1]])
    outputs = logits_of([[1, 2]])
    assert task_model(names=names).score(outputs, split, ("accuracy",)) == {"accuracy": right / 4}
    kept = task_model(names=names).prediction_arrays(split, outputs)
    assert kept["ids"].tolist() == ["r0:0", "r0:1"]
    assert kept["labels"].tolist() == [1, 2]
    assert kept["logits"].shape == (2, 3)


def test_outputs_that_are_not_finite_have_no_score():
    split, outputs = made([["a", "a"]], [[1, 0]]), logits_of([[1, 0]])
    outputs[0][1, 1] = np.nan
    assert task_model().score(outputs, split, ("entity_f1", "accuracy")) == {"entity_f1": None, "accuracy": None}
    assert not task_model().finite(outputs)


def test_a_word_that_is_nothing_to_the_tokenizer_is_an_unknown_one(tokenizer):
    split = made([["good", "\u200b", "bad"], ["a", "\u200b"]], [[1, 0, 1], [0, 2]])
    raw = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    from tokenizers.normalizers import Replace

    raw.normalizer = Replace("\u200b", "")
    deaf = t.PreTrainedTokenizerFast(tokenizer_object=raw, **tokenizer.special_tokens_map)
    rows, _ = task_model().encode(split, deaf, training=True)
    assert rows[0]["input_ids"][2] == deaf.unk_token_id
    assert [row["labels"] for row in rows] == [[-100, 1, 0, 1, -100], [-100, 0, 2, -100]]


def byte_level(split_first):
    """Tokenizers in which "go" inside a text is one piece, and at its beginning two."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: i for i, piece in enumerate(["<pad>", "</s>", *alphabet, "Ġg", "Ġgo"])}
    merges = [("Ġ", "g"), ("Ġg", "o")]
    if not split_first:
        return t.GPT2Tokenizer(vocab=vocabulary, merges=merges, pad_token="<pad>")
    raw = Tokenizer(models.BPE(vocabulary, merges))
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" ?\w+|[^\w ]"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return t.PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="</s>")


@pytest.mark.parametrize("split_first", [False, True])
def test_tokenizers_of_bytes_see_words_as_inside_a_text(split_first, tmp_path):
    tokenizer = byte_level(split_first)
    rows, _ = task_model().encode(made([["go", "go.go"]], [[1, 2]]), tokenizer, training=True)
    pieces = tokenizer.convert_ids_to_tokens(rows[0]["input_ids"])
    assert pieces == ["Ġgo", "Ġgo", ".", "g", "o"]
    assert rows[0]["labels"] == [1, 2, -100, -100, -100]
    if not split_first:
        tokenizer.save_pretrained(tmp_path)
        again = t.AutoTokenizer.from_pretrained(tmp_path)
        assert again(["go", "go"], is_split_into_words=True).tokens() == ["Ġgo", "Ġgo"]


def test_a_tokenizer_without_words_is_refused():
    with pytest.raises(HoldfastError, match="does not tell which piece is of which word; choose a model with a fast"):
        task_model().encode(sentences(2, 0), SimpleNamespace(is_fast=False), training=True)


def test_no_room_for_a_word_is_told(tokenizer):
    with pytest.raises(HoldfastError, match="--max-length 2: no room for text beside 2 special tokens; use at least 3"):
        task_model(max_length=2).count_cut(sentences(2, 0), tokenizer)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["r3f(sigma=0.1)", "r3f(sigma=0.1, layers=1, rows=0.5)"])
def test_a_run_learns_names_and_keeps_every_word(model, tmp_path, method):
    given = task(rows=122)
    record = run(spec(model, method, epochs=4, learning_rate=5e-3), given, tmp_path)
    assert record.metrics["entity_f1"] > 0.8
    assert record.constant_scores["entity_f1"] == 0
    words = [tag for row in given.splits["validation"].tags for tag in row]
    assert record.constant_scores["accuracy"] == pytest.approx(words.count(0) / len(words))
    saved = np.load(tmp_path / "predictions.npz")
    assert saved["labels"].tolist() == words
    assert len(set(saved["ids"])) == len(words)
    assert (saved["logits"].argmax(-1) == words).mean() == pytest.approx(record.metrics["accuracy"])
    states = np.load(tmp_path / "representations.npz")
    assert states["states"].shape == (3, 15, 32)
    assert outcomes([record], "entity_f1", 0.0)[0].reason is None


@pytest.mark.slow
def test_the_saved_model_gives_the_kept_logits_without_holdfast(model, tmp_path):
    given = task()
    run(spec(model), given, tmp_path)
    saved = np.load(tmp_path / "predictions.npz")
    tagger = t.AutoModelForTokenClassification.from_pretrained(tmp_path / "model").eval()
    tokenizer = t.AutoTokenizer.from_pretrained(tmp_path / "model")
    inputs = tokenizer([given.splits["validation"].words[1]], is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        logits = tagger(**inputs).logits[0, 1:-1]
    rows = [i for i, name in enumerate(saved["ids"]) if name.startswith("r1:")]
    np.testing.assert_allclose(logits.numpy(), saved["logits"][rows], rtol=1e-4, atol=1e-5)
    assert tagger.config.id2label == dict(enumerate(NAMES))


def test_a_run_that_finds_no_name_has_collapsed_and_rare_names_alone_are_no_collapse():
    """97 % of the words are no name, so a sound tagger calls nearly all of them that."""
    words = [["a"] * 100] * 10
    tags = [[0] * 97 + [1, 2, 0] for _ in range(10)]
    split, tagger = made(words, tags), task_model()
    sound, dead = logits_of(tags), logits_of([[0] * 100] * 10)

    def record(outputs):
        return SimpleNamespace(
            points=lambda metric: 100 * tagger.score(outputs, split, (metric,))[metric],
            metrics=tagger.score(outputs, split, ("entity_f1", "accuracy")),
            dominant_share=tagger.dominant_share(outputs),
            constant_scores={"entity_f1": 0.0, "accuracy": 0.98},
            diverged=False,
            form="TokenClassifier",
        )

    reasons = [one.reason for one in outcomes([record(sound), record(sound), record(dead)], "entity_f1", 0.0)]
    assert reasons[:2] == [None, None]
    assert reasons[2] == "nearly all words were predicted as one class"


@pytest.mark.parametrize("name", ["bert", "t5", "gpt2", "modernbert"])
def test_noise_reaches_the_words_of_every_kind_of_tagger(name):
    """T5's tagger is its encoder alone, whose stack calls an embedding of its own."""
    config = classifier(name).config
    config.classifier_dropout = 0.0
    tagger = t.AutoModelForTokenClassification.from_config(config).train()
    data = batch(rows=2)
    data["labels"] = torch.where(data["attention_mask"] == 1, data["input_ids"] % 2, -100)
    trained = Engine(tagger, [R3F(sigma=0.1)], optimizer=lambda p: torch.optim.SGD(p, 0.1))
    trained.loss(data)
    assert trained.terms["task"] == pytest.approx(tagger(**data).loss.item(), rel=1e-5)
    assert trained.terms["r3f"] > 0
