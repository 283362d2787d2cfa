"""The model card: what a saved model is, how it was made, what it scores, how to load it."""

from holdfast.records.run import WRITERS, RunRecord
from holdfast.records.summary import Best, Row, Summary, TaskInfo
from holdfast.report.block import Report
from holdfast.report.front_matter import dataset, front_matter, model_name
from holdfast.report.loading import loading, what
from holdfast.report.markdown import code, escape, grid, markdown, table
from holdfast.report.rows import KINDS, instability_rows, rows_of, task_of, transfer_rows, troubles
from holdfast.report.sections.instability import saying
from holdfast.report.sections.published import SMOKE, paper_comparison
from holdfast.report.sections.results import ends, result_table
from holdfast.study.plan.controls import control_notes
from holdfast.tasks.catalogue import NAMED
from holdfast.wording import count, decimals, duration, points, spread


def model_card(best: Best | None, record: RunRecord, summary: Summary | None) -> str:
    """Return the text of README.md for the model of ``record``, with front matter for the Hugging Face hub.

    ``best`` and ``summary`` tell how it was chosen in a study; both are None for a single run.
    """
    task = task_of(record, summary) if summary else None
    info = next((info for info in summary.tasks if info.task == task), None) if summary else None
    parts = [
        front_matter(record),
        f"# {escape(model_name(record).split('/')[-1])} fine-tuned on {escape(record.task_name)}",
        _what(record, info),
        *([f"**{SMOKE}**"] if summary and summary.reproduction and summary.reproduction.smoke else []),
        "## Score",
        *_score(best, record, summary),
        *_other_tasks(record, info, summary),
        *_paper(summary),
        "## How to load it",
        f"```python\n{loading(record, _regression(record, info), _pairs(record))}\n```",
        "## How it was made",
        *_making(record),
        "## Licence",
        _licence(record),
    ]
    return "\n\n".join(parts) + "\n"


def _paper(summary: Summary | None) -> list[str]:
    if summary is None or summary.reproduction is None:
        return []
    return [markdown(Report((paper_comparison(summary.reproduction),))).rstrip()]


def _regression(record: RunRecord, info: TaskInfo | None) -> bool:
    kind = info.kind if info else record.spec.task.kind
    return kind == "regression" or (kind is None and record.primary in ("pearson", "spearman"))


def _what(record: RunRecord, info: TaskInfo | None) -> str:
    regression = _regression(record, info)
    said = (
        f"{what(record, regression)}: {code(model_name(record))} fine-tuned on {code(record.task_name)} with "
        f"{code(record.spec.method)} by Holdfast. It is an ordinary Transformers checkpoint; Holdfast is not needed "
        "to use it."
    )
    if info and info.labels:
        said += f"\n\nLabels, in the order of the outputs: {', '.join(map(code, info.labels))}."
    elif not regression and record.form not in WRITERS:
        said += "\n\nThe labels are in `config.json`, under `id2label`."
    return said


def _score(best: Best | None, record: RunRecord, summary: Summary | None) -> list[str]:
    lines = [
        [code(split), code(metric), points(None if score is None else 100 * score)]
        for split, metrics in ((record.scored_split, record.metrics), *record.extra_metrics.items())
        for metric, score in metrics.items()
    ]
    scored = f"{count(record.scored_rows, 'row')} of {code(record.scored_split)}"
    parts = [grid(["split", "metric", "points"], lines)] if lines else []
    constant = record.constant_scores.get(record.primary)
    beaten = "" if constant is None else f" The best constant prediction scores {points(100 * constant)}."
    parts.append(f"Points are the metric times 100, {code(record.primary)} on {scored}.{beaten}")
    rows = rows_of(summary, task_of(record, summary) or record.task_name) if summary else []
    row = next((row for row in rows if row.method == record.spec.method), None)
    if best is None or summary is None:
        parts.append("This is a single run: how much of the score is the luck of its seed is not known.")
    elif best.optimistic:
        parts.append(
            f"**The score is optimistic.** The model is the best of {count(sum(row.n for row in rows), 'run')}, chosen "
            f"by the very rows that score it, so its luck on these rows is part of the score. {_expected(row)}".strip()
        )
    else:
        parts.append(
            f"The model is the best of {count(sum(row.n for row in rows), 'run')}, chosen by its "
            f"{points(best.selection_score)} points on rows apart from those that score it, so the choice does not "
            "flatter the score."
        )
    if row is not None and summary is not None:
        digits = decimals(summary.settings.delta)
        runs = ", ".join([count(row.n, "run"), *troubles(row)])
        parts += [
            f"Over the seeds of {code(row.method)} ({runs}): mean ± standard deviation "
            f"{spread(row.mean, row.std, digits)}, worst to best {ends(row, digits)}.{_disagreement(row, summary)} "
            "All methods of the study:",
            table(result_table(rows, summary.settings)),
            *map(escape, control_notes(summary.settings.methods, summary.settings.baseline)),
        ]
    return parts


def _other_tasks(record: RunRecord, info: TaskInfo | None, summary: Summary | None) -> list[str]:
    """What the models of this method score on other tasks."""
    if summary is None or info is None:
        return []
    digits = decimals(summary.settings.delta)
    lines = []
    for target in info.targets:
        rows = transfer_rows(summary, info.task, target.kind, target.name)
        own = next((row for row in rows if row.method == record.spec.method), None)
        if own is not None:
            verdict = "" if own.verdict == "baseline" else own.verdict
            seen = [points(own.reference, digits), points(target.constant_score, digits)]
            shown = [spread(own.mean, own.std, digits), *seen, verdict]
            lines.append([f"{code(target.name)}, {KINDS[target.kind]}", code(target.metric), *shown])
    if not lines:
        return []
    header = [
        "on",
        "metric",
        "mean ± std",
        "pre-trained",
        "best constant",
        f"against {code(summary.settings.baseline)}",
    ]
    said = (
        f"Over the seeds of {code(record.spec.method)}, in points. Out of domain: the tuned model as it is; probe: a "
        "linear classifier on its frozen body."
    )
    return ["## On other tasks", said, grid(header, lines)]


def _disagreement(row: Row, summary: Summary) -> str:
    own = [one for one in instability_rows(summary, row.task) if (one.method, one.varied) == (row.method, "seed")]
    info = next(info for info in summary.tasks if info.task == row.task)
    return "".join(f" {saying(one, info)}" for one in own).rstrip()


def _expected(row: Row | None) -> str:
    if row is None or row.mean is None:
        return ""
    return f"The mean over the seeds of its method, {points(row.mean)}, says better what to expect."


def _pairs(record: RunRecord) -> bool:
    task = record.spec.task
    named = NAMED.get(task.source)
    return task.text_pair is not None or task.source == "playground/entailment" or bool(named and named.pair)


def _making(record: RunRecord) -> list[str]:
    from holdfast.methods import arguments, parse

    spec, settings = record.spec, record.spec.settings
    lines = [f"- Method: {code(spec.method)}, with all its settings:"]
    for method in parse(spec.method):
        values = ", ".join(code(f"{field.name}={getattr(method, field.name)!r}") for field in arguments(method))
        lines.append(f"  - {code(method.name)}: {values or 'no settings'}")
    if record.learning_rate is not None and record.learning_rate != settings.learning_rate:
        lines.append(
            f"- Learning rate: {code(str(record.learning_rate))}, which the method makes of the setting "
            f"{code(str(settings.learning_rate))}"
        )
    revision = f", revision {code(spec.revision)}" if spec.revision else ""
    size = f", {record.parameters:,} parameters" if record.parameters else ""
    drawn = "all of them" if spec.train_size is None else f"drawn with subset seed {spec.subset_seed}"
    cut = record.truncated.get("train", 0)
    shortened = f", {cut} of them cut to {count(settings.max_length, 'token')}" if cut else ""
    lines += [
        f"- Model: {code(model_name(record))}{revision}{size}",
        f"- Data: {_data(record)}, {count(record.train_rows, 'training row')}, {drawn}{shortened}; "
        f"SHA-256 of all rows {code(spec.data)}",
        f"- Seeds: {spec.seed} (head, dropout, method), {spec.data_seed} (order of the rows)",
    ]
    if record.chosen_step is not None:
        lines.append(f"- Checkpoint: step {record.chosen_step} of {record.steps}")
    device = code(record.device) if record.device else "an unknown device"
    threads = f", {count(record.threads, 'thread')}" if record.threads else ""
    versions = ", ".join(escape(f"{name} {version}") for name, version in record.versions.items())
    lines += [
        f"- Ran {duration(record.train_seconds)} of training on {device}{threads}",
        f"- Versions: {versions or 'unknown'}",
    ]
    table_of_settings = [[code(name), code(str(value))] for name, value in settings.model_dump().items()]
    return ["\n".join(lines), grid(["training setting", "value"], table_of_settings)]


def _licence(record: RunRecord) -> str:
    return (
        f"No licence was given for this model. Its weights derive from {code(model_name(record))} and it learned from "
        f"{_data(record)}: the licences of both hold for it. Look them up before you share it, and "
        "put the licence into the head of this file."
    )


def _data(record: RunRecord) -> str:
    hub = dataset(record)
    return code(record.task_name) + (f" ({code(hub)} on the hub)" if hub else "")
