"""Steps that are skipped, begun again, or resumed from elsewhere: what methods are told on a Trainer."""

import itertools
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from trainers import build, same
from transformers import TrainerCallback

import loops
from holdfast import DPS, L2SP, ChildTuningD, HoldfastError, Mixout


@dataclass(frozen=True)
class Recorder(loops.Noted):
    """Writes down the steps that it is told of."""

    name: ClassVar[str] = "recorder"

    def start(self, model, plan):
        return RecorderSession(self, model, plan)


class RecorderSession(loops.NotedSession):
    def after_step(self, step):
        self.note("steps", step.index)


@pytest.mark.slow
@pytest.mark.parametrize("method", [DPS(update_ratio=0.25), Mixout(), ChildTuningD()], ids=lambda method: method.name)
def test_a_plain_checkpoint_cannot_be_resumed_with_methods_that_keep_state(method, tmp_path):
    """Also by methods that keep nothing before the first step."""
    build(tmp_path, save_strategy="steps", save_steps=2)[0].train()
    with pytest.raises(HoldfastError, match=rf"holds no holdfast.safetensors: it was not written with {method.name}"):
        build(tmp_path, method)[0].train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))


@pytest.mark.slow
@pytest.mark.parametrize("method", [DPS("mix", update_ratio=0.25, freeze="hard"), Recorder()], ids=["dps", "recorder"])
def test_out_of_memory_in_the_middle_begins_the_stages_anew(method, tmp_path):
    """The Trainer counts from 0 again: sums and masks of the first try, and its skipped steps, must not stay."""
    trainer, _ = build(tmp_path, method, auto_find_batch_size=True, max_steps=8, max_grad_norm=0.5)
    seen = []

    def run_out(module, args):
        if trainer.state.global_step == 3 and len(seen) == 0:
            trainer._holdfast.skipped = 2
            seen.append(sorted(trainer._holdfast.sessions[0].state_dict()))
            raise RuntimeError("CUDA out of memory.")
        if seen and len(seen) == 1 and trainer.state.global_step == 0 and trainer.model.training:
            seen.append(sorted(trainer._holdfast.sessions[0].state_dict()))

    trainer.model.bert.encoder.register_forward_pre_hook(run_out)
    trainer.train()
    assert trainer.state.global_step == 8
    if isinstance(method, Recorder):
        assert trainer._holdfast.given[0].notes["steps"] == [0, 1, 2, *range(8)]
    else:
        assert any(key.startswith("kept.") for key in seen[0])
        assert not any(key.startswith(("kept.", "held.", "scores.")) for key in seen[1])


@pytest.mark.slow
@pytest.mark.parametrize("skips", [(1,), (0, 3, 5)])
@pytest.mark.parametrize("method", [DPS("mix", update_ratio=0.25), Recorder()], ids=["dps", "recorder"])
def test_steps_that_the_scaler_skips_are_not_counted(method, skips, tmp_path):
    """Stages go on by real updates, also after resuming from a checkpoint written after a skipped step."""

    class Skip(TrainerCallback):
        """As accelerate reports an overflow: no update was done, and the flag says so."""

        def __init__(self, trainer):
            self.trainer = trainer

        def on_pre_optimizer_step(self, args, state, control, **kwargs):
            skipped = state.global_step in skips
            if skipped:
                for parameter in self.trainer.model.parameters():
                    parameter.grad = None
            self.trainer.optimizer._is_overflow = skipped

        def on_step_begin(self, args, state, control, **kwargs):
            self.trainer.optimizer._is_overflow = False

    def made(folder, **options):
        trainer, _ = build(folder, method, max_steps=12, **options)
        kind = type(trainer.accelerator)
        trainer.accelerator.__class__ = type(
            kind.__name__,
            (kind,),
            {"optimizer_step_was_skipped": property(lambda self: trainer.state.global_step in skips)},
        )
        trainer.add_callback(Skip(trainer))
        return trainer

    whole = made(tmp_path / "a", save_strategy="steps", save_steps=7)
    whole.train()
    steps = dict(getattr(method, "notes", {}))
    second = made(tmp_path / "b")
    second.train(resume_from_checkpoint=str(tmp_path / "a" / "checkpoint-7"))
    assert same(whole.model, second.model)
    if isinstance(method, Recorder):
        assert steps["steps"] == list(range(12 - len(skips)))
        assert method.notes["steps"] == list(range(7 - len(skips), 12 - len(skips)))


@pytest.mark.slow
@pytest.mark.parametrize("optim", ["adamw_torch", "adamw_torch_fused"])
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_an_overflow_is_a_skipped_step_also_inside_a_fused_optimizer(optim, clip, tmp_path):
    """The scaler calls a fused optimizer all the same, and Accelerate takes the step for done."""
    method = L2SP(alpha=100.0, decoupled=True)
    trainer, _ = build(tmp_path, method, optim=optim, max_steps=4, max_grad_norm=clip, weight_decay=0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    accelerator, moved = trainer.accelerator, []

    class Overflow(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            trainer.optimizer.scaler = scaler

        def on_step_begin(self, args, state, control, **kwargs):
            moved.append([p.detach().clone() for p in trainer.model.parameters()])

    def backward(loss, **kwargs):
        scaler.scale(loss * (float("inf") if trainer.state.global_step == 1 else 1.0)).backward()

    accelerator.scaler, accelerator.native_amp, accelerator.backward = scaler, True, backward
    accelerator.unscale_gradients = lambda optimizer=None: scaler.unscale_(trainer.optimizer.optimizer)
    trainer.add_callback(Overflow())
    trainer.train()
    assert trainer._holdfast.skipped == 1
    same_as_before = [all(torch.equal(a, b) for a, b in zip(*pair, strict=True)) for pair in itertools.pairwise(moved)]
    assert same_as_before == [False, True, False]
