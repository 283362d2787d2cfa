"""HyPe: noise on the hidden vectors that enter each block."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.parts.model.dropout import check_dropout, restore_dropout, set_dropout
from holdfast.methods.parts.model.layers import bottom_stack, layer_stacks
from holdfast.methods.parts.noise.embedding_noise import EmbeddingNoise
from holdfast.methods.parts.noise.rounding import warn_of_lost_noise
from holdfast.methods.requires import Footprint, Part, Requires


@dataclass(frozen=True)
class HyPe(Method):
    """Hidden representation perturbation (Yuan et al., ACL 2023): h becomes h + noise at the input of every block.

    In training alone, in the one pass there is, and without a penalty. In encoder-decoder models all blocks of both
    stacks get noise. It is drawn anew at each block and forward from the global generator; activation checkpointing
    computes a block again with the same noise. Copies of the batch that other methods run get noise of their own.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), HyPe(sigma=0.0001)).train()
        >>> holdfast.methods.describe([HyPe(sigma=0.0001)])  # as commands spell it
        'hype(sigma=0.0001)'
    """

    name: ClassVar[str] = "hype"
    summary: ClassVar[str] = "trains with noise on every block's input"

    sigma: float = 1e-5
    """Standard deviation (normal) or half-width (uniform) of the noise. The paper's are 1e-5 to 1e-2."""
    noise: Literal["normal", "uniform"] = "normal"
    dropout: float | None = 0.0
    """Dropout probability in training: 0, with which the paper's results are best; none leaves the model's own."""

    def __post_init__(self) -> None:
        if not 0 <= self.sigma < float("inf"):
            raise HoldfastError(f"hype(sigma={self.sigma!r}): sigma must be a number of at least 0")
        if self.noise not in ("normal", "uniform"):
            raise HoldfastError(f"hype(noise={self.noise!r}): noise is normal or uniform")
        check_dropout(self.name, self.dropout)

    @property
    def requires(self) -> Requires:
        """The body, whose blocks it stands before, and dropout of its rate."""
        return Requires(uses={Part.BODY}, whole_weights=False, dropout=self.dropout)

    def check(self, model: nn.Module) -> Footprint:
        """Raise ``HoldfastError`` when the model has no transformer blocks that run one after another."""
        bottom_stack(model, self.name)
        return Footprint()

    def start(self, model: nn.Module, plan: Plan) -> "HyPeSession":
        """Set dropout and put the noise before every block."""
        return HyPeSession(self, model, plan)


class HyPeSession(MethodSession[HyPe]):
    """The hooks that add the noise, and the model's own dropout."""

    def __init__(self, method: HyPe, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self._own_dropout = set_dropout(model, method.dropout)
        warn_of_lost_noise(model, method.sigma, method.name)
        blocks: list[nn.Module] = []
        if method.sigma > 0:
            blocks = [block for stack in layer_stacks(model, method.name) for _, block in stack]
        hook = _Noise(EmbeddingNoise(method.sigma, method.noise))
        self._hooks = [block.register_forward_pre_hook(hook, with_kwargs=True) for block in blocks]

    def finish(self) -> Mapping[str, float]:
        """Leave plain blocks with the dropout they had."""
        for hook in self._hooks:
            hook.remove()
        restore_dropout(self._own_dropout)
        return {}


@dataclass(frozen=True)
class _Noise:
    """A block's forward pre-hook."""

    add: EmbeddingNoise

    def __call__(
        self, block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if not block.training:
            return None
        if args:
            return (self.add(args[0]), *args[1:]), kwargs
        if "hidden_states" not in kwargs:
            raise HoldfastError(
                f"hype found no hidden vectors among the arguments of {type(block).__name__} ({', '.join(kwargs)}): "
                "its block must take them first, or by the name hidden_states"
            )
        return args, {**kwargs, "hidden_states": self.add(kwargs["hidden_states"])}
