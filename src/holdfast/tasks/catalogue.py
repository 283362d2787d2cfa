"""The named tasks: a table of data, one row a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.tasks.task import Kind

Template = str | Callable[[Mapping[str, Any]], str]
"""How a text is built from a row: a format string over the columns, or a function of the row."""


def mark_spans(row: Mapping[str, Any]) -> str:
    """The text of a Winograd row with its noun in brackets and its pronoun in asterisks.

    ``[Mark] told Pete many lies about himself. *He* should have been more skeptical.`` The columns
    ``span1_index`` and ``span2_index`` count words between single spaces.
    """
    words = str(row["text"]).split(" ")
    for number, before, after in ((1, "[", "]"), (2, "*", "*")):
        first = int(row[f"span{number}_index"])
        last = first + len(str(row[f"span{number}_text"]).split()) - 1
        words[first] = before + words[first]
        words[last] += after
    return " ".join(words)


@dataclass(frozen=True)
class Entry:
    """A task that can be given by name."""

    name: str
    description: str
    text: Template
    pair: Template | None
    labels: tuple[str, ...]
    """Class names in hub order; empty for regression."""
    metrics: tuple[str, ...]
    hub: str | None
    """``org/name`` or ``org/name:config``; None where only a local folder serves the task."""
    columns: tuple[str, ...]
    """Columns that the texts are built from."""
    label: str = "label"
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Column names of the hub's copy that differ: hub name to the name used here."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other ways in which the hub's copy writes a class name."""

    @property
    def kind(self) -> Kind:
        """Classification, unless there are no class names."""
        return "classification" if self.labels else "regression"


_NLI = ("entailment", "neutral", "contradiction")
_RTE = ("entailment", "not_entailment")
_SENTIMENT = ("negative", "positive")
_YES_NO = ("false", "true")
_ACCURACY = ("accuracy",)
_GLUE = "nyu-mll/glue:"
_SUPERGLUE = "aps/super_glue:"


def _single(name: str, description: str, column: str, labels: tuple[str, ...], hub: str | None, **more: Any) -> Entry:
    metrics = more.pop("metrics", _ACCURACY)
    return Entry(name, description, f"{{{column}}}", None, labels, metrics, hub, (column,), **more)


def _pair(
    name: str, description: str, columns: tuple[str, str], labels: tuple[str, ...], hub: str | None, **more: Any
) -> Entry:
    first, second = columns
    metrics = more.pop("metrics", _ACCURACY)
    return Entry(name, description, f"{{{first}}}", f"{{{second}}}", labels, metrics, hub, columns, **more)


_SENTENCES = ("sentence1", "sentence2")
_PREMISE = ("premise", "hypothesis")

# fmt: off
NAMED = {entry.name: entry for entry in (
    _single("cola", "Is the sentence acceptable English?", "sentence", ("unacceptable", "acceptable"),
            _GLUE + "cola", metrics=("matthews", "accuracy")),
    _single("sst2", "Sentiment of a film review's sentence", "sentence", _SENTIMENT, _GLUE + "sst2"),
    _pair("mrpc", "Do two news sentences say the same?", _SENTENCES, ("not_equivalent", "equivalent"),
          _GLUE + "mrpc", metrics=("accuracy", "f1")),
    _pair("qqp", "Do two questions ask the same?", ("question1", "question2"), ("not_duplicate", "duplicate"),
          _GLUE + "qqp", metrics=("accuracy", "f1")),
    _pair("stsb", "How similar are two sentences, 0 to 5?", _SENTENCES, (), _GLUE + "stsb",
          metrics=("pearson", "spearman")),
    _pair("mnli", "Entailment between sentences of many genres; mnli_mm: its mismatched rows, to score on",
          _PREMISE, _NLI, _GLUE + "mnli"),
    _pair("qnli", "Does the sentence answer the question?", ("question", "sentence"), _RTE, _GLUE + "qnli"),
    _pair("rte", "Entailment from short news texts", _SENTENCES, _RTE, _GLUE + "rte"),
    _pair("wnli", "Which noun does the pronoun stand for? (as entailment)", _SENTENCES,
          ("not_entailment", "entailment"), _GLUE + "wnli"),
    _pair("cb", "Does the writer hold the embedded clause true?", _PREMISE,
          ("entailment", "contradiction", "neutral"), _SUPERGLUE + "cb", metrics=("accuracy", "macro_f1")),
    _pair("boolq", "Yes/no questions about a passage", ("question", "passage"), _YES_NO, _SUPERGLUE + "boolq"),
    _pair("boolq_devsplit", "BoolQ's validation split, divided by passage", ("question", "passage"), _YES_NO, None),
    Entry("wic", "Is the word used in the same sense?", "{word}: {sentence1}", "{word}: {sentence2}", _YES_NO,
          _ACCURACY, _SUPERGLUE + "wic", ("word", "sentence1", "sentence2")),
    Entry("wsc", "Does the marked pronoun stand for the marked noun?", mark_spans, None, _YES_NO,
          _ACCURACY, _SUPERGLUE + "wsc", ("text", "span1_index", "span1_text", "span2_index", "span2_text")),
    _pair("snli", "Entailment between captions", _PREMISE, _NLI, "stanfordnlp/snli"),
    _pair("scitail", "Entailment from science sentences", _PREMISE, _RTE, "allenai/scitail:tsv_format",
          aliases={"entails": "entailment", "neutral": "not_entailment"}),
    _pair("sick", "Entailment between captions made to differ in structure", _PREMISE, _NLI, None),
    _pair("xnli_en", "MNLI-like entailment, English", _PREMISE, _NLI, "facebook/xnli:en"),
    _pair("xnli_sw", "MNLI-like entailment, Swahili", _PREMISE, _NLI, "facebook/xnli:sw"),
    _single("trec", "What does the question ask for?", "text",
            ("abbreviation", "entity", "description", "human", "location", "number"), None),
    _single("mr", "Sentiment of a film review's sentence, without SST's parse", "sentence", _SENTIMENT,
            "cornell-movie-review-data/rotten_tomatoes", renamed={"text": "sentence"}),
    _single("subj", "Opinion or plot summary?", "sentence", ("objective", "subjective"), None),
    _single("cr", "Sentiment of product reviews", "sentence", _SENTIMENT, None),
    _single("ag_news", "Topic of a news item", "text", ("World", "Sports", "Business", "Sci/Tech"),
            "fancyzhx/ag_news"),
)}
# fmt: on

FURTHER_SPLITS = {"mnli_mm": ("mnli", "validation_mismatched")}
"""Names for scoring a further split of a named task: the task, and its split."""

UNSUPPORTED = {
    "copa": "multiple-choice tasks are not supported yet",
    "multirc": "tasks with several answers to score together are not supported yet",
    "record": "multiple-choice tasks are not supported yet",
}
"""Benchmark tasks that people will try, and why they are refused."""
