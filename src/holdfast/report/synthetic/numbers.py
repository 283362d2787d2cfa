"""What is varied and measured in words, and rank correlations and slopes as text."""

from holdfast.stability.correlations import Correlation
from holdfast.stability.simulations import Slope
from holdfast.stability.synthetic import SyntheticStudy
from holdfast.wording import ABSENT, interval, signed

NAMES = {
    "n": "sample size",
    "margin": "margin",
    "dimension": "dimension",
    "steps": "steps",
    "learning_rate_share": "learning rate",
    "heads": "heads",
    "leave_one_out": "leave-one-out distance",
    "leave_one_out_max": "largest leave-one-out distance",
    "seed_spread": "seed spread",
    "accuracy_spread": "spread of accuracy over seeds",
    "margin_gap": "distance to the largest-margin direction",
    "bound": "bound, each set's own constants",
    "shared_bound": "bound, shared constants",
}
"""Factors, measures and bounds of a ``SyntheticStudy``."""


def find(study: SyntheticStudy, factor: str, measure: str, *, held: bool) -> Correlation | None:
    """Return a rank correlation of the study; None where one of both is the same for all sets."""
    for one in study.correlations:
        if (one.factor, one.measure, bool(one.held)) == (factor, measure, held):
            return one
    return None


def rho(correlation: Correlation | None) -> str:
    """Return a correlation with its interval, such as ``−0.87 [−0.90, −0.83]``."""
    if correlation is None:
        return ABSENT
    return f"{signed(correlation.rho, 2)} {interval(correlation.low, correlation.high, 2)}"


def slope(fitted: Slope) -> str:
    """Return a slope with its interval, such as ``−1.001 [−1.016, −0.986]``."""
    return f"{signed(fitted.value, 3)} {interval(fitted.low, fitted.high, 3)}"


def trend(measured: Correlation | Slope | None) -> str:
    """Return ``falls`` or ``rises`` where the whole interval says so, else nothing."""
    if measured is None:
        return ""
    return "falls" if measured.high < 0 else "rises" if measured.low > 0 else ""


def number(value: float) -> str:
    """Return three digits of a positive number, such as ``0.0150``, ``1.32`` or ``2 350``."""
    return f"{value:#.3g}".rstrip(".") if value < 999.5 else f"{value:,.0f}".replace(",", " ")
