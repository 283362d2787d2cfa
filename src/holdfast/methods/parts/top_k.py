"""The k largest of many numbers, exactly, without sorting them."""

from collections.abc import Sequence

import torch
from torch import Tensor

_SAMPLE = 1 << 14
"""Entries looked at to bracket the threshold: enough that a hundredth of all lies in the bracket."""


def top_k_masks(scores: Sequence[Tensor], k: int) -> list[Tensor]:
    """Return boolean masks, shaped as ``scores``, true at the ``k`` largest entries of all tensors together.

    Exactly ``k`` are true, also among equal scores, of which those in front win. Scores may be infinite but not
    NaN. Needs about 1 byte an entry beside the masks, and no copy of the scores.
    """
    total = sum(score.numel() for score in scores)
    if k <= 0 or k >= total:
        return [torch.full_like(score, k > 0, dtype=torch.bool) for score in scores]
    threshold, wanted, equal = _threshold(scores, k, total)
    if wanted == equal:
        return [score >= threshold for score in scores]
    masks = []
    for score in scores:
        mask = (score > threshold).contiguous()
        ties = (score == threshold).flatten().nonzero().flatten()[:wanted]
        mask.view(-1)[ties] = True
        wanted -= len(ties)
        masks.append(mask)
    return masks


def _threshold(scores: Sequence[Tensor], k: int, total: int) -> tuple[Tensor, int, int]:
    """Return the k-th largest entry, how many entries equal to it belong to the k largest, and how many there are.

    The order statistics of a sample bracket it (Floyd and Rivest 1975), so that the rest is counting.
    """
    # Odd, so that it is no multiple of a matrix's width and samples all columns.
    step = (total // _SAMPLE) | 1
    sample = torch.cat([score.flatten()[::step] for score in scores]).sort(descending=True).values
    share = k / total
    place = share * len(sample)
    # Four standard deviations of a sample quantile: the bracket misses one time in ten thousand.
    margin = 4 * (len(sample) * share * (1 - share)) ** 0.5 + 1
    at = int(place - margin), int(place + margin)
    high = sample[at[0]] if at[0] >= 0 else None
    low = sample[at[1]] if at[1] < len(sample) else None
    above = 0 if high is None else sum(int(torch.count_nonzero(score > high)) for score in scores)
    between = torch.cat([_within(score, low, high) for score in scores])
    if not above < k <= above + len(between):
        above, between = 0, torch.cat([score.flatten() for score in scores])
    threshold = between.kthvalue(len(between) - (k - above) + 1).values
    larger = above + int(torch.count_nonzero(between > threshold))
    return threshold, k - larger, int(torch.count_nonzero(between == threshold))


def _within(score: Tensor, low: Tensor | None, high: Tensor | None) -> Tensor:
    if low is None:
        return score.flatten() if high is None else score[score <= high]
    inside = score >= low
    return score[inside if high is None else inside.logical_and_(score <= high)]
