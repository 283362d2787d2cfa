"""What methods work on, told without memory for the model."""

import pytest
import torch

from holdfast import DPS, R3F, BitFit, TopKLayers
from holdfast.errors import HoldfastError
from holdfast.methods.requires import Footprint
from holdfast.training.session.footprints import Weights, footprints, grouped
from tiny import CLASSIFIERS, classifier


def on_meta(name, **options):
    with torch.device("meta"):
        return classifier(name, **options)


def test_repeated_layers_are_one_row():
    names = [f"layer.{i}.{part}.weight" for i in range(4) for part in ("query", "key")]
    rows = grouped([(name, (8, 8)) for name in [*names, "head.weight"]])
    assert rows == [
        Weights("layer.{0-3}.query.weight", (8, 8), 4),
        Weights("layer.{0-3}.key.weight", (8, 8), 4),
        Weights("head.weight", (8, 8), 1),
    ]


def test_rows_differ_in_shape_and_say_which_layers_they_stand_for():
    shapes = {0: (8, 8), 1: (8, 8), 2: (8, 4), 3: (8, 8), 5: (8, 8), 10: (8, 8)}
    rows = grouped([(f"layer.{i}.weight", shape) for i, shape in shapes.items()])
    assert [(row.name, row.shape, row.count) for row in rows] == [
        ("layer.{0-1,3,5,10}.weight", (8, 8), 5),
        ("layer.2.weight", (8, 4), 1),
    ]


def test_numbers_within_numbers_are_joined_where_they_are_regular():
    names = [f"block.{b}.experts.{e}.weight" for b in range(2) for e in range(3)]
    assert grouped([(name, (2,)) for name in names]) == [Weights("block.{0-1}.experts.{0-2}.weight", (2,), 6)]
    apart = ["block.0.sub.0.q", "block.0.sub.1.k", "block.1.sub.0.q", "block.1.sub.1.k"]
    assert [row.name for row in grouped([(name, (2,)) for name in apart])] == [
        "block.{0-1}.sub.0.q",
        "block.{0-1}.sub.1.k",
    ]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_rows_and_counts_agree_on_every_architecture(name):
    model = on_meta(name)
    (found,) = footprints([DPS()], model)
    assert sum(row.count * torch.Size(row.shape).numel() for row in found.rows) == found.weights
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert 0 < found.weights < found.parameters
    assert found.footprint.state_bytes == 4 * found.weights
    assert found.trained is None
    # BART and T5 have one layer a stack here, the others two.
    assert any(row.count == 2 for row in found.rows) == (name not in ("bart", "t5"))


def test_a_method_that_works_on_everything_names_no_weights():
    (found,) = footprints([R3F()], on_meta("bert"))
    assert (found.rows, found.footprint, found.trained) == ([], Footprint(), None)


def test_what_freezes_comes_first_and_says_what_is_trained():
    model = on_meta("bert")
    every = {name: p.numel() for name, p in model.named_parameters()}
    kept, dps = footprints([DPS(), TopKLayers(k=1)], model)
    assert (kept.method, dps.method) == ("top_k_layers", "dps")
    in_top = sum(n for name, n in every.items() if "layer.1." in name or "pooler" in name or "classifier" in name)
    assert kept.trained == (in_top, sum(every.values()))
    assert not any("layer.0" in row.name or "{" in row.name for row in dps.rows)


def test_biases_are_counted_in_entries():
    model = on_meta("bert", labels=3)
    biases = sum(p.numel() for name, p in model.named_parameters() if name.endswith("bias"))
    (found,) = footprints([BitFit()], model)
    assert found.weights == biases + 3 * 32  # the head's weight, too


def test_a_method_that_cannot_work_on_the_model_is_refused():
    with pytest.raises(HoldfastError, match="top_k_layers"):
        footprints([TopKLayers(k=99)], on_meta("bert"))
