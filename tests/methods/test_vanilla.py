"""Plain fine-tuning with and without the model's dropout."""

import json

import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from holdfast import Engine, HoldfastError, Vanilla, attach
from loops import adamw, batches, train
from tiny import CLASSIFIERS, batch, classifier


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_without_dropout_it_trains_as_a_model_built_without(name):
    """In ModernBERT, dropout modules that are the identity at 0 do not draw either."""
    trained = []
    for dropout, method in ((0.3, Vanilla(dropout=0.0)), (0.0, Vanilla())):
        model = classifier(name, dropout=dropout)
        engine = Engine(model, [method], optimizer=adamw())
        train(engine, batches(3))
        engine.finish()
        trained.append(model)
    pairs = zip(trained[0].parameters(), trained[1].parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    data = batch()
    trained[0].train()
    assert not torch.equal(trained[0](**data).logits, trained[0](**data).logits), "dropout is back"


def build(folder, *callbacks):
    data = batch(rows=8)
    arguments = TrainingArguments(
        str(folder), max_steps=4, save_steps=2, use_cpu=True, report_to="none", disable_tqdm=True
    )
    rows = [{key: value[i] for key, value in data.items()} for i in range(8)]
    model = classifier("bert", dropout=0.25)
    return attach(Trainer(model, arguments, train_dataset=rows, callbacks=list(callbacks)), Vanilla(dropout=0.0))


def test_the_configuration_in_checkpoints_is_the_models_own(tmp_path):
    rates = []

    class Watch(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **kwargs):
            rates.append(model.bert.encoder.layer[0].output.dropout.p)

    trainer = build(tmp_path, Watch())
    trainer.train()
    trainer.save_model(tmp_path / "end")
    assert set(rates) == {0.0}
    for folder in ("checkpoint-2", "end"):
        config = json.loads((tmp_path / folder / "config.json").read_text())
        assert config["hidden_dropout_prob"] == config["attention_probs_dropout_prob"] == 0.25
    assert trainer.model.bert.encoder.layer[0].output.dropout.p == 0.25


def test_dropout_is_put_back_after_an_error_in_training(tmp_path):
    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            raise KeyboardInterrupt

    trainer = build(tmp_path, Stop())
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert trainer.model.bert.encoder.layer[0].output.dropout.p == 0.25


def test_a_dropout_of_one_is_refused():
    with pytest.raises(HoldfastError, match=r"vanilla\(dropout=1\): dropout is the share set to zero, from 0"):
        Vanilla(dropout=1)
