"""NEFTune: train on noisy embeddings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.forward import Perturb, TrialForward
from holdfast.methods.parts.model.embeddings import input_embedding
from holdfast.methods.parts.padding import real_tokens, text_lengths
from holdfast.methods.requires import Footprint, Part, Requires


def neftune_noise(embeddings: Tensor, tokens: Tensor, alpha: float, lengths: Tensor | None = None) -> Tensor:
    """Return U(-1, 1) * alpha / sqrt(L * d) for ``embeddings``, (rows, L, d), in float32.

    ``tokens``: (rows, L), 1 for tokens and 0 for padding; a row's L is the number of its tokens, and padding gets no
    noise. ``lengths``, (rows, L): that of the text of each position, where a row holds several. Drawn from the global
    generator.
    """
    length = tokens.sum(-1, keepdim=True).clamp(min=1) if lengths is None else lengths
    scale = tokens * alpha * (length * embeddings.shape[-1]).rsqrt()
    return torch.rand_like(embeddings, dtype=torch.float32).mul_(2).sub_(1).mul_(scale[..., None])


@dataclass(frozen=True)
class NEFTune(Method):
    """Noisy embeddings for fine-tuning (Jain et al. 2023, arXiv 2310.05914).

    In training the token embeddings X of a text of L tokens become X + U(-1, 1) * alpha / sqrt(L * d), d their width.
    There is no second forward and no penalty. In an encoder-decoder model the noise is the encoder's.

    Differs from the published code, and from ``neftune_noise_alpha`` of Transformers, in that L is the length of the
    text and not the one it is padded to, so that what else is in a batch does not change a text's noise. Copies of
    the batch that other methods run do not get it.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), NEFTune(alpha=10.0)).train()
        >>> holdfast.methods.describe([NEFTune(alpha=10.0)])  # as commands spell it
        'neftune(alpha=10.0)'
    """

    name: ClassVar[str] = "neftune"
    summary: ClassVar[str] = "trains on noisy embeddings, in one pass"

    alpha: float = 5.0
    """Size of the noise: a text's noise has a Euclidean length of about alpha / sqrt(3)."""

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < float("inf"):
            raise HoldfastError(f"neftune(alpha={self.alpha!r}): alpha must be a number of at least 0")

    @property
    def requires(self) -> Requires:
        """The body, which runs on the noisy rows."""
        return Requires(uses={Part.BODY}, inputs=True, whole_weights=False)

    def check(self, model: nn.Module) -> Footprint:
        """Raise ``HoldfastError`` when the model does not say where its input embedding is."""
        input_embedding(model)
        return Footprint()

    def start(self, model: nn.Module, plan: Plan) -> "NEFTuneSession":
        """Return the session; the model stays as it is."""
        return NEFTuneSession(self, model, plan)


class NEFTuneSession(MethodSession[NEFTune]):
    """Adds the noise; it has no state."""

    def perturb_inputs(self, trial: TrialForward) -> Perturb | None:
        """Add the noise."""
        return None if self.method.alpha == 0 else _LengthAwareNoise(self.method.alpha, trial.batch)


@dataclass(frozen=True, eq=False)
class _LengthAwareNoise:
    alpha: float
    batch: Mapping[str, Any]

    def __call__(self, embeddings: Tensor) -> Tensor:
        tokens = real_tokens(self.batch, embeddings, "neftune")
        noise = neftune_noise(embeddings, tokens, self.alpha, text_lengths(self.batch, tokens))
        # In float32: small noise would round away before it is added.
        return (noise + embeddings).to(embeddings.dtype)
