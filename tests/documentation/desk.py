"""What the documentation's examples find on a user's machine: models of the hub, tasks, files, checkpoints.

Models are tiny and random, texts are of a few words; names, columns and formats are those that the pages speak of.
"""

import json
import random

import torch
import transformers as t
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from holdfast.tasks.catalogue import NAMED
from tiny import WORDS

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
_MARKS = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "pad", "cls", "sep", "mask")}
_LENGTH = 600
"""Tokens that the models take: more than any page asks for."""
_IDS = {"vocab_size": len(_MARKS) + len(WORDS), "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3}
_ENCODER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": _LENGTH + 2,
    "initializer_range": 0.2,
}
_PAIR = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": _LENGTH + 2,
    "decoder_start_token_id": 3,
}
_T5 = {"d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 1}
_LLAMA = {**_ENCODER, "num_key_value_heads": 2}

HUB = {
    MINILM: lambda: t.BertModel(t.BertConfig(**_IDS, **_ENCODER)),
    "google-bert/bert-base-uncased": lambda: t.BertForMaskedLM(t.BertConfig(**_IDS, **_ENCODER)),
    "google-bert/bert-base-cased": lambda: t.BertForMaskedLM(t.BertConfig(**_IDS, **_ENCODER)),
    "FacebookAI/roberta-large": lambda: t.RobertaForMaskedLM(t.RobertaConfig(**_IDS, **_ENCODER)),
    "facebook/bart-base": lambda: t.BartForConditionalGeneration(t.BartConfig(**_IDS, **_PAIR)),
    "google-t5/t5-small": lambda: t.T5ForConditionalGeneration(t.T5Config(**_IDS, **_T5)),
    "meta-llama/Llama-3.2-1B": lambda: t.LlamaForCausalLM(t.LlamaConfig(**_IDS, **_LLAMA)),
}
"""The hub's models that pages name, each a tiny one of its kind."""
ENCODER, DECODER = MINILM, "meta-llama/Llama-3.2-1B"
CHECKPOINTS = ("holdfast-runs/sst2/best", "vanilla/model", "r3f/model", "my-bert")
"""Models that pages take as tuned before, from minilm or BERT."""


def write_hub(cache):
    """Write the hub's models as its client caches them."""
    for name, build in HUB.items():
        torch.manual_seed(0)
        home = cache / f"models--{name.replace('/', '--')}"
        folder = home / "snapshots" / "0"
        build().save_pretrained(folder)
        _tokenizer(marks_ends=name != DECODER).save_pretrained(folder)
        (home / "refs").mkdir()
        (home / "refs" / "main").write_text("0")


def _tokenizer(marks_ends):
    raw = Tokenizer(WordLevel({word: index for index, word in enumerate([*_MARKS.values(), *WORDS])}, "[UNK]"))
    raw.pre_tokenizer = Whitespace()
    if marks_ends:
        raw.post_processor = TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    ends = {"bos_token": "[CLS]", "eos_token": "[SEP]"}
    return t.PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=_LENGTH, **_MARKS, **ends)


def write_desk(folder):
    """Write everything else: named tasks under ``glue``, ``nli`` and ``data``, the user's files, and checkpoints."""
    for task in NAMED.values():
        for split, count in (("train", 48), ("validation", 24), ("test", 24)):
            _write_lines(folder / "glue" / task.name / f"{split}.jsonl", _named(task, split, count))
    for other in ("nli", "data"):
        (folder / other).symlink_to("glue")
    for name, classes in (
        ("tickets", ("bad", "good")),
        ("last-year", ("complaint", "praise")),
        ("reviews", ("poor", "fine")),
    ):
        texts = some_texts(name, 60)
        lines = [f"{text},{classes[row % 2]}" for row, text in enumerate(texts)]
        (folder / f"{name}.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    for name in ("names", "news"):
        (folder / f"{name}.conll").write_text("\n".join(map(_sentence, some_texts(name, 60))))
    _write_lines(folder / "articles.jsonl", _columns("article", "highlights"))
    _write_lines(folder / "support.jsonl", _columns("prompt", "response"))
    chosen = [{**row, "label": index % 2} for index, row in enumerate(_columns("question", "choice1", "choice2"))]
    _write_lines(folder / "questions.jsonl", chosen)
    for seed, name in enumerate(CHECKPOINTS):
        torch.manual_seed(seed)
        t.BertForSequenceClassification(t.BertConfig(**_IDS, **_ENCODER)).save_pretrained(folder / name)
        _tokenizer(marks_ends=True).save_pretrained(folder / name)


def some_texts(seed, count):
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(6, 12))) for _ in range(count)]


def _sentence(text):
    """A word a line, each with one of the classes of CoNLL-2003."""
    classes = NAMED["conll2003"].labels
    words = text.split()
    return "".join(f"{word} {classes[(index + len(words)) % len(classes)]}\n" for index, word in enumerate(words))


def _columns(*names, count=60):
    texts = [some_texts(name, count) for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*texts, strict=True)]


def _write_lines(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _named(task, split, count):
    """Rows of a named task, in its own columns and with its labels."""
    texts = {column: some_texts(f"{task.name} {split} {column}", count) for column in task.columns}
    for index in range(count):
        row = {column: texts[column][index] for column in task.columns}
        if "span1_index" in row:
            words = row["text"].split()
            row |= {"span1_index": 0, "span1_text": words[0], "span2_index": 3, "span2_text": words[3]}
        label = index % max(2, len(task.labels))
        if task.kind == "choice":
            row["question"] = ("cause", "effect")[index % 2]
        elif task.kind == "tokens":
            row["tokens"] = row["tokens"].split()
            label = [1, *[0] * (len(row["tokens"]) - 1)]
        elif task.kind == "generation":
            label = " ".join(row[task.columns[0]].split()[:4])
        elif task.kind == "regression":
            label = index % 6 * 0.9
        yield {**row, task.label: label}
