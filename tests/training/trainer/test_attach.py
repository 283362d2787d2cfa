"""attach() on a Transformers Trainer: everything a script may do with one."""

import math

import pytest
import torch
from torch.utils.data import DataLoader
from trainers import Log, arguments, build, rows, same
from transformers import (
    BartForConditionalGeneration,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    Trainer,
    set_seed,
)

from holdfast import R3F, R4F, Engine, HoldfastError, Vanilla, attach
from method_table import every_method
from tiny import bart_config, classifier, tokenizer


@pytest.mark.slow
@every_method
def test_trainer_and_engine_give_the_same_losses(method, tmp_path):
    trainer, log = build(tmp_path, method, model=classifier("bert", dropout=0.1), max_steps=6, weight_decay=0.0)
    set_seed(7)
    trainer.train()
    model = classifier("bert", dropout=0.1)
    engine = Engine(
        model,
        [method],
        optimizer=lambda p: torch.optim.AdamW(p, 1e-2, weight_decay=0.0, fused=True),
        total_steps=6,
        seed=trainer.args.seed,
        data=DataLoader(rows(16), batch_size=4),
        tokenizer=tokenizer(),
    )
    set_seed(7)
    losses, terms = [], []
    while len(losses) < 6:
        for data in DataLoader(rows(16), batch_size=4):
            if len(losses) == 6:
                break
            loss = engine.loss(data)
            engine.backward(loss)
            engine.step()
            losses.append(loss.item())
            terms.append(engine.terms)
    assert log.values("loss") == pytest.approx(losses, abs=1e-6)
    for entry, expected in zip(log.entries, terms, strict=True):
        logged = {name.removeprefix("loss/"): value for name, value in entry.items() if name.startswith("loss/")}
        assert logged == pytest.approx(expected, abs=1e-6)
    engine.finish()
    for a, b in zip(trainer.model.parameters(), model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_vanilla_is_the_stock_trainer_bit_for_bit(tmp_path):
    stock = Trainer(classifier("bert", dropout=0.1), arguments(tmp_path / "a"), train_dataset=rows(16))
    stock.train()
    attached, _ = build(tmp_path / "b", Vanilla(), model=classifier("bert", dropout=0.1))
    attached.train()
    assert same(stock.model, attached.model)


def test_label_smoothing_changes_the_task_loss_and_not_the_penalty(tmp_path):
    logs = []
    for smoothing in (0.0, 0.2):
        trainer, log = build(tmp_path, R3F(sigma=0.3), label_smoothing_factor=smoothing, max_steps=1)
        set_seed(3)
        trainer.train()
        logs.append(log)
    assert logs[0].values("loss/r3f") == pytest.approx(logs[1].values("loss/r3f"), rel=1e-5)
    assert logs[0].values("loss/task")[0] != pytest.approx(logs[1].values("loss/task")[0], rel=1e-3)
    data = torch.utils.data.default_collate(rows(16)[:4])
    logits = classifier("bert")(**data).logits.detach()
    logp = logits.log_softmax(-1)
    nll, uniform = -logp.gather(1, data["labels"][:, None]).mean(), -logp.mean()
    assert logs[1].values("loss/task")[0] == pytest.approx(float(0.8 * nll + 0.2 * uniform), rel=1e-4)


def test_a_loss_function_of_the_users_own_gets_clean_outputs(tmp_path):
    seen = []

    def loss(outputs, labels, num_items_in_batch=None):
        seen.append((tuple(outputs.logits.shape), tuple(labels.shape)))
        return torch.nn.functional.cross_entropy(outputs.logits, labels, reduction="sum") / num_items_in_batch

    log = Log()
    trainer = Trainer(
        classifier("bert"),
        arguments(tmp_path, gradient_accumulation_steps=2, max_steps=2),
        train_dataset=rows(16),
        compute_loss_func=loss,
        callbacks=[log],
    )
    attach(trainer, R3F(sigma=0.1)).train()
    assert set(seen) == {((4, 2), (4,))}
    assert all(entry["loss/r3f"] > 0 for entry in log.entries)
    expected = [entry["loss/task"] + entry["loss/r3f"] for entry in log.entries]
    assert log.values("loss") == pytest.approx(expected, rel=1e-5)


def test_evaluation_is_one_clean_forward_with_the_plain_loss(tmp_path):
    trainer, _ = build(tmp_path, R3F(sigma=1.0), model=classifier("bert", dropout=0.3))
    calls = []
    trainer.model.bert.encoder.register_forward_pre_hook(lambda m, args: calls.append(len(args[0])))
    found = trainer.evaluate()["eval_loss"]
    assert calls == [6]
    data = torch.utils.data.default_collate(rows(6, seed=9))
    assert found == pytest.approx(float(trainer.model(**data).loss), rel=1e-6)


def test_one_stacked_forward_a_step_and_half_the_rows_in_turn(tmp_path):
    for stacked, expected in ((True, [8]), (False, [4, 4])):
        trainer, _ = build(tmp_path, R3F(), stacked=stacked, max_steps=3)
        calls = []
        trainer.model.bert.encoder.register_forward_pre_hook(lambda m, args, calls=calls: calls.append(len(args[0])))
        trainer.train()
        assert calls[-len(expected) :] == expected
        assert len(calls) - 2 == 3 * len(expected), "two forwards more, once, to learn the head"


@pytest.mark.slow
@every_method
def test_bf16_checkpointing_clipping_and_a_partial_last_batch_together(method, tmp_path):
    trainer, log = build(
        tmp_path,
        method,
        model=classifier("bert", dropout=0.1),
        data=rows(10),
        bf16=True,
        activation_checkpointing=True,
        max_grad_norm=0.1,
        max_steps=-1,
        num_train_epochs=2,
    )
    trained = [*trainer.model.bert.encoder.parameters(), *trainer.model.classifier.parameters()]
    lowest = next(p for p in trained if p.requires_grad)
    before = lowest.detach().clone()
    trainer.train()
    assert trainer.state.global_step == 6
    assert all(math.isfinite(value) for value in log.values("loss"))
    assert not torch.equal(before, lowest)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:torch._dynamo", "ignore::DeprecationWarning")
def test_torch_compile_delivers_the_noise(tmp_path):
    torch._dynamo.reset()
    logs = []
    for compiled in (False, True):
        options = {"torch_compile": True, "torch_compile_backend": "eager"} if compiled else {}
        trainer, log = build(tmp_path, R3F(sigma=0.3, weight=3.0), max_steps=3, **options)
        set_seed(3)
        trainer.train()
        logs.append(log)
    assert min(logs[0].values("loss/r3f")) > 0
    assert logs[0].values("loss/r3f") == pytest.approx(logs[1].values("loss/r3f"), rel=1e-3)


@pytest.mark.slow
def test_auto_find_batch_size_retries_with_the_methods_in_place(tmp_path):
    trainer, log = build(
        tmp_path, R4F(), auto_find_batch_size=True, per_device_train_batch_size=8, max_steps=-1, num_train_epochs=1
    )
    tries = []

    def run_out(module, args):
        if len(args[0]) > 8:
            tries.append(len(args[0]))
            raise RuntimeError("CUDA out of memory.")

    trainer.model.bert.encoder.register_forward_pre_hook(run_out)
    trainer.train()
    assert tries == [16, 14, 12, 10]
    assert trainer.state.global_step == 4
    assert all(entry["loss/r4f"] > 0 for entry in log.entries)


def test_a_model_made_anew_at_each_training_is_prepared_anew(tmp_path):
    log = Log()
    trainer = Trainer(
        args=arguments(tmp_path),
        model_init=lambda: classifier("bert", dropout=0.1),
        train_dataset=rows(16),
        callbacks=[log],
    )
    attach(trainer, R4F())
    trainer.train()
    first = [p.detach().clone() for p in trainer.model.parameters()]
    trainer.train()
    assert all(torch.equal(a, b) for a, b in zip(first, trainer.model.parameters(), strict=True))
    assert len(log.entries) == 8
    assert log.entries[0]["loss/r4f"] == log.entries[4]["loss/r4f"]


def test_training_twice_goes_on_with_the_methods(tmp_path):
    trainer, log = build(tmp_path, R4F(sigma=0.1))
    trainer.train()
    trainer.train()
    assert all(entry["loss/r4f"] > 0 for entry in log.entries)
    assert type(trainer.model.classifier) is torch.nn.Linear


def test_seq2seq_trainer_trains_and_generates(tmp_path):
    log = Log()
    data = rows(8)
    for row in data:
        row["labels"] = torch.cat([row["input_ids"][:5], torch.tensor([3])])
    trainer = Seq2SeqTrainer(
        BartForConditionalGeneration(bart_config(0.0)),
        arguments(tmp_path, Seq2SeqTrainingArguments, predict_with_generate=True, label_smoothing_factor=0.1),
        train_dataset=data,
        eval_dataset=data,
        callbacks=[log],
    )
    attach(trainer, R3F(sigma=0.1)).train()
    assert all(entry["loss/r3f"] > 0 for entry in log.entries)
    assert trainer.predict(data, max_length=6).predictions.shape[0] == 8


def test_refusals_leave_the_trainer_as_it_was(tmp_path):
    trainer = Trainer(classifier("bert"), arguments(tmp_path), train_dataset=rows(8))
    with pytest.raises(HoldfastError, match="same penalty"):
        attach(trainer, R3F(), R4F())
    assert type(trainer) is Trainer
    trainer.is_fsdp_enabled = True
    with pytest.raises(HoldfastError, match="not on their shards"):
        attach(trainer, R4F())
    trainer.is_fsdp_enabled = False
    torch.nn.init.zeros_(trainer.model.classifier.weight)
    with pytest.raises(HoldfastError, match="all zero"):
        attach(trainer, R4F())
    assert type(trainer) is Trainer
    attach(trainer, R3F())
    with pytest.raises(HoldfastError, match="attached to this trainer already"):
        attach(trainer, R3F())
    with pytest.raises(HoldfastError, match="no labels"):
        build(tmp_path, R3F(), data=[{k: v for k, v in row.items() if k != "labels"} for row in rows(8)])[0].train()
