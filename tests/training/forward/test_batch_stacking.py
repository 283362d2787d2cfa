"""Copies of a batch in one, and the outputs of each taken apart."""

import torch
from transformers.modeling_outputs import SequenceClassifierOutput

from holdfast.training.forward.batch_stacking import stack, unstack


def test_only_what_belongs_to_rows_is_repeated():
    ids, positions, count = torch.arange(6).view(3, 2), torch.arange(2)[None], torch.tensor(7)
    stacked = stack({"input_ids": ids, "position_ids": positions, "count": count, "output_attentions": True}, 3, [3, 3])
    assert stacked["input_ids"].tolist() == [[0, 1], [2, 3], [4, 5]] * 2
    assert stacked["position_ids"] is positions
    assert stacked["count"] is count
    assert stacked["output_attentions"] is True


def test_each_copy_gets_its_rows_of_every_output():
    logits, layers = torch.arange(12).view(6, 2), (torch.arange(6), torch.arange(6) * 10)
    first, second = unstack(SequenceClassifierOutput(logits=logits, hidden_states=layers), [3, 3])
    assert isinstance(first, SequenceClassifierOutput)
    assert torch.equal(first.logits, logits[:3])
    assert torch.equal(second["logits"], logits[3:])
    assert [layer.tolist() for layer in second.hidden_states] == [[3, 4, 5], [30, 40, 50]]


def test_what_cannot_be_cut_is_left_out():
    parts = unstack({"logits": torch.zeros(4, 2), "loss": torch.tensor(1.0), "cache": object(), "layers": ()}, [2, 2])
    assert [set(part) for part in parts] == [{"logits"}, {"logits"}]


def test_copies_of_the_first_rows_alone():
    ids = torch.arange(6).view(3, 2)
    stacked = stack({"input_ids": ids}, 3, [3, 2])
    assert stacked["input_ids"].tolist() == [[0, 1], [2, 3], [4, 5], [0, 1], [2, 3]]
    assert stack({"input_ids": ids, "count": 3}, 3, [1])["input_ids"].tolist() == [[0, 1]]
    first, second = unstack({"logits": stacked["input_ids"]}, [3, 2])
    assert torch.equal(first["logits"], ids)
    assert torch.equal(second["logits"], ids[:2])
