"""Which statement is whose: the paper's, re-derived, or a choice of ours."""

from holdfast.report.synthetic.numbers import find, number, rho, slope
from holdfast.stability.synthetic import DELTA, SyntheticStudy
from holdfast.stability.synthetic_results import SyntheticResults

PAPER = (
    "Full tuning and head tuning each have a definition of stability and a bound on it.",
    "The bound for full tuning expands the loss to the second order around the pre-trained weights; sample size, "
    "Lipschitz constant and the distance from initial to final weights enter it.",
    "Head tuning is a linear classifier on separable features: more iterations, a smaller learning rate and a larger "
    "margin make it more stable.",
    "Several heads trained at once converge faster.",
    "The methods are tried on hundreds of generated classification sets. Which ones, and with what results, is not "
    "known here: no number on this page is the paper's.",
)
"""What its abstract and a published summary tell; the body could not be read."""

REDERIVED = (
    "The form of both bounds, each term under the assumptions it needs; constants in print may differ.",
    "Full tuning: sqrt(2 L D / β) / (n ((1 − μ/β)^(−1/4) − 1)) for losses of at least 0 that are L-Lipschitz, "
    "β-smooth, μ-convex and 0 at one point in common, with learning rate 1/β. The derivation also needs "
    "sqrt(1 − μ/β) ≥ 1/(n − 1), which only a tiny n or β close to μ breaks.",
    "Head tuning: C loglog T / log T for the way still to go to the largest-margin direction (the rate is that of "
    "Soudry et al., JMLR 2018), and a second term in n, λ and B/γ for how far that direction moves. The learning rate "
    "below which gradient descent cannot overshoot is theirs too.",
    "With H heads the first term shrinks by sqrt((2 + 8 ln(1/δ)) / H), with probability 1 − δ, from a vector "
    "Bernstein inequality: 1/√H for what the initialisation adds. The second term stays.",
)
"""What was derived anew; not checked against the paper's text."""


def choices(study: SyntheticStudy) -> list[str]:
    """Return what was decided for this study."""
    ranges = study.ranges
    least = min(one.regularisation for one in study.sets)
    conversion = max(2 * one.margin for one in study.sets)

    def between(name: str) -> str:
        low, high = getattr(ranges, name)
        return f"{low:g} to {high:g}"

    return [
        "Measured is the mean over the n rows of one set, where the definition takes the expectation over training "
        "sets; a training without a row takes the mean loss of the other n − 1.",
        f"Sets: two Gaussian classes of the same size; n {between('n')}, dimension {between('dimension')}, distance of "
        f"the centres {between('centre_distance')}, standard deviation {between('noise')}, steps {between('steps')}, "
        f"learning rate {between('learning_rate_share')} of the largest, all log-uniform; "
        f"{', '.join(map(str, ranges.heads))} heads, weights drawn with standard deviation {ranges.init_scale:g}.",
        f"Only separable sets are kept, {len(study.sets)} of {study.drawn} drawn. That ties factors together, as many "
        "rows in few dimensions are kept only with a large margin: hence correlations with the others held constant.",
        "Constants: C and ξ are 1, as there is no way to find them; ν is 2γ and λ the largest with which the soft "
        f"margin is the hard one. Shared by all sets: λ {number(least)}, the least, and ν {number(conversion)}, the "
        f"greatest. The bound for many heads is used from the least H that δ = {DELTA:g} allows.",
        f"The losses of several heads are put together by their {ranges.reduction}; the seed spread is over "
        f"{ranges.seeds} initialisations.",
        "ρ is Spearman's rank correlation, with others held constant the partial correlation of ranks; intervals are "
        "Fisher's z with the variance of Bonett & Wright (2000), those of slopes Student's t over repetitions.",
    ]


def expected(results: SyntheticResults) -> list[tuple[str, str, str]]:
    """Return what theory lets expect of stability, whose statement it is, and what this run shows."""
    study, simulations = results.study, results.simulations

    def seen(factor: str, measure: str, sign: int) -> str:
        correlation = find(study, factor, measure, held=True)
        if correlation is None:
            return "not varied"
        met = correlation.high < 0 if sign < 0 else correlation.low > 0
        against = correlation.low > 0 if sign < 0 else correlation.high < 0
        return f"{'yes' if met else 'the other way' if against else 'not seen'}, ρ {rho(correlation)}"

    def both(factor: str, sign: int) -> str:
        return "; ".join(
            f"{name}: {seen(factor, measure, sign)}"
            for name, measure in (("leave-one-out", "leave_one_out"), ("seeds", "seed_spread"))
        )

    return [
        ("a larger margin is more stable", "paper", both("margin", -1)),
        ("more steps are more stable", "paper", both("steps", -1)),
        ("a smaller learning rate is more stable", "paper", both("learning_rate_share", 1)),
        (
            "more examples are more stable",
            "paper for full tuning, re-derived for heads",
            f"leave-one-out: {seen('n', 'leave_one_out', -1)}",
        ),
        (
            "full tuning: the distance falls as 1/n",
            "re-derived",
            f"quadratics: slope {slope(simulations.quadratics.slope)}",
        ),
        (
            "H heads: what the initialisation adds falls as 1/√H",
            "re-derived",
            f"seeds: slope {slope(simulations.heads_sum.slope)}",
        ),
    ]
