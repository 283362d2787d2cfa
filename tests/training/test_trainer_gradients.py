"""The gradient of an optimizer step, however its rows are cut into micro-batches and processes."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from ranks import distributed
from trainers import Constant, Gradients, build, masked_model, masked_rows, rows

import loops
from holdfast import R3F, Requires
from tiny import classifier


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_gradients_are_changed_before_clipping_and_updates_are_counted(tmp_path):
    @dataclass(frozen=True)
    class Hundredfold(loops.Noted):
        name: ClassVar[str] = "hundredfold"

        @property
        def requires(self):
            return Requires(gradients=True)

        def start(self, model, plan):
            return Session(self, model, plan)

    class Session(loops.NotedSession):
        def on_gradients(self, step):
            self.note("gradients", step.index)
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(100)

        def after_step(self, step):
            self.note("updates", step.index)

    norms = {}
    for clip in (1.0, 0.0):
        trainer, log = build(
            tmp_path, Hundredfold(), max_grad_norm=clip, gradient_accumulation_steps=2, optim="sgd", max_steps=2
        )
        gradients = Gradients()
        trainer.add_callback(gradients)
        trainer.train()
        norms[clip] = float(torch.cat([g.flatten() for g in gradients.found]).norm())
        assert trainer._holdfast.given[0].notes == {"gradients": [0, 1], "updates": [0, 1]}
        assert log.values("grad_norm")[0] > 10
    assert norms[1.0] == pytest.approx(1.0, rel=1e-3)
    assert norms[0.0] > 10


DDP = """
import json, sys
import torch
sys.path.insert(0, {tests!r})
from trainers import Constant, Gradients, build, rows
from tiny import classifier
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


@pytest.mark.slow
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
