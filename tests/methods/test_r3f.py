"""The acceptance tests of a faithful R3F; each docstring says which claim it checks."""

import copy
from dataclasses import dataclass, field

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import BartForConditionalGeneration, GPT2LMHeadModel, T5ForConditionalGeneration

from holdfast import R3F, Engine, HoldfastError, Step, View
from holdfast.methods.base import Plan
from holdfast.methods.forward import Forward
from holdfast.methods.parts.model.embeddings import embedding_scale, input_embedding
from holdfast.methods.parts.noise.embedding_noise import EmbeddingNoise
from holdfast.methods.r3f.session import R3FSession
from loops import batches, engine, train
from tiny import CLASSIFIERS, DECODERS, bart_config, batch, classifier, t5_config


def penalty(model, data, seed=3, **settings):
    trained = engine(model, R3F(**settings))
    torch.manual_seed(seed)
    trained.loss(data)
    trained.finish()
    return trained.terms["r3f"]


PADDINGS = [(name, side) for name in CLASSIFIERS for side in ("right", "left") if (name, side) != ("bart", "left")]


@pytest.mark.parametrize(("name", "side"), PADDINGS)
def test_noise_arrives_and_its_penalty_is_quadratic(name, side):
    """Dropout 0: exactly 0 at sigma 0, positive at 1e-2, a hundredth at 1e-3."""
    model, data = classifier(name), batch(padding=side)
    with torch.no_grad():
        # Embeddings of size one, so that both sigmas are small against them.
        weight = input_embedding(model).weight
        weight /= weight.std()
    assert penalty(model, data, sigma=0.0) == 0.0
    large, small = penalty(model, data, sigma=1e-2), penalty(model, data, sigma=1e-3)
    assert large > 0
    assert 90 < large / small < 111


@pytest.mark.parametrize("noise", ["uniform", "normal"])
def test_noise_has_the_stated_distribution(noise):
    zeros = torch.zeros(64, 32, 32)
    drawn = EmbeddingNoise(0.3, noise)(zeros)
    assert float(drawn.mean()) == pytest.approx(0, abs=0.005)
    if noise == "uniform":
        assert 0.299 < float(drawn.abs().max()) <= 0.3
        assert float(drawn.std()) == pytest.approx(0.3 / 3**0.5, rel=0.01)
    else:
        assert float(drawn.std()) == pytest.approx(0.3, rel=0.01)
    rows = drawn.flatten(1)
    assert float(torch.corrcoef(rows[:8]).fill_diagonal_(0).abs().max()) < 0.15, "each row has noise of its own"


def test_relative_sigma_is_a_share_of_the_embedding_scale():
    model = classifier("bert")
    table = input_embedding(model)
    with torch.no_grad():
        table.weight.mul_(5)
    expected = float(table.weight.square().mean().sqrt())
    assert embedding_scale(table) == pytest.approx(expected, rel=1e-5)
    data = batch()
    assert penalty(model, data, sigma=0.1, relative=True) == pytest.approx(
        penalty(model, data, sigma=0.1 * expected), rel=1e-5
    )


def test_scaled_embeddings_are_measured_where_the_noise_goes():
    """BART multiplies its embeddings by sqrt(d) inside the module the hook sits on."""
    from transformers import BartForSequenceClassification

    model = BartForSequenceClassification(bart_config(0.0, scale_embedding=True))
    table = input_embedding(model)
    assert embedding_scale(table) == pytest.approx(float(table.weight.square().mean().sqrt()) * 32**0.5, rel=0.01)


def test_padding_columns_change_nothing():
    """Noise on padding is inert, and both losses see only real tokens."""
    model, data = classifier("bert"), batch()
    fixed = torch.randn(len(data["labels"]), 64, 32) * 0.05
    wide = dict(data)
    for key, fill in (("input_ids", 1), ("attention_mask", 0)):
        wide[key] = torch.nn.functional.pad(data[key], (0, 5), value=fill)

    def terms(given):
        trained = engine(model, FixedNoise(tensor=fixed))
        trained.loss(given)
        trained.finish()
        return trained.terms

    assert terms(wide) == pytest.approx(terms(data), rel=1e-4)


@dataclass(frozen=True, eq=False)
class FixedNoise(R3F):
    """R3F with the same noise whatever the batch's shape."""

    tensor: torch.Tensor = field(default_factory=lambda: torch.zeros(0))

    def start(self, model, plan):
        return FixedNoiseSession(self, model, plan)


class FixedNoiseSession(R3FSession):
    def views(self, step):
        return (View(self.shake),)

    def shake(self, embeddings):
        return embeddings + self.method.tensor[: len(embeddings), : embeddings.shape[1]]


def test_a_duplicated_batch_has_the_same_loss():
    model, data = classifier("bert"), batch()
    twice = {key: torch.cat([value, value]) for key, value in data.items()}
    assert penalty(model, twice, sigma=0.0) == penalty(model, data, sigma=0.0) == 0.0
    one, two = engine(model, R3F(sigma=1e-3)), engine(model, R3F(sigma=1e-3))
    assert float(two.loss(twice)) == pytest.approx(float(one.loss(data)), rel=1e-4)


def test_evaluation_is_one_clean_forward_with_the_plain_loss():
    model, data = classifier("bert", dropout=0.1), batch()
    calls = []
    model.register_forward_pre_hook(lambda *args: calls.append(1))
    trained = engine(model, R3F(sigma=1.0))
    with trained.evaluate():
        loss = float(trained.loss(data))
        assert len(calls) == 1
        logits = model(input_ids=data["input_ids"], attention_mask=data["attention_mask"]).logits
    assert loss == pytest.approx(float(torch.nn.functional.cross_entropy(logits, data["labels"])), rel=1e-6)
    assert trained.terms.keys() == {"task"}


def test_swapping_the_branches_gives_the_same_value():
    a, b = {"logits": torch.randn(4, 3)}, {"logits": torch.randn(4, 3)}
    session = R3F().start(classifier("bert"), Plan(None))

    def value(first, second):
        return session.loss(Forward(first, [second], {}, "single_label", 4))

    assert torch.allclose(value(a, b), value(b, a))


@pytest.mark.parametrize("detach", [False, True])
def test_the_noised_branch_reaches_the_embedding_table_unless_detached(detach):
    """Loss on the noised copy alone: the word embedding's gradient is zero iff detach is set."""
    model, data = classifier("roberta"), batch()
    table = model.roberta.embeddings.word_embeddings.weight
    trained = engine(model, R3F(sigma=1e-2, detach=detach))
    step = Step(0, None)
    found = trained._objective.run(model, data, step)
    (view,) = trained.sessions[0].views(step)
    found.views[view]["logits"].square().sum().backward()
    assert bool(table.grad is None or not table.grad.any()) == detach
    assert model.roberta.embeddings.position_embeddings.weight.grad.any()


@pytest.mark.parametrize(("gradient", "ratio"), [("both", 2.0), ("clean", 4 / 3)])
def test_flops_are_those_the_method_promises(gradient, ratio):
    """6 forward units as published and 4 with the clean gradient, against 3 of plain training."""
    model, data = classifier("bert"), batch(rows=8, tokens=32)

    def flops(*methods):
        trained = engine(copy.deepcopy(model), *methods)
        trained.backward(trained.loss(data))  # the first loss also learns the head
        with FlopCounterMode(display=False) as counter:
            trained.backward(trained.loss(data))
        return counter.get_total_flops()

    assert flops(R3F(gradient=gradient)) / flops() == pytest.approx(ratio, rel=0.01)


def test_one_stacked_forward_a_step():
    model, data = classifier("bert", dropout=0.1), batch()
    sizes = []
    model.bert.encoder.register_forward_pre_hook(lambda m, args: sizes.append(len(args[0])))
    trained = engine(model, R3F())
    for _ in range(3):
        sizes.clear()
        trained.backward(trained.loss(data))
        trained.step()
    assert sizes == [8]


def test_clean_gradient_differentiates_the_clean_branch_alone():
    """The gradient equals that of KL_S(P || Q) with the noised logits held constant."""
    model, data = classifier("bert"), batch()
    trained = engine(model, R3F(sigma=0.5, gradient="clean", weight=2.0))
    torch.manual_seed(3)
    loss = trained.loss(data)
    loss.backward()
    found = model.classifier.weight.grad.clone()

    model.zero_grad()
    inputs = {key: data[key] for key in ("input_ids", "attention_mask")}
    torch.manual_seed(3)
    noise = (torch.rand(4, 10, 32) * 2 - 1) * 0.5
    with torch.no_grad():
        noised = model(
            inputs_embeds=model.bert.embeddings.word_embeddings(data["input_ids"]) + noise,
            attention_mask=data["attention_mask"],
        ).logits
    out = model(**inputs, labels=data["labels"])
    p, q = out.logits.log_softmax(-1), noised.log_softmax(-1)
    expected = out.loss + 2.0 * ((p.exp() - q.exp()) * (p - q)).sum(-1).mean()
    expected.backward()
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    assert torch.allclose(found, model.classifier.weight.grad, atol=1e-5)


def test_dropout_alone_is_the_control():
    """At sigma 0 the penalty is the difference of two dropout masks; the paper's sigma adds nothing visible."""
    model, data = classifier("bert", dropout=0.1), batch(rows=16)
    control = [penalty(model, data, seed=seed, sigma=0.0) for seed in range(8)]
    paper = [penalty(model, data, seed=seed, sigma=1e-5) for seed in range(8)]
    assert min(control) > 0
    still = penalty(classifier("bert"), data, sigma=1e-5)
    assert still < 1e-4 * min(control) + 1e-12
    assert 0.1 < sum(paper) / sum(control) < 10


@pytest.mark.parametrize("positions", ["mean", "sum"])
@pytest.mark.parametrize("name", ["t5", "bart"])
def test_generation_normalises_as_asked_and_noises_the_encoder_alone(name, positions):
    """mean: over labelled tokens. sum: over all positions, padding included, by sentences."""
    if name == "t5":
        model = T5ForConditionalGeneration(t5_config(0.0)).train()
    else:
        model = BartForConditionalGeneration(bart_config(0.0)).train()
    data = batch()
    labels = torch.randint(5, 97, (4, 7))
    labels[1, 4:] = labels[2, 2:] = -100
    data["labels"] = labels
    seen = []
    decoder = model.get_decoder()
    decoder.register_forward_pre_hook(lambda m, args, kwargs: seen.append(kwargs), with_kwargs=True)
    trained = engine(model, R3F(sigma=0.3, positions=positions))
    step = Step(0, None)
    torch.manual_seed(3)
    found = trained._objective.run(model, data, step)
    assert torch.equal(seen[-1]["input_ids"][:4], seen[-1]["input_ids"][4:]), "the decoder's input has no noise"
    value = float(trained._objective.losses(found, data)["r3f"])
    (view,) = found.views
    p = found.outputs["logits"].double().log_softmax(-1)
    q = found.views[view]["logits"].double().log_softmax(-1)
    apart = [
        [sum(float((p[r, t].exp() - q[r, t].exp())[k] * (p[r, t] - q[r, t])[k]) for k in range(97)) for t in range(7)]
        for r in range(4)
    ]
    if positions == "sum":
        expected = sum(map(sum, apart)) / 4
    else:
        real = [apart[r][t] for r in range(4) for t in range(7) if labels[r, t] != -100]
        expected = sum(real) / len(real)
    assert value == pytest.approx(expected, rel=1e-4)
    assert float(found.outputs["loss"]) == pytest.approx(float(model(**data).loss), rel=1e-5)


def test_causal_language_models_compare_positions_that_predict_a_label():
    from transformers import GPT2Config

    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=97, n_embd=32, n_layer=1, n_head=2, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    ).train()
    data = {"input_ids": torch.randint(5, 97, (3, 6))}
    data["labels"] = data["input_ids"].clone()
    data["labels"][0, :3] = -100
    trained = engine(model, R3F(sigma=0.3))
    step = Step(0, None)
    found = trained._objective.run(model, data, step)
    value = float(trained._objective.losses(found, data)["r3f"])
    (view,) = found.views
    p, q = found.outputs["logits"].log_softmax(-1), found.views[view]["logits"].log_softmax(-1)
    apart = ((p.exp() - q.exp()) * (p - q)).sum(-1)
    real = [apart[r, t] for r in range(3) for t in range(5) if data["labels"][r, t + 1] != -100]
    assert value == pytest.approx(float(sum(real) / len(real)), rel=1e-4)


def test_regression_compares_outputs_by_their_squared_difference():
    model = classifier("bert", labels=1, problem="regression")
    data = batch() | {"labels": torch.tensor([0.5, 3.0, 1.0, 4.5])}
    trained = engine(model, R3F(sigma=0.3, weight=2.0))
    step = Step(0, None)
    found = trained._objective.run(model, data, step)
    (view,) = found.views
    apart = (found.outputs["logits"] - found.views[view]["logits"]).squeeze(-1)
    value = trained._objective.losses(found, data)["r3f"]
    assert float(value) == pytest.approx(2.0 * sum(float(x) ** 2 for x in apart) / 4, rel=1e-5)


def test_every_applies_at_every_kth_step_with_k_times_the_weight():
    model, data = classifier("bert"), batch()
    trained = Engine(
        model, [R3F(sigma=1e-2, every=3)], optimizer=torch.optim.SGD(model.parameters(), 0.0), accumulation=2
    )
    reference = penalty(model, data, sigma=1e-2)
    seen = []
    for _ in range(12):
        torch.manual_seed(3)
        trained.backward(trained.loss(data))
        trained.step()
        seen.append(trained.terms.get("r3f"))
    assert [value is not None for value in seen] == [True, True, False, False, False, False] * 2
    assert seen[0] == pytest.approx(3 * reference, rel=1e-4)


def test_weight_zero_trains_exactly_as_without():
    models = [classifier("bert", dropout=0.1) for _ in range(2)]
    for model, methods in zip(models, ([], [R3F(weight=0.0)]), strict=True):
        trained = engine(model, *methods)
        torch.manual_seed(5)
        train(trained, batches(3))
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("arguments", [{"weight": -1.0}, {"sigma": float("nan")}, {"every": 0}])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(HoldfastError, match=next(iter(arguments))):
        R3F(**arguments)


def test_noise_that_rounds_away_is_told(caplog):
    model = classifier("bert").bfloat16()
    engine(model, R3F()).finish()
    assert "rounds away in bfloat16" in caplog.text
    caplog.clear()
    engine(classifier("bert"), R3F()).finish()
    assert not caplog.text


def test_decoders_are_pooled_at_the_last_real_token():
    """Stacking keeps input_ids, by which decoder classifiers find the last token: same as one clean run."""
    for name in DECODERS:
        model, data = classifier(name), batch()
        trained = engine(model, R3F(sigma=0.0))
        trained.loss(data)
        assert trained.terms["task"] == pytest.approx(float(model(**data).loss), rel=1e-5)
