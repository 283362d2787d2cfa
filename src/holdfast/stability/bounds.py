"""The upper bounds on leave-one-out stability of Fu, So & Collier (2023), and what is sharper, as pure functions.

How each is known. What "A Stability Analysis of Fine-Tuning a Pre-Trained Model" (arXiv 2301.09820) is known to state
is that there are bounds for full and for head tuning, and what enters them; its theorems are not confirmed.
*Attributed*: the form of a bound ascribed to the paper, not confirmed against its text, so that constants may differ.
*Re-derived*: each of its steps was found to follow from the assumptions named. *Ours*: added here.

Symbols, the same in all functions:

- ``n``: training examples.
- ``lipschitz``, L: the most that the loss of one example changes for a unit of weight distance,
  sup | grad f(w, x) |. Loss per unit of weight.
- ``smoothness``, beta: the most that this gradient changes, the largest curvature. Loss per squared unit of weight.
- ``curvature``, mu: the least curvature of the loss at the pre-trained weights, above 0. Same unit.
- ``distance``, |w_0 - w_*|: from the pre-trained weights to those that bring the loss of all examples to 0.
- ``steps``, T: steps of gradient descent. ``learning_rate``, eta: weight squared per loss.
- ``margin``, gamma: distance of the closest example to the separating hyperplane of the largest margin. Feature unit.
- ``feature_norm``, B: the largest norm of the vector that the head multiplies. Feature unit.
- ``regularisation``, lambda: the weight in lambda |w|^2 + mean hinge loss at which its solution still is the
  hard-margin one, for all examples and for all but any one. ``hard_margin`` finds it for all examples.
- ``heads``, H, and ``delta``: the bound for H heads holds with probability 1 - delta over their initialisation.
- ``convergence``, C; ``init_convergence``, xi; ``conversion``, nu: constants of the problem, without a unit for C and
  xi, per feature unit for nu. We know no way to find C and xi: with 1 a bound shows trends, not a level.

All raise ``HoldfastError`` for numbers outside their range.
"""

import math

from holdfast.errors import HoldfastError


def full_tuning_bound(n: int, lipschitz: float, smoothness: float, curvature: float, distance: float) -> float:
    """Return the bound on E | A(S^i) - A(S) | for full tuning: sqrt(2 L D / beta) / (n ((1 - mu/beta)^(-1/4) - 1)).

    Attributed. Re-derived for losses that are non-negative, L-Lipschitz, beta-smooth, mu-convex and 0 at one w_* for
    all examples, gradient descent with learning rate 1/beta, 2 or more steps, and the leave-one-out loss divided by n.
    Ours: that division leaves S^i the curvature (1 - 1/n) mu, so the derivation asks for
    sqrt(1 - mu/beta) >= 1/(n - 1) too, which only tiny n or beta close to mu break. With the mean over the n - 1 rows
    left, the bound doubles and needs no such condition.

    The assumption of mu > 0 does not hold for pre-trained models, whose least curvature is 0 or below:
    ``convex_tuning_bound`` does without.

    Args:
        n: Training examples.
        lipschitz: L, the most that the loss of one example changes for a unit of weight distance.
        smoothness: beta, the largest curvature of that loss, per squared unit of weight.
        curvature: mu, its least curvature at the pre-trained weights, above 0 and below ``smoothness``.
        distance: From the pre-trained weights to those that bring the loss of all examples to 0.

    Raises:
        HoldfastError: A number is outside its range.
    """
    return _gradient_scale(n, lipschitz, smoothness, distance) / (1 / _fourth_root(smoothness, curvature) - 1)


def full_tuning_bound_after(
    steps: int, n: int, lipschitz: float, smoothness: float, curvature: float, distance: float
) -> float:
    """Return the bound of full tuning after exactly ``steps`` steps: its sum over steps, not carried to the limit.

    Ours, assumptions as in ``full_tuning_bound``: with r = (1 - mu/beta)^(1/4) that bound times
    r^(T-2) (1 - r^T). It goes to 0 with the steps, since both trainings end at w_*.

    Args:
        steps: T, steps of gradient descent.
        n: Training examples.
        lipschitz: L, the most that the loss of one example changes for a unit of weight distance.
        smoothness: beta, the largest curvature of that loss, per squared unit of weight.
        curvature: mu, its least curvature at the pre-trained weights, above 0 and below ``smoothness``.
        distance: From the pre-trained weights to those that bring the loss of all examples to 0.

    Raises:
        HoldfastError: A number is outside its range.
    """
    _above_zero("steps", steps, whole=True)
    root = _fourth_root(smoothness, curvature)
    return _gradient_scale(n, lipschitz, smoothness, distance) * root ** (steps - 1) * (1 - root**steps) / (1 - root)


def convex_tuning_bound(
    steps: int, n: int, lipschitz: float, smoothness: float, distance: float, learning_rate: float
) -> float:
    """Return eta T sqrt(2 beta L D) / n: what few steps or a small learning rate leave room for.

    Ours; no curvature needed. Losses convex, non-negative, L-Lipschitz, beta-smooth, 0 at one w_*, and a learning
    rate of at most 2/beta, with which gradient descent brings no two trainings apart. The leave-one-out loss is
    divided by n; with the mean over the n - 1 rows left, the bound doubles.

    Args:
        steps: T, steps of gradient descent.
        n: Training examples.
        lipschitz: L, the most that the loss of one example changes for a unit of weight distance.
        smoothness: beta, the largest curvature of that loss, per squared unit of weight.
        distance: From the pre-trained weights to those that bring the loss of all examples to 0.
        learning_rate: eta, weight squared per loss, at most 2/beta.

    Raises:
        HoldfastError: A number is outside its range.
    """
    _above_zero("steps", steps, whole=True)
    _above_zero("learning_rate", learning_rate)
    scale = _gradient_scale(n, lipschitz, smoothness, distance) * smoothness
    if learning_rate * smoothness > 2:
        raise HoldfastError(
            f"learning_rate is {learning_rate:g}: the bound holds up to 2/smoothness, {2 / smoothness:g}"
        )
    return learning_rate * steps * scale


def head_tuning_bound(
    n: int,
    margin: float,
    feature_norm: float,
    steps: int,
    *,
    regularisation: float,
    convergence: float = 1.0,
    conversion: float | None = None,
) -> float:
    """Return the bound on E | A(S^i)/|A(S^i)| - A(S)/|A(S)| | for head tuning on separable classes.

    C loglog T / log T + nu max(sqrt(2/(lambda n) (1 + B/gamma)),
    (B + sqrt(B^2 + 8 n lambda (1 + B/gamma))) / (2 n lambda)). Attributed; each term re-derived: gradient descent on a
    loss with an exponential tail goes to the direction of the largest margin at the first term's rate (Soudry et al.,
    JMLR 2018), and the second bounds how far that direction moves. ``conversion`` is 2 gamma unless given (ours:
    |a/|a| - b/|b|| <= 2|a - b| / max(|a|, |b|), and |w| = 1/gamma).

    Ours: of the two under max the second is never the smaller one. The first term only falls from T = 16 on. No two
    unit vectors are further apart than 2, so a greater bound says nothing but its rank. And the bound falls with n
    and gamma only while lambda and nu stay: the largest lambda of a problem is 1/(2 n max alpha), which leaves no n
    in the second term, and nu = 2 gamma outweighs its 1/gamma. To compare problems, give the same to all.

    Args:
        n: Training examples.
        margin: gamma, distance of the closest example to the separating hyperplane of the largest margin.
        feature_norm: B, the largest norm of the vector that the head multiplies.
        steps: T, steps of gradient descent, at least 3.
        regularisation: lambda, the weight of |w|^2 against the mean hinge loss, as ``hard_margin`` finds it.
        convergence: C, a constant of the problem that we know no way to find.
        conversion: nu; None takes 2 gamma.

    Raises:
        HoldfastError: A number is outside its range.
    """
    _above_zero("convergence", convergence)
    return convergence * _rate(steps) + _margin_term(n, margin, feature_norm, regularisation, conversion)


def multi_head_bound(
    heads: int,
    delta: float,
    n: int,
    margin: float,
    feature_norm: float,
    steps: int,
    *,
    regularisation: float,
    convergence: float = 1.0,
    init_convergence: float = 1.0,
    conversion: float | None = None,
) -> float:
    """Return the bound of head tuning for the mean of H heads: its first term times xi sqrt((2 + 8 ln(1/delta)) / H).

    Attributed, and re-derived to the constant from Gross's vector Bernstein inequality (2011), with probability
    1 - delta and for H > 2 + 8 ln(1/delta), see ``least_heads``. It takes a head's deviation from the direction of
    the largest margin for independent and of mean zero. Ours: that holds for what the initialisation adds, not for
    the way that all heads have still to go, which averaging does not shorten.

    Args:
        heads: H, at least ``least_heads(delta)``.
        delta: The bound holds with probability 1 - delta over the heads' initialisation.
        n: Training examples.
        margin: gamma, distance of the closest example to the separating hyperplane of the largest margin.
        feature_norm: B, the largest norm of the vector that the head multiplies.
        steps: T, steps of gradient descent, at least 3.
        regularisation: lambda, the weight of |w|^2 against the mean hinge loss, as ``hard_margin`` finds it.
        convergence: C, a constant of the problem that we know no way to find.
        init_convergence: xi, another such constant.
        conversion: nu; None takes 2 gamma.

    Raises:
        HoldfastError: A number is outside its range.
    """
    _above_zero("heads", heads, whole=True)
    _above_zero("convergence", convergence)
    _above_zero("init_convergence", init_convergence)
    least = least_heads(delta)
    if heads < least:
        raise HoldfastError(f"heads is {heads}: with delta {delta:g} the bound needs at least {least}")
    shrink = math.sqrt((2 + 8 * math.log(1 / delta)) / heads)
    return shrink * init_convergence * convergence * _rate(steps) + _margin_term(
        n, margin, feature_norm, regularisation, conversion
    )


def least_heads(delta: float) -> int:
    """Return the least H above 2 + 8 ln(1/delta): 8 for delta 0.5, 21 for 0.1, 26 for 0.05. Attributed, re-derived."""
    if not 0 < delta < 1:
        raise HoldfastError(f"delta is {delta}: give a probability between 0 and 1")
    return math.floor(2 + 8 * math.log(1 / delta)) + 1


def soft_margin_bound(n: int, feature_norm: float, regularisation: float) -> float:
    """Return B / (lambda n), a bound on how far leaving one row out moves the soft-margin solution, not normalised.

    Ours: from the strong convexity of lambda |w|^2 + mean hinge loss, whose hinge is B-Lipschitz. It is sharper than
    the second term of ``head_tuning_bound`` before its conversion, needs no margin, and falls as 1/n.

    Args:
        n: Training examples.
        feature_norm: B, the largest norm of the vector that the head multiplies.
        regularisation: lambda, the weight of |w|^2 against the mean hinge loss.

    Raises:
        HoldfastError: A number is outside its range.
    """
    _above_zero("n", n, whole=True)
    _above_zero("feature_norm", feature_norm)
    _above_zero("regularisation", regularisation)
    return feature_norm / (regularisation * n)


def _gradient_scale(n: int, lipschitz: float, smoothness: float, distance: float) -> float:
    """Return sqrt(2 L D / beta) / n: what one example's first step moves the weights at most, from f <= L D."""
    _above_zero("n", n, whole=True)
    _above_zero("lipschitz", lipschitz)
    _above_zero("smoothness", smoothness)
    if not (math.isfinite(distance) and distance >= 0):
        raise HoldfastError(f"distance is {distance}: give a number of 0 or more")
    return math.sqrt(2 * lipschitz * distance / smoothness) / n


def _fourth_root(smoothness: float, curvature: float) -> float:
    """Return (1 - mu/beta)^(1/4), by which a step at least brings the square root of a gradient's bound down."""
    _above_zero("smoothness", smoothness)
    if not 0 < curvature < smoothness:
        raise HoldfastError(
            f"curvature is {curvature:g}: this bound needs one above 0 and below smoothness, {smoothness:g}; "
            "convex_tuning_bound needs none"
        )
    return float((1 - curvature / smoothness) ** 0.25)


def _rate(steps: int) -> float:
    """Return loglog T / log T."""
    if steps != int(steps) or steps < 3:
        raise HoldfastError(f"steps is {steps}: log(log(steps)) needs a whole number of at least 3")
    return math.log(math.log(steps)) / math.log(steps)


def _margin_term(n: int, margin: float, feature_norm: float, regularisation: float, conversion: float | None) -> float:
    _above_zero("n", n, whole=True)
    _above_zero("margin", margin)
    _above_zero("feature_norm", feature_norm)
    _above_zero("regularisation", regularisation)
    if margin > feature_norm * (1 + 1e-9):
        raise HoldfastError(f"margin is {margin:g}: it cannot be above the largest feature norm, {feature_norm:g}")
    nu = 2 * margin if conversion is None else conversion
    _above_zero("conversion", nu)
    inside = 1 + feature_norm / margin
    first = math.sqrt(2 / (regularisation * n) * inside)
    weight = n * regularisation
    second = (feature_norm + math.sqrt(feature_norm**2 + 8 * weight * inside)) / (2 * weight)
    return nu * max(first, second)


def _above_zero(name: str, value: float, *, whole: bool = False) -> None:
    if not (math.isfinite(value) and value > 0):
        raise HoldfastError(f"{name} is {value}: give a number above 0")
    if whole and value != int(value):
        raise HoldfastError(f"{name} is {value}: give a whole number")
