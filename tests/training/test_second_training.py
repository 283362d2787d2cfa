"""A second ``train()``: anew with a model made anew, as in a search over settings, or on from the first's weights."""

from types import SimpleNamespace

import pytest
import torch
from trainers import Log, arguments, build, rows, same
from transformers import Trainer, set_seed
from transformers.trainer_utils import HPSearchBackend

from holdfast import LLRD, R3F, HoldfastError, LoRA, NoisyTune, ReInit, Vanilla, attach
from method_table import TABLE, every_method
from tiny import classifier, tokenizer


def made_anew(folder, method, **options):
    log = Log()
    trainer = Trainer(
        args=arguments(folder, **options),
        model_init=lambda: classifier("bert", dropout=0.1),
        train_dataset=rows(16),
        eval_dataset=rows(6, seed=9),
        callbacks=[log],
        processing_class=tokenizer() if method.requires.text else None,
    )
    return attach(trainer, method), log


def copied(model):
    return [p.detach().clone() for p in model.parameters()]


def plain_keys(trainer):
    return list(trainer.model.state_dict()) == list(classifier("bert").state_dict())


@pytest.mark.slow
@every_method
def test_with_a_model_made_anew_it_is_the_first_again(method, tmp_path):
    trainer, log = made_anew(tmp_path, method, max_steps=3)
    trainer.train()
    first = copied(trainer.model)
    trainer.train()
    assert all(torch.equal(a, b) for a, b in zip(first, trainer.model.parameters(), strict=True))
    assert log.entries[:3] == log.entries[3:]
    assert plain_keys(trainer)


@pytest.mark.slow
@every_method
def test_without_one_it_goes_on_with_the_method(method, tmp_path):
    trainer, log = build(tmp_path, method, model=classifier("bert", dropout=0.1), max_steps=2)
    trainer.train()
    first, terms = copied(trainer.model), {key for entry in log.entries for key in entry}
    trainer.train()
    assert not all(torch.equal(a, b) for a, b in zip(first, trainer.model.parameters(), strict=True))
    assert {key for entry in log.entries[2:] for key in entry} == terms
    assert plain_keys(trainer)


@pytest.mark.slow
@every_method
def test_it_can_be_resumed_from_a_checkpoint_of_the_first(method, tmp_path):
    options = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2}
    trainer, _ = build(tmp_path, method, model=classifier("bert", dropout=0.1), **options)
    trainer.train()
    first = copied(trainer.model)
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert all(torch.equal(a, b) for a, b in zip(first, trainer.model.parameters(), strict=True))


@pytest.mark.slow
def test_it_goes_on_as_that_of_the_plain_trainer(tmp_path):
    """With the moments of its optimizer, bit for bit."""
    found = []
    for methods in ((), (Vanilla(),)):
        trainer = Trainer(classifier("bert", dropout=0.1), arguments(tmp_path), train_dataset=rows(16))
        if methods:
            attach(trainer, *methods)
        set_seed(3)
        for _ in range(2):
            trainer.train()
        found.append(trainer.model)
    assert same(*found)


@pytest.mark.slow
@pytest.mark.parametrize("method", [ReInit(), NoisyTune(), LoRA()], ids=lambda method: method.name)
def test_it_begins_with_the_weights_that_the_first_ended_with(method, tmp_path):
    """Nothing is drawn anew: a rate of 0 leaves them."""
    trainer, _ = build(tmp_path, method, max_steps=2)
    trainer.train()
    first = copied(trainer.model)
    trainer.args.learning_rate = 0.0
    trainer.optimizer = None
    trainer.train()
    assert all(torch.equal(a, b) for a, b in zip(first, trainer.model.parameters(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lora", "mhloss", "sift", "llrd", "r4f", "dps", "ema"])
def test_the_trials_of_a_search_train_with_their_settings(name, tmp_path, monkeypatch):
    """As ``hyperparameter_search`` calls it: each trial is the training of a trainer with its learning rate."""
    monkeypatch.setattr("transformers.integrations.hp_params", lambda trial: trial.params)  # of a library not needed
    trainer, log = made_anew(tmp_path, TABLE[name], max_steps=2)
    trainer.hp_search_backend, trainer.hp_space = HPSearchBackend.OPTUNA, lambda trial: trial.params
    for number, rate in enumerate((1e-2, 1e-3)):
        trainer.train(trial=SimpleNamespace(number=number, params={"learning_rate": rate}))
        alone, alone_log = made_anew(tmp_path, TABLE[name], max_steps=2, learning_rate=rate)
        alone.train()
        assert same(trainer.model, alone.model)
        assert log.entries[-2:] == alone_log.entries


@pytest.mark.slow
def test_an_optimizer_of_the_users_own_is_told_of_where_it_is_given(tmp_path):
    model = classifier("bert")
    given = Trainer(
        model, arguments(tmp_path), train_dataset=rows(16), optimizers=(torch.optim.AdamW(model.parameters()), None)
    )
    with pytest.raises(HoldfastError, match=r"let the Trainer build it.*optimizer_cls_and_kwargs"):
        attach(given, LoRA())
    assert plain_keys(given)
    kinds = (torch.optim.AdamW, {"lr": 1e-2})
    trainer = Trainer(model, arguments(tmp_path), train_dataset=rows(16), optimizer_cls_and_kwargs=kinds)
    attach(trainer, LoRA())
    for _ in range(2):
        trainer.train()
    assert type(trainer.optimizer.optimizer) is torch.optim.AdamW


@pytest.mark.slow
def test_an_optimizer_with_parameters_beside_the_models_is_kept(tmp_path):
    """As of a loss that has some: they go on with their moments, as in the plain Trainer."""

    class Tempered(Trainer):
        temperature = torch.nn.Parameter(torch.tensor(1.0))

        def create_optimizer(self, model=None):
            if self.optimizer is None:
                super().create_optimizer().add_param_group({"params": [self.temperature]})
            return self.optimizer

    trainer = Tempered(classifier("bert"), arguments(tmp_path), train_dataset=rows(16))
    attach(trainer, R3F(), LLRD())
    trainer.train()
    first = trainer.optimizer.optimizer
    trainer.train()
    assert trainer.optimizer.optimizer is first or trainer.optimizer.optimizer.optimizer is first


@pytest.mark.slow
def test_after_an_interruption_it_goes_on(tmp_path):
    trainer, _ = build(tmp_path, LoRA(), max_steps=3)
    before, stop = copied(trainer.model), []

    def interrupt(module, args):
        if not stop:
            stop.append(True)
            raise KeyboardInterrupt

    handle = trainer.model.bert.register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    handle.remove()
    assert plain_keys(trainer)
    trainer.train()
    assert plain_keys(trainer)
    assert len(copied(trainer.model)) < len(before)
