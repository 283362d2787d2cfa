"""The monitor on a Trainer: what it logs, against single measures of the model at that step."""

import copy
import json

import pytest
import torch
from datasets import Dataset
from transformers import (
    BartForConditionalGeneration,
    GPT2LMHeadModel,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5ForConditionalGeneration,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from collapse.watching import Keep, build, rows, steps, watched
from holdfast import CollapseMonitor
from holdfast.collapse import effective_rank, linear_cka, mean_cosine, measure_layers, participation_ratio
from holdfast.errors import HoldfastError
from holdfast.training.models.hidden_states import layer_states
from holdfast.training.models.weight_distance import body_distance
from tiny import DECODERS, VOCABULARY, bart_config, batch, classifier, t5_config

MEASURES = ("cka", "effective_rank", "participation_ratio", "mean_cosine")


# What it sees


@pytest.mark.parametrize("name", ["bert", "deberta_v3", "gpt2", "llama", "t5", "bart"])
def test_looks_are_the_measures_of_the_model_at_that_step(name, tmp_path):
    """Each kind of model, decoders padded on the left, against the model copied at the step and measured alone."""
    start, padding = classifier(name, dropout=0.1), "left" if name in DECODERS else "right"
    evaluated = rows(12, seed=9, padding=padding)
    trainer = build(tmp_path, copy.deepcopy(start), data=rows(16, padding=padding), evaluated=evaluated)
    monitor, keep = watched(trainer), Keep()
    trainer.add_callback(keep)
    trainer.train()
    assert steps(monitor) == [0, 2, 4, 5]
    data = torch.utils.data.default_collate(evaluated)
    before = layer_states(start, [data])[-1]
    for look in monitor.looks:
        model = keep.models.get(look.step, start)
        after = layer_states(model, [data])[-1]
        assert look.cka == pytest.approx(linear_cka(after, before), rel=1e-4)
        for measure in (effective_rank, participation_ratio, mean_cosine):
            assert getattr(look, measure.__name__) == pytest.approx(measure(after), rel=1e-4)
        assert look.distance == pytest.approx(body_distance(model, start), rel=1e-5)
    assert monitor.looks[0].cka == pytest.approx(1)
    assert monitor.looks[-1].cka < 0.99
    assert monitor.looks[-1].distance > 0.1


def test_logs_and_callbacks_get_them_and_the_loss_is_still_logged(tmp_path):
    trainer = build(tmp_path)
    monitor, keep = watched(trainer), Keep()
    trainer.add_callback(keep)
    trainer.train()
    for entries in (trainer.state.log_history, keep.logs):
        found = [entry for entry in entries if "collapse/cka" in entry]
        assert [entry["collapse/distance"] for entry in found] == [look.distance for look in monitor.looks]
        for name in MEASURES:
            assert [entry[f"collapse/{name}"] for entry in found] == [getattr(look, name) for look in monitor.looks]
    assert [entry["step"] for entry in trainer.state.log_history if "loss" in entry] == [2, 4]
    json.dumps(trainer.state.log_history)


def test_all_layers_are_logged_where_asked_for(tmp_path):
    trainer = build(tmp_path)
    start = copy.deepcopy(trainer.model)
    monitor = watched(trainer, layers="all", distance=False)
    trainer.train()
    data = torch.utils.data.default_collate(rows(12, seed=9))
    expected = measure_layers(layer_states(trainer.model, [data]), layer_states(start, [data]))
    logged = next(entry for entry in reversed(trainer.state.log_history) if "collapse/cka" in entry)
    for found, layer in zip(monitor.looks[-1].layers, expected, strict=True):
        assert vars(found) == pytest.approx(vars(layer), rel=1e-4)
        assert logged[f"collapse/layer_{layer.layer}/cka"] == found.cka
    assert monitor.looks[-1].distance is None
    assert "collapse/distance" not in logged


def test_rows_are_spread_over_the_data_and_taken_through_the_collator(tmp_path):
    """Columns that the model does not take stay out, and several evaluation sets give the first."""
    seen = []

    def collate(picked):
        seen.extend(int(row["input_ids"][1]) for row in picked)
        return {key: torch.tensor([row[key] for row in picked]) for key in picked[0]}

    numbered = [{"input_ids": [2, i % VOCABULARY, 3], "labels": i % 2, "text": "a film"} for i in range(80)]
    data = Dataset.from_list(numbered)
    trainer = build(tmp_path, evaluated={"first": data, "second": data.select(range(4))})
    trainer.data_collator = collate
    CollapseMonitor(trainer, rows=20)
    assert sorted(seen) == list(range(0, 80, 4))


def test_without_an_evaluation_set_the_training_set_is_looked_at(tmp_path):
    trainer = build(tmp_path)
    trainer.eval_dataset = None
    look = watched(trainer).monitor.look()
    data = torch.utils.data.default_collate(rows(16))
    assert look.effective_rank == pytest.approx(effective_rank(layer_states(trainer.model, [data])[-1]), rel=1e-4)


def test_a_batch_of_ones_own_takes_their_place(tmp_path):
    trainer, data = build(tmp_path), batch(rows=7, seed=3)
    look = watched(trainer, batch=data).monitor.look()
    assert look.mean_cosine == pytest.approx(mean_cosine(layer_states(trainer.model, [data])[-1]), rel=1e-4)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: BartForConditionalGeneration(bart_config(0.1)), "bart"),
        (lambda: T5ForConditionalGeneration(t5_config(0.1)), "t5"),
        (lambda: GPT2LMHeadModel(classifier("gpt2").config), "gpt2"),
    ],
    ids=["bart", "t5", "gpt2"],
)
def test_models_that_generate_are_read_as_the_classifier_of_their_family_is(model, expected, tmp_path):
    generator = model()
    other = classifier(expected)
    names = dict(other.named_parameters())
    with torch.no_grad():
        for name, weight in generator.named_parameters():
            twin = name if name in names else f"transformer.{name}"
            weight.copy_(names.get(twin, weight))
    trainer = build(tmp_path, generator, kind=Seq2SeqTrainer, arguments=Seq2SeqTrainingArguments)
    data = batch(rows=12, seed=9)
    labels = {"labels": data["input_ids"][:, :5]}
    padding = "left" if expected in DECODERS else "right"
    look = watched(trainer, batch=batch(rows=12, seed=9, padding=padding) | labels).monitor.look()
    after = layer_states(other, [batch(rows=12, seed=9, padding=padding)])[-1]
    assert look.mean_cosine == pytest.approx(mean_cosine(after), rel=1e-4)
    assert look.distance == 0


@pytest.mark.parametrize(
    ("batch_rows", "accumulation", "rows", "every"), [(8, 1, 64, 200), (8, 4, 64, 50), (64, 2, 4, 1)]
)
def test_left_out_every_follows_from_what_a_step_trains_on(batch_rows, accumulation, rows, every, tmp_path):
    options = {"per_device_train_batch_size": batch_rows, "gradient_accumulation_steps": accumulation}
    assert CollapseMonitor(build(tmp_path, **options), rows=rows).every == every


# Lives of a training


def test_resumed_training_keeps_the_pretrained_model_as_reference(tmp_path):
    options = {"save_strategy": "steps", "save_steps": 3, "max_steps": 7, "train_sampling_strategy": "sequential"}
    whole = build(tmp_path, **options)
    expected = watched(whole)
    set_seed(3)
    whole.train()
    again = build(tmp_path, **options)
    found = watched(again)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert steps(found) == [0, 2, 4, 6, 7]
    assert found.looks == expected.looks


@pytest.mark.slow
def test_a_model_made_anew_at_each_training_is_looked_at_anew(tmp_path):
    trainer = Trainer(
        args=TrainingArguments(
            str(tmp_path), max_steps=3, save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True
        ),
        model_init=lambda: classifier("bert"),
        train_dataset=rows(16),
    )
    monitor = watched(trainer)
    trainer.train()
    first = monitor.looks
    trainer.train()
    assert steps(monitor) == [0, 2, 3]
    assert monitor.looks == first
    assert first[-1].distance > 0


def test_a_training_stopped_by_others_ends_with_a_look(tmp_path):
    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_training_stop = state.global_step == 3

    trainer = build(tmp_path)
    monitor = watched(trainer)
    trainer.add_callback(Stop())
    trainer.train()
    assert steps(monitor) == [0, 2, 3]


@pytest.mark.slow
def test_the_best_checkpoint_loaded_at_the_end_is_not_taken_for_the_last_step(tmp_path):
    trainer = build(
        tmp_path, eval_strategy="steps", eval_steps=1, save_strategy="steps", save_steps=1, load_best_model_at_end=True
    )
    monitor, keep = watched(trainer), Keep()
    start = copy.deepcopy(trainer.model)
    trainer.add_callback(keep)
    trainer.train()
    assert steps(monitor) == [0, 2, 4, 5]
    assert monitor.looks[-1].distance == pytest.approx(body_distance(keep.models[5], start), rel=1e-5)


# What is refused


def test_arguments_out_of_range_are_refused(tmp_path):
    trainer = build(tmp_path)
    for options, reason in (
        ({"every": 0}, "every=0"),
        ({"rows": 3}, "rows=3"),
        ({"stop": 1.5}, "stop=1.5"),
        ({"stop": 0}, "stop=0"),
    ):
        with pytest.raises(HoldfastError, match=reason):
            CollapseMonitor(trainer, **options)


def test_data_that_cannot_be_picked_from_are_refused(tmp_path):
    trainer = build(tmp_path, evaluated=Dataset.from_list([{"labels": 1}] * 9).to_iterable_dataset())
    with pytest.raises(HoldfastError, match=r"a stream.*give it batch="):
        CollapseMonitor(trainer)
    trainer.eval_dataset = trainer.train_dataset = None
    with pytest.raises(HoldfastError, match="no data to look at"):
        CollapseMonitor(trainer)
    trainer.is_fsdp_enabled = True
    with pytest.raises(HoldfastError, match="use DDP"):
        CollapseMonitor(trainer)
