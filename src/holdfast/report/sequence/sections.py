"""The report of a sequence of tasks, in the order in which it is read."""

from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import SequenceSummary, Settings
from holdfast.report.block import Block, Figures, Report
from holdfast.report.marked import marks_key
from holdfast.report.rows import errors, method_order
from holdfast.report.sections.answer import answer_block
from holdfast.report.sections.reading import common, not_equal, ran_on, training
from holdfast.report.sequence.figures import panels
from holdfast.report.sequence.tables import lead_of, probe_tables, stage_table, title_of
from holdfast.study.analysis.sequence_answer import sequence_answer
from holdfast.wording import clean, level

_PROBED = {
    "chain": "After each stage the body is frozen and a linear probe of the first task is trained on it. A flat line "
    "keeps what it knew. Strong: the mean over seeds; faint: single seeds.",
    "cycles": "Each task is probed just before its own turn, on the model that the tasks before it were trained into. "
    "Strong: the mean over seeds; faint: single seeds.",
}


def sequence_report(summary: SequenceSummary, records: Sequence[RunRecord] = ()) -> Report:
    """Return the report of a chain or of cycles; ``records`` tell on what the runs ran."""
    blocks = tuple(_blocks(summary, records))
    return Report(blocks, title_of(summary), lead_of(summary), f"Made by Holdfast {summary.holdfast}.")


def _blocks(summary: SequenceSummary, records: Sequence[RunRecord]) -> list[Block]:
    probes = probe_tables(summary)
    key = marks_key([block.table for block in probes if block.table], summary.settings.baseline)
    return [
        answer_block(sequence_answer(summary)),
        Block("Verdicts", notes=tuple(map(clean, summary.sentences))),
        Block(
            "Probes",
            parts=tuple(probes),
            notes=key,
            figures=Figures("probe", lambda: panels(summary), tuple(method_order(summary)), _PROBED[summary.protocol]),
        ),
        Block("Own scores", intro="Of each stage, after it, on its own scored rows.", parts=(stage_table(summary),)),
        Block("Runs without a result", notes=tuple(errors(summary))),
        Block("Warnings", notes=tuple(map(clean, summary.warnings))),
        Block(
            "How the protocol was run",
            intro="What the published description of the protocol leaves open, as it was decided here.",
            notes=tuple(map(clean, summary.choices)),
        ),
        Block("How to read this", notes=_reading(summary.settings), lookup=True),
        Block("Settings", facts=(*_settings(summary), *ran_on(records)), lookup=True),
    ]


def _reading(settings: Settings) -> tuple[str, ...]:
    return (
        f"Points are the metric times 100; an interval covers the true value in {level(settings.alpha)} of studies, "
        "over seeds only: other seeds, but the same rows, the same order of tasks and the same settings.",
        "Probe: the model's body is frozen and a linear classifier on its features learns the task anew; several "
        "probes of a model count as one score, their mean.",
        not_equal(settings),
    )


def _settings(summary: SequenceSummary) -> list[tuple[str, str]]:
    settings = summary.settings
    stages = {
        stage.task: f"{stage.train_rows} training, {stage.scored_rows} {stage.scored_split}" for stage in summary.stages
    }
    return [
        ("model", settings.model),
        ("methods", "; ".join(settings.methods)),
        ("baseline", settings.baseline),
        ("seeds", ", ".join(map(str, settings.seeds))),
        *common(settings),
        *((f"rows of {task}", rows) for task, rows in stages.items()),
        *training(settings),
    ]
