"""What tuning did to each layer, against the measures of single matrices."""

import numpy as np
import pytest

from holdfast.collapse import effective_rank, linear_cka, mean_cosine, measure_layers, participation_ratio
from holdfast.errors import HoldfastError
from holdfast.training.models.hidden_states import layer_states, write_states
from tiny import batch, classifier


def states(layers=3, rows=30, width=16, seed=0):
    return np.random.default_rng(seed).standard_normal((layers, rows, width)).astype(np.float32) + 0.5


def test_every_layer_has_the_measures_of_its_matrices():
    after, before = states(), states(seed=1, width=12)
    for layer, found in enumerate(measure_layers(after, before)):
        assert found.layer == layer
        assert found.cka == linear_cka(after[layer], before[layer])
        for part, suffix in ((after[layer], ""), (before[layer], "_start")):
            assert getattr(found, f"effective_rank{suffix}") == effective_rank(part)
            assert getattr(found, f"participation_ratio{suffix}") == participation_ratio(part)
            assert getattr(found, f"mean_cosine{suffix}") == mean_cosine(part)


def test_what_is_undefined_is_none_and_the_rest_is_there():
    after, before = states(), states(seed=1)
    after[0], before[0] = 2.5, 2.5
    after[1, 4, 3] = np.inf
    constant, broken, sound = measure_layers(after, before)
    assert {value for name, value in vars(constant).items() if name != "layer"} == {None}
    assert broken.cka is broken.effective_rank is broken.participation_ratio is broken.mean_cosine is None
    assert broken.effective_rank_start == effective_rank(before[1])
    assert None not in vars(sound).values()


def test_a_row_of_zeros_leaves_only_the_cosine_undefined():
    after = states()
    after[2, 7] = 0
    found = measure_layers(after, states())[2]
    assert found.mean_cosine is None
    assert found.effective_rank is not None
    assert found.cka is not None


def test_a_model_beside_itself_and_its_first_tokens_embedding():
    """Every text begins with the same token, so the embeddings there say nothing."""
    model = classifier("bert").eval()
    given = batch(rows=12)
    given["input_ids"][:, 0] = 2
    found = layer_states(model, [given])
    embeddings, *blocks = measure_layers(found, found)
    assert embeddings.cka is None
    assert [one.cka for one in blocks] == pytest.approx([1, 1])
    assert all(one.effective_rank == one.effective_rank_start for one in blocks)


def test_states_as_a_run_keeps_them_will_do(tmp_path):
    """float16, scaled by layer: CKA to 1e-3, the others to 2 %, also beside a few dimensions of large mean."""
    after, before = states(rows=200, width=64), states(rows=200, width=64, seed=3)
    for part in (after, before):
        part *= np.array([1, 30, 4000])[:, None, None]
        part[..., 5] += 20 * part.std(axis=(1, 2), keepdims=True)[..., 0]
    after = (after + 2 * before).astype(np.float32)
    kept = []
    for name, part in (("after", after), ("before", before)):
        write_states(tmp_path / f"{name}.npz", part, [])
        kept.append(np.load(tmp_path / f"{name}.npz")["states"])
    assert kept[0].dtype == np.float16
    for rough, exact in zip(measure_layers(*kept), measure_layers(after, before), strict=True):
        assert rough.cka == pytest.approx(exact.cka, abs=1e-3)
        assert 0.3 < exact.cka < 0.99
        for name in ("effective_rank", "participation_ratio", "mean_cosine"):
            assert getattr(rough, name) == pytest.approx(getattr(exact, name), rel=0.02)


@pytest.mark.parametrize(
    ("after", "before", "reason"),
    [
        (states(), states(layers=2), "same layers and rows"),
        (states(), states(rows=29), "same layers and rows"),
        (states()[0], states()[0], "same layers and rows"),
        (states(rows=3), states(rows=3), "3 rows"),
    ],
    ids=["layers", "rows", "matrix", "few"],
)
def test_states_that_do_not_belong_together_are_refused(after, before, reason):
    with pytest.raises(HoldfastError, match=reason):
        measure_layers(after, before)
