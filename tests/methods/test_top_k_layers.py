"""Top-k layer tuning: what is trained, and that nothing below costs a backward pass."""

from functools import partial
from itertools import pairwise

import peft
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AlbertConfig, AlbertForSequenceClassification, FlaubertConfig, GPT2LMHeadModel
from transformers import FlaubertForSequenceClassification as Flaubert

import loops
from holdfast import R3F, HoldfastError, TopKLayers
from loops import batches, train
from tiny import CLASSIFIERS, VOCABULARY, batch, classifier

LAYERS = {
    "bert": ("bert.encoder.layer.1.", "bert.pooler."),
    "roberta": ("roberta.encoder.layer.1.",),
    "deberta_v3": ("deberta.encoder.layer.1.",),
    "distilbert": ("distilbert.transformer.layer.1.",),
    "electra": ("electra.encoder.layer.1.",),
    "modernbert": ("model.layers.1.", "model.final_norm."),
    "gpt2": ("transformer.h.1.", "transformer.ln_f."),
    "llama": ("model.layers.1.", "model.norm."),
    "bart": ("model.decoder.layers.0.",),
    "t5": ("transformer.decoder.block.0.", "transformer.decoder.final_layer_norm."),
}


engine = partial(loops.engine, optimizer=loops.adamw(0.05, weight_decay=0.1))


@pytest.mark.parametrize("penalty", [(), (R3F(sigma=0.1),)], ids=["alone", "r3f"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_top_block_what_is_above_and_the_head_move(name, penalty):
    model = classifier(name)
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    trained = engine(model, TopKLayers(k=1), *penalty)
    below = []

    def watch(module, inputs, output):
        below.append(output)

    for key, module in model.base_model.named_modules(prefix=model.base_model_prefix):
        if not f"{key}.".startswith(LAYERS[name]) and type(module) in (torch.nn.Linear, torch.nn.LayerNorm):
            module.register_forward_hook(watch)
    train(trained, batches(2))
    trained.finish()
    body = {f"{model.base_model_prefix}.{part}" for part, _ in model.base_model.named_parameters()}
    moved = {key for key, p in model.named_parameters() if not torch.equal(p, before[key])}
    expected = {key for key in before if key not in body or key.startswith(LAYERS[name])}
    still = {key for key in expected if torch.equal(before[key], model.get_parameter(key))}
    assert moved <= expected
    assert all("key" in key or "k_proj" in key or "relative_attention_bias" in key for key in still), still
    assert all(p.requires_grad for p in model.parameters())
    assert len(below) >= 2 * 2
    assert not any(out.requires_grad for out in below), "something is kept for a backward pass"


class Count(TorchDispatchMode):
    """Counts the matrix products that run in it."""

    def __init__(self):
        super().__init__()
        self.products = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.products += function.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_backward_pass_costs_what_the_trained_blocks_cost(checkpointing):
    """Four blocks, 6 linear layers each: two products a layer, and another forward where it is recomputed."""

    def backward_products(k):
        torch.manual_seed(0)
        config = classifier("bert").config
        config.num_hidden_layers = 4
        model = type(classifier("bert"))(config).train()
        if checkpointing:
            model.activation_checkpointing_enable()
        trained = engine(model, TopKLayers(k=k))
        loss = trained.loss(batch())
        with Count() as count:
            trained.backward(loss)
        trained.step()
        return count.products

    products = [backward_products(k) for k in range(5)]
    a_block = 6 * (3 if checkpointing else 2)
    assert products[0] == 1, "the classifier's weight"
    assert [b - a for a, b in pairwise(products[1:])] == [a_block] * 3
    # Head and pooler; the input of the lowest block, read by its first three layers, needs no gradient of its own
    # unless checkpointing made the embeddings ask for one.
    assert products[1] == 2 + 2 + a_block - (0 if checkpointing else 3)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("name", ["bert", "deberta_v3", "gpt2", "t5", "bart"])
def test_checkpointing_changes_nothing(name, reentrant):
    found = []
    for checkpointing in (False, True):
        model = classifier(name)
        if checkpointing:
            model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": reentrant})
        trained = engine(model, TopKLayers(k=1), R3F(sigma=0.0))
        trained.backward(trained.loss(batch()))
        found.append({key: p.grad for key, p in model.named_parameters() if p.grad is not None})
        trained.finish()
        assert not any(module._forward_pre_hooks for module in model.modules())
    assert found[0].keys() == found[1].keys()
    for key, gradient in found[0].items():
        assert torch.allclose(gradient, found[1][key], atol=1e-5), key


def test_no_block_is_linear_probing():
    assert set(TopKLayers(k=0).check(classifier("bert")).weights) == {"classifier.weight", "classifier.bias"}


def test_all_blocks_still_leave_the_embeddings():
    found = TopKLayers(k=2).check(classifier("bert")).weights
    expected = {name for name, _ in classifier("bert").named_parameters() if "embeddings" not in name}
    assert set(found) == expected


def test_an_adapter_model_trains_the_adapters_of_the_upper_blocks():
    model = peft.inject_adapter_in_model(peft.LoraConfig(target_modules=["query"]), classifier("bert"))
    model.classifier.requires_grad_(True)
    found = set(TopKLayers(k=1).check(model).weights)
    query = "bert.encoder.layer.1.attention.self.query"
    adapters = {f"{query}.lora_A.default.weight", f"{query}.lora_B.default.weight"}
    assert found == adapters | {"classifier.weight", "classifier.bias"}


def test_a_language_model_keeps_its_vocabulary():
    model = GPT2LMHeadModel(classifier("gpt2").config)
    found = set(TopKLayers(k=1).check(model).weights)
    assert found == {name for name, _ in model.named_parameters() if name.startswith(LAYERS["gpt2"])}
    with pytest.raises(HoldfastError, match="nothing of GPT2LMHeadModel would be trained"):
        TopKLayers(k=0).check(model)


def test_shared_weights_are_trained_in_all_places_or_in_none():
    config = AlbertConfig(
        vocab_size=VOCABULARY, embedding_size=16, hidden_size=32, num_attention_heads=2, intermediate_size=48
    )
    found = set(TopKLayers(k=1).check(AlbertForSequenceClassification(config)).weights)
    assert any("albert_layer_groups.0" in name for name in found)
    model = classifier("bert")
    model.bert.encoder.layer[1].output = model.bert.encoder.layer[0].output
    found = set(TopKLayers(k=1).check(model).weights)
    assert not any(".0.output" in name or "1.output" in name for name in found)
    assert "bert.encoder.layer.1.intermediate.dense.weight" in found


def test_mistakes_are_refused():
    with pytest.raises(HoldfastError, match=r"top_k_layers\(k=3\): BertForSequenceClassification has 2 blocks"):
        TopKLayers().check(classifier("bert"))
    with pytest.raises(HoldfastError, match=r"top_k_layers\(k=-1\)"):
        TopKLayers(k=-1)
    with pytest.raises(HoldfastError, match=r"several stacks \(transformer.attentions, transformer.ffns\)"):
        TopKLayers(k=1).check(Flaubert(FlaubertConfig(vocab_size=VOCABULARY, emb_dim=32, n_layers=2, n_heads=2)))
