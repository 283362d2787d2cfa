"""Where the floors meet: what the study floor needs of the report floor."""

from collections.abc import Sequence
from pathlib import Path

from holdfast.records.run import RunRecord
from holdfast.records.summary import SequenceSummary, Summary
from holdfast.report.card import model_card
from holdfast.report.page import write_page
from holdfast.report.sections import study_report
from holdfast.report.sequence.sections import sequence_report
from holdfast.study.analysis.conclude import Outputs


def _page(summary: Summary, records: Sequence[RunRecord], path: Path) -> None:
    write_page(study_report(summary, records), path)


def _sequence_page(summary: SequenceSummary, records: Sequence[RunRecord], path: Path) -> None:
    write_page(sequence_report(summary, records), path)


OUTPUTS = Outputs(card=model_card, page=_page, sequence_page=_sequence_page)
