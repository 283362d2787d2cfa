import copy
import math

import pytest
import torch
from torch.func import functional_call

from holdfast import DPS, Engine, HoldfastError
from holdfast.methods.parts.model.matrices import matrices
from holdfast.methods.parts.rng import own_generator
from tiny import CLASSIFIERS, batch, classifier

LR = 3e-3
# Two classes would give the two rows of the classifier gradients of equal size, and rounding would rank them.
CLASSES = 3


def adamw(parameters, lr=LR):
    return torch.optim.AdamW(parameters, lr, weight_decay=0.1)


def engine_of(method, model=None, total=40, optimizer=adamw, **options):
    model = classifier("bert", dropout=0.1, labels=CLASSES) if model is None else model
    return Engine(model, [method], optimizer=optimizer, total_steps=total, **options)


def train(engine, steps, start=0):
    for index in range(start, start + steps):
        for micro in range(engine.accumulation):
            rows = batch(rows=4, seed=1000 * index + micro, labels=CLASSES)
            engine.backward(engine.loss(rows))
            engine.step()


def values(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def linear_weights(model):
    """Names of the weights of nn.Linear, by hand: what notes section 1.1 lists for BERT."""
    return [f"{name}.weight" for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]


def kth_largest(score, share):
    """The threshold of section 1.3: a full descending sort, the entry at ceil(n (1 - p))."""
    ordered = sorted((float(v) for v in score.flatten()), reverse=True)
    return ordered[math.ceil(len(ordered) * share) - 1]


def dense_oracle(model, steps, length, drop, max_norm=1.0):
    """DPS Dense as section 1.3 writes it: GAM of G*G/1000, a full sort, M = [GAM >= threshold]."""
    optimizer = adamw(model.parameters())
    names, parameters = linear_weights(model), dict(model.named_parameters())
    gam, mask = {}, {}
    for t in range(1, steps + 1):
        model.zero_grad(set_to_none=True)
        model(**batch(rows=4, seed=1000 * (t - 1), labels=CLASSES)).loss.backward()
        stage, first = math.ceil(t / length), (t - 1) % length == 0
        for name in names:
            g = parameters[name].grad
            if stage % 2 == 1:
                gam[name] = g * g / 1000 if first else gam[name] + g * g / 1000
            else:
                if first:
                    mask[name] = (gam[name] >= kth_largest(gam[name], 1 - drop)).float()
                parameters[name].grad = g * mask[name]
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
    return values(model), mask


@pytest.mark.slow
@pytest.mark.parametrize("drop", [0.3, 0.9])
def test_dense_equals_the_oracle_bit_for_bit_over_five_cycles(drop):
    engine = engine_of(DPS(drop=drop, update_ratio=0.1))
    train(engine, 40)
    expected, _ = dense_oracle(classifier("bert", labels=CLASSES), 40, 4, drop)
    assert max(float((expected[n] - v).abs().max()) for n, v in values(engine.model).items()) == 0.0


def mix_oracle(model, steps, length, drop, lr, seed=0):
    """DPS Mix as section 1.4 writes it; the draws come from the same generator, in the order of the layers."""
    optimizer = adamw(model.parameters(), lr)
    names, parameters = linear_weights(model), dict(model.named_parameters())
    generator = own_generator("dps", seed)
    first_weights = {name: parameters[name].detach().clone() for name in names}
    base, gam, fam, mask = dict(first_weights), {}, {}, {}
    for t in range(1, steps + 1):
        stage, first = math.ceil(t / length), (t - 1) % length == 0
        effective = {}
        for name in names:
            w = parameters[name].detach()
            if stage % 2 == 1:
                row = (torch.rand((1, w.shape[1]), generator=generator) >= drop).float()
                mask[name], target = row.expand_as(w), first_weights[name]
            else:
                if first:
                    base[name] = w.clone()
                    f = fam[name].clamp(min=1)
                    score = gam[name] / f * (torch.exp(-f / length) if length >= 50 else 1)
                    mask[name] = (score >= kth_largest(score, 1 - drop)).float()
                target = base[name]
            m = mask[name]
            effective[name] = (((1 - m) * target + m * w - drop * target) / (1 - drop)).requires_grad_()
        model.zero_grad(set_to_none=True)
        functional_call(model, effective, kwargs=batch(rows=4, seed=1000 * (t - 1), labels=CLASSES)).loss.backward()
        for name in names:
            g, m = effective[name].grad, mask[name]
            if stage % 2 == 1:
                gam[name] = g * g * m / 1000 if first else gam[name] + g * g * m / 1000
                fam[name] = m if first else fam[name] + m
            parameters[name].grad = g * m
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return values(model)


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "length"), [(40, 8), (170, 50)])
@pytest.mark.parametrize(("dtype", "lr"), [(torch.float32, 2e-5), (torch.float64, LR)])
def test_mix_equals_the_oracle(steps, length, dtype, lr):
    """Over several cycles, with and without the weight by frequency that stages of 50 steps switch on.

    In float32 at a usual learning rate; at a large one rounding grows with training, so that is float64.
    """
    total = 4 * length
    steps = min(steps, total)
    model = classifier("bert", dropout=0.1, labels=CLASSES).to(dtype)
    method = DPS("mix", update_ratio=0.25)
    engine = engine_of(method, model, total, lambda parameters: adamw(parameters, lr), seed=3)
    train(engine, steps)
    start = values(classifier("bert", labels=CLASSES).to(dtype))
    expected = mix_oracle(classifier("bert", labels=CLASSES).to(dtype), steps, length, 0.3, lr, seed=3)
    for name, value in values(model).items():
        # The gradient of a key's bias is zero but for rounding, of which Adam makes whole steps.
        assert name.endswith("key.bias") or (expected[name] - value).abs().max() <= 1e-6, name
        assert not torch.equal(value, start[name]), name


VARIANTS = [
    DPS(update_ratio=0.25),
    DPS("mix", update_ratio=0.25),
    DPS(update_ratio=0.25, freeze="hard", scope="global"),
    DPS("mix", update_ratio=0.25, freeze="hard"),
    DPS(update_ratio=0.25, scores="adam"),
    DPS("mix", update_ratio=0.25, scores="adam", scope="global"),
]


def masks(engine):
    state = engine.state_dict()["methods"]["dps"]
    return {name: value for name, value in state.items() if name.startswith("kept.")}


@pytest.mark.slow
@pytest.mark.parametrize("method", VARIANTS, ids=repr)
def test_stage_two_trains_exactly_the_chosen_share(method):
    engine = engine_of(method, total=16)
    train(engine, 4)
    found = masks(engine)
    sizes = {f"kept.{name}": value.numel() for name, value in values(engine.model).items()}
    if method.scope == "global":
        total = sum(sizes[name] for name in found)
        assert sum(int(m.sum()) for m in found.values()) == math.ceil(total * (1 - 0.3))
        assert len({float(m.float().mean()) for m in found.values()}) > 3
    else:
        assert {name: int(m.sum()) for name, m in found.items()} == {
            name: math.ceil(sizes[name] * (1 - 0.3)) for name in found
        }
    assert sorted(found) == sorted(f"kept.{name}" for name in linear_weights(engine.model))
    train(engine, 4, start=4)
    assert not masks(engine)


def test_the_share_is_exact_with_stages_of_one_step_and_dead_columns(caplog):
    """Notes 1.7, 3: with stages of one step the published Mix kept everything half of the time."""
    engine = engine_of(DPS("mix", drop=0.6, update_ratio=0.01), total=8)
    for index in range(7):
        train(engine, 1, start=index)
        for name, mask in masks(engine).items():
            assert int(mask.sum()) == math.ceil(mask.numel() * 0.4), name
        assert bool(masks(engine)) == (index % 2 == 0)
    assert caplog.text.count("less than one: stages are 1 step") == 1


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["dense", "mix"])
@pytest.mark.parametrize("scores", ["accumulated", "adam"])
def test_hard_freezing_moves_nothing_and_gradient_freezing_drifts(variant, scores):
    moved = {}
    for freeze in ("hard", "gradient"):
        engine = engine_of(DPS(variant, update_ratio=0.25, freeze=freeze, scores=scores), total=16)
        train(engine, 4)
        before, kept = values(engine.model), masks(engine)
        train(engine, 3, start=4)
        after = values(engine.model)
        moved[freeze] = [(after[n] - before[n]).abs()[~kept[f"kept.{n}"]] for n in linear_weights(engine.model)]
        free = [(after[n] - before[n]).abs()[kept[f"kept.{n}"]] for n in linear_weights(engine.model)]
        assert all(float(part.mean()) > 1e-4 for part in free)
    assert all(float(part.max()) == 0.0 for part in moved["hard"])
    # Momentum and decay go on: of the size of steps, as notes section 1.3 measured.
    assert all(float(part.mean()) > LR / 10 for part in moved["gradient"])


def test_biases_norms_and_embeddings_are_trained_as_ever():
    """In stage II too; with everything else frozen the first step of theirs is that of plain training."""
    plain = Engine(classifier("bert", labels=CLASSES), [], optimizer=adamw, max_grad_norm=None)
    ours = engine_of(DPS(drop=0.99999, update_ratio=0.5), total=4, max_grad_norm=None)
    train(plain, 2), train(ours, 2)
    assert all(torch.equal(a, b) for a, b in zip(plain.model.parameters(), ours.model.parameters(), strict=True))
    train(plain, 1, start=2), train(ours, 1, start=2)
    chosen = set(linear_weights(ours.model))
    for name, value in values(plain.model).items():
        assert torch.equal(value, values(ours.model)[name]) == (name not in chosen), name


@pytest.mark.slow
@pytest.mark.parametrize("method", VARIANTS[:4], ids=repr)
def test_accumulation_gives_the_same_stages_and_masks(method):
    """One batch of 16 rows and four of 4: the boundaries are optimizer steps, the masks equal."""
    found = []
    for accumulation in (1, 4):
        engine = engine_of(method, total=16, accumulation=accumulation)
        seen = []
        for index in range(9):
            rows = batch(rows=16, seed=index, labels=CLASSES)
            for part in range(accumulation):
                size = 16 // accumulation
                engine.backward(engine.loss({k: v[part * size : (part + 1) * size] for k, v in rows.items()}))
                engine.step()
            seen.append(masks(engine))
        found.append(seen)
    for one, four in zip(*found, strict=True):
        assert one.keys() == four.keys()
        # A gradient near the threshold may fall on either side when the sums are rounded in another order.
        assert all((one[name] != four[name]).float().mean() <= 0.01 for name in one)
    assert [bool(seen) for seen in found[0]] == [index % 8 in (3, 4, 5, 6) for index in range(9)]


@pytest.mark.slow
@pytest.mark.parametrize("method", VARIANTS, ids=repr)
def test_a_step_that_is_not_finite_changes_nothing(method):
    clean, hit = engine_of(method, total=16), engine_of(method, total=16)
    for index in range(10):
        train(clean, 1, start=index)
        if index in (0, 2, 5):
            hit.backward(hit.loss(batch(rows=4, seed=99, labels=CLASSES)) * float("inf"))
            assert not hit.step()
        train(hit, 1, start=index)
    assert hit.skipped == 3
    for name, value in values(clean.model).items():
        assert torch.equal(value, values(hit.model)[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("method", VARIANTS, ids=repr)
@pytest.mark.parametrize("stop", [2, 4, 6])
def test_resuming_in_the_middle_of_a_stage(method, stop):
    whole = engine_of(method, total=16)
    train(whole, 11)
    first = engine_of(method, total=16)
    train(first, stop)
    saved = copy.deepcopy((first.model.state_dict(), first.optimizer.state_dict(), first.state_dict()))
    # A fresh process starts from other weights: nothing may be taken for the pre-trained ones.
    second = engine_of(method, classifier("bert", dropout=0.1, seed=5, labels=CLASSES), total=16)
    second.model.load_state_dict(saved[0])
    second.optimizer.load_state_dict(saved[1])
    second.load_state_dict(saved[2])
    train(second, 11 - stop, start=stop)
    for name, value in values(whole.model).items():
        assert torch.equal(value, values(second.model)[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("method", VARIANTS[:2], ids=repr)
@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_activation_checkpointing_changes_nothing(method, name):
    found = []
    for checkpointing in (False, True):
        model = classifier(name, dropout=0.1, labels=CLASSES)
        if checkpointing:
            model.activation_checkpointing_enable()
        engine = engine_of(method, model, total=16)
        train(engine, 9)
        found.append(values(model))
    for key, value in found[0].items():
        assert torch.equal(value, found[1][key]), key


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("variant", ["dense", "mix"])
def test_every_architecture(name, variant):
    """Trained, selected, and left with the classes, dropout and state-dict keys it had."""
    model = classifier(name, dropout=0.1, labels=3)
    before = [type(module) for module in model.modules()], list(model.state_dict())
    chosen = [matrix.name for matrix in matrices(model, "dps")]
    engine = engine_of(DPS(variant, update_ratio=0.25), model, total=8)
    start = values(model)
    for index in range(5):
        engine.backward(engine.loss(batch(rows=3 if index else 2, labels=3, seed=index)))
        engine.step()
        assert list(model.state_dict()) == before[1]
    # DistilBERT, BART and others have no matrix that takes no part in the loss.
    assert not [key for key in chosen if torch.equal(model.get_parameter(key), start[key])]
    model.eval()
    clean = model(**batch(labels=3)).logits
    engine.finish()
    assert torch.equal(model(**batch(labels=3)).logits, clean)
    assert [type(module) for module in model.modules()] == before[0]


@pytest.mark.slow
@pytest.mark.parametrize("method", VARIANTS, ids=repr)
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_stages_keep_their_length_when_the_training_is_extended(method, stop):
    """Resumed with more steps, in either stage: the stages of 2 steps go on, and the mask is never missing."""
    first = engine_of(method, total=8)
    train(first, stop)
    second = engine_of(method, total=16)
    second.model.load_state_dict(first.model.state_dict())
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.load_state_dict(first.state_dict())
    whole = engine_of(method, total=8)
    train(whole, stop)
    for index in range(stop, 14):
        train(second, 1, start=index), train(whole, 1, start=index)
        assert bool(masks(second)) == ((index + 1) // 2 % 2 == 1), "also past the 8 steps that the engine was told"
    for name, value in values(whole.model).items():
        assert torch.equal(value, values(second.model)[name]), name


def test_adam_scores_need_second_moments_and_say_so_at_the_first_step():
    engine = engine_of(DPS(scores="adam"), optimizer=lambda p: torch.optim.SGD(p, 0.1))
    with pytest.raises(HoldfastError, match="second moments, and SGD keeps none: use scores=accumulated"):
        train(engine, 1)


@pytest.mark.parametrize("method", VARIANTS[:4], ids=repr)
def test_a_model_cast_after_it_was_prepared(method):
    """As one that was cast before, but for W0."""
    engine = engine_of(method, total=16)
    engine.model.bfloat16()
    before = values(engine.model)
    train(engine, 9)
    assert engine.skipped == 0
    for name in linear_weights(engine.model):
        assert engine.model.get_parameter(name).isfinite().all()
        assert not torch.equal(engine.model.get_parameter(name), before[name])
