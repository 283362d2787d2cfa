"""Methods that look at the data before they train, and those that act on clipped gradients."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import ClassVar

import pytest
import torch
from ranks import distributed
from torch.utils.data import DataLoader
from trainers import build, rows, same
from transformers import TrainerCallback, set_seed

import loops
from holdfast import ChildTuningD, HoldfastError, Requires, Vanilla
from tiny import batch, classifier


@dataclass(frozen=True)
class Looking(loops.Noted):
    """Sees some batches, as rudely as a method may, and notes what it saw."""

    name: ClassVar[str] = "looking"
    limit: int | None = None
    before: Callable[..., None] = field(default=lambda *_: None, compare=False)

    @property
    def requires(self):
        return Requires(data=True, full_pass=True)

    def start(self, model, plan):
        return LookingSession(self, model, plan)


class LookingSession(loops.NotedSession):
    def __init__(self, method, model, plan):
        super().__init__(method, model, plan)
        self.initial = [p.detach().clone() for p in model.parameters()]

    def calibrate(self, data):
        self.note("calls", 1)
        assert all(torch.equal(a, b) for a, b in zip(self.initial, self.model.parameters(), strict=True))
        self.model.train()
        for given in islice(data.batches(), self.method.limit):
            self.method.before(given)
            loss = data.loss(given)
            loss.backward()
            self.note("seen", (given["input_ids"].clone(), float(loss)))
        torch.rand(17)
        self.model.eval()

    def after_step(self, step):
        self.note("updates", step.index)


def noted(trainer):
    """What the first method of a trainer or an engine noted."""
    return trainer.methods[0].notes if hasattr(trainer, "methods") else trainer._holdfast.given[0].notes


engine = partial(loops.engine, optimizer=loops.adamw())


def loader(seed=None):
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return DataLoader(rows(10), batch_size=4, shuffle=True, generator=generator)


def train(trained, data, epochs=2):
    for _ in range(epochs):
        loops.train(trained, data)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [None, 0, 1, 2])
@pytest.mark.parametrize("own_generator", [False, True])
def test_engine_looking_changes_nothing(own_generator, limit):
    """Dropout and the order of the data go on as in plain fine-tuning, which draws the same numbers."""
    models = []
    for method in (Vanilla(), Looking(limit)):
        torch.manual_seed(3)
        data = loader(11 if own_generator else None)
        trained = engine(classifier("bert", dropout=0.3), method, data=data, accumulation=2)
        torch.manual_seed(7)
        train(trained, data)
        models.append(trained.model)
        if isinstance(method, Looking):
            assert noted(trained)["calls"] == [1]
            assert len(noted(trained).get("seen", ())) == (3 if limit is None else limit)
    assert same(*models)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "options"),
    [
        (None, {}),
        (1, {}),
        (2, {"gradient_accumulation_steps": 2}),
        (None, {"gradient_accumulation_steps": 2}),
        (1, {"data_seed": 3, "dataloader_num_workers": 1}),
    ],
)
def test_trainer_looking_changes_nothing(options, limit, tmp_path):
    """Also with the last, smaller batch, at which accelerate closes the accumulation."""
    options = {"train_sampling_strategy": "random", "max_steps": -1, "num_train_epochs": 2} | options
    trainers = []
    for method in (Vanilla(), Looking(limit)):
        trainer, log = build(tmp_path, method, model=classifier("bert", dropout=0.3), data=rows(10), **options)
        set_seed(5)
        trainer.train()
        trainers.append((trainer, log))
    notes = noted(trainers[1][0])
    assert notes["calls"] == [1]
    assert len(notes.get("seen", ())) == (3 if limit is None else limit)
    assert trainers[0][1].values("loss") == trainers[1][1].values("loss")
    assert same(trainers[0][0].model, trainers[1][0].model)


def test_modules_that_were_in_evaluation_mode_stay_there():
    model = classifier("bert", dropout=0.3)
    model.bert.embeddings.eval()
    modes = [module.training for module in model.modules()]
    train(engine(model, Looking(), data=loader()), [batch()], 1)
    assert [module.training for module in model.modules()] == modes


@pytest.mark.slow
def test_a_pass_shows_every_row_once_with_the_plain_loss(tmp_path):
    data = rows(10)
    trainer, _ = build(tmp_path, Looking(), data=data)
    trainer.train()
    trained = engine(classifier("bert"), Looking(), data=DataLoader(data, batch_size=4))
    train(trained, DataLoader(data, batch_size=4), 1)
    reference = classifier("bert")
    for notes in (noted(trainer), noted(trained)):
        shown = torch.cat([ids for ids, _ in notes["seen"]])
        assert torch.equal(shown, torch.stack([row["input_ids"] for row in data]))
        for given, (_, loss) in zip(DataLoader(data, batch_size=4), notes["seen"], strict=True):
            assert loss == pytest.approx(float(reference(**given).loss), rel=1e-6)


@pytest.mark.slow
def test_label_smoothing_and_accumulation_do_not_scale_the_loss_wrongly(tmp_path):
    trainer, _ = build(tmp_path, Looking(), label_smoothing_factor=0.2, gradient_accumulation_steps=3, data=rows(10))
    trainer.train()
    reference = classifier("bert")
    for given, (_, loss) in zip(DataLoader(rows(10), batch_size=4), noted(trainer)["seen"], strict=True):
        logp = reference(**given).logits.log_softmax(-1)
        nll, uniform = -logp.gather(1, given["labels"][:, None]).mean(), -logp.mean()
        assert loss == pytest.approx(float(0.8 * nll + 0.2 * uniform), rel=1e-5)


@pytest.mark.slow
def test_a_resumed_training_does_not_look_again(tmp_path):
    saving = {"save_strategy": "steps", "save_steps": 2}
    build(tmp_path / "a", Looking(), **saving)[0].train()
    second, _ = build(tmp_path / "b", Looking())
    second.train(resume_from_checkpoint=str(tmp_path / "a" / "checkpoint-2"))
    assert "calls" not in noted(second)
    assert noted(second)["updates"] == [2, 3]

    first = engine(classifier("bert"), Looking(), data=loader())
    train(first, [batch()], 1)
    again = engine(classifier("bert"), Looking(), data=loader())
    again.load_state_dict(first.state_dict())
    train(again, [batch()], 1)
    assert "calls" not in noted(again)


def test_a_state_saved_before_the_first_step_still_has_to_look():
    first = engine(classifier("bert"), ChildTuningD(), data=[batch()])
    again = engine(classifier("bert"), ChildTuningD(), data=[batch()])
    again.load_state_dict(first.state_dict())
    train(again, [batch()], 1)
    train(first, [batch()], 1)
    assert same(first.model, again.model)


@pytest.mark.slow
def test_training_again_looks_again(tmp_path):
    trainer, _ = build(tmp_path, Looking())
    trainer.train()
    first = dict(noted(trainer))
    trainer.train()
    assert noted(trainer)["calls"] == first["calls"] == [1]
    assert len(noted(trainer)["seen"]) == len(first["seen"])


def test_evaluation_alone_looks_at_nothing(tmp_path):
    trainer, _ = build(tmp_path, Looking())
    trainer.evaluate()
    trained = engine(classifier("bert"), Looking(), data=loader())
    with trained.evaluate():
        trained.loss(batch())
    assert "calls" not in noted(trainer) | noted(trained)


@pytest.mark.slow
def test_auto_find_batch_size_looks_with_the_size_it_found(tmp_path):
    """Running out of memory while looking is retried as in training."""

    def run_out(given):
        if len(given["input_ids"]) > 4:
            raise RuntimeError("CUDA out of memory.")

    trainer, _ = build(
        tmp_path, Looking(before=run_out), auto_find_batch_size=True, per_device_train_batch_size=5, max_steps=3
    )
    trainer.train()
    assert {len(ids) for ids, _ in noted(trainer)["seen"]} == {4}
    assert noted(trainer)["updates"] == [0, 1, 2]


def test_an_engine_without_data_is_refused():
    with pytest.raises(HoldfastError, match=r"looking looks at the training data .* pass Engine\(..., data=loader\)"):
        engine(classifier("bert"), Vanilla(), Looking())


@dataclass(frozen=True)
class Watching(loops.Noted):
    """Makes gradients large before clipping, and notes their norm after it."""

    name: ClassVar[str] = "watching"

    @property
    def requires(self):
        return Requires(gradients=True)

    def start(self, model, plan):
        return WatchingSession(self, model, plan)


class WatchingSession(loops.NotedSession):
    def on_gradients(self, step):
        self.note("order", ("whole", step.index))
        for parameter in self.model.parameters():
            parameter.grad.mul_(100)

    def on_clipped_gradients(self, step):
        self.note("order", ("clipped", step.index))
        norm = torch.cat([p.grad.flatten() for p in self.model.parameters()]).norm()
        self.note("norms", float(norm))
        for parameter in self.model.parameters():
            parameter.grad.zero_()


class Read(TrainerCallback):
    """What the optimizer is about to read."""

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.norm = float(torch.cat([p.grad.flatten() for p in model.parameters()]).norm())


@pytest.mark.slow
@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("clip", [1.0, 0.0])
def test_clipped_gradients_are_shown_after_clipping_and_read_by_the_optimizer(clip, accumulation, tmp_path):
    trainer, log = build(
        tmp_path, Watching(), max_grad_norm=clip, gradient_accumulation_steps=accumulation, max_steps=2
    )
    read = Read()
    trainer.add_callback(read)
    trainer.train()
    model = classifier("bert")
    trained = engine(model, Watching(), max_grad_norm=clip or None, accumulation=accumulation)
    trained.optimizer.register_step_pre_hook(
        lambda *_: found.append(max(float(p.grad.abs().max()) for p in model.parameters()))
    )
    found = []
    train(trained, list(DataLoader(rows(16), batch_size=4))[: 2 * accumulation], 1)
    for notes in (noted(trainer), noted(trained)):
        assert notes["order"] == [("whole", 0), ("clipped", 0), ("whole", 1), ("clipped", 1)]
        if clip:
            assert notes["norms"] == pytest.approx([1.0, 1.0], rel=1e-3)
        else:
            assert min(notes["norms"]) > 10
    assert noted(trainer)["norms"] == pytest.approx(noted(trained)["norms"], rel=1e-2)
    assert min(log.values("grad_norm")) > 10, "the log shows the norm before clipping"
    assert read.norm == 0
    assert found == [0.0, 0.0]


def test_fp16_gradients_are_shown_unscaled_and_not_at_all_when_not_finite():
    norms = []
    for scaler in (None, torch.amp.GradScaler("cpu", init_scale=1024.0)):
        trained = engine(classifier("bert"), Watching(), max_grad_norm=None, scaler=scaler)
        train(trained, [batch()], 1)
        norms += noted(trained)["norms"]
        trained.backward(trained.loss(batch()) * float("inf"))
        assert not trained.step()
        assert noted(trained)["order"] == [("whole", 0), ("clipped", 0)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)


DDP = """
import json, sys
import torch
sys.path.insert(0, {tests!r})
from test_measure import Looking, noted, masks_of
from trainers import build, rows
from tiny import classifier
from holdfast import ChildTuningD, ChildTuningF, Vanilla
torch.set_num_threads(1)
result = {{}}
for name, methods in (("looking", [Looking()]), ("vanilla", [Vanilla()]), ("child", [ChildTuningD(), ChildTuningF()])):
    trainer, log = build(
        {folder!r}, *methods, model=classifier("bert", dropout=0.1 * (name != "child")), data=rows(16), max_steps=2,
        ddp_find_unused_parameters=False)
    masks = masks_of(trainer)
    trainer.train()
    result[name] = {{
        "weights": torch.cat([p.detach().flatten() for p in trainer.model.parameters()]).double().sum().item(),
        "rows": [ids.tolist() for ids, _ in (noted(trainer)["seen"] if name == "looking" else ())],
        "loss": log.values("loss"), "masks": masks}}
json.dump(result, open({folder!r} + "/rank" + str(trainer.args.process_index) + ".json", "w"))
"""


def masks_of(trainer):
    """Every entry of the masks that the training makes, filled in while it runs."""
    found = []

    class Note(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            session = trainer._holdfast.sessions[0]
            found[:] = [bit for mask in session.state_dict().values() for bit in mask.flatten().tolist()]

    trainer.add_callback(Note())
    return found


@pytest.mark.slow
def test_two_processes_look_at_a_half_each_and_agree(tmp_path):
    first, second = distributed(DDP, tmp_path / "two", 2)
    halves = [[row for part in rank["looking"]["rows"] for row in part] for rank in (first, second)]
    assert [len(half) for half in halves] == [8, 8]
    assert sorted(halves[0] + halves[1]) == sorted(row["input_ids"].tolist() for row in rows(16))
    for name in ("looking", "vanilla", "child"):
        assert first[name]["weights"] == second[name]["weights"], "the processes drifted apart"
    assert first["looking"]["weights"] == first["vanilla"]["weights"]
    assert first["looking"]["loss"] == first["vanilla"]["loss"]
    assert first["child"]["masks"] == second["child"]["masks"]
    alone, _ = build(tmp_path, ChildTuningD(), data=rows(16), max_steps=1)
    expected = masks_of(alone)
    alone.train()
    # The same batches of four rows, so the same sums of squares but for rounding.
    assert sum(a != b for a, b in zip(first["child"]["masks"], expected, strict=True)) <= 4
