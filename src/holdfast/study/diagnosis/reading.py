"""What the numbers point to: each limit judged with its evidence, and the method that acts on it."""

from collections.abc import Sequence

from holdfast.records.diagnosis import Features, FullTuning, HeadTuning, Lever, Limit, LimitVerdict, Measure
from holdfast.wording import percent

GAIN = 0.9
"""What a change must bring a measure down to before it counts. Ours: less is within what a draw of rows makes."""
HARM = 1.1
"""What it may not bring the other measure up to."""
MATTERS = 0.01
"""The share of rows whose class must change for a measure to count at all. Ours."""
_NAMES: dict[Lever, str] = {
    "rows": "more rows",
    "centres": "class centres further apart",
    "rate": "half the learning rate",
    "steps": "twice the steps",
    "heads": "10 heads",
}
_MEASURES: dict[Measure, str] = {
    "leave_one_out": "leave-one-out distance",
    "seed_spread": "the spread between seeds",
}
_NO_HEAD = "head tuning was not measured"
_NO_FULL = "full tuning was not measured: give --tune-steps 1 or more"


def judge(features: Features | None, head: HeadTuning | None, full: FullTuning | None) -> tuple[Limit, ...]:
    """Return what may limit stability, each judged; parts that were not measured are None."""
    return (
        few_examples(head),
        small_margin(features, head),
        long_distance(full),
        high_rate(head, full),
        few_steps(head),
    )


def few_examples(head: HeadTuning | None) -> Limit:
    """Judge by what the second half of the rows brought."""
    verdict: LimitVerdict = "cannot be judged"
    evidence, gain = _NO_HEAD, None
    if head is not None:
        gain = head.gain("rows", "leave_one_out")
        if gain is None:
            evidence = "a class has fewer than 3 rows, so that half of the rows cannot be tried"
        else:
            verdict = _limits(gain <= GAIN and _matters(head, "leave_one_out"))
            evidence = (
                f"without a row, the head turns by {head.changed['rows'].leave_one_out:.2g} when trained on half of "
                f"the rows and by {head.given.leave_one_out:.2g} on all {head.given.n}, {percent(gain)} of it"
            )
    return Limit(
        name="too few examples",
        verdict=verdict,
        evidence=(evidence,),
        share=gain,
        remedy="more labelled rows; no method stands in for them, mmr and mhloss do not act on their number",
    )


def small_margin(features: Features | None, head: HeadTuning | None) -> Limit:
    """Judge by how the margin compares with that of shuffled labels, and by what doubling the distance brought."""
    evidence: list[str] = []
    points = False
    if features is not None:
        evidence, points = _margin_evidence(features)
    gain = None if head is None else head.gain("centres", "leave_one_out")
    if head is not None and gain is not None:
        points |= gain <= GAIN and _matters(head, "leave_one_out")
        evidence.append(f"class centres twice as far apart bring leave-one-out distance {_to(gain)}")
    return Limit(
        name="small margin",
        verdict=_limits(points) if evidence else "cannot be judged",
        evidence=tuple(evidence or [_NO_HEAD]),
        share=gain,
        remedy="mmr moves class centres apart while the encoder is tuned; it does nothing for a frozen one",
    )


def long_distance(full: FullTuning | None) -> Limit:
    """Judge by whether the second-order expansion, on which the analysis rests, still holds where tuning ended."""
    remedy = "surt starts nearer to the task; l2_sp, mixout and dps keep the weights nearer to their start"
    if full is None:
        return Limit(name="long distance", verdict="cannot be judged", evidence=(_NO_FULL,), remedy=remedy)
    change, expanded = full.loss_end - full.loss_start, full.loss_expanded - full.loss_start
    evidence = (
        f"{full.steps} steps moved the weights by {full.distance:.2g}, {_percent(full.distance / full.weight_norm)} of "
        f"their norm, and the loss from {full.loss_start:.2f} to {full.loss_end:.2f}; the second-order expansion "
        f"around the start, on which the analysis rests, says {full.loss_expanded:.2f}"
    )
    if abs(change - expanded) > max(abs(change), abs(expanded)) / 2:
        return Limit(name="long distance", verdict="limits", evidence=(evidence,), remedy=remedy)
    if full.loss_end > full.loss_start / 2:
        unsure = "the loss has not halved, so a solution is further away than that; a greater --tune-steps tells"
        return Limit(name="long distance", verdict="cannot be judged", evidence=(evidence, unsure), remedy=remedy)
    return Limit(name="long distance", verdict="does not limit", evidence=(evidence,), remedy=remedy)


def high_rate(head: HeadTuning | None, full: FullTuning | None) -> Limit:
    """Judge by half the rate for the head, and by whether a short tuning raises the loss."""
    evidence: list[str] = []
    points = False
    if head is not None:
        points = _helps(head, "rate")
        evidence.append(f"head tuning with half the rate: {_both(head, 'rate')}")
    if full is not None:
        risen = full.loss_end > full.loss_start
        points |= risen
        evidence.append(
            f"full tuning {'raised' if risen else 'lowered'} the loss of {full.rows} rows from {full.loss_start:.2f} "
            f"to {full.loss_end:.2f} in {full.steps} steps at {full.learning_rate:g}"
        )
        product = full.learning_rate * full.sharpness
        evidence.append(
            f"rate times sharpness is {product:.2g}, and plain gradient descent overshoots above 2: a hint only, "
            "as Adam scales each weight's step by its own gradients"
        )
    return Limit(
        name="too high a rate",
        verdict=_limits(points) if evidence else "cannot be judged",
        evidence=tuple(evidence or [_NO_HEAD, _NO_FULL]),
        share=_least(head, "rate"),
        remedy="a lower --learning-rate, and more steps with it, as both move the weights",
    )


def few_steps(head: HeadTuning | None) -> Limit:
    """Judge by what twice the steps and 10 heads leave of the spread between seeds."""
    if head is None:
        verdict: LimitVerdict = "cannot be judged"
        evidence: tuple[str, ...] = (_NO_HEAD,)
    else:
        verdict = _limits(_helps(head, "steps") or _helps(head, "heads"))
        evidence = (
            f"two seeds put {_percent(head.given.disagreement)} of the rows into different classes after "
            f"{head.given.steps} steps",
            f"twice the steps: {_both(head, 'steps')}",
            f"10 heads: {_both(head, 'heads')}",
        )
    return Limit(
        name="too few steps",
        verdict=verdict,
        evidence=evidence,
        share=_least(head, "steps", "heads"),
        remedy="more --epochs; mhloss averages out what is left of the heads' initialisation",
    )


def sentences(limits: Sequence[Limit], head: HeadTuning | None) -> tuple[str, ...]:
    """Return the plain reading: where it stands, what moves it most, what that points to."""
    text = []
    if head is not None:
        given = head.given
        text.append(
            f"Head tuning on {given.n} rows: leaving one out changes its own class in {_percent(given.flips)} of the "
            f"cases, another seed changes {_percent(given.disagreement)} of the classes; of the rows left out "
            f"{_percent(given.accuracy)} are right."
        )
        text.append(_most(head))
        calm = [name for measure, name in _MEASURES.items() if not _matters(head, measure)]
        if calm:
            text.append(f"So little changes that {' and '.join(calm)} count as no limit here.")
    limiting = [limit for limit in limits if limit.verdict == "limits"]
    # What has no share comes last; the order among those stays.
    limiting.sort(key=lambda limit: 1.0 if limit.share is None else limit.share)
    text.append(
        f"This points to, what helps most first: {', '.join(limit.name for limit in limiting)}."
        if limiting
        else "This points to none of the limits looked at."
    )
    unknown = [limit.name for limit in limits if limit.verdict == "cannot be judged"]
    if unknown:
        text.append(f"Not to be judged from this: {', '.join(unknown)}.")
    return tuple(text)


def _most(head: HeadTuning) -> str:
    parts = []
    for measure, name in _MEASURES.items():
        gains = [(gain, lever) for lever in head.changed if (gain := head.gain(lever, measure)) is not None]
        if not gains or min(gains)[0] > GAIN:
            parts.append(f"{name} is lowered by a tenth by nothing that was tried")
        else:
            gain, best = min(gains)
            parts.append(f"{name} is lowered most by {_NAMES[best]}, {_to(gain)}")
    return f"{'; '.join(parts).capitalize()}."


def _margin_evidence(features: Features) -> tuple[list[str], bool]:
    overlapping = [pair for pair in features.pairs if pair.margin is None]
    if overlapping:
        worst = max(overlapping, key=lambda pair: pair.soft_errors or 0)
        return [
            f"the pre-trained features do not separate {worst.first} from {worst.second}: a soft margin gets "
            f"{_percent(worst.soft_errors or 0)} of their rows wrong, and there is no margin"
        ], True
    smallest = min(features.pairs, key=lambda pair: pair.margin or 0)
    margin = smallest.margin or 0.0
    evidence = [
        f"margin {margin:.2g} between {smallest.first} and {smallest.second} at a feature norm of up to "
        f"{features.feature_norm:.2g}: a ratio of {features.feature_norm / margin:.0f}"
    ]
    if smallest.shuffled is None:
        evidence.append("with shuffled labels the classes overlap, so the margin is the classes' own")
        return evidence, False
    share = margin / smallest.shuffled
    comparison = f"with shuffled labels the margin is {smallest.shuffled:.2g}, {percent(1 / share)} of it"
    if share < HARM:
        comparison += f": rows are separable because there are {features.width} features, not because of the classes"
    return [*evidence, comparison], share < HARM


def _helps(head: HeadTuning, lever: Lever) -> bool:
    """Return whether a change brings down a measure that matters, and the other not up."""
    gains = {measure: gain for measure in _MEASURES if (gain := head.gain(lever, measure)) is not None}
    helped = any(gain <= GAIN and _matters(head, measure) for measure, gain in gains.items())
    return helped and all(gain < HARM for gain in gains.values())


def _matters(head: HeadTuning, measure: Measure) -> bool:
    """Return whether predictions change with what the measure is about."""
    return (head.given.flips if measure == "leave_one_out" else head.given.disagreement) >= MATTERS


def _least(head: HeadTuning | None, *levers: Lever) -> float | None:
    """Return the smallest share that a change that helps leaves of a measure."""
    if head is None:
        return None
    helping = [lever for lever in levers if _helps(head, lever)]
    gains = [head.gain(lever, measure) for lever in helping for measure in _MEASURES]
    return min((gain for gain in gains if gain is not None), default=None)


def _both(head: HeadTuning, lever: Lever) -> str:
    parts = []
    for measure, name in _MEASURES.items():
        gain = head.gain(lever, measure)
        parts.append(f"{name} {'is 0' if gain is None else _to(gain)}")
    return ", ".join(parts)


def _limits(points: bool) -> LimitVerdict:
    return "limits" if points else "does not limit"


def _to(gain: float) -> str:
    return f"to {percent(gain)}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else percent(share)
