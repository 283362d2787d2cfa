"""The core of the monitor, in a loop of one's own."""

import copy
import logging

import pytest
import torch
from torch import nn

from holdfast import R3F, Engine
from holdfast.collapse import Monitor, linear_cka
from holdfast.errors import HoldfastError
from holdfast.training.models.hidden_states import layer_states
from holdfast.training.models.weight_distance import body_distance
from tiny import VOCABULARY, batch, classifier


def test_a_hand_written_loop_looks_when_it_likes():
    """In parts or in one, under autocast, with gradients waiting and a part in evaluation mode: nothing is touched."""
    model = classifier("bert", dropout=0.1)
    start = copy.deepcopy(model)
    data = batch(rows=12, seed=9)
    monitor = Monitor(model, [{key: value[at : at + 5] for key, value in data.items()} for at in (0, 5, 10)])
    engine = Engine(model, [R3F()], optimizer=torch.optim.AdamW(model.parameters(), 1e-2))
    model.bert.embeddings.eval()
    engine.backward(engine.loss(batch()))
    assert monitor.look() == monitor.start
    engine.step()
    engine.backward(engine.loss(batch()))
    modes = [module.training for module in model.modules()]
    gradients = [p.grad.clone() for p in model.parameters()]
    look = monitor.look(1)
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert [module.training for module in model.modules()] == modes
    after, before = (layer_states(one, [data])[-1] for one in (model, start))
    assert look.step == 1
    assert look.cka == pytest.approx(linear_cka(after, before), rel=1e-4)
    assert look.distance == pytest.approx(body_distance(model, start), rel=1e-5)


def test_a_look_under_autocast_leaves_the_next_forward_its_gradients():
    """Autocast keeps the weights that it casts, without gradient too."""
    model = classifier("bert")
    monitor = Monitor(model, batch(rows=6), distance=False)
    with torch.autocast("cpu", torch.bfloat16):
        monitor.look()
        model(**batch()).loss.backward()
    assert all(p.grad is not None for p in model.bert.encoder.parameters())


def test_a_model_that_has_not_moved_is_not_run_again():
    model, forwards = classifier("bert"), []
    monitor = Monitor(model, batch(rows=6), layers="all")
    model.register_forward_hook(lambda *arguments: forwards.append(1))
    with torch.no_grad():
        model.classifier.weight += 1
        assert monitor.look(3) == monitor.start.model_copy(update={"step": 3})
        assert not forwards
        model.bert.pooler.dense.weight += 1
        moved = monitor.look(4)
    assert forwards
    assert moved.distance > 0
    assert [layer.cka for layer in moved.layers] == pytest.approx([1, 1, 1])


def test_a_vocabulary_that_grew_leaves_no_distance(caplog):
    model = classifier("bert")
    monitor = Monitor(model, batch(rows=6))
    model.resize_token_embeddings(VOCABULARY + 3)
    with caplog.at_level(logging.WARNING):
        assert monitor.look().distance is None
    assert any("other weights than when the monitor was made" in line for line in caplog.messages)


# What is refused


class NoStates(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, input_ids):
        return self.layer(input_ids)


def test_what_cannot_be_looked_at_is_refused():
    model = classifier("bert")
    with pytest.raises(HoldfastError, match="NoStates cannot return hidden states"):
        Monitor(NoStates(), {"input_ids": torch.ones(4, 3)})
    with pytest.raises(HoldfastError, match="3 rows"):
        Monitor(model, batch(rows=3))
    with pytest.raises(HoldfastError, match="0 rows"):
        Monitor(model, [])
    with pytest.raises(HoldfastError, match="same for all 6 rows"):
        Monitor(model, {key: value[:1].repeat(6, *[1] * (value.ndim - 1)) for key, value in batch().items()})
    with pytest.raises(HoldfastError, match="layers='first'"):
        Monitor(model, batch(), layers="first")
