"""The report of a sequence of tasks as one HTML file that needs nothing else."""

from collections.abc import Sequence
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.records.run import RunRecord
from holdfast.records.summary import SequenceSummary
from holdfast.report import remarks
from holdfast.report.page import ran_on
from holdfast.report.sections import figures, items, key, marked, name, pairs, section, table, text, wide
from holdfast.report.sequence.figures import panels
from holdfast.report.sequence.tables import (
    SequenceTable,
    lead_of,
    notes,
    probe_tables,
    reading,
    stage_table,
    title_of,
)
from holdfast.report.shell import html_page
from holdfast.study.store.atomic import write_text

_PROBED = {
    "chain": "After each stage the body is frozen and a linear probe of the first task is trained on it. A flat line "
    "keeps what it knew. Strong: the mean over seeds; faint: single seeds.",
    "cycles": "Each task is probed just before its own turn, on the model that the tasks before it were trained into. "
    "Strong: the mean over seeds; faint: single seeds.",
}


def write_sequence_page(summary: SequenceSummary, records: Sequence[RunRecord], path: Path) -> None:
    """Write the report to ``path``, whole or not at all; ``records`` tell on what the runs ran.

    Raises ``HoldfastError`` when the file cannot be written.
    """
    try:
        write_text(path, sequence_page(summary, records))
    except OSError as error:
        raise HoldfastError(f"cannot write the report {path}: {error.strerror}; choose a writable folder") from error


def sequence_page(summary: SequenceSummary, records: Sequence[RunRecord]) -> str:
    """Return the report as HTML."""
    drawn = panels(summary)
    parts = [
        section("Verdict", items(summary.sentences)),
        section(
            "Probes",
            key(summary) + figures(drawn, "probe") if drawn else "",
            *(_table(one) for one in probe_tables(summary)),
            items(notes(summary)),
            intro=_PROBED[summary.protocol],
        ),
        section("Own scores", _table(stage_table(summary)), intro="Of each stage, after it, on its own scored rows."),
        section("Runs without a result", items(remarks.errors(summary))),
        section("Warnings", items(summary.warnings)),
        section(
            "How the protocol was run",
            items(summary.choices),
            intro="What the published description of the protocol leaves open, as it was decided here.",
        ),
        section("How to read this", items(reading(summary))),
        section("Settings", pairs(_settings(summary) + ran_on(records))),
    ]
    body = "\n".join(part for part in parts if part)
    return html_page(title_of(summary), lead_of(summary), body, f"Made by Holdfast {summary.holdfast}.")


def _table(found: SequenceTable) -> str:
    header = ["method", *(" ".join(heading.split()) for heading in found.header)]
    lines = [
        (
            "" if line.method else "quiet",
            [name(line.name) if line.method else text(line.name), *map(marked, line.cells)],
        )
        for line in found.lines
    ]
    return f"<h3>{text(found.title)}</h3>\n{wide(table(header, lines), found.title)}"


def _settings(summary: SequenceSummary) -> list[tuple[str, str]]:
    settings = summary.settings
    values = [
        ("model", settings.model),
        ("methods", "; ".join(settings.methods)),
        ("baseline", settings.baseline),
        ("seeds", ", ".join(map(str, settings.seeds))),
        ("smallest difference that matters", f"{settings.delta:g} {'point' if settings.delta == 1 else 'points'}"),
        ("level of significance", f"{settings.alpha:g}"),
    ]
    stages = {
        stage.task: f"{stage.train_rows} training, {stage.scored_rows} {stage.scored_split}" for stage in summary.stages
    }
    values += [(f"rows of {task}", rows) for task, rows in stages.items()]
    return values + [(name.replace("_", " "), str(value)) for name, value in settings.training.items()]
