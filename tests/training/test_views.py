"""Copies that leave the clean rows late, share their dropout, have some of the rows, other weights, or are searched."""

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from transformers import AlbertConfig, AlbertForSequenceClassification

import loops
from holdfast import R3F, HoldfastError, Requires, View
from holdfast.methods.forward import Weights
from holdfast.methods.parts.model.layers import layer_stacks
from loops import engine
from tiny import CLASSIFIERS, VOCABULARY, batch, classifier

PADDINGS = [(name, side) for name in CLASSIFIERS for side in ("right", "left") if (name, side) != ("bart", "left")]


@dataclass(frozen=True)
class Apart(loops.Noted):
    """The squared distance of one view's logits from the clean ones, and what was handed over."""

    name: ClassVar[str] = "apart"
    blocks: ClassVar[bool] = False
    view: Any = None

    @property
    def requires(self):
        return Requires(outputs=True, views=True, blocks=self.blocks, whole_weights=False)

    def start(self, model, plan):
        return ApartSession(self, model, plan)


class ApartSession(loops.NotedSession):
    def views(self, step):
        return (self.method.view,)

    def loss(self, forward):
        self.note("forward", forward)
        view = forward.views[0]["logits"]
        return (forward.outputs["logits"][: len(view)] - view).square().sum() / len(view)


@dataclass(frozen=True)
class Blocks(Apart):
    name: ClassVar[str] = "blocks"
    blocks: ClassVar[bool] = True


def shift(hidden):
    return hidden + torch.linspace(-1, 1, hidden.shape[-1])


def top(model):
    return len(layer_stacks(model, "test")[0]) - 1


def told(trained):
    return trained.methods[0].notes["forward"][-1]


def by_hand(model, data, layer):
    """Loss, distance and gradients from two whole forward passes, the second with a hook on the block."""
    model = copy.deepcopy(model)
    plain = model(**data)
    block = layer_stacks(model, "test")[0][layer][1]

    def pre(module, args, kwargs):
        if args:
            return (shift(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": shift(kwargs["hidden_states"])}

    block.register_forward_pre_hook(pre, with_kwargs=True)
    logits = model(**{key: value for key, value in data.items() if key != "labels"})["logits"]
    apart = (plain["logits"] - logits).square().sum() / len(logits)
    (plain["loss"] + apart).backward()
    return plain["loss"].item(), apart.item(), [p.grad for p in model.parameters()]


@pytest.mark.slow
@pytest.mark.parametrize("where", ["bottom", "top"])
@pytest.mark.parametrize(("name", "side"), PADDINGS)
def test_a_late_branch_is_a_whole_pass_with_noise_at_the_block(name, side, where):
    model, data = classifier(name), batch(padding=side)
    layer = 0 if where == "bottom" else top(model)
    task, apart, gradients = by_hand(model, data, layer)
    trained = engine(model, Apart(View(shift, layer=layer)))
    trained.backward(trained.loss(data))
    assert trained.terms["task"] == pytest.approx(task, rel=1e-5)
    assert trained.terms["apart"] == pytest.approx(apart, rel=1e-4)
    for found, expected in zip((p.grad for p in model.parameters()), gradients, strict=True):
        if expected is not None:
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
    trained.finish()
    assert not any("forward" in vars(module) for module in model.modules())


def test_blocks_below_the_branch_run_once():
    model = classifier("bert")
    ran = []
    for index, (_, block) in enumerate(layer_stacks(model, "test")[0]):
        block.attention.register_forward_hook(lambda *_, index=index: ran.append(index))
    trained = engine(model, Apart(View(layer=top(model))))
    trained.loss(batch())
    ran.clear()
    trained.loss(batch())
    assert ran == [*range(top(model) + 1), top(model)]


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_same_dropout_gives_the_same_logits(name, late, checkpointing):
    """And the gradient of a pass with these masks."""
    model = classifier(name, dropout=0.3)
    if checkpointing:
        model.activation_checkpointing_enable()
    data, layer = batch(), top(model) if late else None
    alone = copy.deepcopy(model)
    torch.manual_seed(5)
    expected = alone(**data)
    expected["loss"].backward()
    trained = engine(model, Apart(View(layer=layer, same_dropout=True)))
    trained.loss(data)  # what the head computes is found out at the first batch
    torch.manual_seed(5)
    loss = trained.loss(data)
    trained.backward(loss)
    assert trained.terms["apart"] == 0.0
    assert loss.item() == pytest.approx(expected["loss"].item(), rel=1e-6)
    for found, other in zip(model.parameters(), alone.parameters(), strict=True):
        if other.grad is not None:
            torch.testing.assert_close(found.grad, other.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("late", [False, True])
def test_noise_beside_the_same_dropout_is_new_at_every_batch(late):
    drawn = []

    def noise(hidden):
        drawn.append(torch.rand_like(hidden))
        return hidden

    model = classifier("bert", dropout=0.3)
    masks = []
    model.dropout.register_forward_hook(lambda module, args, output: masks.append(output == 0))
    trained = engine(model, Apart(View(noise, layer=top(model) if late else None, same_dropout=True)))
    for _ in range(2):
        trained.loss(batch())
    assert not torch.equal(*drawn)
    clean, view, next_clean, next_view = masks[-4:]
    assert torch.equal(clean, view)
    assert torch.equal(next_clean, next_view)
    assert not torch.equal(clean, next_clean)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", ["bert", "gpt2", "t5", "deberta_v3", "modernbert"])
def test_a_share_of_the_rows_are_the_first_ones_rounded_up(name, late):
    model, data = classifier(name), batch(rows=5)
    layer = top(model) if late else None
    whole = engine(model, Apart(View(shift, layer=layer)))
    whole.loss(data)
    logits = told(whole).views[0]["logits"]
    whole.finish()
    part = engine(model, Apart(View(shift, layer=layer, share=0.45)))
    part.loss(data)
    assert len(told(part).views[0]["logits"]) == 3
    torch.testing.assert_close(told(part).views[0]["logits"], logits[:3], rtol=1e-4, atol=1e-5)
    assert told(part).outputs["logits"].shape == logits.shape


def test_r3f_on_a_share_of_the_rows_is_the_mean_over_these():
    """By hand from the logits: dropout 0, noise at a layer from the same seed."""
    model, data = classifier("bert", labels=3), batch(rows=6, labels=3)
    trained = engine(model, R3F(sigma=0.5, rows=0.5, weight=2.0))
    torch.manual_seed(0)
    trained.loss(data)
    torch.manual_seed(0)
    noise = (torch.rand(3, data["input_ids"].shape[1], 32) * 2 - 1) * 0.5
    embedded = model.get_input_embeddings()(data["input_ids"])
    clean = model(data["input_ids"], data["attention_mask"])["logits"].double().softmax(-1)[:3]
    noised = model(inputs_embeds=embedded[:3] + noise, attention_mask=data["attention_mask"][:3])["logits"]
    noised = noised.double().softmax(-1)
    expected = 2 * ((clean - noised) * (clean.log() - noised.log())).sum() / 3
    assert trained.terms["r3f"] == pytest.approx(float(expected), rel=1e-4)


def test_other_weights_run_without_dropout_or_gradient():
    model, data = classifier("bert", dropout=0.5), batch()
    other = classifier("bert", dropout=0.5, seed=1)
    trained = engine(model, Apart(View(weights=Weights(dict(other.named_parameters())))))
    trained.loss(data)
    expected = other.eval()(data["input_ids"], data["attention_mask"])["logits"]
    view = told(trained).views[0]["logits"]
    torch.testing.assert_close(view, expected)
    assert not view.requires_grad
    assert told(trained).outputs["logits"].requires_grad
    assert model.training


def test_what_a_search_finds_is_run_and_its_passes_leave_no_gradient():
    model, data = classifier("bert"), batch()
    seen = {}

    def find(probe):
        seen["clean"] = probe.outputs["logits"]
        delta = torch.zeros(())

        def disturbed(embeddings):
            nonlocal delta
            delta = torch.full_like(embeddings, 0.01, requires_grad=True)
            return embeddings.detach() + delta

        loss = (probe(disturbed)["logits"] - seen["clean"].detach()).square().sum()
        (gradient,) = torch.autograd.grad(loss, delta)
        seen["gradient"] = gradient
        assert all(p.grad is None for p in model.parameters())
        return lambda embeddings: embeddings + gradient.sign()

    trained = engine(model, Apart(View(find=find)))
    loss = trained.loss(data)
    embedded = model.get_input_embeddings()(data["input_ids"])
    moved = model(inputs_embeds=embedded + seen["gradient"].sign(), attention_mask=data["attention_mask"])["logits"]
    assert trained.terms["apart"] == pytest.approx(float((moved - seen["clean"]).square().sum() / 4), rel=1e-4)
    trained.backward(loss)
    assert model.get_input_embeddings().weight.grad is not None


@pytest.mark.parametrize("layer", [None, 0, 1])
def test_blocks_are_told_for_both(layer):
    model, data = classifier("bert"), batch()
    trained = engine(model, Blocks(View(shift, layer=layer)))
    trained.loss(data)
    forward = told(trained)
    plain = model(**data, output_hidden_states=True)["hidden_states"]
    for found, expected in zip(forward.blocks, plain[1:], strict=True):
        torch.testing.assert_close(found, expected)
    assert len(forward.view_blocks[0]) == len(forward.blocks)
    same = [torch.equal(a, b) for a, b in zip(forward.blocks, forward.view_blocks[0], strict=True)]
    assert same == [index < (layer or 0) for index in range(len(forward.blocks))]


def test_a_late_branch_beside_stacked_views_takes_the_clean_rows():
    model, data = classifier("bert"), batch()
    _, apart, _ = by_hand(model, data, top(model))
    trained = engine(model, Apart(View(shift, layer=top(model))), R3F(sigma=0.5))
    trained.loss(data)
    assert trained.terms["apart"] == pytest.approx(apart, rel=1e-4)
    assert trained.terms["r3f"] > 0


def test_blocks_that_run_several_times_are_refused():
    config = AlbertConfig(
        vocab_size=VOCABULARY, embedding_size=16, hidden_size=32, num_hidden_layers=3, num_attention_heads=2
    )
    trained = engine(AlbertForSequenceClassification(config).train(), R3F(layers=1))
    with pytest.raises(HoldfastError, match="runs its blocks several times: use a form of the method without layers"):
        trained.loss(batch())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rows": 0.0}, "rows is a share of the batch"),
        ({"rows": 1.5}, "rows is a share of the batch"),
        ({"rows": 0.5, "same_dropout": True}, "masks are drawn for whole batches, use rows=1"),
        ({"layers": 0}, "layers counts blocks from the top, at least 1"),
        ({"layers": 2, "relative": True}, "with layers the noise is added further up"),
        ({"layers": 2, "detach": True}, "with layers the noise is added further up"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(HoldfastError, match=message):
        R3F(**settings)


def test_more_layers_than_there_are_is_refused():
    with pytest.raises(HoldfastError, match=r"r3f\(layers=9\): BertForSequenceClassification has 2 blocks"):
        engine(classifier("bert"), R3F(layers=9))


class Twice(torch.nn.Module):
    """A body of one layer that the model has under two names, a head tied to it, and a name for the embedding."""

    main_input_name = "input_ids"

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(VOCABULARY, 4)
        self.first = self.second = torch.nn.Linear(4, 4)
        self.head = torch.nn.Linear(4, 4)
        self.head.weight = self.first.weight

    def get_input_embeddings(self):
        return self.embedding

    def forward(self, input_ids, labels=None):
        logits = self.head(self.second(self.first(self.embedding(input_ids)).tanh()).tanh()).mean(1)
        return (
            {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}
            if labels is not None
            else {"logits": logits}
        )


def test_other_weights_reach_every_place_and_leave_none():
    model = Twice()
    data = {key: batch()[key] for key in ("input_ids", "labels")}
    parameters = dict(model.named_parameters())
    values = {"first.weight": torch.randn(4, 4), "head.bias": torch.randn(4)}
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.first.weight.copy_(values["first.weight"])
        other.head.bias.copy_(values["head.bias"])
    trained = engine(model, Apart(View(grad=False, weights=Weights(values))))
    trained.loss(data)
    torch.testing.assert_close(told(trained).views[0]["logits"], other(data["input_ids"])["logits"])
    assert all(p is parameters[name] for name, p in model.named_parameters())
