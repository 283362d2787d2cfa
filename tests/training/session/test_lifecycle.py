"""What a training that cannot begin leaves behind, and that the order in which methods are given does not matter."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from transformers import Trainer, TrainingArguments

from holdfast import EMA, LPFT, R4F, Engine, HoldfastError, Method, NoisyTune, ReInit
from holdfast.methods.base import MethodSession, Plan
from holdfast.training.session.lifecycle import start
from holdfast.training.trainer import attach as trainers
from loops import batches, sgd, train
from tiny import batch, classifier


def broken(*given, **options):
    raise ValueError("the caller's own mistake")


@pytest.mark.parametrize("failing", ["optimizer", "scheduler"])
def test_a_mistake_in_the_callers_own_functions_leaves_no_surgery(failing):
    model = classifier("bert")
    with pytest.raises(ValueError, match="own mistake"):
        Engine(model, [R4F()], **{"optimizer": sgd(), failing: broken})
    assert type(model.classifier) is torch.nn.Linear
    assert not any(module._forward_hooks for module in model.modules())


def test_missing_data_are_told_before_any_weight_moves():
    model = classifier("bert")
    with pytest.raises(HoldfastError, match=r"lp_ft looks at the training data .* data=loader"):
        Engine(model, [NoisyTune(), LPFT()], optimizer=sgd())
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), classifier("bert").parameters(), strict=True))


def test_a_trainer_that_fails_in_the_middle_of_attaching_is_as_before(tmp_path, monkeypatch):
    monkeypatch.setattr(trainers, "Objective", broken)
    model = classifier("bert")
    trainer = Trainer(model, TrainingArguments(str(tmp_path), use_cpu=True, report_to="none"), train_dataset=[batch()])
    with pytest.raises(ValueError, match="own mistake"):
        trainers.attach(trainer, R4F())
    assert type(trainer) is Trainer
    assert type(model.classifier) is torch.nn.Linear


@dataclass(frozen=True)
class Undeclared(Method):
    """Acts on gradients without saying that it needs them."""

    name: ClassVar[str] = "undeclared"

    def start(self, model, plan):
        return UndeclaredSession(self, model, plan)


class UndeclaredSession(MethodSession[Undeclared]):
    def on_gradients(self, step):
        """Never called."""


def test_a_hook_that_would_not_be_called_is_told_and_leaves_no_surgery():
    model = classifier("bert")
    with pytest.raises(
        HoldfastError, match=r"undeclared has on_gradients\(\).*return Requires\(gradients=True, \.\.\.\)"
    ):
        Engine(model, [R4F(), Undeclared()], optimizer=sgd())
    assert type(model.classifier) is torch.nn.Linear


def test_what_is_drawn_anew_gets_no_noise_in_either_order():
    models = [classifier("bert") for _ in range(3)]
    start(models[0], [NoisyTune(), ReInit(layers=1)], Plan(2))
    start(models[1], [ReInit(layers=1), NoisyTune()], Plan(2))
    start(models[2], [ReInit(layers=1)], Plan(2))
    drawn = [model.bert.encoder.layer[1].attention.self.query.weight for model in models]
    assert torch.equal(drawn[0], drawn[2])
    assert torch.equal(drawn[1], drawn[2])
    assert not torch.equal(
        models[1].bert.embeddings.word_embeddings.weight, classifier("bert").bert.embeddings.word_embeddings.weight
    )


def test_finishing_what_is_only_shown_is_refused():
    engine = Engine(classifier("bert"), [EMA()], optimizer=sgd())
    train(engine, batches(2))
    average = engine.plain_state_dict()
    with engine.evaluate(), pytest.raises(HoldfastError, match="leave the block first"):
        engine.finish()
    engine.finish()
    assert all(torch.equal(value, average[name]) for name, value in engine.model.state_dict().items())
