"""Names in a CoNLL file and multiple choice in JSON Lines: the whole way with real training, and what is refused."""

import json

import numpy as np
import pytest
from transformers import AutoModelForMultipleChoice, AutoModelForTokenClassification

from holdfast.cli.main import main
from tiny import WORDS, save_model


def sentences(rows, seed):
    draw = np.random.default_rng(seed)
    words = [draw.choice(WORDS, size=draw.integers(2, 7)) for _ in range(rows)]
    tags = {"good": "B-PER", "bad": "B-LOC"}
    return ["".join(f"{word} _ {tags.get(word, 'O')}\n" for word in row) + "\n" for row in words]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("words-and-choices")
    save_model(place / "model")
    save_model(place / "other")
    (place / "names").mkdir()
    (place / "names" / "train.conll").write_text("-DOCSTART- -X- O\n\n" + "".join(sentences(50, 0)))
    (place / "names" / "dev.bio").write_text("# other news\n" + "".join(sentences(18, 1)))
    (place / "elsewhere.conll").write_text("".join(sentences(12, 2)))
    draw = np.random.default_rng(0)
    rows = []
    for i in range(60):
        label = int(draw.integers(2))
        choices = [" ".join(draw.choice(WORDS[4:], size=3)) + (" good" if place == label else "") for place in (0, 1)]
        rows.append({"premise": f"the film {WORDS[i % 12]}", "choice1": choices[0], "choice2": choices[1]})
        rows[-1]["label"] = label
    (place / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (place / "moods.csv").write_text("text,label\n" + "".join(f"{WORDS[i % 12]} a film,{i % 2}\n" for i in range(40)))
    return place


@pytest.fixture
def holdfast(capsys):
    def run(*words):
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, " ".join(captured.err.split())

    return run


def options(folder):
    training = ["--epochs", 2, "--batch-size", 8, "--max-length", 16, "--learning-rate", 5e-3, "--workers", 0]
    return ["--model", folder / "model", *training]


@pytest.mark.slow
def test_names_are_compared_scored_elsewhere_watched_and_probed(folder, holdfast):
    out = folder / "names-study"
    more = ["--ood", folder / "elsewhere.conll", "--probe", folder / "moods.csv", "--monitor", 9]
    methods = ["--methods", "vanilla", "--seeds", 2]
    code, shown, told = holdfast("compare", folder / "names", *options(folder), *methods, *more, "--out", out)
    assert code == 0, told
    summary = json.loads((out / "summary.json").read_text())
    (info,) = summary["tasks"]
    assert (info["metric"], info["kind"], info["scored_rows"]) == ("entity_f1", "tokens", 18)
    assert "entity_f1 in points, 18 validation rows" in " ".join(shown.split())
    (best,) = summary["best"]
    stored = np.load(out / "runs" / best["run"] / "predictions.npz")
    guessed, labels = stored["logits"].argmax(-1), stored["labels"]
    right = ((guessed == labels) & (labels > 0)).sum()
    # All names are of one word here.
    assert best["score"] == pytest.approx(100 * 2 * right / ((guessed > 0).sum() + (labels > 0).sum()))
    assert {(row["target"], row["kind"]) for row in summary["transfer"]} == {("elsewhere", "ood"), ("moods", "probe")}
    assert "two runs of vanilla disagree on" in " ".join(shown.split())
    assert "of the words" in " ".join(shown.split())
    luck = summary["luck"][0]
    assert luck["predicted_runs"] == 2
    assert 0 <= luck["disagreement"] < 0.5
    assert len(luck["layers"]) == 3
    model = AutoModelForTokenClassification.from_pretrained(out / "best")
    assert model.config.id2label == {0: "O", 1: "B-LOC", 2: "B-PER"}
    card = (out / "best" / "README.md").read_text()
    assert "pipeline_tag: token-classification" in card
    assert "AutoModelForTokenClassification" in card
    assert (out / "report.html").is_file()


@pytest.mark.slow
def test_choices_are_compared_and_the_best_model_is_kept(folder, holdfast):
    out = folder / "choices"
    methods = ["--methods", "vanilla,r3f(sigma=0.1)", "--seeds", 2]
    code, _, told = holdfast("compare", folder / "q.jsonl", *options(folder), *methods, "--out", out)
    assert code == 0, told
    summary = json.loads((out / "summary.json").read_text())
    (info,) = summary["tasks"]
    assert (info["metric"], info["kind"], info["labels"]) == ("accuracy", "choice", ["choice1", "choice2"])
    assert summary["luck"][0]["disagreement"] is not None
    assert any("seeds and test examples" in sentence for sentence in summary["sentences"]), "accuracy is over rows"
    AutoModelForMultipleChoice.from_pretrained(out / "best")
    card = (out / "best" / "README.md").read_text()
    assert "pipeline_tag: multiple-choice" in card
    assert "AutoModelForMultipleChoice" in card


@pytest.mark.slow
@pytest.mark.parametrize("source", ["names", "q.jsonl"])
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["stability", "task", "{}"], "and stability task looks at tasks with a class or a number a row; to see"),
        (["compare", "moods.csv", "--probe", "{}"], "and probes learn a class or a number a row; leave it out"),
        (["compare", "moods.csv", "--ood", "{}"], "so a model tuned on moods cannot be scored there; leave it out"),
        (["collapse", "chain", "--source", "moods.csv", "--chain", "{}"], "and the tasks of a chain are probed"),
        (["probe", "other", "--pretrained", "model", "--tasks", "{}"], "and probes learn a class or a number a row"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(folder, holdfast, monkeypatch, source, command, said):
    monkeypatch.chdir(folder)
    model = [] if command[0] == "probe" else ["--model", "model"]
    code, _, told = holdfast(*(word.format(source) for word in command), *model, "--max-length", 16)
    assert code == 2
    assert said in told
    assert "Traceback" not in told


def test_names_of_other_classes_elsewhere_are_refused(folder, holdfast):
    (folder / "others.conll").write_text("EU B-ORG\nwins O\n\nit O\n")
    code, _, told = holdfast("compare", folder / "names", *options(folder), "--ood", folder / "others.conll")
    assert code == 2
    assert "--ood others: it has 'O', 'B-ORG' to choose from and names 'O', 'B-LOC', 'B-PER'" in told


def test_a_pair_made_of_an_encoder_is_not_probed(folder, holdfast, monkeypatch):
    monkeypatch.chdir(folder)
    rows = [{"document": f"the {word} film was {word} not {i}", "summary": word} for i, word in enumerate(WORDS * 2)]
    (folder / "w.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lengths = ["--max-length", 16, "--max-target-length", 8]
    options = ["--kind", "generation", "--probe", "moods.csv", *lengths]
    code, _, told = holdfast("compare", "w.jsonl", "--seq2seq-from-encoder", "model", "--methods", "vanilla", *options)
    assert code == 2
    assert "model is a pair, which probes cannot load; leave the tasks to probe out" in told
