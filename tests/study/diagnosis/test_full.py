import copy
import math

import pytest
import torch

from holdfast.errors import HoldfastError
from holdfast.stability.bounds import convex_tuning_bound
from holdfast.study.define.study_file import from_options
from holdfast.study.diagnosis.diagnose import load_inputs
from holdfast.study.diagnosis.full import measure_full, tune
from holdfast.study.diagnosis.inputs import head_features
from holdfast.study.plan.prepare import prepare
from study.diagnosis.tickets import write_tickets
from tiny import save_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("full")
    save_model(place / "model")
    write_tickets(place / "tickets.csv")
    return place


def inputs(folder, **settings):
    options = {
        "tasks": [{"source": str(folder / "tickets.csv")}],
        "model": str(folder / "model"),
        "methods": ["vanilla"],
        "seeds": [0],
        "settings": {"batch_size": 8, "max_length": 16, "learning_rate": 1e-3, **settings},
    }
    prepared = prepare(from_options(options))
    return load_inputs(prepared.grid[0], prepared.tasks[0])


def head_only(model):
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith("classifier")


def test_features_make_the_logits(folder):
    given = inputs(folder, eval_batch_size=7)
    found = head_features(given)
    head = given.model.classifier
    given.model.eval()
    with torch.no_grad():
        for row in (0, 5, len(given.data) - 1):
            logits = given.model(**given.batch([row])).logits[0]
            torch.testing.assert_close(head.weight @ found[row] + head.bias, logits, atol=1e-5, rtol=1e-5)


def test_against_the_whole_hessian_of_a_head(folder):
    given = inputs(folder)
    model = given.model.eval()
    head_only(model)
    found = measure_full(given, 3)
    rows = torch.randperm(len(given.data), generator=torch.Generator().manual_seed(0))[: found.rows].tolist()
    batch = given.batch(rows)
    features, labels = head_features(given)[rows], batch["labels"]

    def loss(flat, rows=None):
        weight, bias = flat[:64].view(2, 32), flat[64:]
        return torch.nn.functional.cross_entropy(features[:rows] @ weight.T + bias, labels[:rows])

    start = torch.cat([model.classifier.weight.flatten(), model.classifier.bias]).detach()
    hessian = torch.autograd.functional.hessian(loss, start)
    few = torch.autograd.functional.hessian(lambda flat: loss(flat, found.curvature_rows), start)
    assert found.sharpness == pytest.approx(float(torch.linalg.eigvalsh(few)[-1]), rel=1e-3)
    assert found.loss_start == pytest.approx(float(loss(start)), rel=1e-4)
    tune(given, 3, lambda step: None)
    end = torch.cat([model.classifier.weight.flatten(), model.classifier.bias]).detach()
    moved = end - start
    slope = torch.autograd.functional.jacobian(loss, start)
    assert found.distance == pytest.approx(float(moved.norm()), rel=1e-4)
    assert found.loss_end == pytest.approx(float(loss(end)), rel=1e-4)
    expanded = loss(start) + slope @ moved + moved @ hessian @ moved / 2
    assert found.loss_expanded == pytest.approx(float(expanded), rel=1e-3)


def test_the_model_stays_as_it_was_and_the_bound_says_which_it_is(folder):
    given = inputs(folder)
    given.model.eval()
    before = copy.deepcopy(given.model.state_dict())
    found = measure_full(given, 2)
    assert all(torch.equal(value, before[name]) for name, value in given.model.state_dict().items())
    assert not given.model.training
    assert all(parameter.grad is None for parameter in given.model.parameters())
    assert found.least_curvature < 0 < found.sharpness
    assert found.bound_name == "convex_tuning_bound"
    n = len(given.data)
    assert found.bound == convex_tuning_bound(2, n, found.lipschitz, found.sharpness, found.distance, 1e-3)
    assert "curvature above 0" in found.bound_notes[0]


def test_short_tuning_is_the_one_that_a_run_does(folder, tmp_path):
    """Adam's first step moves every weight that has a gradient by the rate, whatever the gradient."""
    given = inputs(folder, schedule="constant_with_warmup", warmup=0.0, weight_decay=0.0, batch_size=64)
    head_only(given.model)
    found = measure_full(given, 1)
    assert found.distance == pytest.approx(1e-3 * math.sqrt(66), rel=1e-3)


def test_a_model_that_breaks_is_told(folder):
    given = inputs(folder, learning_rate=1e30)
    with pytest.raises(HoldfastError, match="lower --learning-rate"):
        measure_full(given, 3)
    assert all(bool(torch.isfinite(parameter).all()) for parameter in given.model.parameters())
