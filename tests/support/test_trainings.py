"""Every method under settings of the training and with adapters."""

import pytest

from support.page import hold_against
from support.situations import TRAININGS
from support.trying import column

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of Transformers, about a name that PEFT uses
@pytest.mark.parametrize("situation", TRAININGS, ids=lambda situation: situation.title)
def test_every_method_works_or_is_refused(situation, tmp_path):
    cells, failed = column(situation, tmp_path)
    assert not failed, "\n".join(failed)
    hold_against(situation.title, cells)
