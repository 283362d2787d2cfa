"""One run of a study with all that is measured beside its score, on a tiny model."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from holdfast import HoldfastError
from holdfast.collapse import linear_cka, linear_probe
from holdfast.records.run import OtherTask, ProbeSettings, RunSpec, TrainingSettings
from holdfast.records.task import TaskSpec
from holdfast.study.run.train_and_measure import run
from holdfast.tasks.task import Split, Task
from holdfast.training.run.train_run import run as train
from tiny import WORDS, save_model

PROBED, OOD = TaskSpec(source="colours"), TaskSpec(source="other")
SETTINGS = TrainingSettings(epochs=2, batch_size=8, learning_rate=1e-3, max_length=32)


def split(rows, seed, classes=2):
    draw = np.random.default_rng(seed)
    texts = [" ".join(draw.choice(WORDS, size=draw.integers(3, 9))) for _ in range(rows)]
    labels = [len(text) % classes for text in texts]
    return Split(texts, None, labels, [f"row-{index}" for index in range(rows)])


def task(name, names, seed=0, **splits):
    given = {"train": split(40, seed, len(names)), "validation": split(30, seed + 1, len(names)), **splits}
    return Task(name, "classification", given, names, ("accuracy",), fingerprint=f"rows of {name}")


WORDS_TASK = task("words", ("entailment", "neutral", "contradiction"))
COLOURS = task("colours", ("red", "green"), 5)
OTHER = replace(task("other", ("entailment", "not_entailment"), 9), splits={"test": split(50, 11)})


def spec(model, method="vanilla", **changes):
    given = {"seed": 0, "data_seed": 0, "data": "rows of words", "task": TaskSpec(source="words")}
    return RunSpec(model=model, method=method, **{"settings": SETTINGS, **given, **changes})


def probing(rows=None):
    probed = (OtherTask(task=PROBED, data=COLOURS.fingerprint),)
    return {"probed": probed, "probe": ProbeSettings(rows=rows, seeds=2)}


def do(one, root, given=WORDS_TASK):
    folder = root / one.id
    folder.mkdir(parents=True, exist_ok=True)
    phases = []
    eval_tasks = {
        OtherTask(task=PROBED, data=COLOURS.fingerprint): COLOURS,
        OtherTask(task=OOD, data=OTHER.fingerprint): OTHER,
    }
    return run(one, given, folder, lambda progress: phases.append(progress.phase), eval_tasks), folder, phases


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def done(model, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    ood = (OtherTask(task=OOD, data=OTHER.fingerprint),)
    return do(spec(model, "r3f(sigma=0.1)", ood=ood, monitor=4, **probing()), root)


def batch(tokenizer, texts):
    return tokenizer(texts, padding=True, return_tensors="pt")


@torch.no_grad()
def states(folder, texts):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return AutoModel.from_pretrained(folder).eval()(**batch(tokenizer, texts), output_hidden_states=True).hidden_states


def test_probes_read_the_tuned_body(done):
    record, folder, phases = done
    train_rows, scored = COLOURS.splits["train"], COLOURS.splits["validation"]
    features = [states(folder / "model", part.texts)[-1][:, 0].numpy() for part in (train_rows, scored)]
    options = {"kind": "classification", "classes": 2, "metrics": ["accuracy"], "seeds": 2}
    expected = linear_probe(features[0], train_rows.labels, features[1], scored.labels, **options)
    assert record.probes["colours"].scores == list(expected.scores["accuracy"])
    assert record.probes["colours"].layer == 2
    assert phases[0] == "preparing"
    assert phases[-1] == "probing"
    assert not (folder / "features").exists(), "features of a model that is not kept are not kept either"


@torch.no_grad()
def test_out_of_domain_scores_are_the_tuned_models_own_with_classes_mapped(done):
    record, folder, _ = done
    rows = OTHER.splits["test"]
    model = AutoModelForSequenceClassification.from_pretrained(folder / "model").eval()
    logits = model(**batch(AutoTokenizer.from_pretrained(folder / "model"), rows.texts)).logits
    # neutral and contradiction, 1 and 2, are not_entailment.
    predicted = logits.argmax(-1).clamp(max=1).numpy()
    assert record.extra_metrics["other"]["accuracy"] == pytest.approx((predicted == np.asarray(rows.labels)).mean())


def test_layers_are_measured_against_the_pretrained_model(done, model):
    record, folder, _ = done
    texts = WORDS_TASK.splits["validation"].texts
    tuned, start = states(folder / "model", texts), states(model, texts)
    assert [layer.layer for layer in record.layers] == [0, 1, 2]
    assert record.layers[0].cka is None, "the first token's embedding is the same in every row"
    for layer in (1, 2):
        expected = linear_cka(tuned[layer][:, 0].numpy(), start[layer][:, 0].numpy())
        assert record.layers[layer].cka == pytest.approx(expected, abs=2e-3), "states were kept in half precision"
        assert record.layers[layer].weight_distance > 0


def test_the_monitor_looks_at_the_start_in_between_and_at_the_end(done):
    record, _, _ = done
    assert record.steps == 10
    assert [look.step for look in record.monitored] == [0, 4, 8, 10]
    assert record.monitored[0].cka == pytest.approx(1)
    assert record.monitored[-1].cka < 1


@pytest.mark.slow
def test_what_is_measured_changes_nothing_of_the_training(done, model, tmp_path):
    record, folder, _ = done
    plain = train(spec(model, "r3f(sigma=0.1)"), WORDS_TASK, tmp_path)
    assert plain.metrics == record.metrics
    for name in ("predictions.npz", "model/model.safetensors"):
        if name.endswith("npz"):
            assert np.array_equal(np.load(tmp_path / name)["logits"], np.load(folder / name)["logits"])
        else:
            assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_nothing_is_trained_where_the_pretrained_model_is_probed(model, tmp_path):
    record, folder, phases = do(spec(model, "", **probing(20)), tmp_path)
    assert (record.status, record.steps, record.metrics) == ("finished", 0, {})
    assert not (folder / "model").exists()
    assert set(phases) == {"probing"}
    drawn = record.probes["colours"]
    assert len(drawn.scores) == 2
    assert all(0 <= score <= 1 for score in drawn.scores)


@pytest.mark.slow
def test_a_run_goes_on_from_the_body_of_another_with_a_head_of_its_own(model, tmp_path):
    first, folder, _ = do(spec(model, "r4f"), tmp_path)
    still = SETTINGS.model_copy(update={"learning_rate": 1e-30, "max_steps": 1, "weight_decay": 0.0})
    colours = {"task": PROBED, "data": COLOURS.fingerprint, "settings": still}
    second = spec(model, "vanilla", after=first.id, **colours)
    record, next_folder, _ = do(second, tmp_path, COLOURS)
    plain, plain_folder, _ = do(spec(model, "vanilla", **colours), tmp_path, COLOURS)
    tuned, after, fresh = (
        AutoModelForSequenceClassification.from_pretrained(place / "model").state_dict()
        for place in (folder, next_folder, plain_folder)
    )
    for name, value in after.items():
        same = tuned if name.startswith("bert.") else fresh
        assert torch.equal(value, same[name]), name
    assert record.distance == pytest.approx(first.distance, rel=1e-4), "distances are from the pre-trained weights"
    assert plain.distance == pytest.approx(0, abs=1e-6)
    assert [layer.cka for layer in record.layers[1:]] != pytest.approx([1, 1], abs=1e-3)
    assert [layer.cka for layer in plain.layers[1:]] == pytest.approx([1, 1], abs=1e-3)


def test_a_run_cannot_go_on_from_one_that_left_no_model(model, tmp_path):
    with pytest.raises(
        HoldfastError, match=r"run 0123, from whose model this one goes on, left none; .*--retry-failed"
    ):
        do(spec(model, after="0123"), tmp_path)


def test_two_scored_rows_are_too_few_to_measure_layers_and_enough_to_be_scored(model, tmp_path):
    few = task("few words", ("entailment", "neutral", "contradiction"), validation=split(2, 3, 3))
    short = SETTINGS.model_copy(update={"max_steps": 2})
    record, _, _ = do(spec(model, settings=short, data=few.fingerprint), tmp_path, few)
    assert (record.status, record.scored_rows, record.layers) == ("finished", 2, [])
    assert record.distance > 0
