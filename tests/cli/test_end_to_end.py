"""The whole way with real training: a file in, a comparison, a page and a plain model out."""

import json

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from holdfast.cli.main import main
from tiny import WORDS, save_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("end-to-end")
    save_model(place / "model")
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(WORDS, size=draw.integers(3, 12))) for _ in range(60)]
    rows = [f"{text},{'warm' if 'good' in text or 'fine' in text else 'cold'}" for text in dict.fromkeys(texts)]
    (place / "tickets.csv").write_text("body,feeling\n" + "\n".join(rows) + "\n")
    return place


def holdfast(*words):
    return main([str(word) for word in words])


@pytest.mark.slow
def test_compare_trains_reports_and_saves_the_best_model(folder, capsys):
    out = folder / "study"
    options = ["--model", folder / "model", "--methods", "vanilla,r3f(sigma=0.1),r4f", "--seeds", 2, "--workers", 0]
    training = ["--epochs", 2, "--batch-size", 8, "--max-length", 10, "--learning-rate", 1e-3]
    assert holdfast("compare", folder / "tickets.csv", *options, *training, "--out", out) == 0
    shown = capsys.readouterr().out
    summary = json.loads((out / "summary.json").read_text())
    assert all(method in shown for method in summary["settings"]["methods"])
    assert summary["sentences"][0].split(".")[0] in " ".join(shown.split())
    assert [row["n"] for row in summary["results"]] == [2, 2, 2]
    told = [note for note in summary["tasks"][0]["notes"] if "held out" in note]
    assert told, "the user is told that validation rows were held out"
    assert any("longer than 10 tokens and are cut" in warning for warning in summary["tasks"][0]["warnings"])
    assert "<script" in (out / "report.html").read_text()

    (best,) = summary["best"]
    stored = np.load(out / "runs" / best["run"] / "predictions.npz")
    assert 100 * (stored["logits"].argmax(-1) == stored["labels"]).mean() == pytest.approx(best["score"])
    model = AutoModelForSequenceClassification.from_pretrained(out / "best").eval()
    tokenizer = AutoTokenizer.from_pretrained(out / "best")
    text = next(line.split(",")[0] for line in (folder / "tickets.csv").read_text().splitlines()[1:])
    with torch.no_grad():
        assert model(**tokenizer(text, return_tensors="pt")).logits.shape == (1, 2)
    assert model.config.id2label == {0: "cold", 1: "warm"}
    assert best["method"] in (out / "best" / "README.md").read_text()

    before = (out / "summary.json").read_text()
    assert holdfast("compare", folder / "tickets.csv", *options, *training, "--out", out) == 0
    assert (out / "summary.json").read_text() == before, "a finished study runs nothing again"
    assert holdfast("report", out) == 0
    assert (out / "summary.json").read_text() == before


def test_tune_leaves_one_plain_model(folder):
    out = folder / "tuned"
    options = ["--model", folder / "model", "--max-steps", 2, "--batch-size", 8, "--max-length", 10]
    assert holdfast("tune", folder / "tickets.csv", "--method", "r4f", *options, "--out", out) == 0
    assert {path.suffix for path in out.iterdir()} == {".json", ".safetensors", ".md", ".npz"}
    assert [path.name for path in out.glob("*.npz")] == ["predictions.npz"]
    loaded = AutoModelForSequenceClassification.from_pretrained(out)
    assert type(loaded.classifier) is torch.nn.Linear
    assert json.loads((out / "record.json").read_text())["spec"]["method"] == "r4f"
