"""MMR: centroids and their distance by hand, of exactly the vectors that the head is fed."""

import math
from functools import partial

import pytest
import torch
from last_layer import CALM, LAST, SIZES
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForTokenClassification,
    GPT2LMHeadModel,
    Trainer,
    TrainingArguments,
)

import loops
from holdfast import MMR, R3F, R4F, Engine, HoldfastError, LoRA, attach
from holdfast.methods import parse
from holdfast.methods.mmr import mmr_penalty
from loops import train
from tiny import CLASSIFIERS, DECODERS, batch, classifier

engine = partial(loops.engine, optimizer=loops.adamw())


def by_hand(vectors, labels, scale=1.0):
    """R in plain Python: lists of numbers and of class numbers in."""
    groups = {}
    for vector, label in zip(vectors, labels, strict=True):
        groups.setdefault(label, []).append(vector)
    means = [[sum(column) / len(rows) for column in zip(*rows, strict=True)] for rows in groups.values()]
    terms = [1 / (1 + math.dist(a, b) / scale) for at, a in enumerate(means) for b in means[:at]]
    return sum(terms) / len(terms)


def fed_to(model, name, data):
    """What the layer ``name`` is fed, in a forward of its own; for decoders at each row's last real token."""
    found = []
    handle = model.get_submodule(name).register_forward_pre_hook(lambda module, args: found.append(args[0].detach()))
    with torch.no_grad():
        model(**data)
    handle.remove()
    if found[0].ndim == 2:
        return found[0].tolist()
    last = [int(row.nonzero().max()) for row in data["attention_mask"]]
    return [found[0][row, at].tolist() for row, at in enumerate(last)]


def test_two_classes_by_hand():
    """Centroids (1, 0) and (0, 4): R = 1 / (1 + sqrt(17))."""
    features = torch.tensor([[0.0, 0.0], [0.0, 3.0], [2.0, 0.0], [0.0, 5.0]])
    found = mmr_penalty(features, torch.tensor([4, 1, 4, 1]))
    assert float(found) == pytest.approx(1 / (1 + 17**0.5), rel=1e-6)


def test_several_classes_are_averaged_over_the_pairs_present():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(12, 5, generator=generator)
    labels = torch.tensor([0, 3, 3, 7, 0, 7, 7, 3, 0, 0, 3, 7])
    assert float(mmr_penalty(features, labels)) == pytest.approx(by_hand(features.tolist(), labels.tolist()), rel=1e-5)
    norm = sum(math.hypot(*row) for row in features.tolist()) / 12
    expected = by_hand(features.tolist(), labels.tolist(), norm)
    assert float(mmr_penalty(features, labels, normalised=True)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("normalised", [False, True])
def test_gradient_agrees_with_finite_differences(normalised):
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(7, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 2, 1, 0, 0])
    assert torch.autograd.gradcheck(lambda x: mmr_penalty(x, labels, normalised), features)


def test_only_the_normalised_form_ignores_the_scale():
    features, labels = torch.randn(6, 4, generator=torch.Generator().manual_seed(2)), torch.tensor([0, 1, 0, 1, 1, 0])
    plain = [float(mmr_penalty(c * features, labels)) for c in (1, 10)]
    normalised = [float(mmr_penalty(c * features, labels, normalised=True)) for c in (1, 10)]
    assert plain[1] < 0.5 * plain[0]
    assert normalised[1] == pytest.approx(normalised[0], rel=1e-5)


def test_equal_centroids_and_zero_features_have_finite_gradients():
    for normalised in (False, True):
        features = torch.zeros(4, 3, requires_grad=True)
        value = mmr_penalty(features, torch.tensor([0, 0, 1, 1]), normalised)
        value.backward()
        assert float(value) == 1
        assert bool(torch.isfinite(features.grad).all())


@pytest.mark.parametrize(
    ("name", "padding"), [(name, "right") for name in CLASSIFIERS] + [(name, "left") for name in DECODERS]
)
def test_features_are_what_the_head_is_fed(name, padding):
    model, data = classifier(name, labels=3), batch(rows=9, labels=3, padding=padding)
    expected = by_hand(fed_to(model, LAST[name], data), data["labels"].tolist())
    trained = engine(model, MMR(weight=2.0))
    trained.backward(trained.loss(data))
    assert trained.terms["mmr"] == pytest.approx(2 * expected, rel=1e-4)
    trained.step()
    trained.finish()
    assert not model.get_submodule(LAST[name])._forward_hooks


def test_gradient_of_the_whole_loss_agrees_with_finite_differences():
    model, data = classifier("bert").double(), batch(rows=8)
    trained = engine(model, MMR(weight=3.0))
    trained.loss(data).backward()
    weight = model.bert.encoder.layer[0].attention.self.query.weight
    found, raw = weight.grad.clone(), weight.detach().clone()
    direction, h = torch.randn(raw.shape, generator=torch.Generator().manual_seed(0), dtype=raw.dtype), 1e-5
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            weight.copy_(raw + sign * h * direction)
            model(**data)  # a forward between must not be listened to
            vectors = fed_to(model, "classifier", data)
            values.append(float(model(**data).loss) + 3 * by_hand(vectors, data["labels"].tolist()))
    assert float((found * direction).sum()) == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("gradient", ["both", "clean"])
def test_beside_r3f_centroids_are_of_the_clean_rows(gradient, stacked):
    for name in ("bert", "gpt2", "t5"):
        data = batch(rows=6)
        alone = engine(classifier(name), MMR())
        alone.loss(data)
        both = engine(classifier(name), R3F(sigma=0.5, gradient=gradient), MMR(), stacked=stacked)
        both.loss(data)
        assert both.terms["r3f"] > 0
        assert both.terms["mmr"] == pytest.approx(alone.terms["mmr"], rel=1e-5)


def test_dropout_is_part_of_the_features():
    """With the classifier's dropout at 1 all vectors are zero, and R is 1."""
    model = classifier("bert")
    model.dropout.p = 1.0
    trained = engine(model, MMR(weight=1.0))
    trained.loss(batch(rows=8))
    assert trained.terms["mmr"] == 1


def test_other_forwards_of_the_model_are_not_listened_to():
    model, data = classifier("bert"), batch(rows=6)
    trained = engine(model, MMR())
    trained.loss(data)
    expected = trained.terms["mmr"]
    model(**batch(rows=3, seed=5))
    trained.loss(data)
    assert trained.terms["mmr"] == expected


def test_a_batch_of_one_class_adds_nothing():
    data = batch(rows=4) | {"labels": torch.ones(4, dtype=torch.long)}
    trained, plain = engine(classifier("bert"), MMR(weight=5.0)), engine(classifier("bert"))
    losses = [trained.loss(data), plain.loss(data)]
    assert trained.terms["mmr"] == 0
    for one, loss in zip((trained, plain), losses, strict=True):
        one.backward(loss)
    for a, b in zip(trained.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


def test_rows_without_a_label_are_left_out():
    model, data = classifier("bert"), batch(rows=6)
    data["labels"] = torch.tensor([0, 1, -100, 0, -100, 1])
    vectors = fed_to(model, "classifier", data)
    expected = by_hand([vectors[row] for row in (0, 1, 3, 5)], [0, 1, 0, 1])
    trained = engine(model, MMR(weight=1.0))
    trained.loss(data)
    assert trained.terms["mmr"] == pytest.approx(expected, rel=1e-5)


def test_micro_batches_count_by_their_rows(tmp_path):
    """4, 4 and 2 rows: the mean of their R, each with the weight of its rows."""
    data = batch(rows=10, seed=3) | {"labels": torch.tensor([0, 1, 1, 1, 0, 0, 1, 0, 1, 0])}
    rows = [{key: value[row] for key, value in data.items()} for row in range(10)]
    model, expected = classifier("bert"), 0.0
    for at in (0, 4, 8):
        part = {key: value[at : at + 4] for key, value in data.items()}
        expected += len(part["labels"]) / 10 * by_hand(fed_to(model, "classifier", part), part["labels"].tolist())
    arguments = TrainingArguments(
        str(tmp_path),
        per_device_train_batch_size=4,
        gradient_accumulation_steps=3,
        max_steps=1,
        logging_steps=1,
        train_sampling_strategy="sequential",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = attach(Trainer(model, arguments, train_dataset=rows), MMR(weight=1.0))
    trainer.train()
    assert trainer.state.log_history[0]["loss/mmr"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("told", [True, False], ids=["config", "labels"])
@pytest.mark.parametrize("problem", ["regression", "multi_label_classification"])
def test_without_classes_it_is_refused(problem, told):
    """Before anything is changed where the model's configuration tells, else at the first labels."""
    labels = 1 if problem == "regression" else 3
    data = batch(rows=4)
    data["labels"] = torch.rand(4) if labels == 1 else torch.randint(0, 2, (4, 3)).float()
    model = classifier("bert", labels=labels, problem=problem if told else None)
    with pytest.raises(HoldfastError, match=r"mmr parts the classes, .* there are none: leave mmr out"):
        engine(model, MMR()).loss(data)


def test_labelled_tokens_are_the_examples_of_token_classification():
    torch.manual_seed(0)
    model = BertForTokenClassification(BertConfig(num_labels=3, pad_token_id=1, **SIZES, **CALM)).train()
    data = batch(rows=3)
    data["labels"] = torch.where(data["attention_mask"] == 1, data["input_ids"] % 3, -100)
    found = []
    model.classifier.register_forward_pre_hook(lambda module, args: found.append(args[0].detach()))
    trained = engine(model, MMR(weight=1.0))
    trained.loss(data)
    kept = data["labels"] != -100
    expected = by_hand(found[-1][kept].tolist(), data["labels"][kept].tolist())
    assert trained.terms["mmr"] == pytest.approx(expected, rel=1e-5)


def test_it_parts_the_classes():
    """A few steps with a large weight leave the centroids further apart than steps on the task alone."""
    found = []
    for methods in ((), (MMR(weight=100.0),)):
        model, data = classifier("bert"), batch(rows=8)
        trained = Engine(model, methods, optimizer=lambda p: torch.optim.SGD(p, 0.05))
        train(trained, [data] * 5)
        found.append(float(mmr_penalty(torch.tensor(fed_to(model, "classifier", data)), data["labels"])))
    assert found[1] < 0.9 * found[0]


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_with_adapters_and_with_a_head_that_others_changed():
    import peft

    data = batch(rows=6)
    model = classifier("roberta")
    vectors = fed_to(model, LAST["roberta"], data)
    expected = by_hand(vectors, data["labels"].tolist())
    wrapped = peft.get_peft_model(model, peft.LoraConfig(task_type="SEQ_CLS", lora_dropout=0.0)).train()
    for kind in (engine(wrapped, MMR(weight=1.0)), engine(classifier("roberta"), LoRA(dropout=0.0), MMR(weight=1.0))):
        kind.loss(data)
        assert kind.terms["mmr"] == pytest.approx(expected, rel=1e-4)
    constrained = engine(classifier("bert"), R4F(sigma=0.0), MMR(weight=1.0))
    constrained.loss(data)
    assert constrained.terms["mmr"] == pytest.approx(
        by_hand(fed_to(classifier("bert"), "classifier", data), data["labels"].tolist()), rel=1e-5
    )


@pytest.mark.slow
def test_compiled_models_are_listened_to():
    torch._dynamo.reset()
    data = batch(rows=6)
    eager = engine(classifier("gpt2"), MMR())
    compiled = engine(torch.compile(classifier("gpt2"), backend="eager"), MMR())
    for trained in (eager, compiled):
        trained.backward(trained.loss(data))
    assert compiled.terms["mmr"] == pytest.approx(eager.terms["mmr"], rel=1e-4)
    a, b = (trained.model.transformer.h[0].attn.c_attn.weight.grad for trained in (eager, compiled))
    assert torch.allclose(a, b, rtol=1e-3, atol=1e-6)


def test_evaluation_is_plain():
    model, data = classifier("bert"), batch(rows=6)
    trained = engine(model, MMR(weight=5.0))
    trained.loss(data)
    with trained.evaluate():
        assert torch.equal(trained.loss(data), model(**data).loss)
    assert set(trained.terms) == {"task"}


def test_what_cannot_work_is_refused():
    with pytest.raises(HoldfastError, match=r"mmr\(weight=-1.0\): weight must be"):
        parse("mmr(weight=-1)")
    frozen = classifier("bert")
    frozen.bert.requires_grad_(False)
    with pytest.raises(HoldfastError, match="trains nothing below its last layer: unfreeze the encoder"):
        engine(frozen, MMR())
    for kind in (BertForMaskedLM, GPT2LMHeadModel):
        with pytest.raises(HoldfastError, match="mmr needs a classification head"):
            engine(kind(kind.config_class(**SIZES) if kind is BertForMaskedLM else classifier("gpt2").config), MMR())
    choices = BertForMultipleChoice(BertConfig(**SIZES, **CALM)).train()
    data = {key: value.view(3, 2, 10) for key, value in batch(rows=6).items() if key != "labels"}
    with pytest.raises(HoldfastError, match="one vector a row and got 6 for 3, as models of multiple choice"):
        engine(choices, MMR()).loss(data | {"labels": torch.tensor([0, 1, 0])})


def test_a_head_that_does_not_end_in_a_linear_layer_is_refused():
    model = classifier("bert")
    model.classifier.register_forward_hook(lambda module, args, output: output * 2)
    engine(model, MMR()).loss(batch())  # registered before: part of what the layer gives
    model = classifier("bert")
    trained = engine(model, MMR())
    model.classifier.register_forward_hook(lambda module, args, output: output * 2)
    with pytest.raises(HoldfastError, match="are not what its last linear layer classifier gives"):
        trained.loss(batch())
