"""LNSR against its penalty computed by hand from two whole passes."""

import copy
import logging

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertForMultipleChoice

from holdfast import R3F, HoldfastError
from holdfast.methods.base import Plan
from holdfast.methods.forward import Forward
from holdfast.methods.lnsr import LNSR, HiddenNoise, LNSRSession
from holdfast.methods.parts.model.layers import layer_stacks
from loops import engine
from tiny import CLASSIFIERS, VOCABULARY, batch, classifier


def penalty(model, data, seed=4, **settings):
    trained = engine(model, LNSR(**settings))
    torch.manual_seed(seed)
    trained.loss(data)
    trained.finish()
    return trained.terms["lnsr"]


def states(model, data, layer, noise):
    """What each block gives in a whole pass with ``noise`` at the input of block ``layer``, and what entered it."""
    blocks = [block for _, block in layer_stacks(model, "test")[0]]
    found, entered, handles = [], [], []

    def enter(module, args, kwargs):
        hidden = args[0] if args else kwargs["hidden_states"]
        entered.append(hidden)
        hidden = hidden if noise is None else hidden + noise
        return ((hidden, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": hidden})

    handles.append(blocks[layer].register_forward_pre_hook(enter, with_kwargs=True))
    for block in blocks:
        handles.append(
            block.register_forward_hook(lambda m, a, out: found.append(out if torch.is_tensor(out) else out[0]))
        )
    output = model(**data)
    for handle in handles:
        handle.remove()
    return found, entered[0], output.loss


def by_hand(model, data, layer, noise, weight):
    """Loss as a graph: each text's squared differences averaged over its real tokens and the width."""
    clean, _, task = states(model, data, layer, None)
    noised, _, _ = states(model, data, layer, noise)
    total = 0.0
    for row, mask in enumerate(data["attention_mask"].bool()):
        for a, b in list(zip(clean, noised, strict=True))[layer:]:
            total = total + (a[row][mask] - b[row][mask]).pow(2).mean()
    return task + weight * total / len(data["labels"]), task


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("name", ["bert", "deberta_v3", "distilbert", "modernbert", "gpt2", "llama"])
def test_loss_and_gradient_are_those_computed_by_hand(name, side, layer):
    model, data = classifier(name), batch(padding=side)
    plain = copy.deepcopy(model)
    drawn = {}

    def remember(hidden):
        drawn["noise"] = 0.1 * torch.randn(hidden.shape)
        return hidden + drawn["noise"]

    class Told(LNSR):
        def start(self, model, plan):
            return ToldSession(self, model, plan)

    class ToldSession(LNSRSession):
        def views(self, step):
            (view,) = super().views(step)
            assert view.same_dropout
            return (type(view)(remember, layer=view.layer, same_dropout=True),)

    trained = engine(model, Told(weight=2.0, layer=layer, sigma=0.1))
    loss = trained.loss(data)
    trained.backward(loss)
    expected, task = by_hand(plain, data, layer, drawn["noise"], 2.0)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    assert float(expected) > float(task) * 1.001
    expected.backward()
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None)
        assert a.grad is None or torch.allclose(a.grad, b.grad, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_penalty_is_quadratic_in_sigma_and_free_of_dropout(name):
    """With dropout of their own the copies would differ at any sigma."""
    model, data = classifier(name, dropout=0.3), batch()
    large, small = penalty(model, data, sigma=1e-2), penalty(model, data, sigma=1e-3)
    assert large > 0
    assert 80 < large / small < 125


@pytest.mark.parametrize("layer", [0, 1])
def test_padding_columns_change_nothing(layer):
    model, data = classifier("bert"), batch()
    wide = dict(data)
    for key, fill in (("input_ids", 1), ("attention_mask", 0)):
        wide[key] = torch.nn.functional.pad(data[key], (0, 6), value=fill)
    fixed = torch.randn(4, 64, 32) * 0.1

    class Fixed(LNSR):
        def start(self, model, plan):
            return FixedSession(self, model, plan)

    class FixedSession(LNSRSession):
        def views(self, step):
            return (type(super().views(step)[0])(shake, layer=layer, same_dropout=True),)

    def shake(hidden):
        return hidden + fixed[:, : hidden.shape[1]]

    def term(given):
        trained = engine(model, Fixed(layer=layer))
        trained.loss(given)
        trained.finish()
        return trained.terms["lnsr"]

    assert term(wide) == pytest.approx(term(data), rel=1e-4)


def test_rows_weigh_the_same_whatever_micro_batch_they_are_in():
    """The weight of a batch of 1 row beside one of 3, as an accumulating Trainer passes it on."""
    model, data = classifier("bert"), batch()
    fixed = torch.randn(4, 10, 32) * 0.1
    whole, _, _ = states(model, data, 0, None)
    shaken, _, _ = states(model, data, 0, fixed)

    def part(rows, of):
        forward = Forward(
            outputs={},
            views=[{}],
            batch={key: value[rows] for key, value in data.items()},
            kind="single_label",
            rows=of,
            blocks=[hidden[rows] for hidden in whole],
            view_blocks=[[hidden[rows] for hidden in shaken]],
        )
        return float(LNSR().start(model, Plan(None)).loss(forward))

    # Two micro-batches are averaged, so that each divides by half the rows of the step.
    parts = (part(slice(0, 1), 2.0) + part(slice(1, 4), 2.0)) / 2
    assert parts == pytest.approx(part(slice(0, 4), 4.0), rel=1e-5)


def test_regression_has_the_same_penalty():
    model = classifier("bert", labels=1, problem="regression")
    other = classifier("bert", labels=1, problem="regression")
    data = batch()
    assert penalty(model, {**data, "labels": torch.rand(4)}) == penalty(other, {**data, "labels": torch.rand(4)}) > 0


def test_relative_noise_is_a_share_of_each_vectors_size():
    hidden = torch.randn(2, 3, 4096) * torch.tensor([1.0, 5.0, 20.0])[:, None]
    noise = HiddenNoise(0.05, relative=True)(hidden) - hidden
    ratio = noise.norm(dim=-1) / hidden.norm(dim=-1)
    assert torch.allclose(ratio, torch.full((2, 3), 0.05), rtol=0.05)
    plain = HiddenNoise(0.05, relative=False)(hidden) - hidden
    assert float(plain.std()) == pytest.approx(0.05, rel=0.02)


def test_choices_are_texts_of_their_own():
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    model = BertForMultipleChoice(config).train()
    ids = torch.randint(5, VOCABULARY, (2, 3, 8))
    data = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.tensor([0, 2])}
    assert 0 < penalty(model, data, sigma=0.1) < 2 * 2 * 0.1**2 * 10


def test_it_goes_with_r3f_and_evaluation_is_clean():
    model, data = classifier("bert", dropout=0.1), batch()
    trained = engine(model, LNSR(), R3F())
    trained.backward(trained.loss(data))
    assert trained.terms.keys() == {"task", "lnsr", "r3f"}
    assert trained.step()
    with trained.evaluate():
        assert float(trained.loss(data)) == float(model(**data).loss)


@pytest.mark.parametrize(("layer", "ratio"), [(0, 2.0), (1, 1.5)])
def test_blocks_below_the_noise_run_once(layer, ratio):
    def operations(*methods):
        trained = engine(classifier("bert"), *methods)
        trained.loss(batch())
        with FlopCounterMode(display=False) as counter:
            trained.backward(trained.loss(batch()))
        return counter.get_total_flops()

    assert operations(LNSR(layer=layer)) / operations() == pytest.approx(ratio, rel=0.02)


def test_nothing_is_run_twice_for_nothing():
    for idle in (LNSR(weight=0.0), LNSR(sigma=0.0)):
        trained = engine(classifier("bert"), idle)
        trained.loss(batch())
        assert trained.terms.keys() == {"task"}


def test_refused(caplog):
    with pytest.raises(HoldfastError, match=r"lnsr\(layer=2\): Bert.* has 2 blocks, so layer is 0 to 1"):
        engine(classifier("bert"), LNSR(layer=2))
    for arguments in ({"sigma": -1.0}, {"weight": float("inf")}, {"layer": -1}):
        with pytest.raises(HoldfastError, match=r"^lnsr\("):
            LNSR(**arguments)
    with caplog.at_level(logging.WARNING):
        LNSR(sigma=1e-4).start(classifier("bert").to(torch.bfloat16), Plan(3))
    assert "lnsr: noise of 1.0e-04 rounds away" in caplog.text
