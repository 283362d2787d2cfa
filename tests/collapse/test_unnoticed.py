"""Training does not notice the monitor, and the monitor gets along with methods."""

import copy
import logging
import random

import numpy as np
import pytest
import torch
from transformers import (
    set_seed,
)

from collapse.watching import Keep, build, steps, watched
from holdfast import DPS, EMA, R3F, R4F, HyPe, LoRA, MHLoss, Mixout, ReInit, attach
from holdfast.training.models.weight_distance import body_distance
from tiny import classifier


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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "method"),
    [("bert", R3F(sigma=0.1)), ("bert", EMA(decay=0.9)), ("gpt2", MHLoss(heads=3))],
    ids=["r3f", "ema", "decoder-mhloss"],
)
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


@pytest.mark.slow
def test_the_weights_that_are_trained_are_looked_at_and_not_their_average(tmp_path):
    trainer = build(tmp_path)
    start = copy.deepcopy(trainer.model)
    monitor, keep = watched(trainer), Keep()
    attach(trainer, EMA(decay=0.9, warmup=False))
    trainer.add_callback(keep)
    trainer.train()
    assert monitor.looks[-1].distance == pytest.approx(body_distance(keep.models[5], start), rel=1e-5)
    assert body_distance(trainer.model, start) < 0.9 * monitor.looks[-1].distance


@pytest.mark.slow
def test_made_first_it_sees_what_a_method_does_at_the_start(tmp_path):
    trainer = build(tmp_path)
    monitor = watched(trainer)
    attach(trainer, ReInit())
    trainer.train()
    assert monitor.looks[0].distance > 1
    assert monitor.looks[0].cka < 0.999


@pytest.mark.slow
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
