"""The results of a study that follows a recipe, beside those of its paper."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean, median

from holdfast.records.run import RunRecord
from holdfast.records.summary import PublishedRow, Reproduction, Summary
from holdfast.study.define.recipe import Recipe, load_recipe
from holdfast.study.define.study_file import StudyFile
from holdfast.study.plan.grid import resolve_methods

_MEASURED: dict[str, Callable[[list[float]], float]] = {"best": max, "median": median, "mean": fmean, "unstated": fmean}
"""What is made of the runs here, by what the paper made of its own."""


def reproduce(study: StudyFile, records: Iterable[RunRecord]) -> Reproduction | None:
    """Return what the paper says of the (resolved) study's recipe beside ``records``; None where it follows none.

    ``records``: those that are compared. A run without the score that the paper gives counts nowhere.
    """
    if study.recipe is None:
        return None
    recipe, task = load_recipe(study.recipe), study.tasks[0].source
    return Reproduction(
        recipe=recipe.name,
        title=recipe.paper.title,
        arxiv=recipe.paper.arxiv,
        table=recipe.table,
        smoke=bool(study.smoke),
        rows=_rows(study, recipe, task, list(records)),
        unverified=recipe.unverified,
        differs=recipe.differs,
        changed=[] if study.smoke else _changed(study, resolve_methods(recipe.study_of(task))),
    )


def reproductions(folder: Path, like: StudyFile) -> list[Reproduction]:
    """Return what the studies below ``folder`` that follow the recipe of ``like``, in its form, have beside the paper.

    There may be others: of another recipe, or a smoke run's.
    """
    summaries = [Summary.model_validate_json(file.read_bytes()) for file in sorted(folder.glob("*/summary.json"))]
    results = [summary.reproduction for summary in summaries if summary.reproduction is not None]
    return [one for one in results if (one.recipe, one.smoke) == (like.recipe, bool(like.smoke))]


def together(results: Sequence[Reproduction]) -> Reproduction:
    """Return what one or several studies of one recipe, in one form, have beside the paper."""
    return results[0].model_copy(
        update={
            "rows": [row for one in results for row in one.rows],
            "changed": list(dict.fromkeys(line for one in results for line in one.changed)),
        }
    )


def _rows(study: StudyFile, recipe: Recipe, task: str, records: Sequence[RunRecord]) -> list[PublishedRow]:
    from holdfast.methods import describe, parse

    places, rows = recipe.places(task), []
    texts = {text for block in recipe.published for by_method in block.scores.values() for text in by_method}
    canonical = {text: describe(parse(text)) for text in texts | recipe.called.keys()}
    called = {canonical[text]: name for text, name in recipe.called.items()}
    for block in recipe.published:
        for place, by_method in block.scores.items():
            for text, scores in by_method.items():
                method = canonical[text]
                if place not in places or method not in study.methods:
                    continue
                for metric, value in scores.items():
                    own = [record for record in records if record.spec.method == method]
                    scores_here = [_score(record, places[place], metric) for record in own]
                    measured = [score for score in scores_here if score is not None]
                    here = _MEASURED[block.statistic](measured) if measured else None
                    rows.append(
                        PublishedRow(
                            place=place,
                            method=method,
                            called=called.get(method, ""),
                            metric=metric,
                            statistic=block.statistic,
                            published=value,
                            published_runs=block.runs,
                            measured=here,
                            n=len(measured),
                            # A random model's distance from the paper would mean nothing.
                            difference=None if here is None or study.smoke else round(here - value, 9),
                        )
                    )
    return rows


def _score(record: RunRecord, over: Sequence[str], metric: str) -> float | None:
    """The points of one run: the mean over the tasks ``over``; None where one is lacking."""
    points = []
    for place in over:
        scores = record.metrics if place == record.spec.task.source else record.extra_metrics.get(place, {})
        value = scores.get(metric)
        if value is None:
            return None
        points.append(100 * value)
    return fmean(points)


def _changed(study: StudyFile, recipe: StudyFile) -> list[str]:
    """What the study has otherwise than its recipe, a sentence part each."""
    here, there = study.model_dump(), recipe.model_dump()
    keys = ("model", "revision", "seq2seq_from_encoder", "train_size", "subset_seed")
    changes = [f"{key} {_said(here[key])} in place of {_said(there[key])}" for key in keys if here[key] != there[key]]
    changes += [
        f"{key} {_said(here['settings'][key])} in place of {_said(there['settings'][key])}"
        for key in there["settings"]
        if here["settings"][key] != there["settings"][key]
    ]
    if len(study.seeds) != len(recipe.seeds):
        changes.append(f"seeds: {len(study.seeds)} in place of {len(recipe.seeds)}")
    return changes


def _said(value: object) -> str:
    return "not set" if value is None else str(value)
