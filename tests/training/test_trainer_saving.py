"""What a Trainer with methods leaves behind, and how it goes on from it."""

import pickle

import pytest
import torch
from trainers import build, same
from transformers import (
    AutoModelForSequenceClassification,
    TrainerCallback,
)

from holdfast import R3F, R4F, HoldfastError
from method_table import every_method
from tiny import batch, classifier


@pytest.mark.slow
@every_method
def test_resuming_equals_the_uninterrupted_run(method, tmp_path):
    options = {"gradient_accumulation_steps": 2, "train_sampling_strategy": "random", "data_seed": 3}
    whole, _ = build(tmp_path / "a", method, model=classifier("bert", dropout=0.1), max_steps=6, **options)
    whole.train()
    saving = {"save_strategy": "steps", "save_steps": 3}
    first, _ = build(tmp_path / "b", method, model=classifier("bert", dropout=0.1), max_steps=6, **saving, **options)
    first.train()
    assert same(whole.model, first.model), "saving a checkpoint must not change the run"
    second, _ = build(tmp_path / "c", method, model=classifier("bert", dropout=0.1, seed=9), max_steps=6, **options)
    second.train(resume_from_checkpoint=str(tmp_path / "b" / "checkpoint-3"))
    assert same(whole.model, second.model)


def test_logged_terms_add_up_to_the_loss_after_resuming(tmp_path):
    """The first log after it averages over the steps since the checkpoint, as the loss does."""
    build(tmp_path, R3F(sigma=0.3), logging_steps=4, save_strategy="steps", save_steps=2)[0].train()
    second, log = build(tmp_path / "b", R3F(sigma=0.3), logging_steps=4)
    second.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    (entry,) = log.entries
    assert entry["loss"] == pytest.approx(entry["loss/task"] + entry["loss/r3f"], rel=1e-5)


def test_resuming_with_other_methods_is_refused(tmp_path):
    first, _ = build(tmp_path, R3F(), save_strategy="steps", save_steps=2)
    first.train()
    with pytest.raises(HoldfastError, match=r"written with r3f, this trainer has r4f"):
        build(tmp_path, R4F())[0].train(resume_from_checkpoint=True)
    (tmp_path / "checkpoint-4" / "holdfast.safetensors").unlink()
    with pytest.raises(HoldfastError, match=r"holds no holdfast.safetensors"):
        build(tmp_path, R3F())[0].train(resume_from_checkpoint=True)


@pytest.mark.slow
@every_method
def test_what_is_saved_is_a_plain_model_of_the_same_function(method, tmp_path):
    trainer, _ = build(tmp_path, method, save_strategy="steps", save_steps=2)
    keys = set(classifier("bert").state_dict())
    trainer.train()
    trainer.save_model(tmp_path / "trainer")
    trainer.model.save_pretrained(tmp_path / "model")
    assert set(trainer.model.state_dict()) == keys
    data = batch(seed=9)
    with torch.no_grad():
        expected = trainer.model.eval()(**data).logits
        for folder in ("trainer", "model", "checkpoint-4"):
            loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / folder).eval()
            assert torch.equal(loaded(**data).logits, expected), folder
            assert type(loaded.classifier) is torch.nn.Linear


@pytest.mark.slow
@every_method
def test_the_best_checkpoint_is_loaded_with_its_own_state(method, tmp_path):
    trainer, _ = build(
        tmp_path,
        method,
        max_steps=2,
        learning_rate=0.2,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model="score",
        greater_is_better=True,
    )
    trainer.compute_metrics = lambda prediction: {"score": -trainer.state.global_step}
    trainer.train()
    first, last = (entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry)
    assert abs(first - last) > 1e-3, "the rate is too small to tell the checkpoints apart"
    assert trainer.evaluate()["eval_loss"] == pytest.approx(first, rel=1e-6)


class Interrupt(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 3:
            raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize("method", [R3F(sigma=0.1), R4F(sigma=0.1)], ids=["r3f", "r4f"])
def test_an_interrupted_training_leaves_a_plain_model_and_goes_on(method, tmp_path):
    saving = {"save_strategy": "steps", "save_steps": 2}
    whole, _ = build(tmp_path / "a", method, model=classifier("bert", dropout=0.1), **saving)
    whole.train()
    trainer, _ = build(tmp_path / "b", method, model=classifier("bert", dropout=0.1), **saving)
    trainer.add_callback(Interrupt())
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert type(trainer.model.classifier) is torch.nn.Linear
    if isinstance(method, R4F):
        assert float(torch.linalg.svdvals(trainer.model.classifier.weight)[0]) == pytest.approx(1.0, rel=0.01)
    trainer.remove_callback(Interrupt)
    trainer.train(resume_from_checkpoint=True)
    assert same(whole.model, trainer.model)


@pytest.mark.slow
@every_method
def test_a_trained_model_is_pickled_without_holdfast(method, tmp_path):
    trainer, _ = build(tmp_path, method, max_steps=2)
    trainer.train()
    assert b"holdfast" not in pickle.dumps(trainer.model)
