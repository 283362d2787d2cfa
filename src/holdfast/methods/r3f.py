"""R3F: keep the prediction where it is when the input embedding trembles."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Forward, Kind, Method, Plan, Step, View
from holdfast.methods.parts.divergence import divergence
from holdfast.methods.parts.embeddings import EmbeddingNoise, embedding_scale, input_embedding
from holdfast.methods.parts.trained import BODY

logger = logging.getLogger(__name__)


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

    def __post_init__(self) -> None:
        for field in ("weight", "sigma"):
            value = getattr(self, field)
            if not 0 <= value < float("inf"):
                raise HoldfastError(f"{self.name}({field}={value!r}): {field} must be a number of at least 0")
        if self.every < 1:
            raise HoldfastError(f"{self.name}(every={self.every}): every counts optimizer steps and must be at least 1")

    @property
    def uses(self) -> frozenset[str]:
        """The body, which runs on the copies."""
        return frozenset({BODY})

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` when the model does not say where its input embedding is."""
        input_embedding(model)

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Measure the embedding's scale where sigma is relative to it; warn of noise that rounds away."""
        module = input_embedding(model)
        scale = embedding_scale(module) if self.relative else 1.0
        self.memory["scale"] = scale
        weight = getattr(module, "weight", None)
        if self.sigma > 0 and isinstance(weight, Tensor) and weight.dtype in (torch.float16, torch.bfloat16):
            # Adding less than half a unit in the last place changes nothing.
            lost = torch.finfo(weight.dtype).eps * embedding_scale(module) / 2
            if self.sigma * scale < lost:
                logger.warning(
                    "%s: noise of %.1e rounds away in %s embeddings (about %.0e is lost); "
                    "keep the weights in float32 or use relative=True with a larger sigma",
                    self.name,
                    self.sigma * scale,
                    str(weight.dtype).removeprefix("torch."),
                    lost,
                )

    def views(self, step: Step) -> Sequence[View]:
        """One noised copy at the steps where the penalty applies."""
        if self.weight == 0 or step.index % self.every:
            return ()
        noise = EmbeddingNoise(self.sigma * self.memory["scale"], self.noise, self.detach)
        return (View(noise, grad=self.gradient == "both"),)

    def penalty(self, forward: Forward) -> Tensor | None:
        """Weight times the symmetric divergence between the clean and the noised outputs."""
        if not forward.views:
            return None
        clean, noised = _logits(forward.outputs), _logits(forward.views[0])
        if forward.token_mask is None:
            value = r3f_penalty(clean, noised, forward.kind, forward.rows)
        else:
            value = r3f_token_penalty(clean, noised, forward.token_mask, self.positions, forward.rows, forward.tokens)
        return self.weight * self.every * value

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """The scale measured before training, which a resumed run could not measure again."""
        return {"scale": torch.tensor(self.memory["scale"], dtype=torch.float64)}

    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Restore the scale."""
        self.memory["scale"] = float(state["scale"])


def _logits(outputs: Mapping[str, Any]) -> Tensor:
    logits = outputs.get("logits")
    if not isinstance(logits, Tensor):
        raise HoldfastError(
            "the model returned no logits to compare, as with fused losses: "
            "switch the fused loss off for methods that need them"
        )
    return logits
