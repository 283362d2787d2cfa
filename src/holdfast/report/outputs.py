"""Where the floors meet: what the study floor needs of the report floor."""

from collections.abc import Sequence
from pathlib import Path

from holdfast.records.run import RunRecord
from holdfast.records.summary import SequenceSummary, Summary
from holdfast.report.block import Report
from holdfast.report.card import model_card
from holdfast.report.page import write_page
from holdfast.report.sections import study_report
from holdfast.report.sequence.sections import sequence_report
from holdfast.study.analysis.conclude import Outputs


def report_of(summary: Summary | SequenceSummary, records: Sequence[RunRecord] = ()) -> Report:
    """Return the report of a study, whether its runs stand alone or go on from each other."""
    if isinstance(summary, SequenceSummary):
        return sequence_report(summary, records)
    return study_report(summary, records)


def _page(summary: Summary | SequenceSummary, records: Sequence[RunRecord], path: Path) -> None:
    write_page(report_of(summary, records), path)


OUTPUTS = Outputs(card=model_card, page=_page)
