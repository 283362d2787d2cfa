"""``holdfast.compare``: methods against each other over seeds, and what comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from holdfast.api.arguments import CompareOptions, Data, check_options, naming_arguments, source
from holdfast.api.logs import Logged, log_remarks
from holdfast.errors import HoldfastError
from holdfast.records.summary import SequenceSummary, Summary
from holdfast.records.task import TaskSpec
from holdfast.study.define.folders import default_out
from holdfast.study.define.options import read_data, study_keys
from holdfast.training.quiet import quiet

if TYPE_CHECKING:
    from holdfast.methods.base import Method


@dataclass(frozen=True)
class Study:
    """A comparison that is done, and its folder.

    Example:
        >>> study = holdfast.compare("tickets.csv", ["vanilla", "r3f"], seeds=1, max_steps=2, workers=0)
        >>> print(study.report().splitlines()[0])  # doctest: +ELLIPSIS
        **Which fine-tuning method on tickets?** 2 methods × 1 seed...
    """

    folder: Path
    """Holds ``report.html``, ``summary.json``, ``best/`` and the runs."""
    summary: Summary
    """All numbers and verdicts, as in ``summary.json``; scores are in points."""

    @property
    def best(self) -> Path:
        """Folder of the best model, an ordinary checkpoint with a model card.

        Raises:
            HoldfastError: When there is no model or one for each of several tasks; ``summary.best`` lists them.
        """
        best = self.summary.best
        if len(best) != 1:
            which = ", ".join(f"{one.task}: {one.path}" for one in best) or "none of its runs has a score to choose by"
            raise HoldfastError(
                f"{self.folder} has {len(best)} best models ({which}); take them from study.summary.best by task"
                if best
                else f"{self.folder} has no best model: {which}; see study.summary.errors and study.report()"
            )
        return self.folder / best[0].path

    def report(self) -> str:
        """Return the tables, the verdicts in words and the warnings as Markdown; ``report.html`` shows more."""
        from holdfast.report.markdown import markdown
        from holdfast.report.sections import study_report

        return markdown(study_report(self.summary))


def compare(
    data: Data | Sequence[Data],
    methods: "str | Sequence[str | Method] | None" = None,
    *,
    seeds: int | Sequence[int] | None = None,
    model: str | PathLike[str] | None = None,
    baseline: str | None = None,
    train_size: int | Sequence[int] | None = None,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    workers: int | None = None,
    retry_failed: bool = False,
    **options: Unpack[CompareOptions],
) -> Study:
    """Compare fine-tuning methods over seeds, and keep the best model.

    The same as ``holdfast compare``: the same call goes on where a stopped one was, and with more seeds or methods it
    adds those. Notes, warnings and a line for each run that ended go to the logger ``holdfast``: warnings are shown by
    default, the rest after ``logging.basicConfig(level="INFO")``.

    Args:
        data: As in ``holdfast.load_task``, one or several, or one study file (``.yaml``).
        methods: Methods or their texts, ``["vanilla", "r3f(sigma=0.0)", R3F(weight=0.5), "r3f+dps"]``, or one text
            with commas between them; None takes vanilla, r3f and r4f.
        seeds: How many seeds, or which; None takes 3.
        model: Pre-trained model: ``minilm``, a folder, or a hub id; None takes ``minilm``.
        baseline: Text of the method that the others are compared with; None takes vanilla, else the first.
        train_size: Rows drawn from the training split; several give a learning curve; None takes all.
        out: Folder for the results; None takes ``holdfast-runs/<tasks>``.
        data_dir: As in ``holdfast.load_task``.
        workers: Runs at a time, each in a worker process; 0 runs in this process; None takes 1.
        retry_failed: Do runs again that stopped with an error.
        **options: How data are read, as in ``holdfast.load_task``; how runs train, as in ``TrainingSettings``
            (``epochs``, ``learning_rate``, …); ``data_seeds``, ``max_seeds``, ``perturb``, ``delta``, ``ood``,
            ``probe``, ``monitor``, ``threads``, … as the command's options of these names.

    Returns:
        The study, with at least one finished run.

    Raises:
        HoldfastError: For anything the user must mend first, naming the argument, before anything is written; and
            when no run finished.

    Example:
        >>> study = holdfast.compare("tickets.csv", methods=["vanilla", "r3f"], seeds=2, max_steps=2, workers=0)
        >>> [(row.method, row.n) for row in study.summary.results]
        [('vanilla', 2), ('r3f', 2)]
        >>> model = AutoModelForSequenceClassification.from_pretrained(study.best)
    """
    from holdfast.methods import describe
    from holdfast.report.outputs import OUTPUTS
    from holdfast.study.plan.prepare import prepare
    from holdfast.study.run.study_runner import run_study, warm_workers
    from holdfast.study.store.run_store import Store

    check_options({**options, "data": data, "methods": methods, "seeds": seeds, "train_size": train_size}, _KNOWN)
    named = [methods] if isinstance(methods, str) else methods
    given: dict[str, Any] = {
        **options,
        "method": [one if isinstance(one, str) else describe([one]) for one in named or ()],
        "seeds": seeds,
        "model": model,
        "baseline": baseline,
        "train_size": train_size,
        "workers": workers,
        "ood": _listed(options.get("ood")),
        "probed": _listed(options.get("probe")),
    }
    items = [data] if isinstance(data, str | PathLike | TaskSpec) else data
    with naming_arguments():
        study, file = read_data([source(item) for item in items], study_keys(given))
        if study.sequence is not None:
            raise HoldfastError(f"{file}: it tunes one model on tasks in turn; run it with `holdfast compare {file}`")
        place = None if data_dir is None else Path(data_dir)
        with quiet(), warm_workers(study, place) as executor:
            prepared = prepare(study, place)
            folder = default_out(file, [task.name for task in prepared.tasks]) if out is None else Path(out)
            Store(folder).check(prepared.study, prepared.stored)
            log_remarks(prepared)
            summary = run_study(prepared, folder, Logged(), OUTPUTS, executor=executor, retry_failed=retry_failed)
    assert not isinstance(summary, SequenceSummary)
    if all(row.n == 0 for row in summary.results):
        first, runs = summary.errors[0], sum(spec.reference is None for spec in prepared.grid)
        raise HoldfastError(
            f"{folder}: none of {runs} runs finished; the first stopped with: {first['error']} "
            f"({folder / 'runs' / first['run'] / 'error.txt'} tells more; `retry_failed=True` does them again)"
        )
    return Study(folder, summary)


_KNOWN = CompareOptions.__optional_keys__ | {"data", "methods", "seeds", "train_size"}


def _listed(texts: str | Sequence[str] | None) -> str | None:
    """Return several texts of an option as one."""
    return texts if texts is None or isinstance(texts, str) else ",".join(texts)
