import pytest

from holdfast.study.plan.policy import Planned
from holdfast.study.run.progress import StudyProgress, ended_line
from study.run_records import run_record, run_spec

NAMES = {("rte", None): "rte", ("cola", None): "cola"}


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def progress_of(grid, records=(), slots=1):
    clock = Clock()
    return StudyProgress(Planned(grid), NAMES, records, slots, clock), clock


def end(progress, clock, spec, seconds, **changes):
    progress.start(spec)
    clock.now += seconds
    return progress.end(run_record(spec=spec, method=spec.method, seed=spec.seed, task=spec.task.source, **changes))


def test_nothing_is_known_before_the_first_step():
    progress, _ = progress_of([run_spec(seed=0), run_spec(seed=1)])
    progress.start(run_spec(seed=0))
    assert progress.seconds_left() is None


def test_steps_of_the_first_run_tell_before_any_has_finished():
    grid = [run_spec(seed=seed) for seed in range(3)]
    progress, clock = progress_of(grid)
    run = progress.start(grid[0])
    run.step, run.total = 10, 40
    clock.now = 5.0
    # 20 s a run: 15 left of this one and two to come.
    assert progress.seconds_left() == pytest.approx(15 + 40)


def test_each_method_and_task_has_its_own_pace():
    grid = [
        run_spec(task, method, seed) for task in ("rte", "cola") for seed in (0, 1) for method in ("vanilla", "r3f")
    ]
    progress, clock = progress_of(grid)
    assert end(progress, clock, grid[0], 10.0) == 10.0
    end(progress, clock, grid[1], 20.0)
    # rte: 10 + 20; cola, of which nothing is known: four of the median, 15.
    assert progress.seconds_left() == pytest.approx(30 + 4 * 15)
    progress.start(grid[2])
    clock.now += 4.0
    assert progress.seconds_left() == pytest.approx(6 + 20 + 60)


def test_a_run_that_takes_longer_than_ever_has_nothing_left():
    grid = [run_spec(seed=0), run_spec(seed=1)]
    progress, clock = progress_of(grid)
    end(progress, clock, grid[0], 10.0)
    progress.start(grid[1])
    clock.now += 50.0
    assert progress.seconds_left() == 0.0


def test_slots_share_the_rest_but_no_run():
    grid = [run_spec(seed=seed) for seed in range(6)]
    progress, clock = progress_of(grid, slots=4)
    end(progress, clock, grid[0], 8.0)
    assert progress.seconds_left() == pytest.approx(5 * 8 / 4)
    for spec in grid[1:5]:
        end(progress, clock, spec, 8.0)
    assert progress.seconds_left() == pytest.approx(8.0)


def test_earlier_runs_count_and_errors_say_nothing_about_time():
    grid = [run_spec(seed=seed) for seed in range(4)]
    earlier = [
        run_record(spec=grid[0], seed=0, seconds=6.0),
        run_record(spec=grid[1], seed=1, seconds=0.1, status="error"),
    ]
    progress, _ = progress_of(grid, earlier)
    assert (progress.done, progress.total, progress.errors) == (2, 4, 1)
    assert progress.seconds_left() == pytest.approx(12.0)


def test_probing_the_pretrained_model_says_nothing_of_how_long_runs_take():
    reference, spec = run_spec(method=""), run_spec()
    ended = run_record(spec=reference, seconds=2.0)
    progress = StudyProgress(Planned([reference, spec]), {spec.dataset_key: "rte"}, [ended], 1, lambda: 0.0)
    assert (progress.done, progress.seconds_left()) == (1, None)


def test_references_take_no_time_of_the_runs_and_tell_nothing_of_it():
    references = [run_spec(method="", reference=name) for name in ("tfidf", "embeddings")]
    grid = [run_spec(seed=0), run_spec(seed=1), *references]
    progress, clock = progress_of(grid)
    end(progress, clock, references[0], 3.0)
    progress.start(references[1])
    assert progress.seconds_left() is None
    end(progress, clock, grid[0], 10.0)
    assert progress.seconds_left() == pytest.approx(10.0), "of the other run"
    assert (progress.done, progress.total) == (2, 4)


def test_the_line_of_a_reference_has_its_score():
    spec = run_spec(method="", reference="tfidf", train_size=20)
    progress = StudyProgress(Planned([spec]), {("rte", 20): "rte"}, (), 1, lambda: 0.0)
    progress.start(spec)
    line = ended_line(progress, run_record(0.7, spec=spec), progress.end(run_record(0.7, spec=spec)))
    assert line == "[1/1] rte (20 rows)  TF-IDF  accuracy 70.0  0 s"
