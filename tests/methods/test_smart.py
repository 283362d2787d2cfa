"""SMART against its formulas in plain torch over inputs_embeds."""

import copy
from functools import partial

import pytest
import torch
from adversary import TASKS, Passes, difference, flops, run, task, words
from transformers import GPT2Config, GPT2LMHeadModel

import loops
from holdfast import SMART, HoldfastError
from holdfast.training.session.footprints import footprints
from tiny import CLASSIFIERS, batch, classifier

engine = partial(loops.engine, optimizer=loops.sgd(0.01, momentum=0.9), max_grad_norm=None)


def apart(kind, a, b, detached=False):
    """The distance of each row, or position, from the definition of KL."""
    if kind == "regression":
        return (a - b).square().squeeze(-1)
    if kind == "independent labels":
        both = [torch.stack([x, torch.zeros_like(x)], -1).log_softmax(-1) for x in (a, b)]
    else:
        both = [a.log_softmax(-1), b.log_softmax(-1)]
    p, q = both
    constant = [x.detach() if detached else x for x in both]
    one = (constant[0].exp() * (constant[0] - q)).sum(-1) + (constant[1].exp() * (constant[1] - p)).sum(-1)
    return one.sum(-1) if kind == "independent labels" else one


def mean(kind, values, data):
    return values[data["labels"] != -100].mean() if kind == "tokens" else values.mean()


def train_plainly(kind, model, batches, method, momenta):
    """Jiang et al. 2020: the inner maximisation, the proximal point and the average, written out."""
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    averaged = copy.deepcopy(model).eval()
    losses = []
    for seed, (data, momentum) in enumerate(zip(batches, momenta, strict=True)):
        torch.manual_seed(seed)
        out = model(**data)
        delta = torch.randn(words(model, data).shape) * method.sigma
        for _ in range(method.steps):
            delta.requires_grad_()
            logits = run(model, data, words(model, data).detach() + delta).logits
            value = apart(kind, out.logits.detach(), logits)
            value = value[data["labels"] != -100] if kind == "tokens" else value
            (gradient,) = torch.autograd.grad(value.sum(), delta)
            moved = []
            for row, g in zip(delta.detach(), gradient, strict=True):
                if method.radius is None:
                    one = row + method.step_size * g
                    moved.append(torch.stack([token / (token.abs().max() + 1e-6) for token in one]))
                else:
                    one = row + method.step_size * g / g.abs().max()
                    moved.append(one.clamp(-method.radius, method.radius))
            delta = torch.stack(moved)
        near = apart(kind, out.logits, run(model, data, words(model, data) + delta).logits, method.gradient != "both")
        with torch.no_grad():
            before = averaged(**data).logits
        loss = out.loss + method.weight * mean(kind, near, data)
        loss = loss + method.proximal * mean(kind, apart(kind, out.logits, before), data)
        loss.backward()
        losses.append(float(loss))
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for a, p in zip(averaged.parameters(), model.parameters(), strict=True):
                a.copy_((1 - momentum) * p + momentum * a)
    return losses


LARGE = {"sigma": 0.1, "step_size": 0.3, "radius": 0.35}
SETTINGS = [
    {"proximal": 0.0},
    {"steps": 2, "proximal": 2.0, "momentum": 0.3, "late_momentum": 0.6},
    {"weight": 0.0, "momentum": 0.0, "late_momentum": 0.0},
    {"gradient": "detached", "weight": 0.5},
    {"gradient": "detached", "radius": None, "steps": 2, "step_size": 1.0},
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "settings"),
    [("three classes", s) for s in SETTINGS] + [(kind, SETTINGS[1]) for kind in TASKS[1:]],
    ids=str,
)
def test_it_trains_as_the_formulas_say(kind, settings):
    model, data = task(kind)
    plain, start = copy.deepcopy(model), copy.deepcopy(model)
    short = {key: value[:2] for key, value in data.items()}
    batches = [data, short, data]
    method = SMART(**{**LARGE, **settings})
    # One update of ten is the first tenth.
    trained = engine(model, method, total_steps=10)
    trained.loss(data)  # what the head computes is learned before the seeds are set
    losses = []
    for seed, one in enumerate(batches):
        torch.manual_seed(seed)
        loss = trained.loss(one)
        trained.backward(loss)
        trained.step()
        losses.append(float(loss))
    momenta = [method.momentum, method.late_momentum, method.late_momentum]
    assert losses == pytest.approx(train_plainly(kind, plain, batches, method, momenta), rel=1e-5)
    assert difference(model, plain) < 1e-6 < 1e-3 < difference(model, start)


@pytest.mark.parametrize(
    ("settings", "passes"),
    [
        ({}, 4),
        ({"proximal": 0.0}, 3),
        ({"proximal": 0.0, "steps": 3}, 5),
        ({"weight": 0.0}, 2),
        ({"weight": 0.0, "proximal": 0.0}, 1),
    ],
)
def test_there_is_no_pass_more_than_asked_for(settings, passes):
    """The clean rows, one a step of the search, the perturbed copy, and the averaged model's."""
    model, data = classifier("bert", dropout=0.1), batch()
    trained = engine(model, SMART(**settings))
    trained.loss(data)
    seen = Passes(model)
    trained.backward(trained.loss(data))
    trained.step()
    assert len(seen) == passes
    assert bool(trained.sessions[0].state_dict()) == bool(SMART(**settings).proximal)
    seen.clear()
    with trained.evaluate():
        trained.loss(data)
    assert len(seen) == 1


@pytest.mark.parametrize(("settings", "ratio"), [({"proximal": 0.0}, 8 / 3), ({}, 3.0), ({"weight": 0.0}, 4 / 3)])
def test_flops_are_those_the_page_promises(settings, ratio):
    assert flops(SMART(**settings)) / flops() == pytest.approx(ratio, rel=0.01)


def deltas(method, **options):
    model, data = classifier("bert", **options), batch()
    trained = engine(model, method)
    trained.loss(data)
    seen = Passes(model)
    with torch.autocast("cpu", torch.float16, enabled=options.get("dropout") is None):
        trained.loss(data)
    return [given - seen[0] for given in seen[1:]]


def test_the_perturbation_takes_its_step_and_stays_in_the_radius():
    start, second, found = deltas(SMART(sigma=1e-3, step_size=0.05, radius=0.08, steps=2, proximal=0.0), dropout=0.1)
    assert float(start.std()) == pytest.approx(1e-3, rel=0.1)
    assert torch.allclose((second - start).abs().amax((1, 2)), torch.full((4,), 0.05), atol=1e-6)
    assert bool((found.abs().amax((1, 2)) > 0.05).all())
    assert float(found.abs().max()) <= 0.08 + 1e-6


def test_the_published_class_has_no_radius():
    _, found = deltas(SMART(radius=None, proximal=0.0), dropout=0.0)
    assert float(found.abs().amax(-1).min()) > 0.5
    assert float(found.abs().max()) < 1 + 1e-5


def test_small_slopes_do_not_vanish_in_half_precision():
    """Every sequence takes its whole step under float16 autocast."""
    start, found = deltas(SMART(sigma=1e-3, step_size=0.05, radius=1.0, proximal=0.0))
    assert torch.allclose((found - start).abs().amax((1, 2)), torch.full((4,), 0.05), atol=1e-6)


def test_no_slope_is_no_harm():
    """A head of zeros predicts the same whatever happens: there is nowhere to go, and no NaN."""
    model, data = classifier("bert"), batch()
    torch.nn.init.zeros_(model.classifier.weight)
    for radius in (1e-5, None):
        trained = engine(copy.deepcopy(model), SMART(radius=radius))
        trained.backward(trained.loss(data))
        assert trained.step()
        assert trained.terms["smart"] == 0.0


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_search_finds_more_than_noise_does(name):
    """Ten times the divergence of noise of the same size, on every architecture."""
    model, data = classifier(name), batch()
    far = {"sigma": 1e-3, "radius": 1e-2, "proximal": 0.0}

    def found(**settings):
        trained = engine(copy.deepcopy(model), SMART(**far, **settings))
        trained.backward(trained.loss(data))
        return trained.terms["smart"]

    assert found(step_size=1e-2) > 10 * found(step_size=0.0) > 0


def test_only_labelled_positions_count_in_language_models():
    """Labels shift by one there: the search sees what the penalty sees."""
    torch.manual_seed(0)
    still = {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=97, n_embd=32, n_layer=1, n_head=2, **still)).train()
    ids = torch.randint(5, 97, (3, 6))
    labels = torch.where(torch.arange(6) == 2, ids, -100)
    trained = engine(model, SMART(sigma=0.1, step_size=0.1, radius=1.0, proximal=0.0))
    trained.loss({"input_ids": ids, "labels": labels})
    seen = Passes(model)
    trained.loss({"input_ids": ids, "labels": labels})
    _, start, found = seen
    # The label at 2 is told at position 1, which sees tokens 0 and 1.
    assert bool((found - start)[:, :2].abs().amax((1, 2)).gt(0.09).all())
    assert not (found - start)[:, 2:].any()


def steady(embeddings, dtype):
    """Noise that follows from the token."""
    return (37 * embeddings).sin().to(dtype)


def test_accumulation_gives_the_step_of_the_whole_batch(monkeypatch):
    monkeypatch.setattr(torch, "randn_like", steady)
    whole = batch(rows=16)
    models = [classifier("bert") for _ in range(2)]
    method = SMART(**LARGE, momentum=0.5)
    one, four = (engine(model, method, accumulation=n) for model, n in zip(models, (1, 4), strict=True))
    for _ in range(3):
        one.backward(one.loss(whole))
        one.step()
        for start in range(0, 16, 4):
            four.backward(four.loss({key: value[start : start + 4] for key, value in whole.items()}))
            four.step()
    assert difference(*models) < 1e-6


def test_padding_columns_change_nothing(monkeypatch):
    monkeypatch.setattr(torch, "randn_like", steady)
    data = batch()
    wide = dict(data)
    for key, fill in (("input_ids", 1), ("attention_mask", 0)):
        wide[key] = torch.nn.functional.pad(data[key], (0, 5), value=fill)
    values = []
    for given in (data, wide):
        trained = engine(classifier("bert"), SMART(**LARGE))
        trained.loss(given)
        values.append(trained.terms["smart"])
    assert values[0] > 0.01
    assert values[0] == pytest.approx(values[1], rel=1e-4)


def test_shared_dropout_leaves_the_perturbation_alone():
    model, data = classifier("bert", dropout=0.5), batch()
    found = []
    for same in (True, False):
        trained = engine(copy.deepcopy(model), SMART(same_dropout=same, proximal=0.0))
        trained.loss(data)
        found.append(trained.terms["smart"])
    assert 0 <= found[0] < 1e-6 < 1e-3 < found[1]


def test_skipped_steps_do_not_move_the_average():
    model, data = classifier("bert"), batch()
    trained = engine(model, SMART(momentum=0.0))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    trained.backward(trained.loss(data) * float("nan"))
    assert not trained.step()
    state = trained.sessions[0].state_dict()
    assert all(torch.equal(state[name], before[name]) for name in before)
    trained.backward(trained.loss(data))
    trained.step()
    state = trained.sessions[0].state_dict()
    assert all(torch.equal(state[name], p) for name, p in model.named_parameters())


def test_what_it_keeps_is_one_more_set_of_weights():
    model = classifier("bert").bfloat16()
    (chosen,) = footprints([SMART()], model)
    assert chosen.footprint.state_bytes == sum(4 * p.numel() for p in model.parameters())
    (chosen,) = footprints([SMART(proximal=0.0)], model)
    assert chosen.footprint.state_bytes == 0


def test_a_perturbation_that_rounds_away_is_told(caplog):
    engine(classifier("bert").bfloat16(), SMART()).finish()
    assert "rounds away in bfloat16" in caplog.text
    caplog.clear()
    engine(classifier("bert"), SMART()).finish()
    assert not caplog.text


def test_gradient_that_ends_on_its_way_is_told():
    model = classifier("bert")
    model.bert.embeddings.register_forward_hook(lambda module, args, output: output.detach())
    trained = engine(model, SMART())
    with pytest.raises(HoldfastError, match="smart follows the gradient"):
        trained.loss(batch())


@pytest.mark.parametrize(
    "arguments",
    [{"weight": -1.0}, {"radius": float("inf")}, {"steps": 0}, {"gradient": "none"}, {"momentum": 1.0}],
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(HoldfastError, match=next(iter(arguments))):
        SMART(**arguments)
