"""The named tasks: a table of data, one row a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.records.task import Kind
from holdfast.tasks.kinds.text_to_text import BY_SENTENCE, METRICS

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


def ask_for(row: Mapping[str, Any]) -> str:
    """A COPA row's premise and what is asked for: its cause or its effect."""
    questions = {"cause": "What was the cause of this?", "effect": "What happened as a result?"}
    if row["question"] not in questions:
        raise ValueError(f"question is {row['question']!r}, not cause or effect")
    return f"{row['premise']} {questions[row['question']]}"


@dataclass(frozen=True)
class Entry:
    """A task that can be given by name."""

    name: str
    description: str
    text: Template
    pair: Template | None
    labels: tuple[str, ...]
    """Class names in hub order; empty where there are none."""
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
    family: str = ""
    """What tasks that hold the same rows in other languages share."""
    kind: Kind = "classification"
    choices: tuple[str, ...] = ()
    """Columns that hold the choices, where one of them is right."""


_NLI = ("entailment", "neutral", "contradiction")
_RTE = ("entailment", "not_entailment")
_SENTIMENT = ("negative", "positive")
_YES_NO = ("false", "true")
_ACCURACY = ("accuracy",)
_LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "fr": "French", "hi": "Hindi", "ru": "Russian", "sw": "Swahili", "th": "Thai", "tr": "Turkish",
    "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
"""Of XNLI."""
_GLUE = "nyu-mll/glue:"
_SUPERGLUE = "aps/super_glue:"


def _single(name: str, description: str, column: str, labels: tuple[str, ...], hub: str | None, **more: Any) -> Entry:
    metrics = more.pop("metrics", _ACCURACY)
    return Entry(name, description, f"{{{column}}}", None, labels, metrics, hub, (column,), **more)


def _writing(name: str, description: str, columns: tuple[str, str], hub: str | None, **more: Any) -> Entry:
    text, target = columns
    metrics = more.pop("metrics", METRICS)
    return Entry(name, description, f"{{{text}}}", None, (), metrics, hub, (text,), target, kind="generation", **more)


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
          metrics=("pearson", "spearman"), kind="regression"),
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
    *(_pair(f"xnli_{code}", f"MNLI-like entailment, {language}", _PREMISE, _NLI, f"facebook/xnli:{code}", family="xnli")
      for code, language in _LANGUAGES.items()),
    _single("trec", "What does the question ask for?", "text",
            ("abbreviation", "entity", "description", "human", "location", "number"), None),
    _single("mr", "Sentiment of a film review's sentence, without SST's parse", "sentence", _SENTIMENT,
            "cornell-movie-review-data/rotten_tomatoes", renamed={"text": "sentence"}),
    _single("subj", "Opinion or plot summary?", "sentence", ("objective", "subjective"), None),
    _single("cr", "Sentiment of product reviews", "sentence", _SENTIMENT, None),
    _single("ag_news", "Topic of a news item", "text", ("World", "Sports", "Business", "Sci/Tech"),
            "fancyzhx/ag_news"),
    Entry("copa", "Which is the likelier cause or effect?", ask_for, None, ("choice1", "choice2"), _ACCURACY,
          _SUPERGLUE + "copa", ("premise", "question", "choice1", "choice2"), kind="choice",
          choices=("choice1", "choice2")),
    Entry("conll2003", "Names of persons, places, organisations and others in news", "{tokens}", None,
          ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"),
          ("entity_f1", "accuracy"), None, ("tokens",), "ner_tags", kind="tokens"),
    _writing("gigaword", "Headline of a news sentence", ("document", "summary"), None),
    _writing("cnn_dailymail", "Highlights of a news article", ("article", "highlights"), "abisee/cnn_dailymail:3.0.0",
             metrics=BY_SENTENCE),
    _writing("cnn_dailymail_sample", "Highlights of a news article, a thousand of them", ("document", "summary"), None,
             metrics=BY_SENTENCE),
    _writing("xsum", "One-sentence summary of a news article", ("document", "summary"), "EdinburghNLP/xsum"),
    _writing("reddit_tifu", "What the author of a long post makes of it in a line", ("document", "summary"), None),
    _writing("scitldr", "A paper's abstract in one sentence", ("document", "summary"), None),
)}
# fmt: on

FURTHER_SPLITS = {"mnli_mm": ("mnli", "validation_mismatched")}
"""Names for scoring a further split of a named task: the task, and its split."""

UNSUPPORTED = {
    "multirc": "tasks with several answers to score together are not supported yet",
    "record": "tasks whose choices differ in number are not supported yet",
}
"""Benchmark tasks that people will try, and why they are refused."""
