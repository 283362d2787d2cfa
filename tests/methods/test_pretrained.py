"""Which weights are pre-trained, and what all methods that hold on to them share."""

from functools import partial

import pytest
import torch
from transformers import BartForConditionalGeneration

import loops
from holdfast import L2SP, Engine, HoldfastError, PretrainedDecay, RecAdam
from holdfast.methods import check_combination, parse
from holdfast.methods.parts.model.pretrained import Pretrained, add_differences
from loops import adamw, batches, train
from tiny import CLASSIFIERS, bart_config, classifier

PULLS = [L2SP(), L2SP(decoupled=True, biases=True), PretrainedDecay(), RecAdam(k=1.0, t0=2, gamma=5.0)]


engine = partial(loops.engine, optimizer=adamw(eps=1e-4))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_what_the_checkpoint_holds_below_the_head_is_pre_trained(name):
    model = classifier(name, labels=3)
    kept = Pretrained(model, "l2_sp", biases=True)
    body = f"{model.base_model_prefix}."
    named = dict(model.named_parameters())
    assert set(kept.parameters) == {key for key in named if key.startswith(body)}
    assert set(kept.new) == {key for key in named if not key.startswith(body)} != set()
    matrices = Pretrained(model, "l2_sp", biases=False)
    assert not any(key.endswith("bias") for key in matrices.new)
    assert not any(named[key].dim() == 1 for key in [*matrices.parameters, *matrices.new])


def test_all_of_a_generating_model_is_pre_trained():
    model = BartForConditionalGeneration(bart_config(0.0))
    assert Pretrained(model, "l2_sp", True).parameters.keys() == dict(model.named_parameters()).keys()


def test_a_body_that_is_not_trained_cannot_be_held():
    model = classifier("bert")
    model.base_model.requires_grad_(False)
    for method in PULLS:
        with pytest.raises(HoldfastError, match="trains none below its head"):
            engine(model, method)
    with pytest.raises(HoldfastError, match="does not tell them from its head"):
        engine(torch.nn.Linear(2, 2), L2SP())


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_adapters_are_refused():
    peft = pytest.importorskip("peft")
    model = peft.get_peft_model(classifier("bert"), peft.LoraConfig(task_type="SEQ_CLS", target_modules=["query"]))
    for method in [*PULLS, *parse("sift")]:
        with pytest.raises(HoldfastError, match="train without adapters"):
            engine(model, method)


@pytest.mark.parametrize("text", ["l2_sp+sift", "rec_adam+pretrained_decay"])
def test_only_one_method_decides_how_pre_trained_weights_move(text):
    with pytest.raises(HoldfastError, match="both replace the update of the pre-trained weights"):
        check_combination(parse(text))


@pytest.mark.parametrize("method", PULLS, ids=lambda method: method.name)
def test_the_state_is_as_large_as_said(method):
    """Also where the model has no memory; and it is the initial weights, untouched by training."""
    with torch.device("meta"):
        said = method.check(classifier("bert")).state_bytes
    trained = engine(classifier("bert"), method)
    train(trained, batches(3))
    state = trained.state_dict()["methods"][method.name]
    assert said == sum(value.numel() * value.element_size() for value in state.values())
    initial = classifier("bert").state_dict()
    assert all(torch.equal(value, initial[name]) for name, value in state.items())


def test_resuming_does_not_take_half_trained_weights_for_pre_trained_ones():
    first = engine(classifier("bert"), L2SP())
    assert first.state_dict()["methods"]["l2_sp"], "an empty state would pass for a checkpoint without one"
    train(first, batches(2))
    second = engine(classifier("bert", seed=9), L2SP())
    second.model.load_state_dict(first.model.state_dict())
    second.load_state_dict(first.state_dict())
    train(second, batches(1))
    initial = classifier("bert").state_dict()
    state = second.state_dict()["methods"]["l2_sp"]
    assert all(torch.equal(value, initial[name]) for name, value in state.items())


def test_a_layer_that_is_unfrozen_later_is_held_where_it_was():
    model = classifier("bert")
    late = model.bert.encoder.layer[0].output.dense.weight.requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    initial = late.detach().clone()
    trained = Engine(model, [L2SP(alpha=5.0, decoupled=True)], optimizer=optimizer)
    train(trained, batches(2))
    late.requires_grad_(True)
    train(trained, batches(2))
    assert not torch.equal(late, initial)
    name = "bert.encoder.layer.0.output.dense.weight"
    assert torch.equal(trained.state_dict()["methods"]["l2_sp"][name], initial)


def test_differences_are_added_in_pieces_of_any_shape():
    g = torch.Generator().manual_seed(0)
    shapes = [(1500, 1000), (3, 5), (7,), (), (1, 2_000_000), (0, 4)]
    lists = [[torch.randn(shape, generator=g) for shape in shapes] for _ in range(3)]
    lists[0][1] = lists[0][1].T.contiguous().T
    expected = [a + 0.5 * (b - c) for a, b, c in zip(*lists, strict=True)]
    add_differences(*lists, 0.5)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(lists[0], expected, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("method", PULLS, ids=lambda method: method.name)
def test_weights_in_half_precision_are_held_in_theirs(method, dtype):
    trained = engine(classifier("bert").to(dtype), method, optimizer=adamw(1e-3, eps=1e-4))
    train(trained, batches(2))
    assert {value.dtype for value in trained.state_dict()["methods"][method.name].values()} == {dtype}
    assert all(bool(p.isfinite().all()) for p in trained.model.parameters())
