"""The monitor: what it sees against single measures, and that training does not notice it."""

import copy
import dataclasses
import json
import logging
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch import nn
from transformers import (
    BartForConditionalGeneration,
    GPT2LMHeadModel,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5ForConditionalGeneration,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from holdfast import DPS, EMA, R3F, R4F, CollapseMonitor, Engine, HyPe, LoRA, MHLoss, Mixout, ReInit, attach
from holdfast.collapse import Monitor, effective_rank, linear_cka, mean_cosine, measure_layers, participation_ratio
from holdfast.errors import HoldfastError
from holdfast.training.distance import body_distance
from holdfast.training.representations import layer_states
from tiny import DECODERS, VOCABULARY, bart_config, batch, classifier, t5_config

MEASURES = ("cka", "effective_rank", "participation_ratio", "mean_cosine")


def rows(count, seed=0, padding="right"):
    data = batch(rows=count, seed=seed, padding=padding)
    return [{key: value[row] for key, value in data.items()} for row in range(count)]


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


# What it sees


@pytest.mark.parametrize("name", ["bert", "deberta_v3", "gpt2", "llama", "t5", "bart"])
def test_looks_are_the_measures_of_the_model_at_that_step(name, tmp_path):
    """Each kind of model, decoders padded on the left, against the model copied at the step and measured alone."""
    start, padding = classifier(name, dropout=0.1), "left" if name in DECODERS else "right"
    evaluated = rows(12, seed=9, padding=padding)
    trainer = build(tmp_path, copy.deepcopy(start), data=rows(16, padding=padding), evaluated=evaluated)
    monitor, keep = watched(trainer), Keep()
    trainer.add_callback(keep)
    trainer.train()
    assert steps(monitor) == [0, 2, 4, 5]
    data = torch.utils.data.default_collate(evaluated)
    before = layer_states(start, [data])[-1]
    for look in monitor.looks:
        model = keep.models.get(look.step, start)
        after = layer_states(model, [data])[-1]
        assert look.cka == pytest.approx(linear_cka(after, before), rel=1e-4)
        for measure in (effective_rank, participation_ratio, mean_cosine):
            assert getattr(look, measure.__name__) == pytest.approx(measure(after), rel=1e-4)
        assert look.distance == pytest.approx(body_distance(model, start), rel=1e-5)
    assert monitor.looks[0].cka == pytest.approx(1)
    assert monitor.looks[-1].cka < 0.99
    assert monitor.looks[-1].distance > 0.1


def test_logs_and_callbacks_get_them_and_the_loss_is_still_logged(tmp_path):
    trainer = build(tmp_path)
    monitor, keep = watched(trainer), Keep()
    trainer.add_callback(keep)
    trainer.train()
    for entries in (trainer.state.log_history, keep.logs):
        found = [entry for entry in entries if "collapse/cka" in entry]
        assert [entry["collapse/distance"] for entry in found] == [look.distance for look in monitor.looks]
        for name in MEASURES:
            assert [entry[f"collapse/{name}"] for entry in found] == [getattr(look, name) for look in monitor.looks]
    assert [entry["step"] for entry in trainer.state.log_history if "loss" in entry] == [2, 4]
    json.dumps(trainer.state.log_history)


def test_all_layers_are_logged_where_asked_for(tmp_path):
    trainer = build(tmp_path)
    start = copy.deepcopy(trainer.model)
    monitor = watched(trainer, layers="all", distance=False)
    trainer.train()
    data = torch.utils.data.default_collate(rows(12, seed=9))
    expected = measure_layers(layer_states(trainer.model, [data]), layer_states(start, [data]))
    logged = next(entry for entry in reversed(trainer.state.log_history) if "collapse/cka" in entry)
    for found, layer in zip(monitor.looks[-1].layers, expected, strict=True):
        assert vars(found) == pytest.approx(vars(layer), rel=1e-4)
        assert logged[f"collapse/layer_{layer.layer}/cka"] == found.cka
    assert monitor.looks[-1].distance is None
    assert "collapse/distance" not in logged


def test_rows_are_spread_over_the_data_and_taken_through_the_collator(tmp_path):
    """Columns that the model does not take stay out, and several evaluation sets give the first."""
    seen = []

    def collate(picked):
        seen.extend(int(row["input_ids"][1]) for row in picked)
        return {key: torch.tensor([row[key] for row in picked]) for key in picked[0]}

    numbered = [{"input_ids": [2, i % VOCABULARY, 3], "labels": i % 2, "text": "a film"} for i in range(80)]
    data = Dataset.from_list(numbered)
    trainer = build(tmp_path, evaluated={"first": data, "second": data.select(range(4))})
    trainer.data_collator = collate
    CollapseMonitor(trainer, rows=20)
    assert sorted(seen) == list(range(0, 80, 4))


def test_without_an_evaluation_set_the_training_set_is_looked_at(tmp_path):
    trainer = build(tmp_path)
    trainer.eval_dataset = None
    look = watched(trainer).monitor.look()
    data = torch.utils.data.default_collate(rows(16))
    assert look.effective_rank == pytest.approx(effective_rank(layer_states(trainer.model, [data])[-1]), rel=1e-4)


def test_a_batch_of_ones_own_takes_their_place(tmp_path):
    trainer, data = build(tmp_path), batch(rows=7, seed=3)
    look = watched(trainer, batch=data).monitor.look()
    assert look.mean_cosine == pytest.approx(mean_cosine(layer_states(trainer.model, [data])[-1]), rel=1e-4)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: BartForConditionalGeneration(bart_config(0.1)), "bart"),
        (lambda: T5ForConditionalGeneration(t5_config(0.1)), "t5"),
        (lambda: GPT2LMHeadModel(classifier("gpt2").config), "gpt2"),
    ],
    ids=["bart", "t5", "gpt2"],
)
def test_models_that_generate_are_read_as_the_classifier_of_their_family_is(model, expected, tmp_path):
    generator = model()
    other = classifier(expected)
    names = dict(other.named_parameters())
    with torch.no_grad():
        for name, weight in generator.named_parameters():
            twin = name if name in names else f"transformer.{name}"
            weight.copy_(names.get(twin, weight))
    trainer = build(tmp_path, generator, kind=Seq2SeqTrainer, arguments=Seq2SeqTrainingArguments)
    data = batch(rows=12, seed=9)
    labels = {"labels": data["input_ids"][:, :5]}
    padding = "left" if expected in DECODERS else "right"
    look = watched(trainer, batch=batch(rows=12, seed=9, padding=padding) | labels).monitor.look()
    after = layer_states(other, [batch(rows=12, seed=9, padding=padding)])[-1]
    assert look.mean_cosine == pytest.approx(mean_cosine(after), rel=1e-4)
    assert look.distance == 0


@pytest.mark.parametrize(
    ("batch_rows", "accumulation", "rows", "every"), [(8, 1, 64, 200), (8, 4, 64, 50), (64, 2, 4, 1)]
)
def test_left_out_every_follows_from_what_a_step_trains_on(batch_rows, accumulation, rows, every, tmp_path):
    options = {"per_device_train_batch_size": batch_rows, "gradient_accumulation_steps": accumulation}
    assert CollapseMonitor(build(tmp_path, **options), rows=rows).every == every


# What training notices of it: nothing


def drawing(picked):
    """A collator that draws from every generator, as one that masks tokens does."""
    random.random(), np.random.rand(), torch.rand(1)
    return torch.utils.data.default_collate(picked)


SETTINGS = {
    "plain": ((), {}),
    "accumulation": ((), {"gradient_accumulation_steps": 3, "max_grad_norm": 0.1}),
    "bf16-checkpointing": ((), {"bf16": True, "activation_checkpointing": True}),
    "evaluation": ((R3F(),), {"eval_strategy": "steps", "eval_steps": 1}),
    "r3f": ((R3F(sigma=0.1),), {}),
    "r4f": ((R4F(sigma=0.0),), {}),
    "dps-mix": ((DPS("mix", update_ratio=0.25),), {}),
    "mixout": ((Mixout(drop=0.5),), {}),
    "hype": ((HyPe(sigma=0.1, dropout=None),), {}),
    "lora": ((LoRA(rank=4),), {}),
    "ema-mhloss": ((EMA(), MHLoss(heads=3)), {"bf16": True}),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_training_is_bit_for_bit_as_without_it(setting, tmp_path):
    methods, options = SETTINGS[setting]
    ended = []
    for every in (None, 1):
        trainer = build(tmp_path, **options)
        trainer.data_collator = drawing
        set_seed(4)
        monitor = None if every is None else watched(trainer, every=every, layers="all")
        if methods:
            attach(trainer, *methods)
        trainer.train()
        assert monitor is None or (steps(monitor) == [0, 1, 2, 3, 4, 5] and monitor.looks[-1].cka < 0.9999)
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        draws = random.random(), np.random.rand(), float(torch.rand(1))
        ended.append((trainer.model.state_dict(), losses, draws))
    (plain, *rest), (watched_too, *same) = ended
    assert rest == same
    assert all(torch.equal(plain[name], watched_too[name]) for name in plain)


@pytest.mark.parametrize("method", [R3F(sigma=0.1), MHLoss(heads=3), EMA(decay=0.9)], ids=lambda method: method.name)
@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_before_or_after_attach_is_the_same(name, method, tmp_path):
    found = []
    for before in (True, False):
        trainer = build(tmp_path, classifier(name, dropout=0.1))
        if before:
            monitor = watched(trainer)
        attach(trainer, method)
        if not before:
            monitor = watched(trainer)
        set_seed(2)
        trainer.train()
        found.append(monitor.looks)
    assert found[0] == found[1]
    assert found[0][0].cka == pytest.approx(1)


def test_the_weights_that_are_trained_are_looked_at_and_not_their_average(tmp_path):
    trainer = build(tmp_path)
    start = copy.deepcopy(trainer.model)
    monitor, keep = watched(trainer), Keep()
    attach(trainer, EMA(decay=0.9, warmup=False))
    trainer.add_callback(keep)
    trainer.train()
    assert monitor.looks[-1].distance == pytest.approx(body_distance(keep.models[5], start), rel=1e-5)
    assert body_distance(trainer.model, start) < 0.9 * monitor.looks[-1].distance


def test_made_first_it_sees_what_a_method_does_at_the_start(tmp_path):
    trainer = build(tmp_path)
    monitor = watched(trainer)
    attach(trainer, ReInit())
    trainer.train()
    assert monitor.looks[0].distance > 1
    assert monitor.looks[0].cka < 0.999


@pytest.mark.parametrize("first", [True, False])
def test_adapters_leave_no_distance_and_a_line_says_so(first, tmp_path, caplog):
    trainer = build(tmp_path)
    with caplog.at_level(logging.WARNING):
        monitor = watched(trainer) if first else None
        attach(trainer, LoRA(rank=4))
        monitor = monitor or watched(trainer)
        trainer.train()
    assert all(look.distance is None for look in monitor.looks)
    assert monitor.looks[-1].cka < 0.9999
    assert sum("no distance" in line for line in caplog.messages) == 1


# Lives of a training


def test_resumed_training_keeps_the_pretrained_model_as_reference(tmp_path):
    options = {"save_strategy": "steps", "save_steps": 3, "max_steps": 7, "train_sampling_strategy": "sequential"}
    whole = build(tmp_path, **options)
    expected = watched(whole)
    set_seed(3)
    whole.train()
    again = build(tmp_path, **options)
    found = watched(again)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert steps(found) == [0, 2, 4, 6, 7]
    assert found.looks == expected.looks


def test_a_model_made_anew_at_each_training_is_looked_at_anew(tmp_path):
    trainer = Trainer(
        args=TrainingArguments(
            str(tmp_path), max_steps=3, save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True
        ),
        model_init=lambda: classifier("bert"),
        train_dataset=rows(16),
    )
    monitor = watched(trainer)
    trainer.train()
    first = monitor.looks
    trainer.train()
    assert steps(monitor) == [0, 2, 3]
    assert monitor.looks == first
    assert first[-1].distance > 0


def test_a_training_stopped_by_others_ends_with_a_look(tmp_path):
    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_training_stop = state.global_step == 3

    trainer = build(tmp_path)
    monitor = watched(trainer)
    trainer.add_callback(Stop())
    trainer.train()
    assert steps(monitor) == [0, 2, 3]


def test_the_best_checkpoint_loaded_at_the_end_is_not_taken_for_the_last_step(tmp_path):
    trainer = build(
        tmp_path, eval_strategy="steps", eval_steps=1, save_strategy="steps", save_steps=1, load_best_model_at_end=True
    )
    monitor, keep = watched(trainer), Keep()
    start = copy.deepcopy(trainer.model)
    trainer.add_callback(keep)
    trainer.train()
    assert steps(monitor) == [0, 2, 4, 5]
    assert monitor.looks[-1].distance == pytest.approx(body_distance(keep.models[5], start), rel=1e-5)


# Stopping


def norm_of(model):
    return model.bert.encoder.layer[-1].output.LayerNorm


def one_direction(model):
    norm_of(model).weight[1:] = 0


def constant(model):
    norm_of(model).weight.zero_()


def broken(model):
    norm_of(model).weight[0] = float("nan")


@pytest.mark.parametrize(
    ("act", "line"),
    [(one_direction, "has an effective rank of 1."), (constant, "same for every row"), (broken, "is not finite")],
)
def test_a_collapsed_model_is_not_trained_on(act, line, tmp_path, caplog):
    trainer = build(tmp_path, max_steps=9, learning_rate=1e-5)
    trainer.add_callback(At(4, act))
    monitor = watched(trainer, stop=0.5)
    with caplog.at_level(logging.WARNING, "holdfast"):
        trainer.train()
    assert trainer.state.global_step == 4
    assert steps(monitor) == [0, 2, 4]
    (found,) = caplog.messages
    assert line in found
    assert "stops at step 4" in found
    logged = [value for entry in trainer.state.log_history for key, value in entry.items() if "collapse" in key]
    assert np.isfinite(logged).all()


def test_without_stop_it_only_looks(tmp_path):
    trainer = build(tmp_path, max_steps=6)
    trainer.add_callback(At(4, constant))
    monitor = watched(trainer)
    trainer.train()
    assert steps(monitor) == [0, 2, 4, 6]
    assert monitor.looks[2].effective_rank is None
    assert monitor.looks[2].distance > 0


DDP = """
import json, sys
import torch
sys.path[:0] = {paths!r}
from collapse.test_monitor import At, build, one_direction, watched
torch.set_num_threads(1)
trainer = build({folder!r}, max_steps=9, learning_rate=1e-5, ddp_find_unused_parameters=False)
rank = trainer.args.process_index
monitor = watched(trainer, stop=0.5)
if rank == 1:
    # Of another mind than the first process, which has to be followed.
    monitor.monitor.look = lambda step, look=monitor.monitor.look: look(step).__class__(step, *[None] * 5)
trainer.add_callback(At(3, one_direction))
trainer.train()
found = [trainer.args.world_size, trainer.state.global_step, [look.effective_rank for look in monitor.looks]]
json.dump(found, open({folder!r} + f"/rank{{rank}}.json", "w"))
"""


def test_the_first_process_decides_for_all(tmp_path):
    """The second one, for which every look is of a collapsed model, trains on until the first one stops."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    script = tmp_path / "script.py"
    script.write_text(DDP.format(paths=[str(Path(__file__).parents[1])], folder=str(tmp_path)))
    shared = os.environ | {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(script)],
            env=shared | {"RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in ("0", "1")
    ]
    for process in processes:
        said, _ = process.communicate(timeout=240)
        assert process.returncode == 0, said[-3000:]
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert first[:2] == second[:2] == [2, 4]
    assert first[2][-1] < 0.5 * first[2][0]


# In a loop of one's own


def test_a_hand_written_loop_looks_when_it_likes():
    """In parts or in one, under autocast, with gradients waiting and a part in evaluation mode: nothing is touched."""
    model = classifier("bert", dropout=0.1)
    start = copy.deepcopy(model)
    data = batch(rows=12, seed=9)
    monitor = Monitor(model, [{key: value[at : at + 5] for key, value in data.items()} for at in (0, 5, 10)])
    engine = Engine(model, [R3F()], optimizer=torch.optim.AdamW(model.parameters(), 1e-2))
    model.bert.embeddings.eval()
    engine.backward(engine.loss(batch()))
    assert monitor.look() == monitor.start
    engine.step()
    engine.backward(engine.loss(batch()))
    modes = [module.training for module in model.modules()]
    gradients = [p.grad.clone() for p in model.parameters()]
    look = monitor.look(1)
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert [module.training for module in model.modules()] == modes
    after, before = (layer_states(one, [data])[-1] for one in (model, start))
    assert look.step == 1
    assert look.cka == pytest.approx(linear_cka(after, before), rel=1e-4)
    assert look.distance == pytest.approx(body_distance(model, start), rel=1e-5)


def test_a_look_under_autocast_leaves_the_next_forward_its_gradients():
    """Autocast keeps the weights that it casts, without gradient too."""
    model = classifier("bert")
    monitor = Monitor(model, batch(rows=6), distance=False)
    with torch.autocast("cpu", torch.bfloat16):
        monitor.look()
        model(**batch()).loss.backward()
    assert all(p.grad is not None for p in model.bert.encoder.parameters())


def test_a_model_that_has_not_moved_is_not_run_again():
    model, forwards = classifier("bert"), []
    monitor = Monitor(model, batch(rows=6), layers="all")
    model.register_forward_hook(lambda *arguments: forwards.append(1))
    with torch.no_grad():
        model.classifier.weight += 1
        assert monitor.look(3) == dataclasses.replace(monitor.start, step=3)
        assert not forwards
        model.bert.pooler.dense.weight += 1
        moved = monitor.look(4)
    assert forwards
    assert moved.distance > 0
    assert [layer.cka for layer in moved.layers] == pytest.approx([1, 1, 1])


# What is refused


class NoStates(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, input_ids):
        return self.layer(input_ids)


def test_what_cannot_be_looked_at_is_refused(tmp_path):
    model = classifier("bert")
    with pytest.raises(HoldfastError, match="NoStates cannot return hidden states"):
        Monitor(NoStates(), {"input_ids": torch.ones(4, 3)})
    with pytest.raises(HoldfastError, match="3 rows"):
        Monitor(model, batch(rows=3))
    with pytest.raises(HoldfastError, match="same for all 6 rows"):
        Monitor(model, {key: value[:1].repeat(6, *[1] * (value.ndim - 1)) for key, value in batch().items()})
    with pytest.raises(HoldfastError, match="layers='first'"):
        Monitor(model, batch(), layers="first")
    trainer = build(tmp_path)
    for options, reason in (
        ({"every": 0}, "every=0"),
        ({"rows": 3}, "rows=3"),
        ({"stop": 1.5}, "stop=1.5"),
        ({"stop": 0}, "stop=0"),
    ):
        with pytest.raises(HoldfastError, match=reason):
            CollapseMonitor(trainer, **options)


def test_data_that_cannot_be_picked_from_are_refused(tmp_path):
    trainer = build(tmp_path, evaluated=Dataset.from_list([{"labels": 1}] * 9).to_iterable_dataset())
    with pytest.raises(HoldfastError, match=r"a stream.*give it batch="):
        CollapseMonitor(trainer)
    trainer.eval_dataset = trainer.train_dataset = None
    with pytest.raises(HoldfastError, match="no data to look at"):
        CollapseMonitor(trainer)
    trainer.is_fsdp_enabled = True
    with pytest.raises(HoldfastError, match="use DDP"):
        CollapseMonitor(trainer)
