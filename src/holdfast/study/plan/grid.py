"""All runs of a study, in the order in which they are done."""

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.errors import HoldfastError, nearest
from holdfast.records.run import OtherTask, Perturbation, RunSpec
from holdfast.records.task import OodSpec, TaskSpec
from holdfast.study.define.study_file import StudyFile


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


def build_grid(study: StudyFile, fingerprints: Mapping[TaskSpec | OodSpec, str]) -> list[RunSpec]:
    """Return the runs of ``study``, whose methods are resolved; ``fingerprints`` of all its tasks' data.

    Methods change fastest and tasks slowest, so that a study stopped early has compared all methods on the
    seeds it reached. Where tasks are probed, the first run probes the pre-trained model. Runs on perturbed data come
    last. They share the first seed pair, so that nothing but the rows varies among them, and a training set is drawn
    for each seed; they have no part in the comparison, so nothing is measured beside their score.
    """
    if study.sequence is not None:
        return _sequence(study, fingerprints)
    pairs: list[tuple[tuple[int, int], Perturbation | None]] = [(pair, None) for pair in study.seed_pairs]
    perturbed = [(study.seed_pairs[0], Perturbation(seed=seed)) for seed in study.seeds if study.perturb == "data"]
    probed = _targets(study.probed, fingerprints)
    targets = {
        "ood": tuple(OtherTask(task=ood.task, data=fingerprints[ood], labels=ood.labels) for ood in study.ood),
        "monitor": study.monitor,
        **_probing(study, probed),
    }
    return [
        *([_reference(study, fingerprints, probed)] if probed else []),
        *(
            _run(study, task, size, fingerprints, pair, method, **({"perturb": perturb} if perturb else targets))
            for part in (pairs, perturbed)
            for task in study.tasks
            for size in study.train_sizes
            for pair, perturb in part
            for method in study.methods
        ),
    ]


def is_sequence(grid: Sequence[RunSpec]) -> bool:
    """Return whether runs of ``grid`` go on from others."""
    return any(spec.after is not None for spec in grid)


def _sequence(study: StudyFile, fingerprints: Mapping[TaskSpec | OodSpec, str]) -> list[RunSpec]:
    """Return the runs of a chain or of cycles, stage by stage: every one goes on from that of the stage before."""
    turns = study.tasks * (study.cycles if study.sequence == "cycles" else 1)
    before: dict[tuple[str, tuple[int, int]], str] = {}
    grid = [_reference(study, fingerprints, _targets(_probed_tasks(study, 0), fingerprints))]
    for stage, task in enumerate(turns, 1):
        probed = _targets(_probed_tasks(study, stage), fingerprints)
        plain = {"monitor": study.monitor, **_probing(study, probed)}
        for pair in study.seed_pairs:
            for method in study.methods:
                after = before.get((method, pair))
                spec = _run(study, task, study.train_sizes[0], fingerprints, pair, method, after=after, **plain)
                before[method, pair] = spec.id
                grid.append(spec)
    return grid


def _probed_tasks(study: StudyFile, stage: int) -> list[TaskSpec]:
    """Return which tasks are probed when so many stages are done."""
    if study.sequence == "chain":
        return study.tasks[:1]
    if stage == 0:
        return study.tasks
    # After the last turn of the last cycle no turn comes any more.
    last = stage == len(study.tasks) * study.cycles
    return [] if last else [study.tasks[stage % len(study.tasks)]]


def _run(
    study: StudyFile,
    task: TaskSpec,
    size: int | None,
    fingerprints: Mapping[TaskSpec | OodSpec, str],
    seeds: tuple[int, int],
    method: str,
    **further: Any,
) -> RunSpec:
    seed, data_seed = seeds
    return RunSpec(
        model=study.model,
        revision=study.revision,
        task=task,
        data=fingerprints[task],
        method=method,
        train_size=size,
        seed=seed,
        data_seed=data_seed,
        subset_seed=study.subset_seed,
        settings=study.settings,
        remote_code=study.remote_code,
        pickled_weights=study.pickled_weights,
        seq2seq_from_encoder=study.seq2seq_from_encoder,
        **further,
    )


def _reference(
    study: StudyFile, fingerprints: Mapping[TaskSpec | OodSpec, str], probed: tuple[OtherTask, ...]
) -> RunSpec:
    """Return the run that trains nothing: the pre-trained model under the same probes. Seeds have no part in it."""
    return _run(study, study.tasks[0], study.train_sizes[0], fingerprints, (0, 0), "", **_probing(study, probed))


def _targets(tasks: Sequence[TaskSpec], fingerprints: Mapping[TaskSpec | OodSpec, str]) -> tuple[OtherTask, ...]:
    return tuple(OtherTask(task=task, data=fingerprints[task]) for task in tasks)


def _probing(study: StudyFile, probed: tuple[OtherTask, ...]) -> dict[str, object]:
    return {"probed": probed, "probe": study.probe if probed else None}


def _canonical(text: str) -> str:
    from holdfast import methods

    return methods.describe(methods.parse(text))
