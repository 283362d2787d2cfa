"""The columns of docs/support.md: models and settings that every method is tried in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import peft
import torch
import transformers as t

from tiny import bart_config, batch, classifier, t5_config

DROPOUT = 0.1
SENTINELS = tuple(f"<extra_id_{index}>" for index in range(4))


@dataclass(frozen=True)
class Situation:
    """One column: a model, rows for it, and settings of the Trainer."""

    title: str
    how: str
    """How it is run, for the page."""
    model: Callable[[], Any]
    rows: Callable[[int, int], list[dict[str, Any]]]
    """Gives as many rows as asked for, from a seed."""
    options: Mapping[str, Any] = field(default_factory=dict)
    count: int = 5
    """Training rows. With three a batch, the last batch has two."""
    writes: bool = False
    """Whether the model writes text: evaluation then generates."""
    proof: Callable[[Any], bool] = lambda trainer: True
    """Whether the training really was what the title says."""


def each(data):
    """Take a batch apart into rows."""
    return [{key: value[row] for key, value in data.items()} for row in range(len(data["input_ids"]))]


def classes(count, seed, labels=2):
    return each(batch(count, tokens=6, seed=seed, labels=labels))


def numbers(count, seed):
    data = batch(count, tokens=6, seed=seed)
    return each(data | {"labels": torch.linspace(-1, 1, count)})


def pairs(count, seed):
    data = batch(count, tokens=6, seed=seed, labels=3)
    second = (torch.arange(6) >= 3) * data["attention_mask"]
    return each(data | {"token_type_ids": second})


def tags(count, seed):
    data = batch(count, tokens=6, seed=seed)
    labels = torch.where(data["attention_mask"].bool(), data["input_ids"] % 3, -100)
    labels[:, 0] = -100
    return each(data | {"labels": labels})


def choices(count, seed):
    data = batch(2 * count, tokens=6, seed=seed)
    labels = data.pop("labels")[:count]
    return each({key: value.view(count, 2, 6) for key, value in data.items()} | {"labels": labels})


def rewritten(count, seed):
    data = batch(count, tokens=6, seed=seed)
    labels = torch.cat([data["input_ids"][:, :3], torch.full((count, 1), 3)], 1)
    labels[0, -1] = -100
    return each(data | {"labels": labels})


def continued(count, seed):
    data = batch(count, tokens=6, seed=seed)
    labels = data["input_ids"].masked_fill(data["attention_mask"] == 0, -100)
    labels[:, :2] = -100
    return each(data | {"labels": labels})


def sentences(**options):
    return classifier("bert", dropout=DROPOUT, **options)


def encoder(kind, labels):
    return kind(sentences(labels=labels).config).train()


def adapted():
    config = peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query", "value"], lora_dropout=DROPOUT)
    return peft.get_peft_model(sentences(), config)


def two_blocks(kind, config):
    """As ``tiny`` makes it, with a second block on each side."""
    for name in ("encoder_layers", "decoder_layers", "num_layers", "num_decoder_layers"):
        if hasattr(config, name):
            setattr(config, name, 2)
    return kind(config).train()


def bart():
    return two_blocks(t.BartForConditionalGeneration, bart_config(DROPOUT))


def t5():
    return two_blocks(t.T5ForConditionalGeneration, t5_config(DROPOUT))


def causal():
    return t.LlamaForCausalLM(classifier("llama", dropout=DROPOUT).config).train()


KINDS = (
    Situation("classifier", "`BertForSequenceClassification` with two classes", sentences, classes),
    Situation(
        "regression",
        "`BertForSequenceClassification` with one output and the squared error",
        lambda: sentences(labels=1, problem="regression"),
        numbers,
    ),
    Situation(
        "pair",
        "`BertForSequenceClassification` with three classes, two segments a row (`token_type_ids`)",
        lambda: sentences(labels=3),
        pairs,
    ),
    Situation(
        "token classification",
        "`BertForTokenClassification` with three tags; first tokens and padding have no label",
        lambda: encoder(t.BertForTokenClassification, 3),
        tags,
    ),
    Situation(
        "multiple choice",
        "`BertForMultipleChoice` with two choices a row",
        lambda: encoder(t.BertForMultipleChoice, 2),
        choices,
    ),
)
WRITERS = (
    Situation(
        "seq2seq, BART",
        "`BartForConditionalGeneration` in a `Seq2SeqTrainer`, which generates when it evaluates",
        bart,
        rewritten,
        writes=True,
    ),
    Situation("seq2seq, T5", "the same with `T5ForConditionalGeneration`", t5, rewritten, writes=True),
    Situation(
        "causal LM", "`LlamaForCausalLM`; prompts, two tokens long, and padding have no label", causal, continued
    ),
)
TRAININGS = (
    Situation(
        "LoRA",
        "the classifier wrapped by `peft.get_peft_model`, adapters at query and value; a checkpoint after each step",
        adapted,
        classes,
        {"save_strategy": "steps", "save_steps": 1},
        proof=lambda trainer: isinstance(trainer.model, peft.PeftModel),
    ),
    Situation(
        "accumulation",
        "two micro-batches a step, the last one of one row",
        sentences,
        classes,
        {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 2},
        count=7,
        proof=lambda trainer: trainer.args.gradient_accumulation_steps == 2,
    ),
    Situation(
        "bf16",
        "`bf16=True`: autocast, weights in float32",
        sentences,
        classes,
        {"bf16": True},
        proof=lambda trainer: trainer.accelerator.mixed_precision == "bf16",
    ),
    Situation(
        "checkpointing",
        "`activation_checkpointing=True`",
        sentences,
        classes,
        {"activation_checkpointing": True},
        proof=lambda trainer: trainer.model.is_activation_checkpointing,
    ),
)
COMPILED = Situation(
    "compile",
    '`torch_compile=True` with `torch_compile_backend="eager"`: the graphs are traced and run, without code generation',
    sentences,
    classes,
    {"torch_compile": True, "torch_compile_backend": "eager", "per_device_train_batch_size": 2},
    count=4,
    proof=lambda trainer: hasattr(trainer.model_wrapped, "_orig_mod"),
)
PROCESSES = Situation(
    "DDP",
    "two processes over gloo, started by `torch.distributed.run`, two rows each a step; both end with the same weights",
    sentences,
    classes,
    {"per_device_train_batch_size": 2},
    count=8,
    proof=lambda trainer: trainer.args.world_size == 2,
)
ORDER = (*KINDS, *WRITERS, TRAININGS[0], PROCESSES, *TRAININGS[1:], COMPILED)
