"""Splitting an optimizer's groups by the methods' factors: what stays, what is refused, on Trainer and Engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
import torch
from torch.utils.data import default_collate
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

from holdfast import LLRD, Engine, HoldfastError, LoRA, Method, attach
from holdfast.methods.base import MethodSession, Plan
from holdfast.training.session.param_groups import split_groups
from tiny import batch, classifier, rows


@dataclass(frozen=True)
class Rates(Method):
    """Factors as they are given."""

    name: ClassVar[str] = "rates"
    given: Mapping[str, float] = field(default_factory=dict)

    def start(self, model, plan):
        return RatesSession(self, model, plan)


@dataclass(frozen=True)
class More(Rates):
    name: ClassVar[str] = "more"


class RatesSession(MethodSession[Rates]):
    def lr_multipliers(self):
        return self.method.given


def split(optimizer, model, *methods):
    split_groups(optimizer, model, [method.start(model, Plan(None)) for method in methods])


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))


def adam(parameters, **options):
    return torch.optim.AdamW(parameters, 0.1, **options)


def laid_out(optimizer, model):
    names = {id(p): name for name, p in model.named_parameters()}
    return [([names[id(p)] for p in group["params"]], round(group["lr"], 9)) for group in optimizer.param_groups]


def test_groups_are_split_by_factor_and_keep_all_else():
    model = net()
    weights, biases = [model[0].weight, model[1].weight], [model[0].bias, model[1].bias]
    optimizer = adam([{"params": weights, "weight_decay": 0.3}, {"params": biases, "lr": 0.5, "betas": (0.8, 0.9)}])
    factors = Rates({"0.weight": 0.5, "0.bias": 0.5}), More({"0.weight": 0.5, "1.bias": 0.5})
    split(optimizer, model, *factors)
    assert laid_out(optimizer, model) == [
        (["1.weight"], 0.1),
        (["0.weight"], 0.025),
        (["0.bias", "1.bias"], 0.25),
    ]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.3, 0.01]
    assert [group["betas"] for group in optimizer.param_groups] == [(0.9, 0.999)] * 2 + [(0.8, 0.9)]
    before = laid_out(optimizer, model)
    split(optimizer, model, *factors)
    assert laid_out(optimizer, model) == before, "a second call changes nothing"


def test_names_of_parameters_go_with_them():
    model = net()
    optimizer = adam(model.named_parameters())
    split(optimizer, model, Rates({"0.bias": 0.5}))
    found = [group["param_names"] for group in optimizer.param_groups]
    assert found == [["0.weight", "1.weight", "1.bias"], ["0.bias"]]


def test_a_rate_that_is_a_tensor_is_not_shared():
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), torch.tensor(0.1))
    split(optimizer, model, Rates({"0.bias": 0.5}))
    rates = [group["lr"] for group in optimizer.param_groups]
    assert [round(float(rate), 6) for rate in rates] == [0.1, 0.05]
    assert rates[0] is not rates[1]


def test_what_cannot_be_split_is_refused():
    model = net()
    with pytest.raises(HoldfastError, match="no such parameter"):
        split(adam(model.parameters()), model, Rates({"2.bias": 0.5}))
    with pytest.raises(HoldfastError, match="by -1"):
        split(adam(model.parameters()), model, Rates({"0.bias": -1.0}))
    with pytest.raises(HoldfastError, match="groups of AdamW do not hold the model's weights"):
        split(adam(net().parameters()), model, Rates({"0.bias": 0.5}))
    optimizer = adam(model.parameters())
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    with pytest.raises(HoldfastError, match=r"schedule was made for them before.*scheduler=lambda"):
        split(optimizer, model, Rates({"0.bias": 0.5}))
    split(optimizer, model, Rates({}))
    optimizer.param_groups[0].pop("initial_lr")
    optimizer.param_groups[0]["lr"] = None
    with pytest.raises(HoldfastError, match="AdamW sets its own"):
        split(optimizer, model, Rates({"0.bias": 0.5}))


def test_the_engine_makes_the_schedule_after_the_groups():
    def halving(optimizer):
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)

    model = classifier("bert")
    optimizer = adam(model.parameters())
    with pytest.raises(HoldfastError, match="schedule was made"):
        Engine(model, [LLRD(decay=0.5)], optimizer=optimizer, scheduler=halving(optimizer))
    engine = Engine(model, [LLRD(decay=0.5)], optimizer=adam, scheduler=halving)
    engine.backward(engine.loss(batch()))
    engine.step()
    assert sorted(group["lr"] for group in engine.optimizer.param_groups) == pytest.approx(
        [0.05 * 0.5**depth for depth in (3, 2, 1, 0)]
    )


def test_a_refused_optimizer_leaves_the_model_as_it_was():
    model = classifier("bert")
    keys = list(model.state_dict())
    optimizer = adam(model.parameters())
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    with pytest.raises(HoldfastError):
        Engine(model, [LoRA(rank=2), LLRD()], optimizer=optimizer)
    assert list(model.state_dict()) == keys
    assert all(p.requires_grad for p in model.parameters())


def arguments(folder, **options):
    quiet = {"report_to": "none", "disable_tqdm": True, "use_cpu": True, "save_strategy": "no", "logging_steps": 1}
    return TrainingArguments(
        str(folder), **({"max_steps": 3, "learning_rate": 0.1, "warmup_steps": 1} | quiet | options)
    )


class Watched(TrainerCallback):
    def __init__(self):
        self.rates = []

    def on_step_begin(self, args, state, control, optimizer=None, **kwargs):
        self.rates.append(sorted({round(group["lr"], 9) for group in optimizer.param_groups}, reverse=True))


@pytest.mark.slow
def test_the_trainers_schedule_multiplies_the_factors_also_in_a_second_training(tmp_path):
    seen = Watched()
    trainer = attach(
        Trainer(classifier("bert"), arguments(tmp_path), train_dataset=rows(8), callbacks=[seen]), LLRD(decay=0.5)
    )
    trainer.train()
    # Warm-up over one step, then down to 0 over the two others.
    assert seen.rates == [[0.0], [0.1, 0.05, 0.025, 0.0125], [0.05, 0.025, 0.0125, 0.00625]]
    logged = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    assert logged[1] == 0.1, "the log has the head's rate"
    seen.rates.clear()
    trainer.train()
    assert seen.rates[1] == [0.1, 0.05, 0.025, 0.0125]


@pytest.mark.slow
def test_an_optimizer_of_the_users_own_is_split_on_a_trainer(tmp_path):
    model, hand = classifier("bert"), classifier("bert")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    constant = {"lr_scheduler_type": "constant", "warmup_steps": 0, "max_grad_norm": 0.0, "max_steps": 2}
    constant |= {"per_device_train_batch_size": 4, "train_sampling_strategy": "sequential"}
    trainer = Trainer(model, arguments(tmp_path, **constant), train_dataset=rows(8), optimizers=(optimizer, None))
    set_seed(1)
    attach(trainer, LLRD(decay=0.5)).train()
    factors = LLRD(decay=0.5).start(hand, Plan(None)).lr_multipliers()
    for at in (0, 4):
        hand.zero_grad()
        hand(**default_collate(rows(8)[at : at + 4])).loss.backward()
        with torch.no_grad():
            for name, parameter in hand.named_parameters():
                parameter.sub_(0.1 * factors.get(name, 1.0) * parameter.grad)
    for a, b in zip(model.parameters(), hand.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_a_schedule_of_the_users_own_is_refused_before_training(tmp_path):
    model = classifier("bert")
    optimizer = adam(model.parameters())
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    trainer = Trainer(model, arguments(tmp_path), train_dataset=rows(8), optimizers=(optimizer, schedule))
    with pytest.raises(HoldfastError, match=r"Trainer\(optimizers=\(optimizer, None\)\)"):
        attach(trainer, LLRD())
    trainer.train()
