"""One run from spec to record: what is scored, what is written, what repeats."""

import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback, TrainingArguments

from holdfast import HoldfastError
from holdfast.records.run import Perturbation, ProbeSettings, RunSpec, TrainingSettings
from holdfast.records.task import TaskSpec
from holdfast.tasks import draw_subset
from holdfast.tasks.encode import encode
from holdfast.tasks.sampling.removal import remove_rows
from holdfast.tasks.task import Split, Task
from holdfast.training.pretraining.self_supervised import StageProgress
from holdfast.training.run.check import check_run
from holdfast.training.run.progress import Progress
from holdfast.training.run.rows import encode_run
from holdfast.training.run.run_cache import RunCache
from holdfast.training.run.train_run import RunContext, run
from holdfast.training.run.training_log import TrainingLog
from holdfast.training.task_models import task_model_of
from holdfast.training.task_models.base import on_one_gpu
from tiny import WORDS, save_model


def split(rows, seed, kind="classification", labelled=True, pair=False):
    draw = np.random.default_rng(seed)
    texts = [" ".join(draw.choice(WORDS, size=draw.integers(3, 9))) for _ in range(rows)]
    labels = [int("good" in text or "fine" in text) for text in texts]
    if kind == "regression":
        labels = [float(text.count("good")) for text in texts]
    return Split(
        texts=texts,
        pairs=[text[::-1] for text in texts] if pair else None,
        labels=labels if labelled else None,
        ids=[f"row-{index}" for index in range(rows)],
    )


def task(test=None, kind="classification", **extra):
    splits = {"train": split(40, 0, kind), "validation": split(20, 1, kind), **extra}
    if test is not None:
        splits["test"] = test
    metrics = ("pearson", "spearman") if kind == "regression" else ("accuracy", "f1")
    names = () if kind == "regression" else ("no", "yes")
    return Task("words", kind, splits, names, metrics, fingerprint="f")


def spec(model, method="vanilla", **changes):
    settings = TrainingSettings(
        epochs=2, batch_size=8, learning_rate=1e-3, max_length=32, **changes.pop("settings", {})
    )
    defaults = {"seed": 0, "data_seed": 0, "data": "f", "task": TaskSpec(source="words")}
    return RunSpec(model=model, method=method, settings=settings, **(defaults | changes))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"))


def test_with_validation_only_the_last_weights_are_scored_on_it(model, tmp_path):
    given = task()
    record = run(spec(model, "r3f(sigma=0.1)"), given, tmp_path)
    assert (record.scored_split, record.steps, record.chosen_step, record.evaluations) == ("validation", 10, 10, [])
    assert record.selection_score == record.metrics["accuracy"]
    stored = np.load(tmp_path / "predictions.npz")
    right = stored["logits"].argmax(-1) == np.asarray(given.splits["validation"].labels)
    assert record.metrics["accuracy"] == pytest.approx(right.mean())
    assert list(stored["ids"]) == given.splits["validation"].ids
    share = max(np.bincount(stored["logits"].argmax(-1))) / 20
    assert record.dominant_share == pytest.approx(share)
    labels = given.splits["validation"].labels
    assert record.constant_scores["accuracy"] == max(labels.count(0), labels.count(1)) / 20
    assert [entry["step"] for entry in record.losses] == list(range(1, 11))
    assert all(math.isclose(e["loss"], e["loss/task"] + e["loss/r3f"], rel_tol=1e-5) for e in record.losses)


def test_with_test_labels_validation_selects_and_test_scores(model, tmp_path):
    given = task(test=split(30, 2), ood=split(10, 3))
    record = run(spec(model), given, tmp_path)
    assert (record.scored_split, record.scored_rows) == ("test", 30)
    scores = [entry.metrics["accuracy"] for entry in record.evaluations]
    assert [entry.step for entry in record.evaluations] == list(range(2, 11)), "ten times a run, but not in the warm-up"
    assert record.selection_score == max(scores)
    assert record.chosen_step == 2 + scores.index(max(scores))
    assert set(record.extra_metrics) == {"ood"}
    assert not (tmp_path / "checkpoints").exists()


def test_an_unlabelled_test_split_is_left_alone(model, tmp_path):
    record = run(spec(model), task(test=split(30, 2, labelled=False)), tmp_path)
    assert record.scored_split == "validation"
    assert record.truncated.keys() == {"train", "validation"}


def test_the_saved_model_gives_the_stored_logits_without_holdfast(model, tmp_path):
    given = task()
    run(spec(model, "r4f"), given, tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert loaded.config.id2label == {0: "no", 1: "yes"}
    batch = tokenizer(given.splits["validation"].texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = loaded(**batch).logits
    assert np.allclose(logits, np.load(tmp_path / "predictions.npz")["logits"], atol=1e-5)
    assert not list((tmp_path / "model").glob("*.bin"))


def test_representations_and_distances_are_those_of_the_saved_model(model, tmp_path):
    given = task(test=split(600, 2))
    record = run(spec(model, settings={"max_steps": 30}), given, tmp_path)
    tuned = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    held = np.load(tmp_path / "representations.npz")
    at = [row * 600 // 512 for row in range(512)]
    assert held["ids"].tolist() == [given.splits["test"].ids[row] for row in at]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    batch = tokenizer([given.splits["test"].texts[row] for row in at[:20]], padding=True, return_tensors="pt")
    with torch.no_grad():
        layers = tuned(**batch, output_hidden_states=True).hidden_states
    states = held["states"].astype(np.float32) * held["scales"][:, None, None]
    assert np.allclose(states[:, :20], torch.stack([layer[:, 0] for layer in layers]), atol=5e-3)
    start = AutoModelForSequenceClassification.from_pretrained(model).bert.state_dict()
    gaps = [(weight - start[name]).double().square().sum() for name, weight in tuned.bert.state_dict().items()]
    assert record.distance == pytest.approx(math.sqrt(sum(gaps)), rel=1e-4)
    assert record.start_distance == record.distance > 0


def test_weights_that_the_checkpoint_lacks_count_from_where_they_were_drawn(tmp_path):
    # A body saved without its pooler: the run draws one.
    source = save_model(tmp_path / "full")
    full = AutoModelForSequenceClassification.from_pretrained(source)
    state = {name: weight for name, weight in full.state_dict().items() if "pooler" not in name}
    full.save_pretrained(source, state_dict=state)
    still = spec(source, settings={"max_steps": 1}).model_copy(update={"seed": 5})
    tiny_steps = still.settings.model_copy(update={"learning_rate": 1e-12})
    record = run(still.model_copy(update={"settings": tiny_steps}), task(), tmp_path / "run", keep_model=False)
    assert record.distance < 1e-6


@pytest.mark.slow
def test_the_same_spec_gives_the_same_record_and_each_seed_changes_its_part(model, tmp_path):
    given = task()

    def losses(**changes):
        record = run(spec(model, "r3f", **changes), given, tmp_path, keep_model=False)
        return [entry["loss"] for entry in record.losses]

    first = losses()
    assert losses() == first
    assert losses(seed=1)[0] != first[0]
    assert losses(data_seed=1)[0] != first[0]
    subset = losses(train_size=24)
    assert len(subset) == 6
    assert losses(train_size=24, subset_seed=1) != subset


@pytest.mark.slow
@pytest.mark.parametrize("method", ["vanilla", "r4f"])
def test_rows_are_removed_after_the_subset_is_drawn_whatever_the_method(model, tmp_path, monkeypatch, method):
    given, seen = task(), []

    def watched(part, *rest):
        seen.append(part.ids)
        return encode(part, *rest)

    monkeypatch.setattr("holdfast.training.task_models.classifier.encode", watched)
    few = spec(model, method, train_size=30, subset_seed=2, settings={"max_steps": 1})
    assert run(few.model_copy(update={"perturb": Perturbation(seed=6)}), given, tmp_path).train_rows == 27
    subset = draw_subset(given.splits["train"], 30, 2, "classification")
    assert seen == [remove_rows(subset, 0.1, 6, ("no", "yes")).ids, given.splits["validation"].ids]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_a_method_that_chooses_gets_rows_that_are_neither_trained_on_nor_scored(model, tmp_path, monkeypatch, kind):
    given, seen = task(kind=kind), []

    def watched(part, *rest):
        seen.append(part.ids)
        return encode(part, *rest)

    monkeypatch.setattr("holdfast.training.task_models.classifier.encode", watched)
    short = {"settings": {"max_steps": 2}}
    record = run(spec(model, "wise_ft", **short), given, tmp_path, keep_model=False)
    train, validation, held = (set(ids) for ids in seen)
    assert (len(train), len(held)) == (record.train_rows, record.facts["wise_ft/validation_rows"]) == (36, 4)
    assert train | held == set(given.splits["train"].ids)
    assert validation == set(given.splits["validation"].ids)
    assert (record.scored_split, record.evaluations) == ("validation", [])
    scores = {name: value for name, value in record.facts.items() if "score" in name}
    assert record.facts["wise_ft/alpha"] in {round(step / 10, 1) for step in range(11)}
    assert len(scores) == 11 or kind == "regression", "a correlation of four values may be undefined"
    seen.clear()
    fixed = run(spec(model, "wise_ft(alpha=0.5)", **short), given, tmp_path, keep_model=False)
    assert (fixed.train_rows, fixed.facts, len(seen)) == (40, {}, 2)


@pytest.mark.slow
def test_where_validation_rows_are_not_scored_a_method_chooses_by_those(model, tmp_path):
    record = run(spec(model, "wise_ft"), task(test=split(30, 2)), tmp_path, keep_model=False)
    assert (record.train_rows, record.facts["wise_ft/validation_rows"]) == (40, 20)
    assert len(record.evaluations) == 9, "its own evaluations are not among those of the training"
    scores = {name: value for name, value in record.facts.items() if "score" in name}
    assert record.facts[f"wise_ft/score_{record.facts['wise_ft/alpha']:g}"] == max(scores.values())
    assert record.selection_score == pytest.approx(max(scores.values()))


def test_too_few_rows_to_hold_some_out_are_found_before_training(model):
    given = task()
    given.splits["train"] = given.splits["train"].take([0])
    with pytest.raises(HoldfastError, match="task words, for wise_ft to choose by: no validation rows can be held out"):
        check_run(spec(model, "wise_ft"), given)
    check_run(spec(model, "wise_ft(alpha=0.5)"), given)


def test_regression_is_trained_and_scored(model, tmp_path):
    given = task(kind="regression")
    record = run(spec(model, "r3f"), given, tmp_path)
    stored = np.load(tmp_path / "predictions.npz")
    expected = np.corrcoef(stored["logits"].squeeze(-1), given.splits["validation"].labels)[0, 1]
    assert record.metrics["pearson"] == pytest.approx(expected, rel=1e-4)
    assert record.dominant_share is None


@pytest.mark.slow
def test_bf16_also_runs_without_an_accelerator(model, tmp_path):
    exact, rounded = (
        run(spec(model, settings={"precision": precision}), task(), tmp_path / precision, keep_model=False)
        for precision in ("fp32", "bf16")
    )
    assert not rounded.diverged
    assert rounded.losses[0]["loss"] != exact.losses[0]["loss"]
    assert rounded.losses[0]["loss"] == pytest.approx(exact.losses[0]["loss"], rel=0.02)


def test_what_a_method_refuses_is_told_with_the_task(model):
    with pytest.raises(HoldfastError, match=r"^task words: mmr parts the classes"):
        check_run(spec(model, "mmr"), task(kind="regression"))


def test_numbers_have_no_classes_to_spread_a_label_over(model):
    given = spec(model, settings={"label_smoothing": 0.1})
    with pytest.raises(HoldfastError, match=r"--label-smoothing 0\.1: .* asks for a number"):
        check_run(given, task(kind="regression"))


def test_progress_counts_every_step(model, tmp_path):
    seen: list[Progress] = []
    run(spec(model), task(), tmp_path, seen.append)
    assert [p.step for p in seen if p.phase == "training"] == list(range(1, 11))
    assert {p.total for p in seen if p.phase == "training"} == {10}
    assert (seen[0].phase, seen[-1].phase) == ("preparing", "scoring")


def test_a_run_that_diverges_is_recorded_as_such(model, tmp_path):
    given = spec(model)
    settings = given.settings.model_copy(update={"learning_rate": 1e30, "max_grad_norm": 0.0, "warmup": 0.0})
    record = run(given.model_copy(update={"settings": settings}), task(), tmp_path)
    assert record.diverged
    assert record.status == "finished"
    record.model_validate_json(record.model_dump_json())


def test_a_run_that_trains_first_tells_so(tmp_path):
    """A decoder, which needs no mask token: 40 rows, 5 batches a pass."""
    seen = []
    decoder = save_model(tmp_path / "gpt2", "gpt2")
    record = run(spec(decoder, "surt(epochs=3)"), task(), tmp_path / "run", seen.append)
    again = [progress for progress in seen if progress.phase == "re-training"]
    assert [progress.step for progress in again] == list(range(16))
    assert {progress.total for progress in again} == {15}
    assert [progress.phase for progress in seen].index("training") > seen.index(again[-1])
    assert set(record.facts) == {"surt/start_distance", "surt/pretrained_distance", "surt/retraining_moved"}
    assert record.start_distance == record.facts["surt/start_distance"] > 0
    assert record.facts["surt/pretrained_distance"] == pytest.approx(record.distance, rel=1e-4)
    assert record.start_distance != record.distance


def test_what_is_trained_first_counts_as_training_time(monkeypatch):
    """Steps of 2 s after 5 s in which the language model is built, which are no training."""
    clock, log = [0.0], TrainingLog(lambda progress: None, ["surt"])
    monkeypatch.setattr("holdfast.training.run.training_log.time.perf_counter", lambda: clock[0])
    for step, now in enumerate((5.0, 7.0, 9.0, 11.0)):
        clock[0] = now
        log.on_stage(StageProgress("surt", step, 3, 1.0 if step else None))
    assert log.seconds == 6.0


def test_distances_of_a_run_that_diverges_are_left_out(tmp_path):
    decoder = save_model(tmp_path / "gpt2", "gpt2")
    given = spec(decoder, "surt(epochs=1)", settings={"max_grad_norm": 0.0, "adam_epsilon": 1e-30})
    given = given.model_copy(update={"settings": given.settings.model_copy(update={"learning_rate": 1e30})})
    record = run(given, task(), tmp_path / "run")
    assert record.diverged
    assert set(record.facts) == {"surt/retraining_moved"}
    assert (record.distance, record.start_distance) == (None, None)
    assert type(record).model_validate_json(record.model_dump_json()) == record


@pytest.mark.slow
def test_the_settings_count_steps_as_the_trainer_does(model, tmp_path):
    for settings in ({"accumulation": 3}, {"accumulation": 2, "max_steps": 7}):
        given = spec(model, settings=settings)
        assert run(given, task(), tmp_path, keep_model=False).steps == given.settings.total_steps(40)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "other"}, "its rows changed"),
        ({"settings": {"precision": "fp16"}}, "no GPU here"),
        ({"method": "r3"}, "did you mean 'r3f'"),
        ({"method": "r3f+r4f"}, "same penalty"),
    ],
)
def test_what_cannot_work_is_found_before_training(model, changes, message):
    with pytest.raises(HoldfastError, match=message):
        check_run(spec(model, **changes), task())


def test_a_layer_to_probe_that_the_model_lacks_is_found_before_training(model):
    check_run(spec(model).model_copy(update={"probe": ProbeSettings(layer=-3)}), task())
    with pytest.raises(HoldfastError, match="--probe-layer 3: the model's layers are 0, the embeddings, to 2"):
        check_run(spec(model).model_copy(update={"probe": ProbeSettings(layer=3)}), task())


def test_a_model_that_does_not_fit_is_found_before_training(tmp_path, model):
    given = spec(model)
    long = given.settings.model_copy(update={"max_length": 65})
    with pytest.raises(HoldfastError, match="takes 64 tokens at most, use --max-length 64"):
        check_run(given.model_copy(update={"settings": long}), task())
    other = save_model(tmp_path / "a")
    words = AutoTokenizer.from_pretrained(other)
    words.add_tokens([f"new{index}" for index in range(100)])
    words.save_pretrained(other)
    with pytest.raises(HoldfastError, match="use the tokenizer that belongs to it"):
        check_run(spec(other), task())


def test_checking_loads_no_weights(tmp_path):
    other = save_model(tmp_path / "a")
    (tmp_path / "a" / "model.safetensors").write_bytes(b"")
    check_run(spec(other, "r4f"), task())


def test_a_run_takes_one_gpu_of_several(tmp_path):
    arguments = TrainingArguments(output_dir=str(tmp_path), per_device_train_batch_size=4, report_to="none")
    assert arguments.n_gpu == 0
    arguments._n_gpu = 3
    assert arguments.train_batch_size == 12
    assert on_one_gpu(arguments).train_batch_size == 4


@pytest.mark.slow
def test_what_is_shared_between_runs_of_a_process_changes_nothing(model, tmp_path):
    """A run after others, with what they left in the cache, is the run alone."""
    given, context = task(test=split(30, 2)), RunContext()
    for at, method in enumerate(("r3f", "mixout(drop=0.5)")):
        run(spec(model, method, seed=at + 5), given, tmp_path / f"before{at}", context=context)
    alone = run(spec(model), given, tmp_path / "alone")
    after = run(spec(model), given, tmp_path / "after", context=context)
    timed = {"seconds", "train_seconds", "started", "phases"}
    assert after.model_dump(exclude=timed) == alone.model_dump(exclude=timed)
    first, second = (np.load(tmp_path / name / "predictions.npz") for name in ("alone", "after"))
    assert np.array_equal(first["logits"], second["logits"])


@pytest.mark.slow
def test_the_validation_score_is_that_of_the_epoch_chosen(model, tmp_path):
    """It is not computed again, and is what the saved model scores."""
    given = task(test=split(30, 2))
    record = run(spec(model), given, tmp_path)
    tuned = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    read = AutoTokenizer.from_pretrained(tmp_path / "model")
    rows = given.splits["validation"]
    right = 0
    for text, label in zip(rows.texts, rows.labels, strict=True):
        with torch.no_grad():
            right += int(tuned(**read(text, return_tensors="pt")).logits.argmax()) == label
    assert record.selection_score == right / len(rows)
    assert record.chosen_step in {one.step for one in record.evaluations}


def test_batches_of_like_length_follow_the_data_seed_alone(model, tmp_path, monkeypatch):
    """Whatever the seed, and whatever a method draws."""
    orders = []

    class Order(TrainerCallback):
        def on_step_begin(self, args, state, control, train_dataloader=None, **kwargs):
            orders[-1] = list(train_dataloader.batch_sampler.sampler) if not orders[-1] else orders[-1]

    given = task(train=split(200, 0))
    lengths = [len(text.split()) for text in given.splits["train"].texts]
    context = RunContext(callbacks=lambda trainer: [Order()])
    for seed, data_seed, method in ((0, 0, "vanilla"), (1, 0, "r3f(sigma=0.1)"), (0, 1, "vanilla")):
        orders.append([])
        wanted = spec(model, method, seed=seed, data_seed=data_seed, settings={"group_by_length": True, "max_steps": 1})
        run(wanted, given, tmp_path / f"{seed}{data_seed}", keep_model=False, context=context)
    assert sorted(orders[0]) == list(range(200))
    assert orders[0] == orders[1] != orders[2]

    def spread(order):
        batches = [[lengths[row] for row in order[at : at + 8]] for at in range(0, 200, 8)]
        return np.mean([max(batch) - min(batch) for batch in batches])

    assert spread(orders[0]) < spread(range(200)) / 2


def test_by_default_a_run_has_ten_passes_but_neither_too_few_steps_nor_too_many():
    """Of 16 rows a step: 80 rows have 5 steps a pass, 1,000 have 63, 10,000 have 625."""
    settings = TrainingSettings()
    assert [settings.total_steps(rows) for rows in (80, 320, 1000, 10_000)] == [200, 200, 630, 2000]
    assert [settings.evaluation_steps(rows) for rows in (80, 1000, 10_000)] == [20, 63, 200]
    assert TrainingSettings(epochs=2).total_steps(80) == 10
    assert TrainingSettings(max_steps=7).total_steps(80) == 7
    assert [settings.selection_rows(train, 1000) for train in (1, 200, 5000)] == [1, 100, 1000]
    assert TrainingSettings(validation_size=30).selection_rows(200, 1000) == 30


def test_a_checkpoint_is_chosen_by_half_as_many_rows_as_are_trained_on(model, tmp_path):
    """The same for every run of a study: ``subset_seed`` draws them, stratified."""
    rows = split(300, 1)
    given = task(test=split(30, 2), validation=rows)
    wanted = spec(model, settings={"max_steps": 20})
    data = encode_run(task_model_of(wanted, given), AutoTokenizer.from_pretrained(model), [], RunCache())
    encoded, chosen = data.choosing
    assert len(encoded) == len(chosen) == 20
    assert abs(sum(chosen.labels) / 20 - sum(rows.labels) / 300) < 0.1
    by_id = dict(zip(rows.ids, rows.texts, strict=True))
    assert [by_id[name] for name in chosen.ids] == list(chosen.texts)
    lengths = [len(row["input_ids"]) for row in encoded.rows]
    assert lengths == sorted(lengths, reverse=True)
    record = run(wanted, given, tmp_path, keep_model=False)
    assert all(score * 20 == round(score * 20) for one in record.evaluations for score in [one.metrics["accuracy"]])
