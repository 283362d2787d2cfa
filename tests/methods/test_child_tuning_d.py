"""Child-Tuning D: the mask against plain loops over the data, what is frozen, and what is kept."""

import copy
import math

import pytest
import torch

from holdfast import ChildTuningD, Engine, HoldfastError
from holdfast.methods.child_tuning_d import session
from tiny import CLASSIFIERS, batch, classifier

BATCHES = [batch(rows=rows, seed=seed, labels=3) for seed, rows in enumerate((4, 4, 2))]


def engine(model, method=None, optimizer=None, data=BATCHES, **options):
    optimizer = optimizer or (lambda p: torch.optim.AdamW(p, 1e-2, weight_decay=0.1))
    return Engine(model, [ChildTuningD() if method is None else method], optimizer=optimizer, data=data, **options)


def step(trained, data=BATCHES[0]):
    trained.backward(trained.loss(data))
    assert trained.step()


def child(trained):
    step(trained)
    return trained.sessions[0].child


def best(scores, keep):
    """Names of the best entries, (tensor, position), best first, earlier ones first among equals."""
    entries = [(-value, at, i) for at, s in enumerate(scores) for i, value in enumerate(s.flatten().tolist())]
    entries.sort()
    return {(at, i) for _, at, i in entries[: round(keep * len(entries))]}


def chosen(masks):
    return {(at, i) for at, mask in enumerate(masks) for i in mask.flatten().nonzero().flatten().tolist()}


def in_layers(model):
    return {name: p for name, p in model.named_parameters() if ".layer." in name}


@pytest.mark.parametrize("keep", [0.1, 0.3])
def test_the_mask_is_that_of_the_published_loop(keep):
    """The published trainer, in a plain loop: clip each tensor's gradient to norm 1, square, average over batches."""
    model = classifier("bert", labels=3)
    reference = copy.deepcopy(model)
    masks = child(engine(model, ChildTuningD(keep)))
    weights = in_layers(reference)
    fisher = {name: torch.zeros_like(p) for name, p in weights.items()}
    clipped = 0
    for data in BATCHES:
        reference.zero_grad()
        reference(**data).loss.backward()
        for name, p in weights.items():
            clipped += torch.nn.utils.clip_grad_norm_(p, 1.0) > 1
            fisher[name] += p.grad**2 / len(BATCHES)
    assert clipped, "no gradient is large enough to test the clipping"
    assert list(masks) == list(fisher)
    assert chosen(masks.values()) == best(list(fisher.values()), keep)


def test_by_example_it_is_the_formula_of_the_paper():
    """The mean over rows of the squared gradient of log p(label): dropout off, nothing clipped."""
    model = classifier("bert", dropout=0.3, labels=3)
    reference = copy.deepcopy(model).eval()
    masks = child(engine(model, ChildTuningD(fisher="example")))
    assert model.training
    weights = in_layers(reference)
    fisher = [torch.zeros_like(p) for p in weights.values()]
    for data in BATCHES:
        logp = reference(data["input_ids"], data["attention_mask"]).logits.log_softmax(-1)
        for row, label in enumerate(data["labels"]):
            gradients = torch.autograd.grad(logp[row, label], list(weights.values()), retain_graph=True)
            for total, gradient in zip(fisher, gradients, strict=True):
                total += gradient**2 / 10
    # Rows run alone differ from rows of a batch in the last bits.
    assert len(chosen(masks.values()) ^ best(fisher, 0.3)) <= 6


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_layers_and_nothing_else_are_masked(name):
    model = classifier(name, labels=3)
    inside = ChildTuningD().layer_weights(model)
    outside = {key for key, _ in model.named_parameters()} - set(inside)
    assert any(".bias" in key or "norm" in key.lower() for key in inside), "biases and normalisation belong to it"
    words = "embed", "wte", "wpe", "shared", "pooler", "head", "classifier", "score"
    norms = "final", "ln_f", "model.norm.", "encoder.LayerNorm"
    assert all(any(word in key for word in words + norms) for key in outside), outside
    masks = child(engine(model))
    kept, total = sum(int(m.sum()) for m in masks.values()), sum(m.numel() for m in masks.values())
    assert (kept, total) == (round(0.3 * total), sum(p.numel() for p in inside.values()))


def test_gradients_outside_the_child_are_zero_and_the_others_as_clipped():
    read, masks = [], {}
    for methods in ([ChildTuningD()], []):
        model = classifier("bert", labels=3)
        trained = Engine(model, methods, optimizer=torch.optim.AdamW, data=BATCHES, max_grad_norm=0.1)
        trained.optimizer.register_step_pre_hook(
            lambda *_, model=model: read.append({name: p.grad.clone() for name, p in model.named_parameters()})
        )
        step(trained)
        masks |= trained.sessions[0].child if methods else {}
    for name, gradient in read[1].items():
        expected = gradient * masks[name] if name in masks else gradient
        assert torch.equal(read[0][name], expected), name


def test_weight_decay_moves_the_rest_unless_frozen_hard():
    """With gradients of zero Adam's moments stay zero: lr * decay a step is all there is (notes 5.2)."""
    for freeze in ("gradient", "hard"):
        model = classifier("bert", labels=3)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        trained = engine(model, ChildTuningD(freeze=freeze))
        for data in BATCHES * 2:
            step(trained, data)
        for name, mask in trained.sessions[0].child.items():
            p, old = model.get_parameter(name), before[name]
            if freeze == "hard":
                assert torch.equal(p[~mask], old[~mask]), name
            else:
                shrunk = old[~mask] * (1 - 1e-2 * 0.1) ** 6
                assert torch.allclose(p[~mask], shrunk, rtol=1e-5), name
            assert not mask.any() or not torch.equal(p[mask], old[mask]), name


def test_hard_and_gradient_agree_without_decay():
    ends = []
    for freeze in ("gradient", "hard"):
        trained = engine(
            classifier("bert", labels=3),
            ChildTuningD(freeze=freeze),
            lambda p: torch.optim.AdamW(p, 1e-2, weight_decay=0.0),
        )
        for data in BATCHES:
            step(trained, data)
        ends.append(trained.model)
    assert all(torch.equal(a, b) for a, b in zip(ends[0].parameters(), ends[1].parameters(), strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_are_frozen_exactly(dtype):
    model = classifier("bert", labels=3).to(dtype)
    before = copy.deepcopy(model)
    trained = engine(
        model, ChildTuningD(freeze="hard"), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.1)
    )
    for data in BATCHES:
        step(trained, data)
    for name, mask in trained.sessions[0].child.items():
        assert torch.equal(model.get_parameter(name)[~mask], before.get_parameter(name)[~mask])
    assert not torch.equal(model.classifier.weight, before.classifier.weight)


def test_the_mask_follows_the_seed_and_not_the_random_numbers_drawn_before():
    def mask(seed, drawn):
        model = classifier("bert", dropout=0.3, labels=3)
        torch.manual_seed(drawn)
        return torch.cat([m.flatten() for m in child(engine(model, seed=seed)).values()])

    assert torch.equal(mask(0, 1), mask(0, 2))
    assert not torch.equal(mask(0, 1), mask(1, 1)), "dropout is on"


def test_only_so_many_batches_are_looked_at():
    def endless():
        seen.append(len(seen))
        yield BATCHES[len(seen) - 1]
        yield from endless()

    seen = []
    first = child(engine(classifier("bert", labels=3), ChildTuningD(max_batches=2), data=endless()))
    assert seen == [0, 1]
    both = child(engine(classifier("bert", labels=3), data=BATCHES[:2]))
    assert all(torch.equal(first[name], both[name]) for name in both)


def test_a_batch_without_finite_gradient_is_left_out(caplog):
    def values(data):
        return data | {"labels": data["labels"].float()}

    def mask(*data):
        model = classifier("bert", labels=1, problem="regression")
        trained = engine(model, data=data)
        step(trained, values(BATCHES[0]))
        return trained.sessions[0].child

    broken = BATCHES[1] | {"labels": torch.tensor([1.0, float("inf"), 0.0, 1.0])}
    with_broken, without = mask(values(BATCHES[0]), broken), mask(values(BATCHES[0]))
    assert "child_tuning_d: 1 losses left out" in caplog.text
    assert all(torch.equal(with_broken[name], without[name]) for name in without)
    for data in ([], [broken]):
        with pytest.raises(HoldfastError, match="no loss with a finite gradient in the training data"):
            mask(*data)


def test_nothing_but_the_mask_is_left_and_memory_is_as_said(monkeypatch):
    def held(tensors):
        return sum(t.untyped_storage().nbytes() for t in tensors)

    plain = session.top_k_masks
    peaks = []

    def watched(scores, k):
        masks = plain(scores, k)
        peaks.append(held(scores) + held(masks))
        return masks

    monkeypatch.setattr(session, "top_k_masks", watched)
    for freeze in ("gradient", "hard"):
        for dtype in (torch.float32, torch.bfloat16):
            method = ChildTuningD(freeze=freeze)
            model = classifier("bert", labels=3).to(dtype)
            trained = engine(model, method)
            footprint = method.check(classifier("bert", labels=3).to(dtype).to("meta"))
            weights = sum(w.numel() for w in footprint.weights.values())
            masks = child(trained)
            own = trained.sessions[0]
            assert held(masks.values()) == weights
            later = held(masks.values()) + held(own.initial.values())
            assert footprint.state_bytes == max(later, peaks[-1])
            assert vars(own).keys() == {"method", "model", "plan", "child", "initial"}
            assert bool(own.initial) == (freeze == "hard")
            assert all(p.grad is None for p in model.parameters())
            trained.finish()
            assert not trained.sessions


def test_the_state_is_one_byte_a_weight_and_a_resumed_training_goes_on_with_it():
    trained = engine(classifier("bert", labels=3))
    step(trained)
    state = trained.sessions[0].state_dict()
    assert all(mask.dtype == torch.bool for mask in state.values())
    again = engine(copy.deepcopy(trained.model), data=[])
    again.load_state_dict(trained.state_dict())
    step(again)
    assert all(torch.equal(again.sessions[0].child[name], mask) for name, mask in state.items())


def test_a_state_loaded_into_an_engine_that_trained_freezes_the_weights_that_came_with_it():
    trained, other = (engine(classifier("bert", labels=3, seed=seed), ChildTuningD(freeze="hard")) for seed in (0, 1))
    for one in (trained, other):
        step(one)
    other.model.load_state_dict(trained.model.state_dict())
    other.load_state_dict(trained.state_dict())
    before = copy.deepcopy(other.model)
    step(other)
    for name, mask in trained.sessions[0].child.items():
        assert torch.equal(other.model.get_parameter(name)[~mask], before.get_parameter(name)[~mask])


def test_a_state_without_a_mask_is_refused():
    trained = engine(classifier("bert", labels=3))
    trained.sessions[0].load_state_dict({})
    trained._to_calibrate = []
    with pytest.raises(HoldfastError, match="has no mask: the state it was resumed from holds none"):
        step(trained)


def test_frozen_layers_are_left_out_and_a_model_without_any_is_refused():
    model = classifier("bert", labels=3)
    for parameter in model.bert.encoder.layer[0].parameters():
        parameter.requires_grad_(False)
    masks = child(engine(model))
    assert not any("layer.0." in name for name in masks)
    for parameter in model.bert.encoder.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(HoldfastError, match=r"among the weights of the transformer layers, and BertFor.* trains none"):
        engine(model)
    with pytest.raises(HoldfastError, match="child_tuning_d works on the blocks of a transformer"):
        engine(torch.nn.Linear(3, 3))


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing_gives_the_same_mask(reentrant):
    masks = []
    for checkpointing in (False, True):
        model = classifier("bert", labels=3)
        model.enable_input_require_grads()
        if checkpointing:
            model.activation_checkpointing_enable({"use_reentrant": reentrant})
        masks.append(child(engine(model)))
    assert all(torch.equal(masks[0][name], masks[1][name]) for name in masks[0])


def test_regression_gives_a_mask():
    model = classifier("bert", labels=1, problem="regression")
    data = [b | {"labels": b["labels"].float()} for b in BATCHES]
    for fisher in ("batch", "example"):
        trained = engine(model, ChildTuningD(fisher=fisher), data=data)
        step(trained, data[2])
        masks = trained.sessions[0].child
        share = sum(int(m.sum()) for m in masks.values()) / sum(m.numel() for m in masks.values())
        assert math.isclose(share, 0.3, abs_tol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 0.0}, r"child_tuning_d\(keep=0.0\): keep is a share"),
        ({"keep": 1.5}, r"child_tuning_d\(keep=1.5\): keep is a share"),
        ({"max_batches": 0}, r"child_tuning_d\(max_batches=0\): use at least 1"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(HoldfastError, match=message):
        ChildTuningD(**options)
