"""Multiple choice: inputs of (rows, choices, tokens), which the model lays out as rows x choices texts."""

import copy

import pytest
import torch
from test_views import Apart
from transformers import AutoModelForMultipleChoice

from holdfast import R3F, FreeLB, View
from holdfast.methods.parts.model.layers import layer_stacks
from loops import engine
from tiny import PAD, VOCABULARY, classifier

CHOICES = 3
MODELS = ("bert", "roberta", "deberta_v3", "distilbert", "electra", "modernbert")


def chooser(name="bert", dropout=0.0):
    config = classifier(name, dropout=dropout).config
    config.summary_last_dropout = dropout
    return AutoModelForMultipleChoice.from_config(config).train()


def questions(rows=4, tokens=9, seed=0):
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, VOCABULARY, (rows, CHOICES, tokens), generator=g)
    lengths = torch.randint(4, tokens + 1, (rows, CHOICES, 1), generator=g)
    mask = (torch.arange(tokens) < lengths).long()
    labels = torch.randint(0, CHOICES, (rows,), generator=g)
    return {"input_ids": ids * mask + PAD * (1 - mask), "attention_mask": mask, "labels": labels}


def shift(hidden):
    return hidden + torch.linspace(-1, 1, hidden.shape[-1])


def symmetric_kl(a, b):
    p, q = a.log_softmax(-1), b.log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1) + (q.exp() * (q - p)).sum(-1)


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize(("rows", "share"), [(4, 1.0), (2, 1.0), (1, 1.0), (5, 0.5)])
def test_the_penalty_is_that_of_noise_added_by_hand(rows, share, stacked):
    """The noised pass is one on embeddings; no dropout, so that the noise is all that is drawn."""
    model, data = chooser().double(), questions(rows)
    copies = {5: 3}.get(rows, rows)
    task = model(**data)
    embedded = model.get_input_embeddings()(data["input_ids"][:copies])
    torch.manual_seed(3)
    noise = (torch.rand(copies * CHOICES, *embedded.shape[2:]) * 2 - 1) * 0.5
    noised = model(
        inputs_embeds=(embedded.float() + noise.view(embedded.shape)).double(),
        attention_mask=data["attention_mask"][:copies],
    )["logits"]
    apart = symmetric_kl(task["logits"][:copies], noised).mean()
    expected = torch.autograd.grad(task["loss"] + apart, list(model.parameters()), allow_unused=True)
    trained = engine(model, R3F(sigma=0.5, rows=share), stacked=stacked)
    torch.manual_seed(3)
    trained.backward(trained.loss(data))
    assert trained.terms["task"] == pytest.approx(task["loss"].item(), rel=1e-6)
    assert trained.terms["r3f"] == pytest.approx(apart.item(), rel=1e-5)
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        if gradient is not None:
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("where", ["embedding", "bottom", "top"])
@pytest.mark.parametrize("name", MODELS)
def test_a_copy_of_some_rows_is_a_pass_of_its_own(name, where):
    """Whichever place it leaves the clean rows at, which stay as they are."""
    model, data = chooser(name), questions(rows=3)
    blocks = layer_stacks(model, "test")[0]
    layer = {"embedding": None, "bottom": 0, "top": len(blocks) - 1}[where]
    other = copy.deepcopy(model)

    def before(module, args, kwargs):
        return (shift(args[0]), *args[1:]), kwargs

    if layer is None:
        other.get_input_embeddings().register_forward_hook(lambda module, args, output: shift(output))
    else:
        layer_stacks(other, "test")[0][layer][1].register_forward_pre_hook(before, with_kwargs=True)
    plain = model(**data)["logits"]
    alone = other(input_ids=data["input_ids"][:2], attention_mask=data["attention_mask"][:2])["logits"]
    trained = engine(model, Apart(View(shift, layer=layer, share=0.6)))
    trained.loss(data)
    forward = trained.methods[0].notes["forward"][-1]
    torch.testing.assert_close(forward.outputs["logits"], plain, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(forward.views[0]["logits"], alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(alone, plain[:2], atol=1e-4)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_the_same_dropout_is_that_of_all_choices(name, late):
    model, data = chooser(name, dropout=0.3), questions()
    layer = len(layer_stacks(model, "test")[0]) - 1 if late else None
    trained = engine(model, Apart(View(layer=layer, same_dropout=True)))
    trained.loss(data)
    assert trained.terms["apart"] == 0.0
    apart = engine(chooser(name, dropout=0.3), Apart(View(layer=layer)))
    apart.loss(data)
    assert apart.terms["apart"] > 0


def test_an_adversary_moves_every_choice_by_a_length_of_its_own():
    """Two steps of 0.1 along the gradient of each text, of a last batch of two rows."""
    model, data = chooser(), questions(rows=2)
    seen = []
    trained = engine(model, FreeLB(steps=2, step_size=0.1))
    model.get_input_embeddings().register_forward_hook(lambda module, args, output: seen.append(output.detach()))
    trained.loss(data)
    plain = model.get_input_embeddings().weight[data["input_ids"].flatten(0, 1)]
    lengths = [(output - plain).flatten(1).norm(dim=1) for output in seen]
    assert all(length.shape == (2 * CHOICES,) for length in lengths)
    torch.testing.assert_close(max(lengths, key=torch.sum), torch.full((2 * CHOICES,), 0.1), rtol=1e-3, atol=1e-5)
