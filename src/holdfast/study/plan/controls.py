"""In what else than the method the runs of a study differ: dropout, learning rate, rows; and what tells that apart."""

from collections.abc import Sequence

from holdfast.errors import HoldfastError
from holdfast.wording import listed


def control_notes(methods: Sequence[str], baseline: str) -> list[str]:
    """Return a sentence for each way in which methods train differently from the baseline beside what they are."""
    return [*dropout_notes(methods, baseline), *rate_notes(methods, baseline), *validation_notes(methods)]


def rate_notes(methods: Sequence[str], baseline: str) -> list[str]:
    """Return a sentence for each factor by which methods change the study's learning rate, unlike the baseline."""
    factors: dict[float, list[str]] = {}
    for method in methods:
        factor = _factor(method)
        if factor != _factor(baseline):
            factors.setdefault(factor, []).append(method)
    return [
        f"{listed(which)} {'trains' if len(which) == 1 else 'train'} at {factor:g} times the study's learning rate: "
        "where it matters, give each method the best of several rates."
        for factor, which in factors.items()
    ]


def validation_notes(methods: Sequence[str]) -> list[str]:
    """Return a sentence for the methods that choose by validation, which may train on fewer rows than the others."""
    which = [method for method in methods if _validates(method)]
    if not which:
        return []
    verb, their = ("chooses", "its") if len(which) == 1 else ("choose", "their")
    return [
        f"{listed(which)} {verb} by validation: on tasks whose validation rows are the scored ones, a tenth of "
        f"{their} training rows is held out for that, on which nothing is trained."
    ]


def _validates(text: str) -> bool:
    from holdfast.methods import parse

    try:
        return any(method.requires.validation for method in parse(text))
    except HoldfastError:
        # A method of a package that is not installed any more.
        return False


def _factor(text: str) -> float:
    from holdfast.methods import parse

    factor = 1.0
    try:
        for method in parse(text):
            factor *= method.requires.lr_scale
    except HoldfastError:
        # A method of a package that is not installed any more.
        return 1.0
    return factor


def dropout_notes(methods: Sequence[str], baseline: str) -> list[str]:
    """Return a sentence for each way in which methods differ from the baseline in dropout too.

    ``methods``: canonical texts, the baseline among them. Each sentence names the control, plain fine-tuning with
    the method's dropout, and asks for it where the study lacks it. Methods that are not installed here are passed
    over.
    """
    differing: dict[tuple[str, float | None], list[str]] = {}
    for method in methods:
        control = _control(method, baseline)
        if control is not None and control != method:
            differing.setdefault((control, _rate(method)), []).append(method)
    return [
        _sentence(which, rate, baseline, control, control in methods) for (control, rate), which in differing.items()
    ]


def _sentence(which: Sequence[str], rate: float | None, baseline: str, control: str, present: bool) -> str:
    names = listed(which)
    verb, their = ("trains", "its") if len(which) == 1 else ("train", "their")
    differ = f"{names} {verb} {_words(rate)} and the baseline {baseline} {_words(_rate(baseline))}"
    if present:
        return f"{differ}: {control} shows what dropout alone does, read {their} results beside it."
    return f"{differ}: add {control} to the methods to tell {their} effect from that of dropout."


def _control(method: str, baseline: str) -> str | None:
    """Return which method to run beside these two, None where they do not differ in dropout.

    It is the one of them that leaves dropout alone, given the other's. Where both set it, or are the same methods, the
    user compares rates.
    """
    try:
        if _rate(method) == _rate(baseline) or _names_of(method) == _names_of(baseline):
            return None
        for plain, other in ((baseline, method), (method, baseline)):
            if _leaves_dropout(plain) and (rate := _rate(other)) is not None:
                return _with_dropout(plain, rate)
    except HoldfastError:
        # A method of a package that is not installed any more.
        return None
    return None


def _names_of(text: str) -> set[str]:
    from holdfast.methods import parse

    return {method.name for method in parse(text)}


def _rate(text: str) -> float | None:
    from holdfast.methods import parse

    rates = [rate for method in parse(text) if (rate := method.requires.dropout) is not None]
    return rates[0] if rates else None


def _leaves_dropout(text: str) -> bool:
    from holdfast.methods import parse

    return all(one.requires.dropout is None or one.name == "vanilla" for one in parse(text))


def _with_dropout(text: str, rate: float) -> str:
    from holdfast.methods import describe, parse

    others = [method for method in parse(text) if method.name != "vanilla"]
    return "+".join([f"vanilla(dropout={rate})", *([describe(others)] if others else [])])


def _words(rate: float | None) -> str:
    if rate is None:
        return "with the model's own dropout"
    return f"with dropout {rate}" if rate else "without dropout"
