"""LP-FT: what the head learns alone, against logistic regression, and that nothing else is changed by it."""

import copy
import inspect
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import nn
from transformers import BertForMaskedLM

from holdfast import LPFT, R4F, Engine, HoldfastError, MHLoss
from holdfast.methods import parse
from holdfast.methods.base import Plan, TrainingData
from holdfast.training.session.lifecycle import calibrate
from loops import sgd, train
from tiny import CLASSIFIERS, batch, classifier


def tuning(model, *methods, data, rate=0.0, **options):
    return Engine(model, methods, data=data, optimizer=sgd(rate), **options)


def state(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


class Tiny(nn.Module):
    """A classifier without Transformers, which takes long to load."""

    base_model = property(lambda self: self.body)

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = Pooled()
        self.head = nn.Linear(8, 3)

    def forward(self, input_ids, labels):
        logits = self.head(self.body(input_ids=input_ids)["pooled"])
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class Pooled(nn.Module):
    """A body that averages the embeddings of a row's tokens."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)

    def forward(self, input_ids):
        return {"pooled": self.embedding(input_ids).mean(1)}


@pytest.mark.parametrize("others", [(), (MHLoss(heads=3),)], ids=["alone", "mhloss"])
def test_the_head_becomes_the_logistic_regression_on_the_bodys_features(others):
    """Random labels of many more rows than features, so that there is a finite optimum; also with heads averaged."""
    generator = torch.Generator().manual_seed(0)
    ids, labels = (torch.randint(high, shape, generator=generator) for high, shape in ((20, (100, 5)), (3, (100,))))
    data, model = {"input_ids": ids, "labels": labels}, Tiny().train()
    with torch.no_grad():
        features = model.body(ids)["pooled"].numpy()
    expected = LogisticRegression(C=np.inf, max_iter=10000, tol=1e-8).fit(features, labels.numpy())
    optimum = log_loss(labels.numpy(), expected.predict_proba(features))
    assert float(model(**data)["loss"].detach()) > optimum + 0.1
    body = state(model.body)
    engine = tuning(model, LPFT(epochs=100, learning_rate=0.3), *others, data=[data])
    train(engine, [data])
    facts = engine.finish()
    assert float(model(**data)["loss"].detach()) == pytest.approx(optimum, abs=1e-4)
    assert facts["lp_ft/last_epoch_loss"] == pytest.approx(optimum, abs=1e-4)
    assert torch.equal(model.body.embedding.weight, body["embedding.weight"])
    # The optimum is unique but for a vector added to all classes.
    weight = model.head.weight.detach().numpy()
    assert weight - weight.mean(0) == pytest.approx(expected.coef_ - expected.coef_.mean(0), abs=0.02)


def test_a_step_of_the_head_is_adamws():
    """Two batches, the last of two rows, over two epochs: the rate halves."""
    model = classifier("bert", dropout=0.3)
    data = [batch(rows=4, seed=1), batch(rows=2, seed=2)]
    expected = copy.deepcopy(model).eval()
    expected.bert.requires_grad_(False)
    optimizer = torch.optim.AdamW(expected.classifier.parameters(), 0.01, weight_decay=0.0)
    for rate in (0.01, 0.005):
        optimizer.param_groups[0]["lr"] = rate
        for given in data:
            expected(**given).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    train(tuning(model, LPFT(epochs=2, learning_rate=0.01), data=data), data[:1])
    for name, value in model.state_dict().items():
        assert torch.allclose(value, expected.state_dict()[name], atol=1e-6), name


def test_afterwards_all_weights_are_tuned_as_in_plain_fine_tuning_from_that_head():
    data = [batch(seed=1), batch(seed=2)]
    model = classifier("bert", dropout=0.3)
    engine = tuning(model, LPFT(epochs=3), data=data, rate=0.1)
    torch.manual_seed(5)
    engine.loss(data[0])
    plain = copy.deepcopy(model)
    torch.manual_seed(5)
    reference = tuning(plain, data=data, rate=0.1)
    train(reference, data)
    torch.manual_seed(5)
    train(engine, data)
    assert all(p.requires_grad for p in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, plain.state_dict()[name]), name
    layer = model.bert.encoder.layer[0].output.dense
    assert not torch.equal(classifier("bert").bert.encoder.layer[0].output.dense.weight, layer.weight)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_head_learns(name):
    model = classifier(name, dropout=0.1, labels=3)
    engine = tuning(model, LPFT(epochs=30, learning_rate=0.02), data=[batch(labels=3)])
    body = state(model.base_model)
    train(engine, [batch(labels=3)])
    facts = engine.finish()
    assert facts["lp_ft/last_epoch_loss"] < 0.8 * facts["lp_ft/first_epoch_loss"]
    assert all(torch.equal(value, body[key]) for key, value in state(model.base_model).items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("problem", ["regression", "multi_label_classification"])
def test_half_precision_and_other_labels(problem, dtype):
    labels = 1 if problem == "regression" else 3
    model = classifier("bert", labels=labels, problem=problem).to(dtype)
    data = batch()
    data["labels"] = torch.rand(4, labels).round().to(dtype).squeeze(-1)
    engine = tuning(model, LPFT(epochs=30, learning_rate=0.02), data=[data])
    train(engine, [data])
    facts = engine.finish()
    assert facts["lp_ft/last_epoch_loss"] < 0.7 * facts["lp_ft/first_epoch_loss"]
    assert {p.dtype for p in model.parameters()} == {dtype}


def test_within_autocast_the_head_still_learns():
    model = classifier("bert")
    engine = tuning(model, LPFT(epochs=30, learning_rate=0.02), data=[batch()])
    with torch.autocast("cpu", torch.bfloat16):
        engine.loss(batch())
    facts = engine.finish()
    assert facts["lp_ft/last_epoch_loss"] < 0.5 * facts["lp_ft/first_epoch_loss"]


def test_the_singular_vectors_of_r4f_follow():
    data = batch(rows=12)
    model = classifier("roberta")
    engine = tuning(model, R4F(sigma=0.0), LPFT(epochs=40, learning_rate=0.01), data=[data])
    engine.loss(data)
    assert engine.methods[0].name == "lp_ft"
    for layer in (model.classifier.dense, model.classifier.out_proj):
        assert float(torch.linalg.matrix_norm(layer.normalised_weight(), 2)) == pytest.approx(1.0, abs=0.01)


def flags_modes_forward(model):
    modules = [(module.training, "forward" in vars(module)) for module in model.modules()]
    return modules, [(p.requires_grad, p.grad) for p in model.parameters()]


@pytest.mark.parametrize("when", ["in the loss", "never"])
def test_all_is_as_before_also_after_an_error(when):
    model = classifier("roberta")
    model.roberta.embeddings.requires_grad_(False)
    model.roberta.encoder.layer[0].eval()
    before = flags_modes_forward(model)
    calls = []

    def loss(given):
        calls.append(1)
        if when == "in the loss" and len(calls) == 2:
            raise RuntimeError("out of memory")
        return model(**given).loss

    data = TrainingData(lambda: iter([batch()]), loss)
    session = LPFT(epochs=3).start(model, Plan(None))
    if when == "never":
        calibrate(model, [session], data)
    else:
        with pytest.raises(RuntimeError, match="out of memory"):
            calibrate(model, [session], data)
    model.zero_grad(set_to_none=True)
    assert flags_modes_forward(model) == before


def test_losses_that_are_not_finite_are_left_out_or_refused():
    given = batch(rows=4, labels=2)
    model = classifier("bert", labels=1, problem="regression")
    good, bad = [{**given, "labels": torch.full((4,), value)} for value in (1.0, float("nan"))]
    engine = tuning(model, LPFT(epochs=2), data=[good, bad])
    engine.loss(good)
    assert all(value.isfinite().all() for value in model.state_dict().values())
    with pytest.raises(HoldfastError, match="no loss with a finite gradient in the training data"):
        tuning(model, LPFT(epochs=2), data=[bad]).loss(good)


def test_resuming_keeps_the_losses_and_trains_no_head_again():
    data = [batch(seed=1)]
    first = tuning(classifier("bert"), LPFT(epochs=2), data=data)
    train(first, data)
    second = tuning(classifier("bert", seed=3), LPFT(epochs=2), data=data)
    second.model.load_state_dict(first.model.state_dict())
    second.load_state_dict(first.state_dict())
    train(second, data)
    assert second.finish() == first.finish()
    assert torch.equal(second.model.classifier.weight, first.model.classifier.weight)


@pytest.mark.parametrize("other", ["head_tuning", "mixout", "dps(variant=mix)"])
def test_methods_that_take_the_body_or_mix_the_head_are_refused(other):
    with pytest.raises(HoldfastError, match=r"takes over the .* that lp_ft works on"):
        parse(f"lp_ft+{other}")


def test_mistakes_are_refused():
    with pytest.raises(HoldfastError, match="BertForMaskedLM has no new head that is trained: leave lp_ft out"):
        LPFT().check(BertForMaskedLM(classifier("bert").config))
    with pytest.raises(HoldfastError, match="lp_ft found no loss with a finite gradient"):
        tuning(classifier("bert"), LPFT(), data=[]).loss(batch())
    with pytest.raises(HoldfastError, match=r"lp_ft\(epochs=0\)"):
        LPFT(epochs=0)
    with pytest.raises(HoldfastError, match=r"lp_ft\(learning_rate=-1\)"):
        LPFT(learning_rate=-1)
    assert set(LPFT().check(classifier("bert")).weights) == {"classifier.weight", "classifier.bias"}


SHARE = """
import json, sys
import torch
from torch import nn
from holdfast import LPFT
from holdfast.methods.base import Plan, TrainingData
{classes}
def share(seed, rows):
    g = torch.Generator().manual_seed(seed)
    ids, labels = torch.randint(20, (8, 5), generator=g), torch.randint(3, (8,), generator=g)
    return {{"input_ids": ids[rows], "labels": labels[rows]}}

def probe(rows):
    model = Tiny().train()
    session = LPFT(epochs=3, learning_rate=0.01).start(model, Plan(None))
    batches = [share(seed, rows) for seed in (1, 2)]
    session.calibrate(TrainingData(lambda: iter(batches), lambda given: model(**given)["loss"]))
    return model.head.weight.flatten().tolist(), session.finish()

torch.set_num_threads(1)
folder, rank = {folder!r}, int(sys.argv[1])
alone = probe(slice(0, 8))
torch.distributed.init_process_group("gloo", init_method="file://" + folder + "/meet", rank=rank, world_size=2)
json.dump([alone, probe(slice(4 * rank, 4 * rank + 4))], open(folder + "/rank" + str(rank) + ".json", "w"))
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_train_the_head_that_one_trains_on_all_rows(tmp_path):
    script = tmp_path / "script.py"
    classes = "\n".join(inspect.getsource(kind) for kind in (Pooled, Tiny))
    script.write_text(SHARE.format(classes=classes, folder=str(tmp_path)))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ranks = [subprocess.Popen([sys.executable, str(script), str(rank)], env=environment) for rank in range(2)]
    assert [process.wait(timeout=120) for process in ranks] == [0, 0]
    (alone, first), (_, second) = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2)]
    assert first == second
    assert first[0] == pytest.approx(alone[0], abs=1e-5)
    assert first[1] == pytest.approx(alone[1], rel=1e-5)
