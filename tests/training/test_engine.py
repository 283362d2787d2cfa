"""The loop of a step: accumulation, precision, skipped steps, resumption, wrapped and odd models."""

import copy
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import pytest
import torch
from transformers import BartForConditionalGeneration, T5ForConditionalGeneration
from transformers.modeling_outputs import SequenceClassifierOutput

import loops
from holdfast import R3F, R4F, BitFit, Engine, HoldfastError, LoRA, Method, MethodSession, Requires, View
from loops import adamw, batches, train
from method_table import every_method
from tiny import CLASSIFIERS, bart_config, batch, classifier, t5_config, tokenizer

engine = partial(loops.engine, optimizer=adamw(0.05), total_steps=12, data=batches(3), tokenizer=tokenizer())


def parts(data, size):
    rows = len(data["labels"])
    return [{key: value[at : at + size] for key, value in data.items()} for at in range(0, rows, size)]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


@dataclass(frozen=True)
class Constant(Method):
    """Adds the same perturbation to every row, so that dropout-free losses are comparable across batchings."""

    name: ClassVar[str] = "constant"
    width: int = 32
    grad: bool = True
    shift: torch.Tensor = field(default_factory=lambda: torch.linspace(-0.3, 0.3, 32), compare=False)

    @property
    def requires(self):
        return Requires(outputs=True, views=True, whole_weights=False)

    def start(self, model, plan):
        return ConstantSession(self, model, plan)


class ConstantSession(MethodSession):
    def views(self, step):
        return (View(self._perturb, self.method.grad),)

    def _perturb(self, embeddings):
        return embeddings + self.method.shift[: embeddings.shape[-1]]

    def loss(self, forward):
        apart = (forward.outputs["logits"] - forward.views[0]["logits"]).square().flatten(1).sum(-1)
        return apart.sum() / forward.rows


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("accumulation", [2, 4])
def test_accumulation_gives_the_gradient_of_the_whole_batch(accumulation, grad):
    data = batch(rows=8)
    whole, split = classifier("bert"), classifier("bert")
    one = engine(whole, Constant(grad=grad))
    one.backward(one.loss(data))
    many = engine(split, Constant(grad=grad), accumulation=accumulation)
    for part in parts(data, 8 // accumulation):
        many.backward(many.loss(part))
    for a, b in zip(whole.parameters(), split.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-6)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_copies_run_in_turn_give_the_same_losses_and_gradients(name):
    models = [classifier(name, labels=3) for _ in range(2)]
    data = batch(labels=3, padding="left" if name != "bart" else "right")
    found = []
    for model, stacked in zip(models, (True, False), strict=True):
        trained = engine(model, Constant(), R3F(sigma=0.0), stacked=stacked)
        trained.backward(trained.loss(data))
        found.append(trained.terms)
    assert found[0] == pytest.approx(found[1], rel=1e-4, abs=1e-7)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert (a.grad is None and b.grad is None) or torch.allclose(a.grad, b.grad, atol=2e-5, rtol=1e-3)


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_generation_models_keep_their_own_loss_when_stacked(name):
    """Labels are not in the stacked forward, the decoder's input and the loss come out as the model's."""
    if name == "t5":
        model = T5ForConditionalGeneration(t5_config(0.0)).train()
    else:
        model = BartForConditionalGeneration(bart_config(0.0)).train()
    data = batch()
    data["labels"] = torch.randint(5, 97, (4, 7))
    data["labels"][0, 3:] = -100
    trained = engine(model, Constant())
    trained.loss(data)
    assert trained.terms["task"] == pytest.approx(float(model(**data).loss), rel=1e-5)
    assert trained.terms["constant"] > 0


@pytest.mark.parametrize(
    ("labels", "problem", "targets"),
    [
        (1, "regression", torch.tensor([0.5, 3.0, 1.0, 4.5])),
        (3, "multi_label_classification", torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])),
        (3, "regression", torch.randn(4, 3, generator=torch.Generator().manual_seed(0))),
        (3, "single_label_classification", torch.tensor([0, 2, 1, 2])),
    ],
)
@pytest.mark.parametrize("name", ["bert", "deberta_v3", "modernbert", "llama"])
def test_every_kind_of_head_keeps_its_own_loss_when_stacked(name, labels, problem, targets):
    model, data = classifier(name, labels=labels, problem=problem), batch() | {"labels": targets}
    trained = engine(model, Constant())
    trained.loss(data)
    assert trained.terms["task"] == pytest.approx(float(model(**data).loss), rel=1e-5)
    assert trained._objective.head.formula is not None, "the copies ran stacked"


def test_a_head_with_a_loss_of_its_own_runs_in_turn_and_keeps_it(caplog):
    model = classifier("bert")
    plain = model.forward

    def forward(*args, labels=None, **kwargs):
        outputs = plain(*args, **kwargs)
        loss = None if labels is None else (outputs.logits.square().mean() + labels.float().mean())
        return SequenceClassifierOutput(loss=loss, logits=outputs.logits)

    model.forward = forward
    trained, data = engine(model, Constant()), batch()
    trained.loss(data)
    assert trained.terms["task"] == pytest.approx(float(model(**data).loss), rel=1e-6)
    assert "loss of its own making" in caplog.text


def test_batch_statistics_are_not_mixed_between_copies(caplog):
    model = classifier("bert")
    model.dropout = torch.nn.BatchNorm1d(32)
    reference = copy.deepcopy(model)
    trained, data = engine(model, Constant()), batch(rows=6)
    trained.loss(data)
    assert "copies of a batch run in turn" in caplog.text
    assert trained.terms["task"] == pytest.approx(float(reference(**data).loss), rel=1e-5)


def test_a_last_batch_of_one_or_two_rows_and_a_whole_epoch_of_odd_sizes():
    trained = engine(classifier("bert", dropout=0.1, labels=3), R3F())
    for rows in (5, 2, 1):
        trained.backward(trained.loss(batch(rows=rows, labels=3)))
        assert trained.step()
    assert trained.steps == 3


@every_method
def test_the_same_seed_gives_the_same_run(method):
    runs = []
    for _ in range(2):
        trained = engine(classifier("bert", dropout=0.1), method)
        torch.manual_seed(7)
        runs.append((train(trained, batches(5)), trained.model))
    assert runs[0][0] == runs[1][0]
    assert same(runs[0][1], runs[1][1])


@pytest.mark.slow
@every_method
def test_an_interrupted_run_goes_on_bit_for_bit(method, tmp_path):
    whole = engine(classifier("bert", dropout=0.1), method, accumulation=2)
    torch.manual_seed(7)
    train(whole, batches(12))

    first = engine(classifier("bert", dropout=0.1), method, accumulation=2)
    torch.manual_seed(7)
    train(first, batches(6))
    state = {"model": first.model.state_dict(), "optimizer": first.optimizer.state_dict(), "engine": first.state_dict()}
    torch.save(state, tmp_path / "state.pt")

    loaded = torch.load(tmp_path / "state.pt", weights_only=True)
    second = engine(classifier("bert", dropout=0.1, seed=99), method, accumulation=2)
    torch.manual_seed(1234)
    second.model.load_state_dict(loaded["model"])
    second.optimizer.load_state_dict(loaded["optimizer"])
    second.load_state_dict(loaded["engine"])
    train(second, batches(6, start=6))
    assert (second.steps, second.skipped) == (6, 0)
    assert same(whole.model, second.model)


def test_state_of_other_methods_is_refused():
    state = engine(classifier("bert"), R3F()).state_dict()
    with pytest.raises(HoldfastError, match="saved with methods r3f, this engine has r4f"):
        engine(classifier("bert"), R4F()).load_state_dict(state)
    with pytest.raises(HoldfastError, match=r"this engine has r3f\(sigma=0.1\)"):
        engine(classifier("bert"), R3F(sigma=0.1)).load_state_dict(state)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@every_method
def test_autocast_trains_every_weight(method, dtype):
    """The pass without gradient must not leave weights cast without gradient behind (autocast's cache)."""
    model = classifier("bert", dropout=0.0)
    reference = copy.deepcopy(model)
    data = batch(rows=8)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0) if dtype is torch.float16 else None
    half, full = engine(model, method, scaler=scaler), engine(reference, method)
    torch.manual_seed(0)  # adapters have dropout of their own
    with torch.autocast("cpu", dtype):
        loss = half.loss(data)
    half.backward(loss)
    torch.manual_seed(0)
    full.backward(full.loss(data))
    assert float(loss) == pytest.approx(sum(full.terms.values()), rel=0.05)
    scale = 256.0 if scaler else 1.0
    for (name, a), b in zip(model.named_parameters(), reference.parameters(), strict=True):
        if b.grad is not None and float(b.grad.norm()) > 1e-4:
            assert a.grad is not None, name
            cosine = torch.cosine_similarity(a.grad.flatten() / scale, b.grad.flatten(), dim=0)
            assert float(cosine) > 0.9, name
    assert half.step()


def test_a_step_with_a_gradient_that_is_not_finite_changes_nothing():
    @dataclass(frozen=True)
    class Counting(loops.Noted):
        name: ClassVar[str] = "counting"

        @property
        def requires(self):
            return Requires(gradients=True)

        def start(self, model, plan):
            return Session(self, model, plan)

    class Session(loops.NotedSession):
        def on_gradients(self, step):
            self.note("gradients", step.index)

        def after_step(self, step):
            self.note("updates", step.index)

    trained = engine(classifier("bert"), Counting(), R3F())
    train(trained, batches(2))
    before = copy.deepcopy(trained.model.state_dict())
    moments = copy.deepcopy(trained.optimizer.state_dict()["state"])
    loss = trained.loss(batch())
    trained.backward(loss * float("inf"))
    assert not trained.step()
    assert trained.skipped == 1
    assert all(torch.equal(before[key], value) for key, value in trained.model.state_dict().items())
    after = trained.optimizer.state_dict()["state"]
    assert all(torch.equal(moments[i][k], after[i][k]) for i in moments for k in moments[i])
    train(trained, batches(1))
    assert trained.methods[0].notes == {"gradients": [0, 1, 2], "updates": [0, 1, 2]}


def test_fp16_overflow_lowers_the_scale_and_skips():
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    trained = engine(classifier("bert"), scaler=scaler)
    before = copy.deepcopy(trained.model.state_dict())
    trained.backward(trained.loss(batch()) * 1e10)
    assert not trained.step()
    assert scaler.get_scale() == 2.0**119
    assert all(torch.equal(before[key], value) for key, value in trained.model.state_dict().items())


def test_gradients_are_changed_before_clipping():
    """Doubled by the method, clipped to norm 1 afterwards: SGD moves by exactly the rate."""

    @dataclass(frozen=True)
    class Doubling(Method):
        name: ClassVar[str] = "doubling"

        @property
        def requires(self):
            return Requires(gradients=True)

        def start(self, model, plan):
            return Session(self, model, plan)

    class Session(MethodSession):
        def on_gradients(self, step):
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(100)

    model = classifier("bert")
    before = [p.detach().clone() for p in model.parameters()]
    trained = Engine(model, [Doubling()], optimizer=torch.optim.SGD(model.parameters(), 0.5), max_grad_norm=1.0)
    train(trained, batches(1))
    moved = torch.cat([(a - b).flatten() for a, b in zip(before, model.parameters(), strict=True)])
    assert float(moved.norm()) == pytest.approx(0.5, rel=1e-3)


def test_weights_left_out_of_the_optimizer_do_not_shrink_the_steps():
    """Their gradients are never reset: counted in the norm, they would clip the others away."""
    model = classifier("bert")
    trained = Engine(model, optimizer=torch.optim.SGD(model.classifier.parameters(), 0.5), max_grad_norm=0.1)
    for seed in range(3):
        before = [p.detach().clone() for p in model.classifier.parameters()]
        train(trained, [batch(seed=seed)])
        moved = torch.cat([(a - b).flatten() for a, b in zip(before, model.classifier.parameters(), strict=True)])
        assert float(moved.norm()) == pytest.approx(0.05, rel=1e-3)


def test_activation_checkpointing_repeats_the_dropout_of_each_copy():
    runs = []
    for checkpointing in (False, True):
        model = classifier("bert", dropout=0.1)
        if checkpointing:
            model.activation_checkpointing_enable()
        trained = engine(model, R3F(sigma=0.1), optimizer=adamw(0.01))
        torch.manual_seed(7)
        runs.append(train(trained, batches(4)))
    assert runs[0] == pytest.approx(runs[1], rel=1e-5)


def test_equal_views_of_two_methods_run_once():
    @dataclass(frozen=True)
    class Twin(Method):
        name: ClassVar[str] = "twin"

        @property
        def requires(self):
            return Requires(outputs=True, views=True)

        def start(self, model, plan):
            return Session(self, model, plan)

    class Session(MethodSession):
        def views(self, step):
            return (View(None),)

        def loss(self, forward):
            return forward.views[0]["logits"].square().mean()

    @dataclass(frozen=True)
    class SecondTwin(Method):
        name: ClassVar[str] = "second"
        requires = Twin.requires
        start = Twin.start

    model, sizes = classifier("bert"), []
    model.bert.encoder.register_forward_pre_hook(lambda m, args: sizes.append(len(args[0])))
    trained = engine(model, Twin(), SecondTwin())
    trained.loss(batch())
    assert sizes[-1] == 8
    assert trained.terms["twin"] == trained.terms["second"]


@pytest.mark.slow
def test_compiled_models_get_their_noise():
    """Hooks registered before the first compiled call are seen, and switching them costs no recompilation."""
    torch._dynamo.reset()
    model, data = classifier("bert"), batch()
    eager = engine(copy.deepcopy(model), Constant())
    compiled = engine(torch.compile(model, backend="eager"), Constant())
    for _ in range(2):
        compiled.loss(data)
    eager.loss(data)
    assert compiled.terms == pytest.approx(eager.terms, rel=1e-4)


def test_embeddings_given_directly_are_refused_because_noise_would_not_arrive():
    model, data = classifier("bert"), batch()
    data["inputs_embeds"] = model.bert.embeddings.word_embeddings(data.pop("input_ids")).detach()
    with pytest.raises(HoldfastError, match="no noise was delivered: pass input_ids"):
        engine(model, R3F()).loss(data)


def test_a_batch_without_labels_is_refused():
    data = batch()
    del data["labels"]
    with pytest.raises(HoldfastError, match="no labels"):
        engine(classifier("bert")).loss(data)


def test_the_given_method_objects_stay_untouched_and_serve_twice():
    method = R3F(relative=True)
    before = copy.deepcopy(vars(method))
    first, second = engine(classifier("bert"), method), engine(classifier("roberta"), method)
    train(first, batches(1))
    train(second, batches(1))
    assert vars(method) == before
    assert first.methods[0] is second.methods[0] is method


def test_an_optimizer_that_misses_new_parameters_is_refused():
    @dataclass(frozen=True)
    class Surgeon(Method):
        name: ClassVar[str] = "surgeon"

        def start(self, model, plan):
            model.classifier = torch.nn.Linear(32, 2)
            return super().start(model, plan)

    model = classifier("bert")
    with pytest.raises(HoldfastError, match=r"does not train classifier.weight"):
        Engine(model, [Surgeon()], optimizer=torch.optim.AdamW(model.parameters()))
    built = engine(classifier("bert"), Surgeon())
    before = built.model.classifier.weight.detach().clone()
    train(built, batches(1))
    assert not torch.equal(before, built.model.classifier.weight)


def test_data_parallel_is_refused():
    with pytest.raises(HoldfastError, match="DataParallel replicates the model without its hooks"):
        engine(torch.nn.DataParallel(classifier("bert")), R3F())


def test_finish_leaves_no_hooks():
    model = classifier("bert")
    trained = engine(model, R3F())
    trained.finish()
    assert not model.bert.embeddings.word_embeddings._forward_hooks


def test_methods_that_freeze_ask_ddp_for_what_they_need():
    """Adapters made after DDP was built would never be averaged; frozen weights would keep it waiting."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        for method, unused, message in (
            (LoRA(), True, "was built before the method made its weights"),
            (BitFit(), False, "find_unused_parameters=True"),
            (BitFit(), True, ""),
            (R3F(), False, ""),
        ):
            model = classifier("bert")
            wrapped = torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=unused)
            if message:
                with pytest.raises(HoldfastError, match=message):
                    engine(wrapped, method)
                assert list(model.state_dict()) == list(classifier("bert").state_dict())
                assert all(p.requires_grad for p in model.parameters())
            else:
                train(engine(wrapped, method), batches(2))
    finally:
        torch.distributed.destroy_process_group()
