"""Every method on models that write text."""

import pytest

from support.page import hold_against
from support.situations import WRITERS
from support.trying import column

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("situation", WRITERS, ids=lambda situation: situation.title)
def test_every_method_works_or_is_refused(situation, tmp_path):
    cells, failed = column(situation, tmp_path)
    assert not failed, "\n".join(failed)
    hold_against(situation.title, cells)
