"""T5's pre-training task: spans cut out of a text, to be told in order."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from holdfast.training.pretraining.questions import IGNORED, Question, real_tokens

_MEAN_SPAN = 3.0
"""Tokens a span on average (Raffel et al. 2020)."""


def sentinels(tokenizer: Any) -> list[int]:
    """Return the ids of <extra_id_0>, <extra_id_1> and so on, as far as the vocabulary has them."""
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    ids: list[int] = []
    while (token := f"<extra_id_{len(ids)}>") in vocabulary:
        ids.append(vocabulary[token])
    return ids


class SpanCorruption:
    """Span corruption (Raffel et al. 2020, section 3.1.4).

    A share of a row's tokens, in spans of three on average, is cut out; a sentinel stands for each span in the
    input, and the target is the spans, each after its sentinel, with a last sentinel and the end token.
    """

    def __init__(self, tokenizer: Any, rate: float, generator: torch.Generator) -> None:
        self.end = tokenizer.eos_token_id
        self.pad = tokenizer.pad_token_id
        self.special = set(tokenizer.all_special_ids)
        self.rate = rate
        self.generator = generator
        self.sentinels = sentinels(tokenizer)

    def __call__(self, batch: Mapping[str, Tensor]) -> Question:
        """Return the question for ``batch``; rows too short to be cut keep all, and ask for nothing."""
        ids, real = batch["input_ids"].cpu(), real_tokens(batch).cpu()
        sources, targets = [], []
        for row, mask in zip(ids, real, strict=True):
            tokens = [token for token in row[mask].tolist() if token not in self.special]
            source, target = self._cut(tokens)
            sources.append(torch.tensor([*source, self.end]))
            targets.append(torch.tensor(target, dtype=torch.long))
        device = batch["input_ids"].device
        attended = pad_sequence([torch.ones_like(row) for row in sources], batch_first=True)
        inputs = pad_sequence(sources, batch_first=True, padding_value=self.pad)
        labels = pad_sequence(targets, batch_first=True, padding_value=IGNORED)
        if not labels.shape[1]:
            labels = torch.full((len(sources), 1), IGNORED)
        return Question({"input_ids": inputs.to(device), "attention_mask": attended.to(device)}, labels.to(device))

    def _cut(self, tokens: Sequence[int]) -> tuple[list[int], list[int]]:
        noise = min(max(round(len(tokens) * self.rate), 1), len(tokens) - 1)
        if noise < 1:
            return list(tokens), []
        spans = min(max(round(noise / _MEAN_SPAN), 1), len(self.sentinels) - 1, len(tokens) - noise)
        cut, left = self._parts(noise, spans), self._parts(len(tokens) - noise, spans)
        source: list[int] = []
        target: list[int] = []
        at = 0
        for sentinel, stay, go in zip(self.sentinels, left, cut, strict=False):
            source += [*tokens[at : at + stay], sentinel]
            target += [sentinel, *tokens[at + stay : at + stay + go]]
            at += stay + go
        return source, [*target, self.sentinels[spans], self.end]

    def _parts(self, total: int, parts: int) -> list[int]:
        """Return ``parts`` whole numbers of at least 1 that sum to ``total``, every such choice as likely."""
        borders = torch.randperm(total - 1, generator=self.generator)[: parts - 1].sort().values + 1
        ends = [0, *borders.tolist(), total]
        return [end - start for start, end in itertools.pairwise(ends)]
