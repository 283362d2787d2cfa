"""R3F: keep the prediction where it is when the input embedding trembles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Forward, Kind, Method, Plan, Step, View
from holdfast.methods.parts.divergence import divergence
from holdfast.methods.parts.model.embeddings import embedding_scale, input_embedding
from holdfast.methods.parts.model.freezing import BODY
from holdfast.methods.parts.model.layers import bottom_stack
from holdfast.methods.parts.noise.embedding_noise import EmbeddingNoise
from holdfast.methods.parts.noise.rounding import warn_of_lost_embedding_noise, warn_of_lost_noise
from holdfast.methods.parts.outputs import logits_of
from holdfast.methods.parts.padding import TEXTS


def r3f_penalty(clean: Tensor, noised: Tensor, kind: Kind, rows: float | None = None) -> Tensor:
    """Return KL_S(P_clean || P_noised), the mean over rows of the symmetric divergence: a scalar in nats.

    ``clean``, ``noised``: (rows, classes) logits; for regression (rows,) or (rows, 1) values, where KL is
    undefined and the squared difference takes its place. ``rows``: what the sum is divided by, if not their
    number. Aghajanyan et al. 2020, equations 3 to 5, without the weight lambda.
    """
    return divergence(kind, clean, noised).sum() / (len(clean) if rows is None else rows)


def r3f_token_penalty(
    clean: Tensor, noised: Tensor, mask: Tensor, positions: Literal["mean", "sum"], rows: float, tokens: float
) -> Tensor:
    """Return the penalty for outputs a token, (rows, positions, classes): a scalar in nats.

    ``positions="mean"``: sum over the labelled positions (``mask``, (rows, positions)) over ``tokens``, the
    scale of the cross entropy. ``positions="sum"``: sum over all positions, padding included, over ``rows``, as
    the published code for generation does; it grows with the length the batch is padded to.
    """
    apart = divergence("tokens", clean, noised)
    return (apart * mask).sum() / tokens if positions == "mean" else apart.sum() / rows


@dataclass(frozen=True)
class R3F(Method):
    """Robust representations through regularised fine-tuning (Aghajanyan et al. 2020, equations 3 to 5).

    Adds ``weight`` * KL_S(g(f(x)) || g(f(x + z))) to the loss, KL_S(P, Q) = KL(P||Q) + KL(Q||P), with noise z
    on the token embeddings x, before positions are added. The two copies have dropout of their own, and only
    the clean one carries the task loss. For regression the squared difference of the outputs takes the place
    of KL, for multi-label tasks the KL of independent Bernoulli variables.

    Differs from the published code in that the noise arrives at RoBERTa (there it is dropped on the way), is
    drawn on the device, and that the gradient of the noised copy reaches the embedding table unless
    ``detach`` is set.

    Example:
        >>> engine = Engine(model, [R3F(weight=0.5)], optimizer=make_optimizer)
        >>> loss = engine.loss(batch)
        >>> sorted(engine.terms)
        ['r3f', 'task']
    """

    name: ClassVar[str] = "r3f"
    summary: ClassVar[str] = "keeps predictions still under small noise on the embeddings"

    weight: float = 1.0
    """Lambda. The paper searches 0.1, 0.5, 1 and 5."""
    sigma: float = 1e-5
    """Half-width (uniform) or standard deviation (normal) of the noise; 0 leaves only the dropout difference."""
    noise: Literal["uniform", "normal"] = "uniform"
    relative: bool = False
    """True: ``sigma`` is a share of the root mean square of the pre-trained embedding's entries."""
    gradient: Literal["both", "clean"] = "both"
    """"clean": the noised copy runs without gradient: 4/3 instead of 2 times the cost of plain fine-tuning."""
    every: int = 1
    """Apply at every k-th optimizer step, with k times the weight."""
    detach: bool = False
    """Cut the gradient of the noised copy before the embedding table, as the published code does."""
    positions: Literal["mean", "sum"] = "mean"
    """Token outputs only: masked mean a token, or the published sum over all positions a sentence."""
    rows: float = 1.0
    """Share of a batch's rows that have a noised copy; the penalty is the mean over these."""
    layers: int | None = None
    """The copies part at the input of the upper ``layers`` blocks, those below run once: the noise is added there.
    In an encoder-decoder model these are the encoder's. None: all of the model runs twice."""
    same_dropout: bool = False
    """The copies share their dropout masks, so that the noise alone tells them apart."""

    def __post_init__(self) -> None:
        for field in ("weight", "sigma"):
            value = getattr(self, field)
            if not 0 <= value < float("inf"):
                raise HoldfastError(f"{self.name}({field}={value!r}): {field} must be a number of at least 0")
        if self.every < 1:
            raise HoldfastError(f"{self.name}(every={self.every}): every counts optimizer steps and must be at least 1")
        if not 0 < self.rows <= 1:
            raise HoldfastError(f"{self.name}(rows={self.rows!r}): rows is a share of the batch, above 0 and at most 1")
        if self.same_dropout and self.rows < 1:
            raise HoldfastError(
                f"{self.name}(rows={self.rows}, same_dropout=True): masks are drawn for whole batches, use rows=1"
            )
        if self.layers is not None:
            self._check_layers(self.layers)

    @property
    def uses(self) -> frozenset[str]:
        """The body, which runs on the copies; texts, where it counts them."""
        counts = self.rows < 1 or self.positions == "sum"
        return frozenset({BODY, TEXTS} if counts else {BODY})

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` when the model does not say where its input embedding is, or has too few blocks."""
        input_embedding(model)
        if self.layers is not None and self.layers > (blocks := len(bottom_stack(model, self.name))):
            raise HoldfastError(
                f"{self.name}(layers={self.layers}): {type(model).__name__} has {blocks} blocks, give at most that"
            )

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Measure the embedding's scale where sigma is relative to it; warn of noise that rounds away."""
        if self.layers is not None:
            self.memory["branch"] = len(bottom_stack(model, self.name)) - self.layers
        scale = embedding_scale(input_embedding(model)) if self.relative else 1.0
        self.memory["scale"] = scale
        if self.layers is not None:
            warn_of_lost_noise(model, self.sigma, self.name)
        else:
            remedy = "relative=True with a larger sigma"
            warn_of_lost_embedding_noise(model, self.sigma * scale, self.name, remedy)

    def views(self, step: Step) -> Sequence[View]:
        """One noised copy at the steps where the penalty applies."""
        if self.weight == 0 or step.index % self.every:
            return ()
        noise = EmbeddingNoise(self.sigma * self.memory["scale"], self.noise, self.detach)
        return (
            View(
                noise,
                grad=self.gradient == "both",
                share=self.rows,
                layer=self.memory.get("branch"),
                same_dropout=self.same_dropout,
            ),
        )

    def penalty(self, forward: Forward) -> Tensor | None:
        """Weight times the symmetric divergence between the clean and the noised outputs."""
        if not forward.views:
            return None
        clean, noised = logits_of(forward.outputs, self.name), logits_of(forward.views[0], self.name)
        # The mean over the rows that have a copy stands for that over all.
        part = len(noised) / len(clean)
        clean, rows, mask = clean[: len(noised)], forward.rows * part, forward.token_mask
        if mask is None:
            value = r3f_penalty(clean, noised, forward.kind, rows)
        else:
            labelled, mask = mask.sum(), mask[: len(noised)]
            tokens = forward.tokens * float(mask.sum() / labelled.clamp(min=1)) if part < 1 else forward.tokens
            value = r3f_token_penalty(clean, noised, mask, self.positions, rows, max(tokens, 1e-9))
        return self.weight * self.every * value

    def _check_layers(self, layers: int) -> None:
        if layers < 1:
            raise HoldfastError(f"{self.name}(layers={layers}): layers counts blocks from the top, at least 1")
        for field in ("relative", "detach"):
            if getattr(self, field):
                raise HoldfastError(
                    f"{self.name}(layers={layers}, {field}=True): {field} speaks of the embeddings, and with layers "
                    "the noise is added further up; use one of the two"
                )

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """The scale measured before training, which a resumed run could not measure again."""
        return {"scale": torch.tensor(self.memory["scale"], dtype=torch.float64)}

    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Restore the scale."""
        self.memory["scale"] = float(state["scale"])
