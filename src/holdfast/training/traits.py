"""What a method does, told from the hooks it has."""

from holdfast.methods.base import Method
from holdfast.methods.parts.trained import BODY


def measures(method: Method) -> bool:
    """Return whether ``method`` looks at the training data before it trains."""
    return type(method).measure is not Method.measure


def trains_first(method: Method) -> bool:
    """Return whether ``method`` may ask for training to be done before the task's own."""
    return type(method).stages is not Method.stages


def alters_gradients(method: Method) -> bool:
    """Return whether ``method`` needs whole, unscaled gradients at hand."""
    kind = type(method)
    return kind.on_gradients is not Method.on_gradients or kind.on_clipped_gradients is not Method.on_clipped_gradients


def operates(method: Method) -> bool:
    """Return whether the model is no plain one while ``method`` trains it."""
    return type(method).plain_state is not Method.plain_state


def needs_whole(method: Method) -> bool:
    """Return whether ``method`` works on whole weights, which shards are not."""
    acts = type(method).on_update is not Method.on_update or BODY in method.replaces
    return acts or alters_gradients(method) or operates(method) or trains_first(method)
