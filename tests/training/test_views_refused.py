"""Models and settings on which copies that leave the clean rows late, or are searched, cannot be right."""

import copy
import functools

import pytest
import torch
from test_views import Apart, by_hand, engine, shift
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import (
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    FunnelConfig,
    FunnelForSequenceClassification,
    XLMConfig,
    XLMForSequenceClassification,
)

from holdfast import LNSR, R3F, SMART, FreeLB, HoldfastError, HyPe, View
from holdfast.methods.forward import Weights
from holdfast.methods.parts.model.layers import layer_stacks
from tiny import VOCABULARY, batch, classifier


def test_what_stands_between_two_blocks_belongs_to_the_clean_rows():
    """DeBERTa of the second version can have a convolution after its lowest block."""
    torch.manual_seed(0)
    config = DebertaV2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=48,
        initializer_range=0.2,
        relative_attention=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        conv_kernel_size=3,
        conv_act="gelu",
        **dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob", "pooler_dropout", "cls_dropout"), 0.0),
    )
    model = DebertaV2ForSequenceClassification(config).train()
    _, apart, gradients = by_hand(model, batch(), 1)
    trained = engine(model, Apart(View(shift, layer=1)))
    trained.backward(trained.loss(batch()))
    assert trained.terms["apart"] == pytest.approx(apart, rel=1e-4)
    for found, expected in zip((p.grad for p in model.parameters()), gradients, strict=True):
        if expected is not None:
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def xlm():
    return XLMForSequenceClassification(XLMConfig(vocab_size=VOCABULARY, emb_dim=32, n_layers=2, n_heads=2))


def funnel():
    sizes = {"d_model": 32, "n_head": 2, "d_head": 16, "d_inner": 48}
    return FunnelForSequenceClassification(FunnelConfig(vocab_size=VOCABULARY, block_sizes=[1, 1], **sizes))


@pytest.mark.parametrize("method", [R3F(layers=1), LNSR(), HyPe()], ids=lambda method: method.name)
@pytest.mark.parametrize(
    ("build", "message"), [(xlm, "cannot tell which blocks of XLM"), (funnel, "keeps lists of them in funnel.encoder")]
)
def test_models_whose_blocks_do_not_follow_one_another_are_refused(build, message, method):
    model = build()
    with pytest.raises(HoldfastError, match=message):
        engine(model, method)
    assert not any("forward" in vars(module) or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_late_branch_has_its_noise_again_when_blocks_are_checkpointed(reentrant):
    found = []
    for checkpointing in (False, True):
        model = classifier("bert", dropout=0.3)
        if checkpointing:
            model.activation_checkpointing_enable({"use_reentrant": reentrant})
        trained = engine(model, R3F(layers=1, sigma=0.5))
        trained.loss(batch())
        torch.manual_seed(5)
        trained.backward(trained.loss(batch()))
        found.append([p.grad for p in model.parameters()])
    for plain, checkpointed in zip(*found, strict=True):
        torch.testing.assert_close(checkpointed, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_around_whole_blocks_are_refused(reentrant):
    """As earlier releases of Transformers set them: the blocks would run in the backward pass without the noise."""

    def outer(block):
        def call(self, *args, **kwargs):
            run = functools.partial(nn.Module.__call__, self, **kwargs)
            return checkpoint(run, *args, use_reentrant=reentrant)

        block.__class__ = type("Outer", (type(block),), {"__call__": call})

    model = classifier("bert", dropout=0.3)
    for _, block in layer_stacks(model, "test")[0]:
        outer(block)
    trained = engine(model, R3F(layers=1, sigma=0.5))
    loss = trained.loss(batch())
    with pytest.raises(HoldfastError, match=r"r3f follows the blocks of Bert.*checkpoints.*around whole blocks"):
        trained.backward(loss)
    trained.finish()
    model(**batch())["loss"].backward()


@pytest.mark.parametrize("method", [FreeLB(), SMART()], ids=lambda method: method.name)
def test_searches_are_refused_under_reentrant_checkpoints(method):
    model = classifier("bert")
    model.activation_checkpointing_enable({"use_reentrant": True})
    with pytest.raises(HoldfastError, match=rf'^{method.name} takes gradients before.*"use_reentrant": False}}$'):
        engine(model, method).loss(batch())


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (View(shift, share=0.0), "share=0.0: it is a part of the rows"),
        (View(shift, share=1.5), "share=1.5: it is a part of the rows"),
        (View(shift, share=float("nan")), "share=nan: it is a part of the rows"),
        (View(shift, share=0.5, same_dropout=True), "masks are drawn for all rows, use share=1"),
        (View(shift, layer=2), "layer=2, and BertForSequenceClassification has 2 blocks: give 0, the lowest, to 1"),
        (View(shift, layer=-1), "layer=-1, and Bert"),
        (View(shift, find=lambda probe: shift), "use one of the two"),
        (View(weights=Weights({}), layer=1), "such a copy runs whole and without dropout"),
        (View(weights=Weights({}), same_dropout=True), "such a copy runs whole and without dropout"),
    ],
)
@pytest.mark.parametrize("stacked", [True, False])
def test_views_that_cannot_be_are_refused(view, message, stacked):
    model = classifier("bert", dropout=0.1)
    plain = copy.deepcopy(model)
    trained = engine(model, Apart(view), stacked=stacked)
    with pytest.raises(HoldfastError, match=rf"^apart asks for a View with .*{message}"):
        trained.loss(batch())
    trained.finish()
    assert not any("forward" in vars(module) for module in model.modules())
    torch.testing.assert_close(model.eval()(**batch())["logits"], plain.eval()(**batch())["logits"])


def test_a_search_with_dropout_that_the_clean_rows_did_not_share_is_refused():
    def find(probe):
        probe(shift, same_dropout=True)
        return shift

    trained = engine(classifier("bert", dropout=0.1), Apart(View(find=find)))
    with pytest.raises(HoldfastError, match="give that View same_dropout=True"):
        trained.loss(batch())
