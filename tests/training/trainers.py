"""Trainers of tiny models, with methods attached, and what the tests look at in them."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from transformers import (
    BertForMaskedLM,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from holdfast import Method, MethodSession, Requires, attach
from tiny import classifier, rows, tokenizer


class Log(TrainerCallback):
    def __init__(self):
        self.entries = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in logs:
            self.entries.append(dict(logs))

    def values(self, name):
        return [entry[name] for entry in self.entries]


def arguments(folder, kind=TrainingArguments, **options):
    defaults = {
        "per_device_train_batch_size": 4,
        "max_steps": 4,
        "logging_steps": 1,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
        "train_sampling_strategy": "sequential",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "seed": 5,
    }
    return kind(str(folder), **(defaults | options))


def build(folder, *methods, model=None, data=None, stacked=True, trim_vocabulary=False, **options):
    log = Log()
    trainer = Trainer(
        classifier("bert") if model is None else model,
        arguments(folder, **options),
        train_dataset=rows(16) if data is None else data,
        eval_dataset=rows(6, seed=9),
        callbacks=[log],
        processing_class=tokenizer() if any(method.requires.text for method in methods) else None,
    )
    return attach(trainer, *methods, stacked=stacked, trim_vocabulary=trim_vocabulary), log


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


@dataclass(frozen=True)
class Constant(Method):
    """A penalty without noise of its own, as large as the task loss."""

    name: ClassVar[str] = "constant"

    @property
    def requires(self):
        return Requires(outputs=True, whole_weights=False)

    def start(self, model, plan):
        return ConstantSession(self, model, plan)


class ConstantSession(MethodSession):
    def loss(self, forward):
        if forward.token_mask is not None:
            apart = forward.outputs["logits"].logsumexp(-1) * forward.token_mask
            return apart.sum() / forward.tokens
        return forward.outputs["logits"].square().sum() / forward.rows


def masked_model():
    from transformers import BertConfig

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertForMaskedLM(BertConfig(vocab_size=97, pad_token_id=1, **sizes, **dropout))


def masked_rows(count):
    data = rows(count)
    generator = torch.Generator().manual_seed(1)
    for row in data:
        keep = torch.rand(len(row["input_ids"]), generator=generator) < 0.4
        keep[0] = True
        row["labels"] = torch.where(keep, row["input_ids"], -100)
    return data


class Gradients(TrainerCallback):
    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.found = [p.grad.clone() for p in model.parameters() if p.grad is not None]
