"""Small trainings that a monitor watches."""

import copy

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from holdfast.collapse.monitor.monitor import CollapseMonitor
from tiny import classifier, rows


def build(folder, model=None, kind=Trainer, arguments=TrainingArguments, data=None, evaluated=None, **options):
    defaults = {
        "per_device_train_batch_size": 4,
        "max_steps": 5,
        "logging_steps": 2,
        "learning_rate": 1e-2,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
    }
    return kind(
        classifier("bert", dropout=0.1) if model is None else model,
        arguments(str(folder), **(defaults | options)),
        train_dataset=rows(16) if data is None else data,
        eval_dataset=rows(12, seed=9) if evaluated is None else evaluated,
    )


class Keep(TrainerCallback):
    """Copies of the model after every step, and all logs."""

    def __init__(self):
        self.models, self.logs = {}, []

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.models[state.global_step] = copy.deepcopy(model)

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.logs.append(dict(logs))


class At(TrainerCallback):
    """Does something to the model after a step."""

    def __init__(self, step, act):
        self.step, self.act = step, act

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if state.global_step == self.step:
            with torch.no_grad():
                self.act(model)


def steps(monitor):
    return [look.step for look in monitor.looks]


def watched(trainer, **options):
    monitor = CollapseMonitor(trainer, **({"every": 2} | options))
    trainer.add_callback(monitor)
    return monitor


def norm_of(model):
    """What gives the last layer of a BERT its scale."""
    return model.bert.encoder.layer[-1].output.LayerNorm


def one_direction(model):
    """Leave the last layer one direction to vary in."""
    norm_of(model).weight[1:] = 0
