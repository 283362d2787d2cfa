"""All runs of a study, in the order in which they are done."""

from collections.abc import Sequence

from holdfast.errors import HoldfastError, nearest
from holdfast.study.study_file import StudyFile
from holdfast.training.spec import Perturbation, RunSpec


def resolve_methods(study: StudyFile) -> StudyFile:
    """Return ``study`` with methods and baseline in canonical text, the baseline filled in.

    Items with several methods (``"vanilla,r3f"``) are split, and what YAML split inside brackets is joined.
    Raises ``HoldfastError`` for unknown methods and arguments, combinations that cannot work, a method listed
    twice, and a baseline that is not in the list.
    """
    from holdfast import methods

    canonical: list[str] = []
    for text in methods.split(",".join(study.methods)):
        method = _canonical(text)
        if method in canonical:
            same = "" if method == text else f" (written {text!r} too)"
            raise HoldfastError(f"methods: {method} is listed twice{same}; list each method once")
        canonical.append(method)
    if study.baseline is None:
        baseline = "vanilla" if "vanilla" in canonical else canonical[0]
    else:
        baseline = _canonical(study.baseline)
        if baseline not in canonical:
            raise HoldfastError(
                f"baseline: {baseline} is not among the methods ({', '.join(canonical)})"
                f"{nearest(baseline, canonical)}; add it to them or choose one of them"
            )
    return study.model_copy(update={"methods": canonical, "baseline": baseline})


def build_grid(study: StudyFile, fingerprints: Sequence[str]) -> list[RunSpec]:
    """Return the runs of ``study``, whose methods are resolved; ``fingerprints`` of its tasks, in their order.

    Methods change fastest and tasks slowest, so that a study stopped early has compared all methods on the
    seeds it reached. Runs on perturbed data come last. They share the first seed pair, so that nothing but the rows
    varies among them, and a training set is drawn for each seed; they have no part in the comparison.
    """
    pairs: list[tuple[tuple[int, int], Perturbation | None]] = [(pair, None) for pair in study.seed_pairs]
    perturbed = [(study.seed_pairs[0], Perturbation(seed=seed)) for seed in study.seeds if study.perturb == "data"]
    return [
        RunSpec(
            model=study.model,
            revision=study.revision,
            task=task,
            data=fingerprint,
            method=method,
            train_size=study.train_size,
            seed=seed,
            data_seed=data_seed,
            subset_seed=study.subset_seed,
            settings=study.settings,
            remote_code=study.remote_code,
            pickled_weights=study.pickled_weights,
            perturb=perturb,
        )
        for part in (pairs, perturbed)
        for task, fingerprint in zip(study.tasks, fingerprints, strict=True)
        for (seed, data_seed), perturb in part
        for method in study.methods
    ]


def _canonical(text: str) -> str:
    from holdfast import methods

    return methods.describe(methods.parse(text))
