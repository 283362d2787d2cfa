"""How far a body moved, against sums by hand."""

import logging

import pytest
import torch
from transformers import T5ForConditionalGeneration

from holdfast.training.models.weight_distance import body_distance
from tiny import classifier, t5_config


def test_only_the_body_counts():
    start, moved = classifier("roberta"), classifier("roberta")
    with torch.no_grad():
        moved.classifier.dense.weight += 1
        assert body_distance(moved, start) == 0
        moved.roberta.encoder.layer[0].output.dense.bias[:2] += torch.tensor([3.0, 4.0])
    assert body_distance(moved, start) == pytest.approx(5.0, rel=1e-6)


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_a_weight_with_several_names_counts_once(name):
    start, moved = classifier(name), classifier(name)
    with torch.no_grad():
        moved.get_input_embeddings().weight[7, 3] += 2
    assert len(moved.base_model.state_dict()) > len(dict(moved.base_model.named_parameters()))
    assert body_distance(moved, start) == pytest.approx(2.0, rel=1e-6)


def test_what_cannot_be_compared_has_no_distance_and_a_line_says_why(caplog):
    with caplog.at_level(logging.WARNING):
        assert body_distance(classifier("bert"), classifier("roberta")) is None
        assert body_distance(classifier("bert").bert, classifier("bert")) is None
    assert ["is not kept: " in line or "no body apart from its head" in line for line in caplog.messages] == [True] * 2


def test_models_that_write_count_as_a_whole_where_their_body_has_no_name():
    start, moved = (T5ForConditionalGeneration(t5_config(0.0, tie_word_embeddings=False)) for _ in range(2))
    moved.load_state_dict(start.state_dict())
    assert body_distance(moved, start) == 0
    with torch.no_grad():
        moved.encoder.block[0].layer[0].layer_norm.weight[0] += 3
        moved.lm_head.weight[5, 5] += 4
    assert body_distance(moved, start) == pytest.approx(5.0, rel=1e-6)


def test_a_body_that_is_not_finite_has_no_distance():
    start, moved = classifier("bert"), classifier("bert")
    with torch.no_grad():
        moved.bert.pooler.dense.bias[0] = float("nan")
    assert body_distance(moved, start) is None
