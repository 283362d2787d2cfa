"""FreeLB against a loop in plain torch over inputs_embeds."""

import copy
from functools import partial

import pytest
import torch
from adversary import TASKS, Passes, difference, flops, run, task, words

import loops
from holdfast import FreeLB, HoldfastError
from holdfast.training.session.footprints import footprints
from tiny import CLASSIFIERS, batch, classifier

engine = partial(loops.engine, optimizer=loops.sgd(0.05, momentum=0.9), max_grad_norm=None)


def train_plainly(model, batches, steps, step_size, init, radius):
    """Zhu et al. 2020, algorithm 1, as the published script writes it."""
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    losses = []
    for seed, data in enumerate(batches):
        torch.manual_seed(seed)
        delta = torch.zeros_like(words(model, data))
        if init:
            mask = data["attention_mask"].flatten(0, -2)
            delta = torch.empty_like(delta).uniform_(-1, 1)
            for row, length in enumerate(mask.sum(1).tolist()):
                delta[row] *= mask[row][:, None] * init / (length * delta.shape[-1]) ** 0.5
        total = 0.0
        for _ in range(steps):
            delta = delta.detach().requires_grad_()
            loss = run(model, data, words(model, data) + delta).loss / steps
            loss.backward()
            total += float(loss)
            moved = []
            for row, g in zip(delta.detach(), delta.grad, strict=True):
                one = row + step_size * g / g.square().sum().sqrt()
                length = one.square().sum().sqrt()
                moved.append(one * radius / length if radius and length > radius else one)
            delta = torch.stack(moved)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total)
    return losses


SETTINGS = [
    {"steps": 1, "init": 0.0},
    {"steps": 1, "init": 1.0},
    {"steps": 2, "init": 0.0},
    {"steps": 3, "init": 2.0},
    {"steps": 3, "init": 2.0, "radius": 0.7},
]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("three classes", s) for s in SETTINGS] + [(kind, SETTINGS[-1]) for kind in TASKS[1:]],
    ids=str,
)
def test_it_trains_as_the_published_loop(kind, settings):
    model, data = task(kind)
    plain = copy.deepcopy(model)
    short = {key: value[:2] for key, value in data.items()}
    batches = [data, short, data]
    settings = {"step_size": 0.5, "radius": 0.0, **settings}
    trained = engine(model, FreeLB(**settings))
    losses = []
    trained.loss(data)  # what the head computes is learned before the seeds are set
    for seed, one in enumerate(batches):
        torch.manual_seed(seed)
        loss = trained.loss(one)
        trained.backward(loss)
        trained.step()
        losses.append(float(loss))
    assert losses == pytest.approx(train_plainly(plain, batches, **settings), rel=1e-5)
    assert difference(model, plain) < 1e-6


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_there_is_one_pass_a_step_and_no_more(steps):
    model, data = classifier("bert", dropout=0.1), batch()
    trained = engine(model, FreeLB(steps=steps))
    trained.loss(data)
    passes = Passes(model)
    trained.backward(trained.loss(data))
    assert len(passes) == steps
    passes.clear()
    with trained.evaluate():
        trained.loss(data)
    assert len(passes) == 1


def test_flops_are_those_of_plain_training_times_the_passes():
    assert flops(FreeLB()) / flops() == pytest.approx(3.0, rel=0.01)


def test_the_perturbation_grows_by_its_step_up_to_the_radius():
    model, data = classifier("bert", dropout=0.1), batch()
    trained = engine(model, FreeLB(steps=4, step_size=0.3, radius=0.5))
    trained.loss(data)
    passes = Passes(model)
    trained.loss(data)
    lengths = [(given - passes[0]).flatten(1).norm(dim=1) for given in passes]
    assert torch.equal(lengths[0], torch.zeros(4))
    assert torch.allclose(lengths[1], torch.full((4,), 0.3), atol=1e-5)
    assert bool((lengths[2] > 0.3).all())
    assert torch.stack(lengths).max() < 0.5 + 1e-5
    assert not (passes[-1] - passes[0])[data["attention_mask"] == 0].any()


def test_all_passes_share_their_dropout():
    """Without a perturbation they are then one and the same."""
    model, data = classifier("bert", dropout=0.5), batch()

    def added(**settings):
        trained = engine(copy.deepcopy(model), FreeLB(steps=3, step_size=0.0, **settings))
        trained.loss(data)
        return trained.terms["freelb"]

    assert abs(added()) < 1e-6
    assert abs(added(same_dropout=False)) > 1e-3


def test_accumulation_gives_the_step_of_the_whole_batch():
    whole = batch(rows=16)
    models = [classifier("bert") for _ in range(2)]
    one, four = (engine(model, FreeLB(), accumulation=n) for model, n in zip(models, (1, 4), strict=True))
    for _ in range(2):
        one.backward(one.loss(whole))
        one.step()
        for start in range(0, 16, 4):
            four.backward(four.loss({key: value[start : start + 4] for key, value in whole.items()}))
            four.step()
    assert difference(*models) < 1e-6


def test_padding_columns_change_nothing():
    data = batch()
    wide = dict(data)
    for key, fill in (("input_ids", 1), ("attention_mask", 0)):
        wide[key] = torch.nn.functional.pad(data[key], (0, 5), value=fill)
    losses = [float(engine(classifier("bert"), FreeLB()).loss(given)) for given in (data, wide)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_it_harms_the_rows_on_every_architecture(name):
    """The loss of the last pass is above that of the first, the unperturbed one."""
    model, data = classifier(name), batch()
    clean = float(model(**data).loss)
    trained = engine(model, FreeLB(steps=2, step_size=0.01))
    trained.backward(trained.loss(data))
    assert trained.terms["task"] > clean
    assert trained.terms["task"] + 2 * trained.terms["freelb"] == pytest.approx(clean, rel=1e-5)


def test_half_precision_finds_the_same_way():
    model, data = classifier("bert"), batch()
    halves = copy.deepcopy(model)
    full = engine(model, FreeLB())
    full.backward(full.loss(data))
    half = engine(halves, FreeLB())
    with torch.autocast("cpu", torch.float16):
        loss = half.loss(data)
    half.backward(loss)
    for a, b in zip(model.parameters(), halves.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=0.02 * float(a.grad.abs().max()) + 1e-4)


def test_frozen_and_unused_weights_are_left_alone():
    model, data = classifier("bert"), batch()
    for parameter in model.bert.embeddings.parameters():
        parameter.requires_grad_(False)
    model.spare = torch.nn.Linear(2, 2)
    trained = engine(model, FreeLB())
    trained.backward(trained.loss(data))
    assert model.spare.weight.grad is None
    assert model.bert.embeddings.word_embeddings.weight.grad is None
    assert model.classifier.weight.grad.any()


def test_a_loss_of_another_kind_is_refused():
    model, data = classifier("bert"), batch()
    inner = model.forward

    def weighted(**inputs):
        out = inner(**inputs)
        out.loss = None if out.loss is None else 1.5 * out.loss + 1
        return out

    model.forward = weighted
    with pytest.raises(HoldfastError, match="freelb needs the model's own loss"):
        engine(model, FreeLB()).loss(data)


def test_a_loss_is_differentiated_once():
    trained = engine(classifier("bert"), FreeLB())
    loss = trained.loss(batch())
    loss.backward(retain_graph=True)
    with pytest.raises(HoldfastError, match="once"):
        loss.backward()


def test_what_it_keeps_is_one_more_gradient():
    (chosen,) = footprints([FreeLB()], classifier("bert"))
    assert chosen.footprint.state_bytes == sum(4 * p.numel() for p in classifier("bert").parameters())


def test_gradient_that_ends_on_its_way_is_told():
    model = classifier("bert")
    model.bert.embeddings.register_forward_hook(lambda module, args, output: output.detach())
    trained = engine(model, FreeLB())
    with pytest.raises(HoldfastError, match="freelb follows the gradient"):
        trained.loss(batch())


@pytest.mark.parametrize("arguments", [{"steps": 0}, {"step_size": -1.0}, {"init": float("nan")}, {"radius": -0.1}])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(HoldfastError, match=next(iter(arguments))):
        FreeLB(**arguments)
