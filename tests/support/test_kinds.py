"""Every method on every kind of task that reads text."""

import pytest

from support.page import hold_against
from support.situations import KINDS
from support.trying import column

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("situation", KINDS, ids=lambda situation: situation.title)
def test_every_method_works_or_is_refused(situation, tmp_path):
    cells, failed = column(situation, tmp_path)
    assert not failed, "\n".join(failed)
    hold_against(situation.title, cells)
