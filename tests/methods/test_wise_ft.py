"""The interpolation by hand, the choice of its coefficient, and what it leaves alone."""

import math

import pytest
import torch
from torch.utils.data import default_collate
from transformers import AutoModelForSequenceClassification, BertConfig, BertForMaskedLM, Trainer, TrainerCallback
from transformers import TrainingArguments as Arguments

from holdfast import EMA, L2SP, R3F, Engine, HoldfastError, LoRA, Vanilla, WiSEFT, attach
from holdfast.methods.wise_ft.alpha_grid import best_alpha
from loops import batches, sgd, train
from tiny import batch, classifier, rows


def tuned(model, *methods, steps=3):
    engine = Engine(model, methods, optimizer=sgd(0.2))
    train(engine, batches(steps))
    return engine


def between(start, end, alpha):
    """By name: the body between the two, the head of ``end``."""
    first, last = start.state_dict(), end.state_dict()
    return {
        name: (1 - alpha) * first[name] + alpha * value
        if name.startswith("bert.") and value.is_floating_point()
        else value
        for name, value in last.items()
    }


def close(state, expected, atol=1e-6):
    assert state.keys() == expected.keys()
    assert all(torch.allclose(state[name], expected[name], atol=atol) for name in expected)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_a_given_coefficient_is_used_as_it_is(alpha):
    engine, plain = tuned(classifier("bert"), WiSEFT(alpha)), tuned(classifier("bert"), Vanilla()).model
    exact = all(torch.equal(a, b) for a, b in zip(engine.model.parameters(), plain.parameters(), strict=True))
    assert exact, "training itself is untouched"
    expected = between(classifier("bert"), plain, alpha)
    close(engine.plain_state_dict(), expected)
    with engine.evaluate():
        close(engine.model.state_dict(), expected)
    engine.finish()
    close(engine.model.state_dict(), expected)
    if alpha in (0.0, 1.0):
        ends = classifier("bert") if alpha == 0 else plain
        assert torch.equal(engine.model.bert.pooler.dense.weight, ends.bert.pooler.dense.weight)
    assert torch.equal(engine.model.classifier.weight, plain.classifier.weight)


def seen_alpha(model, start, end):
    """Read the coefficient off a weight."""
    a, b, c = (m.bert.pooler.dense.weight.detach().double() for m in (start, end, model))
    return round(float(((c - a) * (b - a)).sum() / (b - a).square().sum()), 4)


def test_the_best_score_chooses_and_all_scores_are_told():
    start, end = classifier("bert"), tuned(classifier("bert"), Vanilla()).model
    engine, asked, modes = tuned(classifier("bert"), WiSEFT(), R3F(sigma=0.0, weight=0.0)), [], []

    def score():
        asked.append(seen_alpha(engine.model, start, end))
        modes.append((engine.model.training, torch.is_grad_enabled()))
        return -abs(asked[-1] - 0.31)

    with pytest.raises(HoldfastError, match=r"wise_ft chooses by validation: call engine.finish\(score="):
        engine.finish()
    close(engine.plain_state_dict(), end.state_dict())
    facts = engine.finish(score=score)
    assert asked == [round(step / 10, 1) for step in range(11)]
    assert set(modes) == {(False, False)}
    assert engine.model.training
    close(engine.model.state_dict(), between(start, end, 0.3))
    assert facts["wise_ft/alpha"] == 0.3
    assert facts["wise_ft/score_0.3"] == pytest.approx(-0.01)
    assert len(facts) == 12


def test_ties_go_to_the_middle_and_then_to_the_tuned_side():
    grid = [step / 10 for step in range(11)]
    assert best_alpha(dict.fromkeys(grid, 1.0)) == 0.5
    assert best_alpha({alpha: float(alpha in (0.4, 0.6)) for alpha in grid}) == 0.6
    assert best_alpha({alpha: float(alpha in (0.0, 0.9)) for alpha in grid}) == 0.9
    assert best_alpha({alpha: math.nan if alpha == 0.5 else alpha for alpha in grid}) == 1.0


class Watch(TrainerCallback):
    def __init__(self, stop=None):
        self.evaluations, self.predicted, self.stop = 0, 0, stop

    def on_evaluate(self, *args, **kwargs):
        self.evaluations += 1

    def on_prediction_step(self, *args, **kwargs):
        self.predicted += 1

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.stop:
            raise KeyboardInterrupt


def trained(folder, *methods, stop=None, evaluated=True, seed=9, **options):
    quiet = {"report_to": "none", "disable_tqdm": True, "use_cpu": True, "save_strategy": "no", "learning_rate": 3e-2}
    watch = Watch(stop)
    trainer = Trainer(
        classifier("bert"),
        Arguments(str(folder), **(quiet | {"max_steps": 4, "per_device_train_batch_size": 4} | options)),
        train_dataset=rows(16),
        eval_dataset=rows(12, seed=seed) if evaluated else None,
        callbacks=[watch],
    )
    return attach(trainer, *methods), watch


@pytest.mark.slow
def test_the_trainer_chooses_by_its_evaluation_and_leaves_no_trace(tmp_path):
    # Rows and a rate with which the best lies in between.
    case = {"learning_rate": 1e-2, "seed": 1}
    plain, _ = trained(tmp_path / "a", Vanilla(), **case)
    plain.train()
    losses, data = {}, default_collate(rows(12, seed=1))
    probe = classifier("bert").eval()
    for alpha in (step / 10 for step in range(11)):
        probe.load_state_dict(between(classifier("bert"), plain.model, alpha))
        losses[alpha] = float(probe(**data).loss.detach())
    best = min(losses, key=losses.get)
    trainer, watch = trained(tmp_path / "b", WiSEFT(), **case)
    trainer.train()
    assert (watch.evaluations, watch.predicted) == (0, 0)
    assert not any("eval_loss" in entry for entry in trainer.state.log_history)
    facts = trainer.state.log_history[-1]
    assert facts["wise_ft/alpha"] == best == 0.6
    for alpha, loss in losses.items():
        assert facts[f"wise_ft/score_{alpha:g}"] == pytest.approx(-loss, abs=1e-5)
    close(trainer.model.state_dict(), between(classifier("bert"), plain.model, best))
    trainer.save_model(tmp_path / "saved")
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    assert float(loaded(**data).loss) == pytest.approx(losses[best], abs=1e-6)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(losses[best], abs=1e-6)
    assert watch.evaluations == 1


@pytest.mark.slow
@pytest.mark.parametrize("higher", [True, False])
def test_the_metric_and_its_direction_are_the_trainers(higher, tmp_path):
    start = classifier("bert")
    by = {"metric_for_best_model": "moved", "greater_is_better": higher}
    trainer, _ = trained(tmp_path, WiSEFT(), **by)
    # A metric that grows with the coefficient.
    trainer.compute_metrics = lambda output: {
        "moved": float((trainer.model.bert.pooler.dense.weight - start.bert.pooler.dense.weight).norm())
    }
    trainer.train()
    assert trainer.state.log_history[-1]["wise_ft/alpha"] == (1.0 if higher else 0.0)


def test_an_unknown_metric_is_named_and_leaves_a_plain_model(tmp_path):
    trainer, _ = trained(tmp_path, WiSEFT(), metric_for_best_model="acuracy", greater_is_better=True)
    with pytest.raises(HoldfastError, match="gives no eval_acuracy to choose by, but eval_loss"):
        trainer.train()
    assert trainer.callback_handler.callbacks
    assert not trainer._holdfast.prepared


@pytest.mark.slow
def test_the_choice_follows_the_loading_of_the_best_checkpoint(tmp_path):
    each = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    best = {"load_best_model_at_end": True, "metric_for_best_model": "first", "greater_is_better": True}
    options = each | best | {"max_steps": 3}
    score = {}
    for name, method in (("plain", Vanilla()), ("wise", WiSEFT())):
        trainer, _ = trained(tmp_path / name, method, **options)
        trainer.compute_metrics = lambda output, trainer=trainer: {"first": -trainer.state.global_step}
        trainer.train()
        score[name] = trainer
    assert score["wise"].state.best_global_step == 1
    # A metric that does not tell the coefficients apart: the middle.
    close(score["wise"].model.state_dict(), between(classifier("bert"), score["plain"].model, 0.5))


@pytest.mark.slow
def test_a_training_broken_off_before_the_choice_leaves_the_tuned_weights(tmp_path):
    models = []
    for name, method in (("a", Vanilla()), ("b", WiSEFT())):
        trainer, _ = trained(tmp_path / name, method, stop=2)
        with pytest.raises(KeyboardInterrupt):
            trainer.train()
        models.append(trainer.model)
    assert all(torch.equal(a, b) for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True))


@pytest.mark.slow
def test_a_resumed_training_knows_where_the_tuning_began(tmp_path):
    saving = {"save_strategy": "steps", "save_steps": 2}
    whole, _ = trained(tmp_path / "a", WiSEFT(), **saving)
    whole.train()
    kept = AutoModelForSequenceClassification.from_pretrained(tmp_path / "a" / "checkpoint-2")
    assert not torch.equal(kept.bert.pooler.dense.weight, classifier("bert").bert.pooler.dense.weight)
    again, _ = trained(tmp_path / "b", WiSEFT(), **saving)
    with torch.no_grad():
        again.model.bert.pooler.dense.weight.zero_()
    again.train(resume_from_checkpoint=str(tmp_path / "a" / "checkpoint-2"))
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True))


@pytest.mark.slow
def test_without_validation_rows_it_says_what_to_do(tmp_path):
    with pytest.raises(HoldfastError, match="wise_ft chooses by validation, and the trainer has no eval_dataset"):
        trained(tmp_path, WiSEFT(), evaluated=False)
    trained(tmp_path, WiSEFT(alpha=0.5), evaluated=False)[0].train()


def test_a_language_model_is_interpolated_whole():
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(vocab_size=97, pad_token_id=1, **sizes))
    before = [p.detach().clone() for p in model.parameters()]
    engine = Engine(model, [WiSEFT(alpha=0.25)], optimizer=sgd(0.2), max_grad_norm=None)
    data = batch()
    engine.backward(engine.loss(data | {"labels": data["input_ids"]}))
    engine.step()
    after = [p.detach().clone() for p in model.parameters()]
    engine.finish()
    for a, b, found in zip(before, after, model.parameters(), strict=True):
        assert torch.allclose(found, 0.75 * a + 0.25 * b, atol=1e-6)


@pytest.mark.parametrize("other", [EMA(), L2SP(), LoRA()], ids=lambda method: method.name)
def test_other_ways_to_hold_the_weights_are_refused(other):
    with pytest.raises(HoldfastError, match="use one of them"):
        Engine(classifier("bert"), [WiSEFT(alpha=0.5), other], optimizer=sgd(0.2))


def test_a_frozen_body_and_a_wrong_coefficient_are_refused():
    model = classifier("bert")
    model.bert.requires_grad_(False)
    with pytest.raises(HoldfastError, match="trains none below its head"):
        Engine(model, [WiSEFT(alpha=0.5)], optimizer=sgd(0.2))
    with pytest.raises(HoldfastError, match="share of the tuned weights, 0 to 1"):
        WiSEFT(alpha=1.5)
