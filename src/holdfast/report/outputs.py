"""Where the floors meet: what the study floor needs of the report floor."""

from holdfast.report.card import model_card
from holdfast.report.page import write_page
from holdfast.report.sequence.page import write_sequence_page
from holdfast.study.analysis.conclude import Outputs

OUTPUTS = Outputs(card=model_card, page=write_page, sequence_page=write_sequence_page)
