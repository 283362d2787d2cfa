"""The average is the formula's, is what is evaluated and saved, and leaves the training itself alone."""

import itertools

import pytest
import torch
from torch.utils.data import default_collate
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from holdfast import EMA, R4F, SIFT, Engine, HoldfastError, LoRA, MHLoss, Vanilla, WiSEFT, attach
from holdfast.methods.base import Plan
from holdfast.methods.forward import Step
from loops import sgd
from tiny import batch, classifier, rows


def train(engine, steps, start=0):
    """Return the weights after each step."""
    found = []
    for seed in range(start, start + steps):
        engine.backward(engine.loss(batch(seed=seed)))
        engine.step()
        found.append([p.detach().double() for p in engine.model.parameters()])
    return found


def averaged(history, decay, warmup):
    average = history[0]
    for t, weights in enumerate(history[1:], start=1):
        kept = min(decay, (1 + t) / (10 + t)) if warmup else decay
        average = [kept * a + (1 - kept) * w for a, w in zip(average, weights, strict=True)]
    return average


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize(("decay", "warmup"), [(0.999, True), (0.3, True), (0.7, False)])
def test_the_model_ends_with_the_average_of_the_formula(decay, warmup):
    engine = Engine(classifier("bert"), [EMA(decay, warmup)], optimizer=sgd())
    history = train(engine, 6)
    assert same(engine.model.parameters(), [w.float() for w in history[-1]]), "training itself goes on untouched"
    engine.finish()
    for found, expected in zip(engine.model.parameters(), averaged(history, decay, warmup), strict=True):
        assert torch.allclose(found.double(), expected, atol=1e-6)


def test_a_short_training_forgets_where_it_began_unless_the_decay_is_fixed():
    """What is left of the first step's weights after 90 steps: a product of the shares kept."""
    shares = {}
    for warmup in (True, False):
        line = torch.nn.Linear(1, 1, bias=False)
        session = EMA(warmup=warmup).start(line, Plan(90))
        for index in range(90):
            torch.nn.init.constant_(line.weight, 1.0 if index == 0 else 0.0)
            session.after_step(Step(index, 90))
        session.finish()
        shares[warmup] = float(line.weight)
    assert shares[True] < 1e-9
    assert shares[False] == pytest.approx(0.999**89, rel=1e-4)


def test_evaluation_in_training_shows_the_average_and_puts_the_weights_back():
    methods = {"ema": EMA(), "vanilla": Vanilla()}
    engines = {name: Engine(classifier("bert"), [method], optimizer=sgd()) for name, method in methods.items()}
    history = train(engines["ema"], 4)
    train(engines["vanilla"], 4)
    reference = classifier("bert").eval()
    for parameter, value in zip(reference.parameters(), averaged(history, 0.999, True), strict=True):
        parameter.data.copy_(value)
    model, data = engines["ema"].model, batch(seed=9)
    before = [p.detach().clone() for p in model.parameters()]
    expected = float(reference(**data).loss)
    for without_gradient in (torch.no_grad, torch.inference_mode):
        with without_gradient():
            assert float(engines["ema"].loss(data)) == pytest.approx(expected, abs=1e-6)
    with engines["ema"].evaluate(), engines["ema"].evaluate():
        assert float(model(**data).loss) == pytest.approx(expected, abs=1e-6)
        assert float(engines["ema"].loss(data)) == pytest.approx(expected, abs=1e-6)
    assert same(model.parameters(), before)
    assert abs(float(model(**data).loss) - expected) > 1e-4
    assert model.training
    train(engines["ema"], 2, start=4)
    train(engines["vanilla"], 2, start=4)
    assert same(model.parameters(), engines["vanilla"].model.parameters())
    with engines["ema"].evaluate(), pytest.raises(HoldfastError, match="leave the block first"):
        engines["ema"].step()


@pytest.mark.parametrize("other", [R4F(), LoRA(rank=2), MHLoss(heads=3)], ids=lambda method: method.name)
@pytest.mark.parametrize("first", [True, False])
def test_what_is_saved_is_the_finished_model_whatever_the_others_do(other, first):
    """R4F and MHLoss make what is saved of the layer itself, LoRA of the state: all of the average."""
    methods = [EMA(), other] if first else [other, EMA()]
    engine = Engine(classifier("bert"), methods, optimizer=sgd())
    train(engine, 4)
    before = {name: value.clone() for name, value in engine.model.state_dict().items()}
    saved = engine.plain_state_dict()
    with engine.evaluate():
        logits = engine.model(**batch(seed=9)).logits
    engine.model.eval()
    after = engine.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    engine.finish()
    assert engine.model.state_dict().keys() == saved.keys() == classifier("bert").state_dict().keys()
    assert all(torch.equal(value, saved[name]) for name, value in engine.model.state_dict().items())
    with torch.no_grad():
        assert torch.allclose(engine.model(**batch(seed=9)).logits, logits, atol=1e-5)


def test_tied_weights_are_averaged_and_saved_once():
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    model = BertForMaskedLM(BertConfig(vocab_size=97, pad_token_id=1, **sizes))
    engine, data = Engine(model, [EMA()], optimizer=sgd()), batch()
    for _ in range(2):
        engine.backward(engine.loss(data | {"labels": data["input_ids"]}))
        engine.step()
    saved = engine.plain_state_dict()
    tied = [saved[name] for name in ("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight")]
    assert tied[0].data_ptr() == tied[1].data_ptr() != model.get_input_embeddings().weight.data_ptr()
    engine.finish()
    assert torch.equal(model.get_output_embeddings().weight, tied[1])


def test_weights_in_half_precision_are_averaged_in_full():
    engine = Engine(classifier("bert").bfloat16(), [EMA(decay=0.9, warmup=False)], optimizer=sgd())
    history = train(engine, 8)
    kept = engine.state_dict()["methods"]["ema"]
    names = [name for name, _ in engine.model.named_parameters()]
    assert {value.dtype for key, value in kept.items() if key.startswith("average/")} == {torch.float32}
    for name, expected in zip(names, averaged(history, 0.9, False), strict=True):
        assert torch.allclose(kept[f"average/{name}"].double(), expected, atol=1e-5)
    engine.finish()
    assert {p.dtype for p in engine.model.parameters()} == {torch.bfloat16}


class Weights(TrainerCallback):
    def __init__(self, stop=None):
        self.history, self.stop = [], stop

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.history.append([p.detach().double() for p in model.parameters()])
        if state.global_step == self.stop:
            raise KeyboardInterrupt


def trained(folder, *methods, watch=None, **options):
    quiet = {"report_to": "none", "disable_tqdm": True, "use_cpu": True, "save_strategy": "no", "learning_rate": 1e-2}
    trainer = Trainer(
        classifier("bert"),
        TrainingArguments(str(folder), **(quiet | {"max_steps": 4, "per_device_train_batch_size": 4} | options)),
        train_dataset=rows(16),
        eval_dataset=rows(6, seed=9),
        callbacks=[watch] if watch else [],
    )
    return attach(trainer, *methods)


@pytest.mark.slow
def test_the_trainer_evaluates_and_saves_the_average(tmp_path):
    watch = Weights()
    each = {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 2}
    trainer = trained(tmp_path, EMA(), watch=watch, **each)
    data = default_collate(rows(6, seed=9))
    assert trainer.evaluate()["eval_loss"] == pytest.approx(float(trainer.model.eval()(**data).loss), abs=1e-6)
    trainer.train()
    told = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry][-2:]
    for at, loss in zip((2, 4), told, strict=True):
        saved = AutoModelForSequenceClassification.from_pretrained(tmp_path / f"checkpoint-{at}").eval()
        for found, expected in zip(saved.parameters(), averaged(watch.history[:at], 0.999, True), strict=True):
            assert torch.allclose(found.double(), expected, atol=1e-6)
        assert float(saved(**data).loss) == pytest.approx(loss, abs=1e-6)
    assert same(trainer.model.parameters(), saved.parameters())
    plain = Weights()
    trained(tmp_path / "vanilla", Vanilla(), watch=plain).train()
    assert all(same(a, b) for a, b in zip(watch.history, plain.history, strict=True)), "evaluation changes nothing"


@pytest.mark.slow
def test_a_training_broken_off_leaves_the_average_and_the_next_begins_a_new_one(tmp_path):
    watch = Weights(stop=3)
    trainer = trained(tmp_path, EMA(), watch=watch)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    for found, expected in zip(trainer.model.parameters(), averaged(watch.history, 0.999, True), strict=True):
        assert torch.allclose(found.double(), expected, atol=1e-6)
    watch.history, watch.stop = [], None
    trainer.train()
    for found, expected in zip(trainer.model.parameters(), averaged(watch.history, 0.999, True), strict=True):
        assert torch.allclose(found.double(), expected, atol=1e-6)


def test_frozen_weights_take_no_memory():
    model = classifier("bert")
    model.bert.embeddings.requires_grad_(False)
    engine = Engine(model, [EMA()], optimizer=sgd())
    train(engine, 2)
    kept = engine.state_dict()["methods"]["ema"]
    assert not any("embeddings" in name for name in kept)
    footprint = EMA().check(model)
    moved = sum(p.numel() for p in itertools.chain(model.bert.encoder.parameters(), model.bert.pooler.parameters()))
    assert footprint.state_bytes == 4 * (moved + sum(p.numel() for p in model.classifier.parameters()))


@pytest.mark.parametrize("decay", [1.0, -0.1, float("nan")])
def test_a_decay_that_is_none_is_refused(decay):
    with pytest.raises(HoldfastError, match="at least 0 and below 1"):
        EMA(decay)


@pytest.mark.parametrize("other", [WiSEFT(alpha=0.5), SIFT()], ids=lambda method: method.name)
def test_methods_that_keep_the_weights_elsewhere_are_refused(other):
    with pytest.raises(HoldfastError, match="use one of them"):
        Engine(classifier("bert"), [EMA(), other], optimizer=sgd())
