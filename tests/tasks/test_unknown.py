"""What a tokenizer cannot see is counted before anything is trained: by hand, and through the commands."""

import pytest
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE, WordLevel, WordPiece
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from holdfast.cli.main import main
from holdfast.tasks.task import Split
from holdfast.tasks.unknown import count_unknown, unknown_notes
from tiny import save_model

WORDS = ["good", "bad", "film", "meal", "the"]
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]


def tokenizer(model=None, unk="[UNK]", normalizer=None):
    words = {word: place for place, word in enumerate(["[UNK]", "[PAD]", *WORDS])}
    raw = Tokenizer(model or WordLevel(words, unk))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    if normalizer is not None:
        raw.normalizer = normalizer
    return PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="[PAD]", unk_token=unk)


def uncased():
    pieces = ["[UNK]", "[PAD]", *LETTERS, *(f"##{letter}" for letter in LETTERS), "か", "क", "##क"]
    model = WordPiece({piece: place for place, piece in enumerate(pieces)}, unk_token="[UNK]")
    return tokenizer(model, normalizer=normalizers.BertNormalizer())


def split(texts, labels=None, **more):
    pairs = more.pop("pairs", None)
    return Split(list(texts), pairs, labels, [str(place) for place in range(len(texts))], **more)


def test_rows_tokens_and_rows_made_equal_by_hand():
    texts = ["good film", "😀 film", "😡", "😀 😀", "😡 film", "the bad meal", ""]
    found = count_unknown(split(texts, [1, 1, 0, 0, 0, 0, 0]), tokenizer(), "classification")
    assert (found.rows, found.tokens, found.unknown) == (7, 2 + 2 + 1 + 2 + 2 + 3, 1 + 1 + 2 + 1)
    assert (found.lost, found.lost_example) == (2, "😡"), "an empty text lost nothing"
    assert found.example == "😀 film"
    # '😀 film' and '😡 film', of different classes; '😡' and '😀 😀' are one token and two.
    assert (found.merged, found.merged_example) == (2, ("😀 film", "😡 film"))


def test_equal_texts_of_different_classes_and_case_are_another_matter():
    texts = ["good film", "good film", "😀", "😀", "Good  FILM"]
    cased = tokenizer(normalizer=normalizers.Lowercase())
    assert count_unknown(split(texts, [0, 1, 0, 1, 1]), cased, "classification").merged == 0


def test_each_of_a_rows_texts_counts():
    pairs = split(["the film", "the film", "the meal"], [0, 1, 1], pairs=["ጥሩ", "መጥፎ", "good"])
    found = count_unknown(pairs, tokenizer(), "classification")
    assert (found.lost, found.merged) == (2, 2)
    choices = split(["the film", "the meal"], [0, 1], choices=[["ጥሩ", "መጥፎ"], ["good", "bad"]])
    found = count_unknown(choices, tokenizer(), "choice")
    assert (found.lost, found.merged, found.merged_example) == (1, 1, ("ጥሩ", "መጥፎ"))
    words = split(["good ጥሩ", "film 😀 the"], [[0, 1], [1, 0, 0]], words=[["good", "ጥሩ"], ["film", "😀", "the"]])
    found = count_unknown(words, tokenizer(), "tokens")
    assert (found.rows, found.lost, found.lost_example, found.merged) == (5, 2, "ጥሩ", 0)
    targets = split(["the film", "the meal"], ["good", "ጥሩ"])
    found = count_unknown(targets, tokenizer(), "generation")
    assert (found.lost, found.merged) == (1, 0), "a text to write is read too"


def test_a_text_that_leaves_no_token_is_lost():
    letters = {letter: place for place, letter in enumerate(["[PAD]", *LETTERS])}
    found = count_unknown(split(["good", "ጥሩ"], [0, 1]), tokenizer(BPE(letters, []), unk=None), "classification")
    assert (found.tokens, found.unknown, found.lost) == (4, 0, 1)


@pytest.mark.parametrize("kind", ["bytes", "byte pairs"])
def test_tokenizers_of_bytes_see_everything(kind):
    raw = Tokenizer(BPE({sign: place for place, sign in enumerate(pre_tokenizers.ByteLevel.alphabet())}, []))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel()
    read = ByT5Tokenizer() if kind == "bytes" else PreTrainedTokenizerFast(tokenizer_object=raw)
    rows = split(["ጥሩ", "መጥፎ", "😀"], [0, 1, 1])
    assert unknown_notes({"train": rows}, read, "classification") == ([], [])


def test_characters_that_the_tokenizer_drops_or_takes_the_marks_off():
    # Devanagari's u, Japanese ga without its mark, Cyrillic short i; Latin accents are no loss of a letter.
    texts = ["कु", "が", "café", "good\ufe0f", "й", "한"]
    found = count_unknown(split(texts, [0] * 6), uncased(), "classification")
    assert found.dropped_characters == ["й", "ु", "が"]
    assert found.dropped == 3
    assert count_unknown(split(texts, [0] * 6), tokenizer(), "classification").dropped == 0


def test_marks_that_are_dropped_make_rows_equal():
    found = count_unknown(split(["か", "が", "resume", "résumé"], [0, 1, 0, 1]), uncased(), "classification")
    assert found.merged == 4


def test_a_few_rare_signs_are_a_note_and_many_a_warning():
    many = ["the good film"] * 60
    notes, warnings = unknown_notes({"train": split([*many, "good 😀"], [0] * 61)}, tokenizer(), "classification")
    assert warnings == []
    assert notes == ["0.5% of the tokens (1 of 182) are unknown to the model's tokenizer, such as in 'good 😀'"]
    notes, warnings = unknown_notes({"train": split(["good 😀"], [0])}, tokenizer(), "classification")
    assert notes == []
    assert len(warnings) == 1


@pytest.fixture
def study(tmp_path):
    """A tiny model, and rows of which most are nothing to it."""
    rows = [("ጥሩ " * (place + 1), "yes") for place in range(20)] + [("መጥፎ " * (place + 1), "no") for place in range(20)]
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    model = save_model(tmp_path / "model")
    return [str(tmp_path / "rows.csv"), "--model", model, "--max-length", "32", "--out", str(tmp_path / "out")]


def warned(capsys, arguments):
    capsys.readouterr()
    assert main(arguments) == 0
    return capsys.readouterr().err


@pytest.fixture
def untimed(monkeypatch):
    """Let plans be shown without timing steps."""

    def fail(prepared, specs):
        raise RuntimeError("not now")

    monkeypatch.setattr("holdfast.cli.plan.estimate", fail)


@pytest.mark.slow
def test_compare_and_tune_tell_it_before_they_train(study, capsys, untimed):
    little = ["--max-steps", "1", "--threads", "1"]
    for told in (
        warned(capsys, ["compare", *study, "--dry-run", "--methods", "vanilla", "--seeds", "1"]),
        warned(capsys, ["tune", *study, "--method", "vanilla", *little]),
    ):
        assert "32 of 32 train, 8 of 8 validation rows hold a text that is nothing but unknown tokens" in told
        assert "such as 'ጥሩ" in told
        assert "so this model cannot learn the task; choose a model with a vocabulary for these characters" in told
        assert "rows are the same to the model's tokenizer as one with another label" in told
        assert "100.0% of the tokens" in told


def test_tasks_that_models_are_only_scored_or_probed_on_are_told_of(study, tmp_path, capsys, untimed):
    file = tmp_path / "own.csv"
    file.write_text("text,label\n" + "".join(f"the good film {n},yes\nthe bad meal {n},no\n" for n in range(20)))
    other = study[0]
    study[0] = str(file)
    grid = ["--dry-run", "--methods", "vanilla", "--seeds", "1"]
    told = warned(capsys, ["compare", *study, *grid, "--ood", other])
    assert "warning: own: rows: 40 of 40 test rows hold a text that is nothing but unknown" in told
    told = warned(capsys, ["compare", *study, *grid, "--probe", other])
    assert "warning: own: rows: 32 of 32 train, 8 of 8 validation rows hold a text" in told


def test_probe_tells_it(study, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))
    tuned = save_model(tmp_path / "tuned", seed=1)
    told = warned(capsys, ["probe", tuned, "--tasks", study[0], "--pretrained", study[2], "--max-length", "32"])
    assert "warning: rows: 32 of 32 train, 8 of 8 scored rows hold a text that is nothing but unknown tokens" in told
