"""attach() on a Transformers Trainer: everything a script may do with one."""

import json
import math
import os
import pickle
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForSequenceClassification,
    BartForConditionalGeneration,
    BertForMaskedLM,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from holdfast import R3F, R4F, Engine, HoldfastError, Method, Vanilla, attach
from method_table import every_method
from tiny import bart_config, batch, classifier, tokenizer


def rows(count, seed=0, labels=2):
    data = batch(rows=count, seed=seed, labels=labels)
    return [{key: value[row] for key, value in data.items()} for row in range(count)]


class Log(TrainerCallback):
    def __init__(self):
        self.entries = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in logs:
            self.entries.append(dict(logs))

    def values(self, name):
        return [entry[name] for entry in self.entries]


def arguments(folder, kind=TrainingArguments, **options):
    defaults = {
        "per_device_train_batch_size": 4,
        "max_steps": 4,
        "logging_steps": 1,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
        "train_sampling_strategy": "sequential",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "seed": 5,
    }
    return kind(str(folder), **(defaults | options))


def build(folder, *methods, model=None, data=None, stacked=True, **options):
    log = Log()
    trainer = Trainer(
        classifier("bert") if model is None else model,
        arguments(folder, **options),
        train_dataset=rows(16) if data is None else data,
        eval_dataset=rows(6, seed=9),
        callbacks=[log],
        processing_class=tokenizer() if any(method.needs_text for method in methods) else None,
    )
    return attach(trainer, *methods, stacked=stacked), log


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


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


@dataclass(frozen=True)
class Constant(Method):
    """A penalty without noise of its own, as large as the task loss."""

    name: ClassVar[str] = "constant"

    def penalty(self, forward):
        if forward.token_mask is not None:
            apart = forward.outputs["logits"].logsumexp(-1) * forward.token_mask
            return apart.sum() / forward.tokens
        return forward.outputs["logits"].square().sum() / forward.rows


def masked_model():
    from transformers import BertConfig

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertForMaskedLM(BertConfig(vocab_size=97, pad_token_id=1, **sizes, **dropout))


def masked_rows(count):
    data = rows(count)
    generator = torch.Generator().manual_seed(1)
    for row in data:
        keep = torch.rand(len(row["input_ids"]), generator=generator) < 0.4
        keep[0] = True
        row["labels"] = torch.where(keep, row["input_ids"], -100)
    return data


class Gradients(TrainerCallback):
    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.found = [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("head", ["classifier", "decoder classifier", "masked language model"])
def test_accumulation_gives_the_gradient_of_one_large_batch(head, smoothing, tmp_path):
    """Also where the last micro-batch has 2 rows; stock Transformers 5 multiplies it by the accumulation."""
    found = []
    for size, accumulation in ((10, 1), (4, 3)):
        data = masked_rows(10) if head == "masked language model" else rows(10)
        model = masked_model() if head == "masked language model" else classifier("gpt2" if "dec" in head else "bert")
        trainer, log = build(
            tmp_path,
            Constant(),
            model=model,
            data=data,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            max_steps=1,
            max_grad_norm=0,
            label_smoothing_factor=smoothing,
        )
        gradients = Gradients()
        trainer.add_callback(gradients)
        trainer.train()
        found.append((gradients.found, log.values("loss"), log.values("loss/constant")))
    for a, b in zip(found[0][0], found[1][0], strict=True):
        assert torch.allclose(a, b, atol=1e-5, rtol=1e-3)
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-4)
    assert found[0][2] == pytest.approx(found[1][2], rel=1e-4)


def test_causal_language_models_keep_their_count_of_items(tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    found = []
    for size, accumulation in ((8, 1), (2, 4)):
        torch.manual_seed(0)
        sizes = {"vocab_size": 97, "n_embd": 32, "n_layer": 1, "n_head": 2}
        model = GPT2LMHeadModel(GPT2Config(**sizes, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0))
        trainer, _ = build(
            tmp_path,
            Constant(),
            model=model,
            data=masked_rows(8),
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            max_steps=1,
            max_grad_norm=0,
        )
        gradients = Gradients()
        trainer.add_callback(gradients)
        trainer.train()
        assert trainer.model_accepts_loss_kwargs
        found.append(gradients.found)
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, atol=1e-5, rtol=1e-3)


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


class Interrupt(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 3:
            raise KeyboardInterrupt


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


@every_method
def test_a_trained_model_is_pickled_without_holdfast(method, tmp_path):
    trainer, _ = build(tmp_path, method, max_steps=2)
    trainer.train()
    assert b"holdfast" not in pickle.dumps(trainer.model)


def test_a_micro_batch_without_a_labelled_token_adds_nothing(tmp_path):
    """The rest of the optimizer step counts in full; a whole step without labels is a step of loss 0."""
    empty = [row | {"labels": torch.full_like(row["labels"], -100)} for row in masked_rows(8)]
    full = masked_rows(8)
    found = []
    for data, accumulation in ((full[:4], 1), (empty[:4] + full[:4], 2)):
        trainer, log = build(
            tmp_path,
            Constant(),
            model=masked_model(),
            data=data,
            max_steps=1,
            gradient_accumulation_steps=accumulation,
            max_grad_norm=0,
        )
        gradients = Gradients()
        trainer.add_callback(gradients)
        trainer.train()
        found.append((torch.cat([g.flatten() for g in gradients.found]), log.entries[0]))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-6)
    for name in ("loss", "loss/task", "loss/constant"):
        assert found[0][1][name] == pytest.approx(found[1][1][name], rel=1e-5)
    trainer, log = build(tmp_path, R3F(sigma=0.1), model=masked_model(), data=empty, max_steps=2)
    trainer.train()
    assert log.values("loss") == log.values("loss/task") == log.values("loss/r3f") == [0.0, 0.0]


def test_gradients_are_changed_before_clipping_and_updates_are_counted(tmp_path):
    @dataclass(frozen=True)
    class Hundredfold(Method):
        name: ClassVar[str] = "hundredfold"

        def on_gradients(self, step):
            self.memory.setdefault("gradients", []).append(step.index)
            for parameter in step.model.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(100)

        def on_update(self, step):
            self.memory.setdefault("updates", []).append(step.index)

    norms = {}
    for clip in (1.0, 0.0):
        trainer, log = build(
            tmp_path, Hundredfold(), max_grad_norm=clip, gradient_accumulation_steps=2, optim="sgd", max_steps=2
        )
        gradients = Gradients()
        trainer.add_callback(gradients)
        trainer.train()
        norms[clip] = float(torch.cat([g.flatten() for g in gradients.found]).norm())
        assert trainer._holdfast.methods[0].memory == {"gradients": [0, 1], "updates": [0, 1]}
        assert log.values("grad_norm")[0] > 10
    assert norms[1.0] == pytest.approx(1.0, rel=1e-3)
    assert norms[0.0] > 10


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


DDP = """
import json, sys
import torch
sys.path.insert(0, {tests!r})
from test_trainer import Constant, Gradients, build, classifier, rows
from holdfast import DPS, MMR, R3F, R4F, MHLoss
torch.set_num_threads(1)
result = {{}}
for name, methods in (
    ("constant", [Constant()]),
    ("r3f", [R3F(sigma=0.0, weight=3.0)]),
    ("r4f", [R4F(sigma=0.0)]),
    ("dps", [DPS("mix", update_ratio=0.5), R3F(sigma=0.0)]),
    ("mhloss", [MMR(), MHLoss(heads=3)]),
):
    dropout = 0.0 if name == "constant" else 0.1
    trainer, log = build(
        {folder!r}, *methods, model=classifier("bert", dropout=dropout), data=rows(8), ddp_find_unused_parameters=False,
        per_device_train_batch_size={size}, gradient_accumulation_steps={accumulation}, max_steps=2, max_grad_norm=0)
    gradients = Gradients()
    trainer.add_callback(gradients)
    trainer.train()
    result[name] = {{
        "gradient": torch.cat([g.flatten() for g in gradients.found]).tolist()[:400],
        "weights": torch.cat([p.detach().flatten() for p in trainer.model.parameters()]).double().sum().item(),
        "loss": log.values("loss"), "penalty": log.values("loss/" + methods[-1].name),
        "world": trainer.args.world_size}}
json.dump(result, open({folder!r} + "/rank" + str(trainer.args.process_index) + ".json", "w"))
"""


# A process that leaves its group open may be aborted by the threads of gloo as it exits.
LEAVE = """
import torch
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
"""


def rendezvous():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return ["--master-addr", "127.0.0.1", "--master-port", str(free.getsockname()[1])]


def distributed(template, folder, processes, **values):
    """Run a script in one or two processes; return what each wrote to its rank's file in ``folder``."""
    folder.mkdir()
    script = folder / "script.py"
    script.write_text(template.format(tests=str(Path(__file__).parent), folder=str(folder), **values) + LEAVE)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script)]
    if processes > 1:
        command[1:1] = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), *rendezvous()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(processes)]


def test_two_processes_give_the_gradient_of_one(tmp_path):
    """DDP over gloo: task loss and penalty as in one process with the whole batch, ranks in step."""
    (alone,) = distributed(DDP, tmp_path / "one", 1, size=8, accumulation=1)
    ranks = distributed(DDP, tmp_path / "two", 2, size=2, accumulation=2)
    assert [rank["constant"]["world"] for rank in ranks] == [2, 2]
    assert ranks[0]["constant"]["gradient"] == pytest.approx(alone["constant"]["gradient"], abs=1e-5, rel=1e-3)
    assert ranks[0]["constant"]["loss"] == pytest.approx(alone["constant"]["loss"], rel=1e-4)
    assert ranks[0]["constant"]["penalty"] == pytest.approx(alone["constant"]["penalty"], rel=1e-4)
    for name in ("constant", "r3f", "r4f", "dps", "mhloss"):
        assert ranks[0][name]["weights"] == ranks[1][name]["weights"], "the ranks drifted apart"
        assert ranks[0][name]["gradient"] == ranks[1][name]["gradient"]
        assert name == "dps" or min(ranks[0][name]["penalty"]) > 0
