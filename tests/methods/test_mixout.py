import pytest
import torch
from torch import nn

from holdfast import DPS, R3F, R4F, Engine, HoldfastError, Mixout
from holdfast.methods import parse
from holdfast.methods.requires import Part
from loops import batches, sgd, train
from tiny import CLASSIFIERS, batch, classifier


class TwoLayers(nn.Module):
    """y = V relu(W x): small enough to do by hand."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 4, bias=False), nn.Linear(4, 1, bias=False)

    def forward(self, x, labels=None):
        out = self.second(torch.relu(self.first(x)))
        return {"loss": ((out[:, 0] - labels) ** 2).mean(), "logits": out}


def rows(seed=0):
    g = torch.Generator().manual_seed(seed)
    return {"x": torch.randn(5, 6, generator=g), "labels": torch.randn(5, generator=g)}


def columns(engine, layer):
    return engine.state_dict()["methods"]["mixout"][f"columns.{layer}.weight"].float()


@pytest.mark.parametrize("gradient", ["published", "exact"])
def test_forward_and_step_by_hand(gradient):
    """W0 + N / (1 - p) (W - W0) forward; the mixture's gradient times N, or the true gradient, backward."""
    torch.manual_seed(0)
    model = TwoLayers()
    initial = [p.detach().clone() for p in model.parameters()]
    engine = Engine(model, [Mixout(0.4, gradient)], optimizer=sgd(0.5), max_grad_norm=None, seed=1)
    engine.backward(engine.loss(rows()))
    engine.step()
    weights = [p.detach().clone().requires_grad_() for p in model.parameters()]
    drawn = [columns(engine, "first"), columns(engine, "second")]
    assert any(0 < float(n.mean()) < 1 for n in drawn)
    mixed = [w0 + n / 0.6 * (w - w0) for w0, n, w in zip(initial, drawn, weights, strict=True)]
    data = rows(1)
    expected = ((torch.relu(data["x"] @ mixed[0].T) @ mixed[1].T)[:, 0] - data["labels"]).square().mean()
    loss = engine.loss(data)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    expected.backward()
    engine.backward(loss)
    engine.step()
    for parameter, weight in zip(model.parameters(), weights, strict=True):
        # autograd's is the exact one, with the factor 1 / (1 - p).
        step = 0.5 * weight.grad * (1.0 if gradient == "exact" else 0.6)
        assert torch.allclose(parameter, weight - step, atol=1e-6)


def test_evaluation_uses_the_weights_alone_and_training_keeps_their_expectation():
    torch.manual_seed(0)
    model = nn.Linear(50, 8, bias=False)
    model.base_model = None

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = model

        def forward(self, x, labels=None):
            return {"loss": self.layer(x).sum(), "logits": self.layer(x)}

    engine = Engine(Wrapped(), [Mixout(0.7)], optimizer=sgd(0.5))
    with torch.no_grad():
        model.weight.add_(1.0)
    x = torch.randn(3, 50)
    plain = x @ model.weight.T
    mixer = engine.sessions[0].mixer
    drawn = []
    for _ in range(4000):
        drawn.append(model(x))
        mixer.draw()
    spread = torch.stack(drawn).std(0) / 4000**0.5
    assert ((torch.stack(drawn).mean(0) - plain).abs() < 5 * spread).all()
    engine.model.eval()
    assert torch.equal(model(x), plain)


def test_the_share_of_columns_and_one_draw_a_step():
    engine = Engine(classifier("bert"), [Mixout(0.8)], optimizer=sgd(0.5), accumulation=2)
    seen = []
    for index in range(60):
        engine.backward(engine.loss(batch(seed=index)))
        engine.step()
        state = engine.state_dict()["methods"]["mixout"]
        seen.append(torch.cat([v.flatten() for k, v in state.items() if k.startswith("columns.")]))
    assert all(torch.equal(seen[i], seen[i + 1]) == (i % 2 == 1) for i in range(59))
    kept = torch.stack(seen[1::2]).float()
    # Binomial: 30 draws of several hundred columns, five standard errors.
    assert abs(float(kept.mean()) - 0.2) < 5 * (0.2 * 0.8 / kept.numel()) ** 0.5


def test_strength_zero_is_plain_training():
    runs = []
    for methods in ([], [Mixout(0.0)], [DPS("mix", drop=0.0)], [DPS(drop=0.0)]):
        engine = Engine(classifier("bert"), methods, optimizer=sgd(0.5), total_steps=8)
        train(engine, batches(6))
        runs.append(torch.cat([p.detach().flatten() for p in engine.model.parameters()]))
    for run in runs[1:]:
        assert torch.equal(run, runs[0])


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_accumulation_gives_the_gradient_of_the_whole_batch(name):
    found = []
    for accumulation in (1, 2):
        engine = Engine(classifier(name), [Mixout(0.5)], optimizer=sgd(0.5), accumulation=accumulation)
        for index in range(2):
            data = batch(rows=4, seed=index)
            for part in range(accumulation):
                size = 4 // accumulation
                engine.backward(engine.loss({k: v[part * size : (part + 1) * size] for k, v in data.items()}))
                engine.step()
        found.append(torch.cat([p.detach().flatten() for p in engine.model.parameters()]))
    assert torch.allclose(*found, atol=2e-5)


def test_what_cannot_be_mixed_is_refused_or_left_alone():
    with pytest.raises(HoldfastError, match="which computes in its own way"):
        Engine(nn.MultiheadAttention(8, 2), [Mixout()], optimizer=sgd(0.5))
    with pytest.raises(HoldfastError, match="trains none"):
        Engine(nn.Embedding(4, 4), [Mixout()], optimizer=sgd(0.5))
    with pytest.raises(HoldfastError, match="both replace the head"):
        parse("r4f+mixout")
    with pytest.raises(HoldfastError, match="both replace the"):
        parse("dps(variant=mix)+mixout")
    for name in ("dps", "mixout", "child_tuning_d"):
        with pytest.raises(HoldfastError, match=f"sift takes over the gradients of whole matrices that {name} works"):
            parse(f"{name}+sift")
    with pytest.raises(HoldfastError, match="both replace the update of the pre-trained weights"):
        parse("lora+l2_sp")
    for wrong in ("mixout(drop=1)", "mixout(drop=-0.1)", "mixout(dropout=1.5)", "dps(drop=1.0)", "dps(update_ratio=0)"):
        with pytest.raises(HoldfastError, match=r"drop|update_ratio"):
            parse(wrong)
    tied = nn.ModuleDict({"embedding": nn.Embedding(5, 4), "head": nn.Linear(4, 5, bias=False), "x": nn.Linear(4, 4)})
    tied["head"].weight = tied["embedding"].weight
    assert list(Mixout().check(tied).weights) == ["x.weight"]


def test_a_weight_shared_by_layers_is_mixed_once_and_alike():
    torch.manual_seed(0)

    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x, labels=None):
            return {"loss": (self.a(x) - self.b(x)).abs().sum() + self.a(x).sum(), "logits": x}

    engine = Engine(Shared(), [Mixout(0.5)], optimizer=sgd(0.5))
    for seed in range(3):
        engine.backward(engine.loss(rows(seed)))
        assert float((engine.model.a(rows()["x"]) - engine.model.b(rows()["x"])).abs().sum()) == 0.0
        engine.step()
    engine.finish()
    assert type(engine.model.a) is type(engine.model.b) is nn.Linear


@pytest.mark.slow
def test_state_bytes_are_what_is_held():
    """One value a weight for Mixout; DPS holds what notes section 4 counts, at most 5, 1, 9 and 9 bytes."""
    expected = {
        Mixout(): 4,
        DPS(update_ratio=0.25): 4,
        DPS(update_ratio=0.25, freeze="hard"): 5,
        DPS(update_ratio=0.25, scores="adam"): 1,
        DPS("mix", update_ratio=0.25): 9,
        DPS("mix", update_ratio=0.25, scores="adam", freeze="hard"): 9,
    }
    for method, most in expected.items():
        model = classifier("bert")
        footprint = method.check(model)
        weights = sum(w.numel() for w in footprint.weights.values())
        assert footprint.state_bytes == most * weights
        engine = Engine(model, [method], optimizer=torch.optim.AdamW, total_steps=8)
        held = []
        for index in range(8):
            engine.backward(engine.loss(batch(seed=index)))
            engine.step()
            state = engine.state_dict()["methods"][method.name]
            held.append(sum(v.numel() * v.element_size() for k, v in state.items() if v.shape in shapes(footprint)))
        assert max(held) == footprint.state_bytes


def shapes(footprint):
    return {weight.shape for weight in footprint.weights.values()}


def test_together_with_views():
    """All copies of a stacked batch see the same mixture: without dropout and noise they are equal."""
    for name in ("mixout(drop=0.5)", "dps(variant=mix)", "dps"):
        engine = Engine(classifier("bert"), [R3F(sigma=0.0), *parse(name)], optimizer=sgd(0.5), total_steps=8)
        for index in range(5):
            engine.backward(engine.loss(batch(seed=index)))
            assert engine.terms["r3f"] == 0.0
            engine.step()
    assert R4F().requires.replaces & Mixout().requires.replaces == {Part.HEAD}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_a_compiled_model_is_mixed():
    found = []
    for compiled in (False, True):
        torch._dynamo.reset()
        model = classifier("bert")
        call = torch.compile(model, backend="eager") if compiled else model
        engine = Engine(call, [Mixout(0.5)], optimizer=sgd(0.5))
        train(engine, batches(3))
        found.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.allclose(*found, atol=1e-5)


@pytest.mark.parametrize("name", ["mixout", "dps(variant=mix)"])
def test_finish_gives_the_memory_back_and_may_come_twice(name):
    model = classifier("bert")
    engine = Engine(model, parse(name), optimizer=sgd(0.5), total_steps=8)
    engine.finish()
    engine.finish()
    assert type(model.classifier) is nn.Linear
    assert not engine.state_dict()["methods"]
    assert not engine.sessions


def test_a_model_that_another_engine_mixes_is_refused():
    model = classifier("bert")
    first = Engine(model, [Mixout()], optimizer=sgd(0.5))
    with pytest.raises(HoldfastError, match=r"another engine or trainer still replaces .* call its finish\(\) first"):
        Engine(model, [DPS("mix")], optimizer=sgd(0.5), total_steps=8)
    first.finish()
    Engine(model, [DPS("mix")], optimizer=sgd(0.5), total_steps=8)
