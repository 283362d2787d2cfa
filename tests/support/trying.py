"""One cell of docs/support.md: a method trains a model for two steps, or is refused while that is still untouched."""

import contextlib
import copy
import gc
import math
from dataclasses import replace

import peft
import torch
import transformers as t

from holdfast import HoldfastError, attach
from holdfast.methods import catalogue
from method_table import TABLE
from support.situations import SENTINELS
from tiny import tokenizer

METHODS = {
    # With the model's own dropout: without it a method differs from vanilla whatever else it does.
    name: replace(row, dropout=None) if getattr(row, "dropout", None) == 0 else row
    for name in sorted(catalogue())
    for row in [next(row for row in TABLE.values() if row.name == name)]
}
STEPS = 2
YES = "yes"
MODEL = "MODEL"
"""Stands for the name of the model's class in the sentences of refusals."""


class Watch(t.TrainerCallback):
    """What the training moved and logged."""

    def __init__(self):
        self.logged = {}

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        self.began = [(name, p, p.requires_grad, p.detach().clone()) for name, p in model.named_parameters()]

    def on_log(self, args, state, control, logs=None, **kwargs):
        for name, value in logs.items():
            self.logged.setdefault(name, []).append(value)

    def on_train_end(self, args, state, control, **kwargs):
        changed = [(trained, name) for name, p, trained, value in self.began if not torch.equal(p, value)]
        self.moved = [name for trained, name in changed if trained]
        self.drifted = [name for trained, name in changed if not trained]


def column(situation, folder, sums=None):
    """Return the cells of ``situation`` by method, and what failed otherwise, a line each.

    ``sums`` is given the sum of the weights after training, by method.
    """
    base, cells, failed, plain = situation.model(), {}, [], None
    # A Trainer collects garbage after training, which takes a second with all libraries in the heap.
    gc.collect()
    gc.freeze()
    try:
        for name in sorted(METHODS, key=lambda name: name != "vanilla"):
            try:
                cells[name], weights = outcome(situation, METHODS[name], base, folder)
                acted = plain is None or weights is None or not torch.equal(weights, plain)
                assert acted, "the weights are those of vanilla"
            except Exception as error:  # noqa: BLE001 - all cells are to be told
                failed.append(f"{situation.title}, {name}: {type(error).__name__} at {_where(error)}: {error}")
            else:
                if sums is not None and weights is not None:
                    sums[name] = weights.double().sum().item()
                plain = weights if name == "vanilla" else plain
    finally:
        gc.unfreeze()
    return {name: cells[name] for name in METHODS if name in cells}, failed


def outcome(situation, method, base, folder):
    """Return a cell, and the weights after training, flattened, where there was one."""
    watch = Watch()
    trainer = trainer_of(situation, method, copy.deepcopy(base), folder, watch)
    try:
        attach(trainer, method).train()
    except HoldfastError as error:
        check_untouched(error, trainer, base)
        return str(error).replace(type(base).__name__, MODEL), None
    assert situation.proof(trainer), f"this was no training of {situation.title}"
    check_trained(trainer, watch, method)
    check_plain(trainer, base, situation, folder)
    return YES, torch.cat([p.detach().flatten() for p in trainer.model.parameters()])


def trainer_of(situation, method, model, folder, watch):
    kind, arguments = t.Trainer, t.TrainingArguments
    settings = {
        "per_device_train_batch_size": 3,
        "max_steps": STEPS,
        "logging_steps": 1,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        **situation.options,
    }
    if situation.writes:
        kind, arguments = t.Seq2SeqTrainer, t.Seq2SeqTrainingArguments
        settings |= {"predict_with_generate": True, "generation_max_length": 5}
    trainer = kind(
        model,
        arguments(str(folder), **settings),
        train_dataset=situation.rows(situation.count, 1),
        eval_dataset=situation.rows(2, 2),
        callbacks=[watch],
        processing_class=tokenizer(*SENTINELS) if method.requires.text else None,
    )
    trainer.remove_callback(t.PrinterCallback)
    return trainer


def check_untouched(error, trainer, base):
    reason = str(error)
    assert "\n" not in reason
    assert trainer.state.global_step == 0, f"refused after the first step: {reason}"
    after = trainer.model.state_dict()
    assert list(after) == list(base.state_dict()), f"changed, then refused: {reason}"
    for name, value in base.state_dict().items():
        assert torch.equal(after[name], value), f"{name} was changed, then refused: {reason}"


def check_trained(trainer, watch, method):
    assert trainer.state.global_step == STEPS
    losses = {name: values for name, values in watch.logged.items() if name == "loss" or name.startswith("loss/")}
    assert all(len(values) == STEPS for values in losses.values()), losses
    assert all(math.isfinite(value) for values in losses.values() for value in values), losses
    if method.requires.outputs:
        assert any(losses[f"loss/{method.name}"]), f"a penalty of 0: {losses}"
    assert watch.moved, "no trained weight moved"
    assert not watch.drifted, f"frozen weights moved: {watch.drifted}"
    assert math.isfinite(trainer.evaluate()["eval_loss"])


def check_plain(trainer, base, situation, folder):
    model = trainer.model
    assert type(model) is type(base)
    # A graph holds on to the hooks that were traced into it; outside training they do nothing.
    assert trainer.args.torch_compile or not list(left_behind(model))
    assert list(model.state_dict()) == list(base.state_dict())
    if trainer.args.process_index > 0:
        return
    model.save_pretrained(folder)
    if isinstance(model, peft.PeftModel):
        before = dict(base.named_parameters())
        for name, p in model.named_parameters():
            assert p.requires_grad or torch.equal(p, before[name]), f"{name} of the frozen model changed"
        loaded = peft.PeftModel.from_pretrained(copy.deepcopy(base).unload(), folder)
    else:
        loaded = type(base).from_pretrained(folder)
    data = torch.utils.data.default_collate(situation.rows(3, 3))
    half = torch.autocast("cpu", torch.bfloat16) if trainer.args.bf16 else contextlib.nullcontext()
    with torch.no_grad():
        expected = model.eval()(**data).logits
        with half:
            found = loaded.eval()(**data).logits
    assert torch.allclose(found.float(), expected.float(), atol=1e-5), "loaded, it computes something else"


def left_behind(model):
    """Yield the modules and hooks of Holdfast in ``model``."""
    for name, module in model.named_modules():
        tables = [value for key, value in vars(module).items() if key.endswith("_hooks") and isinstance(value, dict)]
        hooks = [hook for table in tables for hook in table.values()]
        for part in (type(module), *hooks, vars(module).get("forward")):
            home = getattr(part, "__module__", None) or type(part).__module__
            if home.startswith("holdfast"):
                yield name, part


def _where(error):
    at = error.__traceback__
    while at.tb_next is not None:
        at = at.tb_next
    return f"{at.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{at.tb_lineno}"
