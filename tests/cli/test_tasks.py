from holdfast.tasks import available


def test_every_task_is_listed(holdfast):
    told = holdfast("tasks")
    assert told.code == 0
    assert [line.split()[0] for line in told.out.splitlines()] == [entry.name for entry in available()]


def test_a_task_is_described(holdfast):
    told = holdfast("tasks", "stsb")
    assert "regression" in told.out
    assert "pearson, spearman" in told.out


def test_an_unknown_task_is_told_with_the_nearest(holdfast):
    told = holdfast("tasks", "rtee")
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert "did you mean 'rte'" in told.err
