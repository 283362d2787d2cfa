"""Child-Tuning F: the probability, independence and reproducibility of the draws, and what Adam makes of them."""

import math

import pytest
import torch
from scipy import stats

from holdfast import ChildTuningF, Engine, HoldfastError
from holdfast.methods.child_tuning_f import bernoulli
from holdfast.methods.forward import Step
from tiny import CLASSIFIERS, batch, classifier


def drawn(shapes, keep, scale=1.0, seed=0):
    """Ones after a round of draws: zero or ``scale``."""
    gradients = [torch.ones(shape) for shape in shapes]
    generator = torch.Generator().manual_seed(seed)
    buffers = bernoulli.BernoulliBuffers(gradients, torch.device("cpu"))
    bernoulli.keep_at_random_(gradients, keep, scale, buffers, generator)
    return gradients


@pytest.mark.parametrize("keep", [0.0001, 0.1, 0.3, 0.5, 0.77, 0.9999])
def test_entries_are_kept_with_the_probability_asked_for(keep):
    kept = sum(int(part.sum()) for part in drawn([(1500, 1000), (7,), (900, 1100)], keep))
    assert stats.binomtest(kept, 1500 * 1000 + 7 + 900 * 1100, keep).pvalue > 1e-4


def test_all_four_draws_of_a_word_are_fair_and_independent():
    """Also the highest, whose sign bit a draw of non-negative numbers would leave out."""
    table = drawn([(1 << 19, 4)], 0.3)[0]
    cells = (table * torch.tensor([1.0, 2, 4, 8])).sum(1).long().bincount(minlength=16)
    bits = torch.arange(16)[:, None] >> torch.arange(4) & 1
    expected = (0.3**bits * 0.7 ** (1 - bits)).prod(1).double()
    expected *= cells.sum() / expected.sum()
    assert stats.chisquare(cells.numpy(), expected.numpy()).pvalue > 1e-4


def test_neither_rows_nor_steps_nor_pieces_repeat():
    first, second = drawn([(3000, 1000)], 0.5)[0], drawn([(3000, 1000)], 0.5, seed=1)[0]
    limit = 5 / math.sqrt(first.numel())
    for a, b in [(first, second), (first[1:], first[:-1]), (first[:, 1:], first[:, :-1]), (first[1500:], first[:1500])]:
        assert abs(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]) < 2 * limit


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_kept_entries_are_scaled_and_others_are_zero(dtype):
    gradient = torch.randn(40, 30, generator=torch.Generator().manual_seed(0)).to(dtype)
    before = gradient.clone()
    buffers = bernoulli.BernoulliBuffers([gradient], torch.device("cpu"))
    bernoulli.keep_at_random_([gradient], 0.5, 2.0, buffers, torch.Generator().manual_seed(0))
    zero = gradient == 0
    assert 400 < int(zero.sum()) < 800
    assert torch.equal(gradient[~zero], before[~zero] * 2)


def test_every_layout_of_gradients_is_written_in_place(monkeypatch):
    """Scalars, empty ones, transposed ones, and pieces smaller than a row."""
    monkeypatch.setattr(bernoulli, "_PIECE", 64)
    gradients = [torch.ones(()), torch.ones(0, 3), torch.ones(50, 30).T, torch.ones(3, 500), torch.ones(31)]
    buffers = bernoulli.BernoulliBuffers(gradients, torch.device("cpu"))
    bernoulli.keep_at_random_(gradients, 0.5, 2.0, buffers, torch.Generator().manual_seed(3))
    entries = torch.cat([gradient.flatten() for gradient in gradients])
    assert set(entries.tolist()) == {0.0, 2.0}
    assert stats.binomtest(int(entries.count_nonzero()), len(entries), 0.5).pvalue > 1e-4


def test_rows_of_an_embedding_without_gradient_need_no_draws():
    table = torch.zeros(500, 40)
    table[::7] = -1e-30
    buffers = bernoulli.BernoulliBuffers([table], torch.device("cpu"))
    bernoulli.keep_rows_at_random_(table, 0.3, 1.0, buffers, torch.Generator().manual_seed(0))
    assert stats.binomtest(int(table.count_nonzero()), len(table[::7]) * 40, 0.3).pvalue > 1e-4
    assert not table[1::7].any()


def engine(model, method=None, optimizer=lambda p: torch.optim.AdamW(p, 1e-2), **options):
    return Engine(model, [ChildTuningF() if method is None else method], optimizer=optimizer, **options)


def step(trained, seed=0):
    trained.backward(trained.loss(batch(seed=seed, labels=3)))
    return trained.step()


class Recorder(torch.optim.SGD):
    """Keeps what the optimizer read."""

    def step(self, closure=None):
        self.read = {
            id(p): p.grad.clone() for group in self.param_groups for p in group["params"] if p.grad is not None
        }
        return super().step(closure)


@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_parameter_takes_part_after_clipping(name, rescale):
    """What is left equals the clipped gradient over keep; nothing that had a gradient is left alone."""
    model, reference = classifier(name, labels=3), classifier(name, labels=3)
    trained = engine(model, ChildTuningF(0.4, rescale), lambda p: Recorder(p, 0.0), max_grad_norm=0.1)
    plain = engine(reference, ChildTuningF(1.0), lambda p: Recorder(p, 0.0), max_grad_norm=0.1)
    step(trained)
    step(plain)
    scale = 1 / 0.4 if rescale else 1.0
    kept = total = 0
    for (key, a), b in zip(model.named_parameters(), reference.parameters(), strict=True):
        if id(b) not in plain.optimizer.read:
            continue
        found, clipped = trained.optimizer.read[id(a)], plain.optimizer.read[id(b)]
        left = found != 0
        assert torch.allclose(found[left], clipped[left] * scale, rtol=1e-5), key
        moving = int(clipped.count_nonzero())
        assert moving < 30 or left.sum() < moving, key
        kept, total = kept + int(left.sum()), total + moving
    assert stats.binomtest(kept, total, 0.4).pvalue > 1e-4


class Sum(torch.nn.Module):
    """The same gradient of one for every entry at every step."""

    def __init__(self, entries):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(entries))

    def forward(self):
        return self.weight.sum()


def adam_by_hand(gradients, rate, betas=(0.9, 0.999), eps=1e-8):
    """Kingma and Ba 2015, algorithm 1, for one number; where it ends from zero."""
    weight = first = second = 0.0
    for step, gradient in enumerate(gradients, 1):
        first = betas[0] * first + (1 - betas[0]) * gradient
        second = betas[1] * second + (1 - betas[1]) * gradient**2
        weight -= rate * first / (1 - betas[0] ** step) / (math.sqrt(second / (1 - betas[1] ** step)) + eps)
    return weight


def test_under_adam_the_mean_step_is_the_root_of_keep_and_the_scale_cancels():
    steps, rate, keep = 150, 1e-3, 0.3
    ends = []
    for rescale in (True, False):
        model, read = Sum(4000), []
        optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.0)
        optimizer.register_step_pre_hook(lambda *_, model=model, read=read: read.append(model.weight.grad.clone()))
        trained = Engine(model, [ChildTuningF(keep, rescale)], optimizer=optimizer, max_grad_norm=None)
        for _ in range(steps):
            trained.backward(model())
            trained.step()
        read = torch.stack(read)
        assert read.unique().tolist() == pytest.approx([0.0, 1 / keep if rescale else 1.0])
        by_hand = [adam_by_hand(read[:, entry].tolist(), rate) for entry in range(20)]
        assert model.weight[:20].tolist() == pytest.approx(by_hand, rel=1e-4)
        ends.append(model.weight.detach())
    assert torch.allclose(ends[0], ends[1], rtol=1e-4)
    assert -float(ends[0].mean()) / (rate * steps) == pytest.approx(math.sqrt(keep), rel=0.03)


def test_draws_follow_the_seed_and_the_step_alone():
    def masks(seed, steps, disturb=0):
        model = Sum(3000)
        session = Engine(model, [ChildTuningF()], optimizer=torch.optim.SGD, seed=seed).sessions[0]
        found = []
        for index in steps:
            torch.manual_seed(disturb)
            model.weight.grad = torch.ones(3000)
            session.on_clipped_gradients(Step(index, None))
            found.append(model.weight.grad != 0)
        return found

    whole = masks(0, range(4))
    assert all(torch.equal(a, b) for a, b in zip(whole[2:], masks(0, (2, 3), disturb=9), strict=True))
    assert not torch.equal(whole[0], whole[1])
    assert not torch.equal(whole[0], masks(1, (0,))[0])


def test_a_resumed_training_draws_on_though_its_seed_is_another():
    runs = []
    for resumed in (False, True):
        model = classifier("bert", labels=3)
        trained = engine(model, seed=4)
        step(trained, 0)
        if resumed:
            optimizer, state = trained.optimizer, trained.state_dict()
            trained = engine(model, optimizer=optimizer, seed=77)
            trained.load_state_dict(state)
        step(trained, 1)
        runs.append([p.detach().clone() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_the_global_generator_is_left_alone():
    trained = engine(classifier("bert", labels=3))
    before = torch.get_rng_state()
    step(trained)
    assert torch.equal(before, torch.get_rng_state())


def test_keeping_all_is_plain_fine_tuning_bit_for_bit():
    plain, kept = classifier("bert", labels=3), classifier("bert", labels=3)
    for trained in (Engine(plain, optimizer=lambda p: torch.optim.AdamW(p, 1e-2)), engine(kept, ChildTuningF(keep=1))):
        for seed in range(3):
            step(trained, seed)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), kept.parameters(), strict=True))


def test_frozen_weights_and_those_without_gradient_are_left_out():
    model = classifier("bert", labels=3)
    for parameter in model.bert.embeddings.parameters():
        parameter.requires_grad_(False)
    names = ChildTuningF().check(model).weights
    assert not any("embeddings" in name for name in names)
    model.unused = torch.nn.Parameter(torch.ones(5))
    trained = engine(model)
    before = [p.detach().clone() for p in model.bert.embeddings.parameters()]
    assert step(trained)
    assert model.unused.grad is None
    assert all(torch.equal(a, b) for a, b in zip(before, model.bert.embeddings.parameters(), strict=True))


def test_the_memory_is_what_the_footprint_says():
    for kind in ("bert", "gpt2"):
        model = classifier(kind, labels=3)
        trained = engine(model)
        step(trained)
        (buffers,) = trained.sessions[0].buffers.values()
        held = sum(t.untyped_storage().nbytes() for t in (buffers.words, buffers.factors))
        footprint = ChildTuningF().check(classifier(kind, labels=3).to("meta"))
        assert held == footprint.state_bytes
        assert sum(w.numel() for w in footprint.weights.values()) == sum(p.numel() for p in model.parameters())
        trained.finish()
        assert not trained.sessions


def test_large_models_need_no_more_than_a_piece():
    table = torch.nn.Embedding(1 << 16, 1 << 10, device="meta")
    assert ChildTuningF().check(table).state_bytes == 6 << 20


@pytest.mark.parametrize("keep", [0.0, -0.1, 1.1, float("nan")])
def test_impossible_probabilities_are_refused(keep):
    with pytest.raises(HoldfastError, match=r"child_tuning_f\(keep=.*\): keep is a probability"):
        ChildTuningF(keep=keep)


def test_a_probability_that_would_be_rounded_to_zero_is_refused():
    with pytest.raises(HoldfastError, match=r"child_tuning_f\(keep=1e-06\): keep is met to a 65 536th"):
        ChildTuningF(keep=1e-6)
    assert drawn([(1 << 20,)], ChildTuningF(keep=2**-16).keep)[0].any()
