"""R3F: keep the prediction where it is when the input embedding trembles."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.parts.model.embeddings import input_embedding
from holdfast.methods.parts.model.layers import bottom_stack
from holdfast.methods.requires import Footprint, Part, Requires


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
    def requires(self) -> Requires:
        """The body, which runs on the copies; texts, where it counts them."""
        counts = self.rows < 1 or self.positions == "sum"
        uses = {Part.BODY, Part.TEXTS} if counts else {Part.BODY}
        return Requires(uses=uses, outputs=True, views=True, whole_weights=False)

    def check(self, model: nn.Module) -> Footprint:
        """Raise ``HoldfastError`` when the model does not say where its input embedding is, or has too few blocks."""
        input_embedding(model)
        if self.layers is not None and self.layers > (blocks := len(bottom_stack(model, self.name))):
            raise HoldfastError(
                f"{self.name}(layers={self.layers}): {type(model).__name__} has {blocks} blocks, give at most that"
            )
        return Footprint()

    def start(self, model: nn.Module, plan: Plan) -> MethodSession["R3F"]:
        """Measure the embedding's scale where sigma is relative to it; warn of noise that rounds away."""
        from holdfast.methods.r3f.session import R3FSession

        return R3FSession(self, model, plan)

    def _check_layers(self, layers: int) -> None:
        if layers < 1:
            raise HoldfastError(f"{self.name}(layers={layers}): layers counts blocks from the top, at least 1")
        for field in ("relative", "detach"):
            if getattr(self, field):
                raise HoldfastError(
                    f"{self.name}(layers={layers}, {field}=True): {field} speaks of the embeddings, and with layers "
                    "the noise is added further up; use one of the two"
                )
