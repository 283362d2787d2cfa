"""MHLoss: the mean of the heads' losses against plain models with one head each, and the fold into one layer."""

import copy
from functools import partial

import pytest
import torch
from last_layer import CALM, LAST, SIZES
from torch.nn import functional as F  # noqa: N812
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForTokenClassification,
    Trainer,
    TrainingArguments,
)

import loops
from holdfast import DPS, MMR, R3F, Engine, HoldfastError, LoRA, MHLoss, attach
from holdfast.methods import parse
from holdfast.training.session.footprints import footprints
from loops import batches, train
from tiny import CLASSIFIERS, batch, classifier, rows

engine = partial(loops.engine, optimizer=loops.adamw())


def heads_of(model, name):
    """The heads' weights and biases, one dictionary a head, read from the state dict."""
    state = {key: value.detach().clone() for key, value in model.state_dict().items()}
    found = []
    for key in ("weight", "bias"):
        own = state.get(f"{name}.{key}")
        if own is not None:
            parts = [own, *torch.split(state[f"{name}.further.{key}"], len(own))]
            found.append([(f"{name}.{key}", part) for part in parts])
    return [dict(pairs) for pairs in zip(*found, strict=True)]


def alone(plain, head):
    """The plain model with one of the heads."""
    model = copy.deepcopy(plain)
    model.load_state_dict(head, strict=False)
    return model


def token_classifier():
    torch.manual_seed(0)
    return BertForTokenClassification(BertConfig(num_labels=3, pad_token_id=1, **SIZES, **CALM)).train()


def choice_model():
    torch.manual_seed(0)
    return BertForMultipleChoice(BertConfig(**SIZES, **CALM)).train()


def task(kind):
    """A model, its last layer, and a batch."""
    data = batch(rows=6, labels=3)
    if kind in CLASSIFIERS:
        return classifier(kind, labels=3), LAST[kind], data
    if kind == "regression":
        data["labels"] = torch.linspace(-1, 1, 6)
        return classifier("bert", labels=1, problem="regression"), "classifier", data
    if kind == "independent labels":
        data["labels"] = (torch.arange(18).view(6, 3) % 2).float()
        return classifier("bert", labels=3, problem="multi_label_classification"), "classifier", data
    if kind == "tokens":
        data["labels"] = torch.where(data["attention_mask"] == 1, data["input_ids"] % 3, -100)
        return token_classifier(), "classifier", data
    data = {key: value.view(3, 2, 10) for key, value in data.items() if key != "labels"}
    return choice_model(), "classifier", data | {"labels": torch.tensor([0, 1, 0])}


@pytest.mark.parametrize(
    ("kind", "reduction"),
    [(kind, "mean") for kind in (*CLASSIFIERS, "regression", "independent labels", "tokens", "choices")]
    + [(kind, "sum") for kind in ("bert", "gpt2", "tokens")],
)
def test_loss_and_gradients_are_those_of_plain_models_with_one_head_each(kind, reduction):
    model, name, data = task(kind)
    plain = copy.deepcopy(model)
    trained = engine(model, MHLoss(heads=4, reduction=reduction))
    heads = heads_of(model, name)
    loss = trained.loss(data)
    loss.backward()
    scale = 1 / 4 if reduction == "mean" else 1.0
    total, logits, gradients = 0.0, 0.0, {}
    for at, head in enumerate(heads):
        single = alone(plain, head)
        outputs = single(**data)
        (outputs.loss * scale).backward()
        total, logits = total + float(outputs.loss) * scale, logits + outputs.logits.detach() / 4
        for key, parameter in single.named_parameters():
            if key.startswith(name):
                own = dict(model.named_parameters())[key.replace(name, f"{name}.further") if at else key].grad
                rows = len(parameter)
                own = own[(at - 1) * rows : at * rows] if at else own
                assert torch.allclose(own, parameter.grad, atol=1e-6, rtol=1e-4), (at, key)
            elif parameter.grad is not None:
                gradients[key] = gradients.get(key, 0) + parameter.grad
    assert float(loss) == pytest.approx(total, rel=1e-5)
    assert sum(trained.terms.values()) == pytest.approx(total, rel=1e-5)
    if reduction == "mean":
        assert trained.terms["mhloss"] > 0, "the mean of convex losses is above the loss of the mean"
    for key, parameter in model.named_parameters():
        if key in gradients:
            assert torch.allclose(parameter.grad, gradients[key], atol=2e-6, rtol=1e-3), key
    with torch.no_grad():
        assert torch.allclose(model(**data).logits, logits, atol=1e-6)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_folded_model_computes_the_average_and_is_plain(name, tmp_path):
    model, data = classifier(name, labels=3), batch(rows=5, labels=3)
    plain, keys = copy.deepcopy(model), set(model.state_dict())
    flags = {key: parameter.requires_grad for key, parameter in model.named_parameters()}
    trained = engine(model, MHLoss(heads=5))
    train(trained, batches(3, rows=5, labels=3))
    model.eval()
    with torch.no_grad():
        logits = model(**data).logits
        heads = heads_of(model, LAST[name])
        state = {key: value for key, value in model.state_dict().items() if ".further." not in key}
        plain.load_state_dict(state)
        average = torch.stack([alone(plain, head).eval()(**data).logits for head in heads]).mean(0)
    model.save_pretrained(tmp_path / "middle", state_dict=trained.plain_state_dict())
    trained.finish()
    model.save_pretrained(tmp_path / "end")
    with torch.no_grad():
        assert torch.equal(model(**data).logits, logits)
    assert set(model.state_dict()) == keys
    assert {key: parameter.requires_grad for key, parameter in model.named_parameters()} == flags
    assert type(model.get_submodule(LAST[name])) is torch.nn.Linear
    for folder in ("middle", "end"):
        loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / folder).eval()
        with torch.no_grad():
            assert (loaded(**data).logits - average).abs().max() < 1e-6


SPREAD = dict.fromkeys(CLASSIFIERS, 0.2) | {"t5": 32**-0.5, "modernbert": 0.8796 * 32**-0.5}
"""Standard deviation of a new last layer in the tiny models, as their classes in Transformers initialise it.

A normal distribution cut off at two deviations, ModernBERT's, has 0.8796 of its deviation.
"""


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_further_heads_are_drawn_as_the_model_draws_its_own(name):
    model = classifier(name, labels=3)
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(3)
    engine(model, MHLoss(heads=60))
    assert torch.rand(1).item() == torch.rand(1, generator=torch.Generator().manual_seed(3)).item()
    for key, value in before.items():
        assert torch.equal(model.state_dict()[key], value), key
    layer = model.get_submodule(LAST[name]).further
    assert layer.weight.std().item() == pytest.approx(SPREAD[name], rel=0.05)
    if layer.bias is not None:
        assert not bool(layer.bias.any())
    rows = layer.weight.view(59, -1)
    alike = torch.corrcoef(rows.detach())[~torch.eye(59, dtype=torch.bool)]
    assert alike.std().item() == pytest.approx(96**-0.5, rel=0.1), "the heads are not independent"


def test_the_seed_decides_the_heads():
    drawn = []
    for seed in (0, 0, 1):
        model = classifier("bert")
        engine(model, MHLoss(heads=3), seed=seed)
        drawn.append(model.classifier.further.weight.detach())
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_one_head_is_plain_training_bit_for_bit():
    for reduction in ("mean", "sum"):
        found = []
        for methods in ((), (MHLoss(heads=1, reduction=reduction),)):
            trained = engine(classifier("bert", dropout=0.1), *methods)
            torch.manual_seed(4)
            train(trained, batches(3))
            trained.finish()
            found.append(trained.model)
        assert all(torch.equal(a, b) for a, b in zip(found[0].parameters(), found[1].parameters(), strict=True))


def test_a_plain_checkpoint_is_computed_as_it_is():
    """Until the heads' own state is loaded, all are the one of the checkpoint."""
    other, data = classifier("bert", seed=5), batch()
    trained = engine(classifier("bert"), MHLoss(heads=3))
    trained.model.load_state_dict(other.state_dict())
    with torch.no_grad():
        assert torch.allclose(trained.model(**data).logits, other(**data).logits, atol=1e-6)
    trained.loss(data)
    assert trained.terms["mhloss"] == pytest.approx(0, abs=1e-6)


def arguments(folder, **options):
    defaults = {"max_steps": 1, "logging_steps": 1, "save_strategy": "no", "report_to": "none", "use_cpu": True}
    options = {"train_sampling_strategy": "sequential", "max_grad_norm": 0, "disable_tqdm": True} | options
    return TrainingArguments(str(folder), **defaults, **options)


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_accumulation_gives_the_step_of_one_large_batch(name, tmp_path):
    """Also where the last micro-batch has 2 rows, and where the head counts the labels of the step (GPT-2)."""
    found = []
    for size, accumulation in ((10, 1), (4, 3)):
        options = {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulation}
        sgd = {"optim": "sgd", "learning_rate": 0.1, "lr_scheduler_type": "constant"}
        trainer = Trainer(
            classifier(name, labels=3), arguments(tmp_path, **options, **sgd), train_dataset=rows(10, labels=3)
        )
        attach(trainer, MHLoss(heads=3)).train()
        logged = trainer.state.log_history[0]
        found.append([logged[key] for key in ("loss", "loss/task", "loss/mhloss")])
        found.append(torch.cat([p.detach().flatten() for p in trainer.model.parameters()]))
    assert found[0] == pytest.approx(found[2], rel=1e-4)
    assert torch.allclose(found[1], found[3], atol=1e-5)


class Weighted(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        outputs = model(**inputs)
        return F.cross_entropy(outputs.logits, inputs["labels"], torch.tensor([1.0, 2.0, 3.0]))


def own_loss(outputs, labels, num_items_in_batch=None):
    return F.cross_entropy(outputs.logits, labels)


@pytest.mark.parametrize(
    ("kind", "options", "more"),
    [
        (Trainer, {"label_smoothing_factor": 0.1}, {}),
        (Trainer, {}, {"compute_loss_func": own_loss}),
        (Weighted, {}, {}),
    ],
    ids=["label smoothing", "compute_loss_func", "compute_loss"],
)
def test_a_loss_that_is_not_the_models_own_is_refused(kind, options, more, tmp_path):
    trainer = kind(
        classifier("bert", labels=3), arguments(tmp_path, **options), train_dataset=rows(8, labels=3), **more
    )
    with pytest.raises(HoldfastError, match=r"needs the model's own loss for every head.*leave out label smoothing"):
        attach(trainer, MHLoss()).train()


def test_a_loss_of_unknown_formula_is_refused():
    model = classifier("bert")
    model.register_forward_hook(lambda module, args, outputs: type(outputs)(outputs.loss * 2, outputs.logits))
    with pytest.raises(HoldfastError, match="use a model with a standard loss"):
        engine(model, MHLoss()).loss(batch())


@pytest.mark.parametrize(("name", "stacked"), [("bert", True), ("gpt2", False)])
def test_together_with_r3f_mmr_dps_and_lora(name, stacked):
    model, data = classifier(name), batch(rows=6)
    methods = [R3F(sigma=0.1), MMR(weight=1.0), MHLoss(heads=4), DPS(update_ratio=0.5), LoRA(rank=2)]
    trained = engine(model, *methods, total_steps=4, stacked=stacked)
    keys = set(classifier(name).state_dict())
    for seed in range(4):
        trained.backward(trained.loss(batch(rows=6, seed=seed)))
        assert set(trained.terms) == {"task", "r3f", "mmr", "mhloss"}
        trained.step()
    with torch.no_grad():
        before = model.eval()(**data).logits
        assert set(trained.plain_state_dict()) == keys
        trained.finish()
        assert set(model.state_dict()) == keys
        assert torch.allclose(model.eval()(**data).logits, before, atol=1e-5)


def test_r3f_compares_the_averaged_outputs():
    """Its penalty is that of the plain model that the folded heads are."""
    data, found = batch(rows=6), []
    trained = engine(classifier("bert"), R3F(sigma=0.3), MHLoss(heads=4))
    plain = classifier("bert")
    plain.load_state_dict(trained.plain_state_dict())
    for one in (trained, engine(plain, R3F(sigma=0.3))):
        torch.manual_seed(0)
        one.loss(data)
        found.append(one.terms["r3f"])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_in_half_precision(dtype):
    model, data = classifier("bert").to(dtype), batch()
    trained = Engine(model, [MHLoss(heads=4)], optimizer=lambda p: torch.optim.SGD(p, 0.01))
    trained.backward(trained.loss(data))
    assert trained.step()
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    with torch.no_grad():
        before = model.eval()(**data).logits
        trained.finish()
        assert torch.equal(model(**data).logits, before)


def test_state_is_one_tensor_a_parameter_and_the_listing_counts_the_further_heads():
    trained = engine(classifier("bert", labels=3), MHLoss(heads=4))
    shapes = {key: tuple(value.shape) for key, value in trained.state_dict()["methods"]["mhloss"].items()}
    assert shapes == {"weight": (3, 32), "bias": (3,), "further.weight": (9, 32), "further.bias": (9,)}
    with torch.device("meta"):
        empty = classifier("roberta", labels=3)
    (found,) = footprints([MHLoss(heads=4)], empty)
    assert (found.weights, found.footprint.state_bytes) == (99, 3 * 99 * 4)
    assert [row.name for row in found.rows] == ["classifier.out_proj.weight", "classifier.out_proj.bias"]


def test_what_cannot_work_is_refused():
    for text in ("r4f", "mixout", "dps(variant=mix)"):
        with pytest.raises(HoldfastError, match="both replace the head"):
            parse(f"mhloss+{text}")
    with pytest.raises(HoldfastError, match=r"mhloss\(heads=0\): there must be at least 1 head"):
        parse("mhloss(heads=0)")
    with pytest.raises(HoldfastError, match="mhloss needs a classification head"):
        engine(BertForMaskedLM(BertConfig(**SIZES)), MHLoss())
    frozen = classifier("bert")
    frozen.classifier.requires_grad_(False)
    with pytest.raises(HoldfastError, match="classifier of BertForSequenceClassification is frozen"):
        engine(frozen, MHLoss())
    model = classifier("bert")
    with pytest.raises(HoldfastError, match=r"does not train classifier.further.weight"):
        Engine(model, [MHLoss()], optimizer=torch.optim.AdamW(model.parameters()))


def test_a_model_that_ddp_wrapped_before_is_refused():
    """DDP does not know parameters made afterwards, and would let the processes drift apart."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        wrapped = torch.nn.parallel.DistributedDataParallel(classifier("bert"))
        with pytest.raises(HoldfastError, match="built before the method made its weights"):
            engine(wrapped, MHLoss())
    finally:
        torch.distributed.destroy_process_group()
