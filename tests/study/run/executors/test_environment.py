import os

import pytest

from holdfast.study.run.executors import environment
from holdfast.study.run.executors.environment import threads_per_worker, visible_gpus, worker_environment


@pytest.mark.parametrize(
    ("cores", "workers", "given", "variables", "expected"),
    [
        (8, 1, None, {}, 8),
        (8, 3, None, {}, 2),
        (2, 4, None, {}, 1),
        (8, 2, 6, {}, 6),
        (8, 2, None, {"OMP_NUM_THREADS": "1"}, 1),
        (8, 4, None, {"OMP_NUM_THREADS": "8"}, 2),
        (8, 2, None, {"OMP_NUM_THREADS": "4,2"}, 4),
        (8, 2, None, {"OMP_NUM_THREADS": "0"}, 4),
    ],
)
def test_threads_are_the_cores_shared_and_never_more_than_asked_for(
    monkeypatch, cores, workers, given, variables, expected
):
    monkeypatch.setattr(environment, "cores", lambda: cores)
    assert threads_per_worker(workers, given, variables) == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinity")
def test_only_cores_this_process_may_use_count():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert environment.cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("", []),
        ("0", ["0"]),
        ("2, 5", ["2", "5"]),
        ("1,-1,3", ["1"]),
        ("-1", []),
        ("GPU-ab12,GPU-cd34", ["GPU-ab12", "GPU-cd34"]),
    ],
)
def test_gpus_are_those_that_cuda_would_show(variable, expected):
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": variable}) == expected


def test_slots_take_turns_when_there_are_fewer_gpus():
    seen = [worker_environment({}, 1, ["4", "7"], slot)["CUDA_VISIBLE_DEVICES"] for slot in range(4)]
    assert seen == ["4", "7", "4", "7"]


def test_the_users_environment_passes_on_without_gpus():
    own = worker_environment({"HOME": "here", "OMP_NUM_THREADS": "9"}, 2, [], 0)
    assert (own["HOME"], own["OMP_NUM_THREADS"], own["MKL_NUM_THREADS"]) == ("here", "2", "2")
    assert "CUDA_VISIBLE_DEVICES" not in own
