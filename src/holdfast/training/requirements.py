"""What a method does, told from the hooks it has."""

from holdfast.methods.base import Method
from holdfast.methods.parts.model.freezing import BODY, CHOICE


def measures(method: Method) -> bool:
    """Return whether ``method`` looks at the training data before it trains."""
    return type(method).measure is not Method.measure


def compares(method: Method) -> bool:
    """Return whether ``method`` compares the model's outputs, and needs to know what the labels make of them."""
    return type(method).penalty is not Method.penalty


def trains_first(method: Method) -> bool:
    """Return whether ``method`` may ask for training to be done before the task's own."""
    return type(method).stages is not Method.stages


def alters_gradients(method: Method) -> bool:
    """Return whether ``method`` needs whole, unscaled gradients at hand."""
    kind = type(method)
    return kind.on_gradients is not Method.on_gradients or kind.on_clipped_gradients is not Method.on_clipped_gradients


def operates(method: Method) -> bool:
    """Return whether the model is not, while ``method`` trains it, the one that is saved."""
    return type(method).plain_state is not Method.plain_state or shows(method)


def shows(method: Method) -> bool:
    """Return whether the weights that ``method`` ends with may be others than those it trains."""
    return type(method).shown is not Method.shown


def scales_rates(method: Method) -> bool:
    """Return whether ``method`` may give parameters learning rates of their own."""
    return type(method).rates is not Method.rates


def chooses(method: Method) -> bool:
    """Return whether ``method`` may choose by validation after the last step."""
    return type(method).choose is not Method.choose


def needs_whole(method: Method) -> bool:
    """Return whether ``method`` works on whole weights, which shards are not."""
    kind = type(method)
    acts = kind.on_update is not Method.on_update or BODY in method.replaces
    steers = alters_gradients(method) or scales_rates(method) or trains_first(method) or measures(method)
    # Those that are prepared first without choosing what is trained draw weights anew.
    draws = method.freezes and CHOICE not in method.replaces
    # With a loss of their own making for disturbed rows they differentiate by the weights.
    differentiates = kind.disturb is not Method.disturb and kind.penalty is not Method.penalty
    return acts or steers or draws or differentiates or operates(method) or chooses(method)
