"""What a method declares: what it needs of a training, what it takes over, and which weights it works on."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from torch import Tensor


class Part(StrEnum):
    """What one method can take over from the others: two that replace it, or replace and use it, are refused.

    Example:
        >>> Part.HEAD in R4F().requires.replaces
        True
    """

    HEAD = "head"
    BODY = "pre-trained body"
    """Replaced by methods that answer for it in training, used by those that need it to run or to train."""
    TRAINED = "choice of what is trained"
    MATRICES = "weight matrices"
    """Replaced by methods that freeze all of them, used by those that work on nothing else."""
    FORWARD_WEIGHTS = "weights of the forward pass"
    GRADIENTS = "gradients of whole matrices"
    INPUT_GRADIENTS = "gradient down to the input embeddings"
    """Replaced by methods that end the backward pass above them, used by those that follow it to there."""
    UPDATE = "update of the pre-trained weights"
    FINAL_WEIGHTS = "weights that the training ends with"
    TEXTS = "rows of one text each"
    """Used by methods that treat each row by itself: lengths, norms and means of a row, or a share of the rows."""


class Order(IntEnum):
    """When a method acts among several.

    Example:
        >>> SURT().requires.order < EMA().requires.order
        True
    """

    PRETRAINING = 0
    """It trains the plain model first."""
    MODEL = 1
    """It decides what is trained, or sets weights at the start: before those that keep copies of them. Of several, the
    name decides, so that the order in which they were given does not."""
    TRAINING = 2
    VOCABULARY = 3
    """It shrinks the embedding, once those that look at all of it have started."""
    FINAL_WEIGHTS = 4
    """It ends with other weights than it trains, so it prepares what the others leave and finishes first."""


@dataclass(frozen=True)
class Requires:
    """What a method needs of a training and of the methods beside it.

    Example:
        >>> R3F().requires.views, R3F().requires.gradients
        (True, False)
    """

    replaces: AbstractSet[Part] = frozenset()
    uses: AbstractSet[Part] = frozenset()
    order: Order = Order.TRAINING
    outputs: bool = False
    """``loss`` reads the model's outputs, whose meaning must be known."""
    views: bool = False
    """It asks for further copies of the batch."""
    inputs: bool = False
    """It perturbs the input embeddings of the rows themselves."""
    features: bool = False
    """``loss`` reads ``Forward.features``."""
    blocks: bool = False
    """``loss`` reads ``Forward.blocks``."""
    gradients: bool = False
    """It acts on whole, unscaled gradients between the backward pass and the optimizer's step."""
    whole_weights: bool = True
    """It works on whole weights, which shards are not."""
    data: bool = False
    """``calibrate`` looks at the training data."""
    full_pass: bool = False
    """It goes over all training rows before the first step, which a stream has no end of."""
    text: bool = False
    """``pretraining`` trains on the task's texts."""
    validation: bool = False
    """It can only ``select`` where there are labelled rows beside those trained on and scored."""
    dropout: float | None = None
    """Rate that it sets all dropout of the model to while it trains; None leaves the model's own. A comparison with a
    baseline of another rate confounds the method with it, and says so."""
    lr_scale: float = 1.0
    """By what a study multiplies its learning rate. In a loop or Trainer of the user's own, theirs is used as it is."""


@dataclass(frozen=True)
class Footprint:
    """Which weights a method works on, and the memory that costs.

    Example:
        >>> Mixout(drop=0.5).check(model).action
        '50% of the input columns put back at each step'
    """

    weights: Mapping[str, Tensor] | None = None
    """By parameter name, on the meta device where the model is; None for all alike."""
    action: str = ""
    """What is done with them, in a few words: "30 % of each matrix frozen at a time"."""
    state_bytes: int = 0
    """Most bytes kept at once, beside the model, its gradients and the optimizer's state."""
