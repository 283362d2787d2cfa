"""SURT: what is tuned starts from the re-trained weights, which are made once, and the distances told are true."""

import logging
import math

import pytest
import torch
from ranks import distributed
from torch.utils.data import DataLoader, Dataset, IterableDataset
from trainers import build, rows, same
from transformers import Trainer, TrainerCallback, set_seed

from holdfast import L2SP, SURT, Engine, HoldfastError, LoRA, MHLoss, Vanilla, attach
from holdfast.methods.base import SelfSupervised
from holdfast.methods.parts.model.layers import body_of
from holdfast.training.pretraining.self_supervised import StageProgress
from holdfast.training.trainer.pretraining import pretrain
from tiny import batch, classifier, tokenizer


class Stages(TrainerCallback):
    """Notes the progress of stages, and the body's weights when the task's own training begins and ends."""

    def __init__(self):
        self.seen: list[StageProgress] = []
        self.begun = self.ended = None

    def on_stage(self, progress):
        self.seen.append(progress)

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        self.begun = weights(model)

    def on_train_end(self, args, state, control, model=None, **kwargs):
        self.ended = weights(model)


def weights(model):
    return {name: value.detach().clone() for name, value in body_of(model).named_parameters()}


def distance(a, b):
    """By hand, in float64."""
    return math.sqrt(sum(float((a[name].double() - b[name].double()).pow(2).sum()) for name in a))


def trained(folder, *methods, resume=None, **options):
    trainer, _ = build(folder, *methods, model=options.pop("model", None) or classifier("bert"), **options)
    stages = Stages()
    trainer.add_callback(stages)
    trainer.train(resume_from_checkpoint=resume)
    return trainer, stages


def facts(trainer):
    return {name: value for name, value in trainer.state.log_history[-1].items() if name.startswith("surt/")}


def test_tuning_starts_from_the_retrained_weights_and_the_distances_are_true(tmp_path, caplog):
    caplog.set_level(logging.INFO, "holdfast")
    before = weights(classifier("bert"))
    trainer, stages = trained(tmp_path, SURT(epochs=3, learning_rate=1e-2))
    assert distance(before, stages.begun) > 0.1
    assert facts(trainer) == pytest.approx(
        {
            "surt/pretrained_distance": distance(before, stages.ended),
            "surt/start_distance": distance(stages.begun, stages.ended),
            "surt/retraining_moved": distance(before, stages.begun),
        },
        rel=1e-5,
    )
    assert f"{distance(stages.begun, stages.ended):.4g} from the re-trained ones" in caplog.text


def test_a_tuning_of_rate_zero_ends_in_the_retrained_weights(tmp_path):
    trainer, stages = trained(tmp_path, SURT(epochs=1), learning_rate=0.0)
    assert all(torch.equal(value, stages.begun[name]) for name, value in weights(trainer.model).items())
    assert facts(trainer)["surt/start_distance"] == 0.0


def test_head_order_and_dropout_are_those_of_plain_tuning(tmp_path):
    """Only the body's start differs: the head it begins with is drawn before, and nothing of the seed is used up."""
    heads, draws = [], []

    class Look(TrainerCallback):
        def on_train_begin(self, args, state, control, model=None, **kwargs):
            heads.append(model.classifier.weight.detach().clone())
            draws.append(torch.get_rng_state())

    for method in (Vanilla(), SURT(epochs=1)):
        trainer, _ = build(tmp_path, method, model=classifier("bert", dropout=0.1))
        trainer.add_callback(Look())
        set_seed(3)
        trainer.train()
    assert torch.equal(heads[0], heads[1])
    assert torch.equal(draws[0], draws[1])


def test_progress_counts_the_steps_of_the_stage(tmp_path):
    """16 rows in batches of 3, two to a step: 6 batches, 3 steps a pass."""
    _, stages = trained(
        tmp_path, SURT(epochs=2), per_device_train_batch_size=3, gradient_accumulation_steps=2, max_steps=2
    )
    assert [one.step for one in stages.seen] == list(range(7))
    assert {(one.total, one.method) for one in stages.seen} == {(6, "surt")}
    assert stages.seen[0].loss is None
    assert all(math.isfinite(one.loss) for one in stages.seen[1:])


def test_labels_are_not_looked_at(tmp_path):
    """The body after the stage is the same whatever the labels."""
    found = []
    for flip in (False, True):
        data = rows(16)
        for row in data:
            row["labels"] = 1 - row["labels"] if flip else row["labels"]
        _, stages = trained(tmp_path, SURT(epochs=1, learning_rate=1e-2), data=data, max_steps=1)
        found.append(stages.begun)
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_a_resumed_training_does_not_train_first_again(tmp_path):
    method = SURT(epochs=2, learning_rate=1e-2)
    whole, first = trained(tmp_path / "whole", method, max_steps=6, save_strategy="steps", save_steps=3)
    resumed, stages = trained(tmp_path / "whole", method, resume=str(tmp_path / "whole" / "checkpoint-3"), max_steps=6)
    assert stages.seen == []
    assert same(whole.model, resumed.model)
    assert facts(resumed) == pytest.approx(facts(whole))
    assert facts(whole)["surt/start_distance"] == pytest.approx(distance(first.begun, first.ended), rel=1e-5)


def test_resumed_with_a_model_of_other_weights_no_distance_to_them_is_told(tmp_path, caplog):
    method = SURT(epochs=1, learning_rate=1e-2)
    whole, _ = trained(tmp_path, method, max_steps=4, save_strategy="steps", save_steps=2)
    resumed, _ = trained(
        tmp_path, method, resume=str(tmp_path / "checkpoint-2"), max_steps=4, model=classifier("bert", seed=5)
    )
    assert "did not come with its pre-trained weights" in caplog.text
    assert "surt/pretrained_distance" not in facts(resumed)
    assert facts(resumed)["surt/start_distance"] == pytest.approx(facts(whole)["surt/start_distance"])


def test_training_twice_trains_first_once(tmp_path):
    trainer, stages = trained(tmp_path, SURT(epochs=1))
    steps, ended = len(stages.seen), stages.ended
    trainer.train()
    assert len(stages.seen) == steps
    assert all(torch.equal(value, ended[name]) for name, value in stages.begun.items())
    # The weights that it began with are no pre-trained ones.
    assert facts(trainer) == pytest.approx({"surt/start_distance": distance(ended, stages.ended)}, rel=1e-5)


def test_compiled_and_trained_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda model, *args, **kwargs: model)
    trainer, stages = trained(tmp_path, SURT(epochs=1), torch_compile=True, max_steps=1)
    ended = stages.ended
    trainer.train()
    assert facts(trainer) == pytest.approx({"surt/start_distance": distance(ended, stages.ended)}, rel=1e-5)


class Impatient(TrainerCallback):
    """Presses Ctrl-C in the middle of the stage, once."""

    pressed = False

    def on_stage(self, progress):
        if progress.step == 3 and not self.pressed:
            self.pressed = True
            raise KeyboardInterrupt


def test_interrupted_while_it_trains_first_it_begins_again_from_the_start(tmp_path):
    whole, _ = trained(tmp_path, SURT(epochs=2), max_steps=2)
    trainer, _ = build(tmp_path, SURT(epochs=2), model=classifier("bert"), max_steps=2)
    trainer.add_callback(Impatient())
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert distance(weights(classifier("bert")), weights(trainer.model)) == 0.0
    trainer.train()
    assert same(whole.model, trainer.model)
    assert facts(trainer) == facts(whole)


class Noted(Dataset):
    """Notes the order in which rows are read."""

    def __init__(self):
        self.rows, self.read = rows(8), []

    def __len__(self):
        return 8

    def __getitem__(self, index):
        self.read.append(index)
        return self.rows[index]


def test_every_pass_has_an_order_of_its_own(tmp_path):
    """And the tuning that of plain tuning, which was to be left alone."""
    orders = []
    for method in (SURT(epochs=3), Vanilla()):
        data = Noted()
        trained(tmp_path, method, data=data, train_sampling_strategy="random", max_steps=2)
        orders.append([data.read[at : at + 8] for at in range(0, len(data.read), 8)])
    assert [len(order) for order in orders] == [4, 1]
    assert len({tuple(order) for order in orders[0][:3]}) == 3
    assert all(sorted(order) == list(range(8)) for order in orders[0])
    assert orders[0][3] == orders[1][0]


@pytest.mark.parametrize(("precision", "found"), [("fp16", False), ("bf16", True)])
def test_only_bf16_is_used_in_the_stage(precision, found, tmp_path, monkeypatch):
    """fp16 without a scaler loses small gradients."""
    used = []

    def note(model, stage, text, *rest):
        with text.autocast():
            used.append(torch.is_autocast_enabled("cpu"))

    monkeypatch.setattr("holdfast.training.trainer.pretraining.retrain", note)
    trainer, _ = build(tmp_path, SURT(), model=classifier("bert"), bf16=True)
    if precision == "fp16":
        # A trainer without a GPU refuses it.
        monkeypatch.setattr(type(trainer.accelerator), "mixed_precision", "fp16")
    pretrain(trainer, trainer.model, trainer._holdfast_batches, SURT(), SelfSupervised(1, 1e-4, 0.15))
    assert used == [found]


def test_what_the_user_says_of_activation_checkpointing_holds_in_the_stage_too(tmp_path, monkeypatch):
    told = []
    plain = type(classifier("bert")).activation_checkpointing_enable
    monkeypatch.setattr(
        type(classifier("bert")),
        "activation_checkpointing_enable",
        lambda self, **options: [told.append(options), plain(self, **options)],
    )
    asked = {"use_reentrant": False, "every_n_layers": 2}
    trained(tmp_path, SURT(epochs=1), max_steps=1, activation_checkpointing=True, activation_checkpointing_kwargs=asked)
    assert told[0]["activation_checkpointing_kwargs"] == {"use_reentrant": False}
    assert told[0]["every_n_layers"] == 2


def test_a_model_made_anew_is_retrained_anew(tmp_path):
    stages = Stages()
    trainer = Trainer(
        args=build(tmp_path)[0].args,
        model_init=lambda: classifier("bert"),
        train_dataset=rows(8),
        processing_class=tokenizer(),
        callbacks=[stages],
    )
    attach(trainer, SURT(epochs=1, learning_rate=1e-2)).train()
    assert [one.step for one in stages.seen] == [0, 1, 2]
    assert distance(stages.begun, weights(classifier("bert"))) > 0.01


def test_methods_that_hold_weights_hold_the_retrained_ones(tmp_path):
    """Whatever the order in which they are named: after a tuning that only decays, nothing has moved."""
    trainer, stages = trained(
        tmp_path, L2SP(alpha=1.0), SURT(epochs=1, learning_rate=1e-2), max_steps=2, learning_rate=0.0
    )
    assert all(torch.equal(value, stages.begun[name]) for name, value in weights(trainer.model).items())


@pytest.mark.parametrize("other", [MHLoss(heads=3), LoRA(rank=2)], ids=["mhloss", "lora"])
def test_with_others_the_saved_model_is_plain(other, tmp_path):
    trainer, _ = trained(tmp_path, SURT(epochs=1), other)
    trainer.save_model(tmp_path / "saved")
    again = type(trainer.model).from_pretrained(tmp_path / "saved").eval()
    trainer.model.eval()
    given = batch()
    assert torch.allclose(again(**given).logits, trainer.model(**given).logits, atol=1e-6)
    assert facts(trainer)["surt/start_distance"] > 0


@pytest.mark.parametrize("name", ["gpt2", "llama", "t5", "modernbert", "deberta_v3"])
def test_other_architectures(name, tmp_path):
    words = tokenizer("<extra_id_0>", "<extra_id_1>", "<extra_id_2>")
    trainer = Trainer(classifier(name), build(tmp_path)[0].args, train_dataset=rows(8), processing_class=words)
    before = weights(trainer.model)
    attach(trainer, SURT(epochs=1, learning_rate=1e-2)).train()
    assert facts(trainer)["surt/retraining_moved"] > 0.01
    assert facts(trainer)["surt/pretrained_distance"] == pytest.approx(
        distance(before, weights(trainer.model)), rel=1e-5
    )


def engine(model, method, **options):
    options = {"data": DataLoader(rows(8), batch_size=4, shuffle=True), "tokenizer": tokenizer(), **options}
    return Engine(model, [method], optimizer=lambda p: torch.optim.AdamW(p, 1e-3), **options)


def test_the_engine_trains_first_in_its_constructor_unless_resumed():
    start = weights(classifier("bert"))
    first = engine(classifier("bert"), SURT(epochs=1, learning_rate=1e-2))
    retrained = weights(first.model)
    assert distance(start, retrained) > 0.01
    for data in DataLoader(rows(8), batch_size=4):
        first.backward(first.loss(data))
        first.step()
    second = engine(classifier("bert"), SURT(epochs=1, learning_rate=1e-2), resumed=True)
    assert distance(start, weights(second.model)) == 0.0
    second.model.load_state_dict(first.model.state_dict())
    second.load_state_dict(first.state_dict())
    found = []
    for one in (first, second):
        found.append(one.finish())
    assert found[0] == pytest.approx(found[1])
    assert found[0]["surt/start_distance"] == pytest.approx(distance(retrained, weights(first.model)), rel=1e-5)


def test_the_order_of_the_engines_data_stays_what_it_was():
    orders = []
    for method in (Vanilla(), SURT(epochs=2)):
        loader = DataLoader(rows(8), batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(3))
        engine(classifier("bert"), method, data=loader)
        orders.append([given["input_ids"].tolist() for given in loader])
    assert orders[0] == orders[1]


class Endless(IterableDataset):
    def __iter__(self):
        yield from rows(8)


def untrainable():
    model = classifier("bert")
    for parameter in body_of(model).parameters():
        parameter.requires_grad_(False)
    return model


def test_refusals(tmp_path):
    with pytest.raises(HoldfastError, match=r"surt\(epochs=0\)"):
        SURT(epochs=0)
    with pytest.raises(HoldfastError, match=r"surt\(learning_rate=0\)"):
        SURT(learning_rate=0)
    with pytest.raises(HoldfastError, match=r"surt\(mask_rate=1.0\)"):
        SURT(mask_rate=1.0)
    for model, message in (
        (classifier("bart"), "re-trains encoders, decoders and T5"),
        (untrainable(), "all those of BertForSequenceClassification are frozen"),
    ):
        with pytest.raises(HoldfastError, match=message):
            build(tmp_path, SURT(), model=model)
    with pytest.raises(HoldfastError, match=r"needs the model's tokenizer.*processing_class=tokenizer"):
        attach(Trainer(classifier("bert"), build(tmp_path)[0].args, train_dataset=rows(4)), SURT())
    with pytest.raises(HoldfastError, match=r"surt trains on the texts first: pass Engine\(..., data=loader\)"):
        engine(classifier("bert"), SURT(), data=None)
    for make in (
        lambda: trained(tmp_path, SURT(), data=Endless()),
        lambda: engine(classifier("bert"), SURT(), data=DataLoader(Endless(), batch_size=4)),
    ):
        with pytest.raises(HoldfastError, match="has no length: give"):
            make()
    with pytest.raises(HoldfastError, match=r"got no batch of training texts.*smaller batch where the last is dropped"):
        trained(tmp_path, SURT(), data=rows(3), dataloader_drop_last=True)
    short = tokenizer()
    short.add_tokens(["unheard"])
    with pytest.raises(HoldfastError, match="it has 98 where BertForSequenceClassification embeds 97"):
        attach(
            Trainer(classifier("bert"), build(tmp_path)[0].args, train_dataset=rows(4), processing_class=short), SURT()
        )


TWO = """
import sys, json
sys.path.insert(0, {tests!r})
from trainers import build, rows
from trainer.test_pretraining import Stages
from holdfast import SURT
from tiny import classifier
trainer, _ = build(
    {folder!r}, SURT(epochs=2, learning_rate=1e-3), model=classifier("gpt2"), data=rows(8),
    per_device_train_batch_size={size}, max_steps=1, learning_rate=0.0)
stages = Stages()
trainer.add_callback(stages)
trainer.train()
json.dump({{
    "moved": trainer.state.log_history[-1]["surt/retraining_moved"], "losses": [one.loss for one in stages.seen],
    "weights": sum(float(p.detach().double().sum()) for p in trainer.model.parameters())}},
    open({folder!r} + "/rank" + str(trainer.args.process_index) + ".json", "w"))
"""


@pytest.mark.slow
def test_two_processes_do_the_stage_of_one(tmp_path):
    """A decoder, which is asked for every token, so that nothing is drawn: rows shared between processes or not."""
    (alone,) = distributed(TWO, tmp_path / "one", 1, size=8)
    ranks = distributed(TWO, tmp_path / "two", 2, size=4)
    assert ranks[0]["weights"] == ranks[1]["weights"], "the ranks drifted apart"
    assert ranks[0]["moved"] == pytest.approx(alone["moved"], rel=1e-3)
    assert ranks[0]["losses"][1:] == pytest.approx(alone["losses"][1:], rel=1e-4)
