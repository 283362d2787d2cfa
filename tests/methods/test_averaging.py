"""The moving average of weights against its formula."""

import pytest
import torch

from holdfast.methods.parts.weight_average import WeightAverage, average_bytes
from tiny import classifier


def shake(model, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)


def test_it_follows_the_formula():
    model = classifier("bert")
    expected = {name: p.detach().double() for name, p in model.named_parameters()}
    average = WeightAverage(model)
    values = average.values
    for seed, decay in enumerate((0.9, 0.5, 0.99)):
        shake(model, seed)
        average.update(decay)
        for name, p in model.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * p.detach().double()
    assert values.keys() == expected.keys()
    for name, value in values.items():
        assert torch.allclose(value.double(), expected[name], atol=1e-6)


def test_half_precision_weights_are_averaged_in_float32():
    """A step of an average by 1e-4 would be lost in bfloat16."""
    model = torch.nn.Linear(2, 1, bias=False).bfloat16()
    torch.nn.init.ones_(model.weight)
    average = WeightAverage(model)
    torch.nn.init.constant_(model.weight, 2.0)
    for _ in range(100):
        average.update(0.999)
    assert average.values["weight"].dtype == torch.bfloat16
    assert average.state_dict()["weight"].dtype == torch.float32
    assert float(average.state_dict()["weight"][0, 0]) == pytest.approx(2 - 0.999**100, rel=1e-5)


def test_weights_join_when_they_are_unfrozen():
    model = classifier("bert")
    table = model.bert.embeddings.word_embeddings.weight.requires_grad_(False)
    average = WeightAverage(model)
    name = "bert.embeddings.word_embeddings.weight"
    assert name not in average.values
    table.requires_grad_(True)
    assert torch.equal(average.values[name], table)


def test_its_state_restores_it_and_is_a_copy():
    model = classifier("bert")
    average = WeightAverage(model)
    shake(model, 0)
    average.update(0.5)
    state = average.state_dict()
    kept = {name: value.clone() for name, value in state.items()}
    restored = WeightAverage(model)
    values = restored.values
    restored.load_state_dict(state)
    for one in (average, restored):
        shake(model, 1)
        one.update(0.5)
    assert all(torch.equal(state[name], kept[name]) for name in kept)
    model.load_state_dict(classifier("bert").state_dict())
    shake(model, 1)
    restored.load_state_dict(kept)
    restored.update(0.5)
    for name, p in model.named_parameters():
        assert torch.allclose(values[name], (kept[name] + p) / 2, atol=1e-6)


def test_its_size_is_told_without_memory():
    with torch.device("meta"):
        model = torch.nn.Linear(3, 5).half()
    assert average_bytes(dict(model.named_parameters())) == 4 * (15 + 5)
