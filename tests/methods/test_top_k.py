import pytest
import torch

from holdfast.methods.parts.top_k import top_k_masks


def oracle(tensors):
    """All entries in order, by a sort in plain Python; among equal ones those in front come first."""
    values = [v for t in tensors for v in t.flatten().tolist()]
    return sorted(range(len(values)), key=lambda i: (-values[i], i))


KINDS = {
    "normal": lambda n, g: torch.randn(n, generator=g),
    "squares": lambda n, g: torch.randn(n, generator=g) ** 2,
    "ties": lambda n, g: torch.randint(0, 4, (n,), generator=g).float(),
    "mostly zero": lambda n, g: torch.randn(n, generator=g).clamp(min=1.5) - 1.5,
    "all equal": lambda n, g: torch.zeros(n),
    "rising": lambda n, g: torch.arange(n).float(),
    "heavy tails": lambda n, g: torch.randn(n, generator=g).double().pow(9).exp().float(),
    "bfloat16": lambda n, g: torch.randn(n, generator=g).bfloat16(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [[7], [1, 2, 30], [400, 600], [20000, 30001, 5]])
def test_exactly_the_k_largest(kind, sizes):
    g = torch.Generator().manual_seed(0)
    tensors = [KINDS[kind](size, g) for size in sizes]
    total = sum(sizes)
    order = oracle(tensors)
    for k in {0, 1, total // 3, (7 * total + 9) // 10, total - 1, total, total + 1}:
        masks = top_k_masks(tensors, k)
        assert [m.dtype for m in masks] == [torch.bool] * len(sizes)
        found = torch.cat(masks)
        assert int(found.sum()) == min(k, total)
        assert sorted(order[:k]) == found.nonzero().flatten().tolist()


def test_matrices_whose_width_the_sample_could_step_along():
    """Scores constant along columns: a sample of few columns would bracket the wrong value."""
    g = torch.Generator().manual_seed(1)
    score = torch.rand(1, 384, generator=g).expand(1536, 384).contiguous()
    k = round(0.7 * score.numel())
    mask = top_k_masks([score], k)[0]
    assert mask.shape == score.shape
    assert int(mask.sum()) == k
    assert score[mask].min() >= score[~mask].max()
    assert torch.equal(top_k_masks([score.T], k)[0].sum(), torch.tensor(k))
