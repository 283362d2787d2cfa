"""Head tuning: the same training as with a frozen body run every time, and what is kept for it."""

import copy
import logging
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import (
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForTokenClassification,
    BertModel,
    GPT2ForTokenClassification,
)

from holdfast import Engine, HeadTuning, HoldfastError, MHLoss
from holdfast.methods import parse
from holdfast.methods.base import Plan
from holdfast.methods.parts.body_cache import BodyCache
from loops import sgd, train
from tiny import CLASSIFIERS, PAD, VOCABULARY, batch, classifier

READS_PADDING = ("roberta", "deberta_v3", "modernbert")
"""Whose positions do not count padding on the left, which the first token then is."""


def tuning(model, *methods, rate=0.1, **options):
    methods = methods or (HeadTuning(),)
    return Engine(model, methods, optimizer=sgd(rate), max_grad_norm=None, **options)


def cache_of(engine):
    return engine.sessions[0].cache


def by_hand(model, batches, rate=0.1):
    """Plain gradient descent on the head, the body frozen and in evaluation mode."""
    model.train()
    model.base_model.eval()
    for parameter in model.base_model.parameters():
        parameter.requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], rate)
    losses = []
    for data in batches:
        loss = model(**data)["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


def row_runs(model):
    """Count the rows that pass the first linear layer of the body."""
    runs = []
    layer = next(m for m in model.base_model.modules() if isinstance(m, nn.Linear))
    layer.register_forward_pre_hook(lambda module, args: runs.append(len(args[0])))
    return runs


def rows_of(data):
    """Cut a batch into rows without their padding."""
    cut = []
    for row, mask in enumerate(data["attention_mask"].bool()):
        tokens = {key: data[key][row][mask] for key in ("input_ids", "attention_mask")}
        cut.append(tokens | {"labels": data["labels"][row]})
    return cut


def padded(rows, width, side="right"):
    fill = {"input_ids": PAD, "attention_mask": 0}
    found = {}
    for key, value in fill.items():
        blank = torch.full((len(rows), width), value)
        for at, row in enumerate(rows):
            length = len(row[key])
            blank[at, slice(0, length) if side == "right" else slice(width - length, None)] = row[key]
        found[key] = blank
    return found | {"labels": torch.stack([row["labels"] for row in rows])}


@pytest.mark.slow
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_cache_changes_no_training(name, side):
    """The same rows in other batches, with other padding, and a last batch of two."""
    if side == "left" and name in READS_PADDING:
        pytest.skip("refused, see below")
    texts = rows_of(batch(rows=10, labels=3, seed=3))
    torch.manual_seed(1)
    batches = []
    for _ in range(3):
        order = torch.randperm(10).tolist()
        for part in (order[:4], order[4:8], order[8:]):
            width = max(len(texts[row]["input_ids"]) for row in part)
            batches.append(padded([texts[row] for row in part], width, side))
    model = classifier(name, dropout=0.0, labels=3)
    # The body alone has dropout, which must not act.
    for module in model.base_model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.3
    reference = copy.deepcopy(model)
    engine = tuning(model)
    found = train(engine, batches)
    engine.finish()
    assert found == pytest.approx(by_hand(reference, batches), abs=1e-6)
    for (key, a), b in zip(model.state_dict().items(), reference.state_dict().values(), strict=True):
        assert torch.allclose(a, b, atol=1e-6), key


@pytest.mark.parametrize("name", READS_PADDING)
def test_a_head_that_reads_padding_is_refused(name):
    engine = tuning(classifier(name))
    with pytest.raises(HoldfastError, match="reads padding: pad on the other side"):
        train(engine, [batch(padding="left")])


def test_each_row_runs_once_in_training_and_as_ever_in_evaluation():
    model = classifier("bert", dropout=0.1)
    data = batch(rows=8, tokens=10, seed=2)
    texts = rows_of(data)
    same = [padded(texts[at : at + 4], 10) for at in (0, 4)]
    engine = tuning(model)
    runs = row_runs(model)
    train(engine, same)
    assert sum(runs) == 4 + 4 + 8, "one batch as it is and row by row, to see whether padding matters; then each row"
    runs.clear()
    train(engine, [padded(texts[at : at + 2], 12) for at in (0, 2, 4, 6)])
    assert runs == []
    with engine.evaluate():
        engine.loss(data)
    assert runs == [8]


def test_what_is_kept_does_not_depend_on_the_batch():
    """Bit for bit, so that an interrupted training goes on the same."""
    texts = rows_of(batch(rows=6, tokens=12, seed=4))
    found = []
    for order, size, width in (([0, 1, 2, 3, 4, 5], 3, 12), ([5, 2, 0, 4, 1, 3], 2, 15)):
        engine = tuning(classifier("roberta"))
        parts = [[texts[row] for row in order[at : at + size]] for at in range(0, 6, size)]
        train(engine, [padded(part, width) for part in parts])
        found.append(cache_of(engine).rows)
    assert found[0].keys() == found[1].keys()
    assert len(found[0]) == 6
    for key, kept in found[0].items():
        assert list(kept) == ["last_hidden_state"]
        assert torch.equal(kept["last_hidden_state"][1], found[1][key]["last_hidden_state"][1])


def test_only_what_the_head_reads_is_kept():
    data = batch(rows=3)
    lengths = data["attention_mask"].sum(1).tolist()
    for name, output, expected in (
        ("bert", "pooler_output", [(0, 1)] * 3),
        ("roberta", "last_hidden_state", [(0, 1)] * 3),
        ("gpt2", "last_hidden_state", [(length - 1, 1) for length in lengths]),
    ):
        engine = tuning(classifier(name))
        train(engine, [data])
        kept = list(cache_of(engine).rows.values())
        assert [list(row) for row in kept] == [[output]] * 3
        assert [(row[output][0], len(row[output][1])) for row in kept] == expected


@pytest.mark.parametrize("kind", [BertForTokenClassification, GPT2ForTokenClassification])
def test_token_labels_keep_all_positions(kind):
    model = kind(classifier("bert" if kind is BertForTokenClassification else "gpt2").config)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    data = batch(rows=3)
    data["labels"] = (data["input_ids"] % 2).masked_fill(data["attention_mask"] == 0, -100)
    data["labels"][:, 0] = -100
    reference = copy.deepcopy(model)
    engine = tuning(model)
    # The order of summation over the tokens is another.
    assert train(engine, [data] * 4) == pytest.approx(by_hand(reference, [data] * 4), abs=1e-6)
    kept = [row["last_hidden_state"] for row in cache_of(engine).rows.values()]
    assert [(first, len(values)) for first, values in kept] == [(0, n) for n in data["attention_mask"].sum(1).tolist()]


def labelled_at(data, position):
    """One labelled token a row, as where one word of a sentence is asked about."""
    labels = torch.full_like(data["input_ids"], -100)
    labels[:, position] = 1
    return {**data, "labels": labels}


def tagger(kind, name):
    model = kind(classifier(name).config).train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def test_the_same_text_asked_about_at_another_word():
    model, data = tagger(BertForTokenClassification, "bert"), batch(rows=3)
    batches = [labelled_at(data, position) for position in (1, 2, 3, 1)]
    reference = copy.deepcopy(model)
    assert train(tuning(model), batches) == pytest.approx(by_hand(reference, batches), abs=1e-6)


def test_a_token_that_was_not_kept_is_no_zero_but_an_error():
    """The first word is what a head that reads one position of a sequence reads, and is all that is kept of it."""
    engine, data = tuning(tagger(GPT2ForTokenClassification, "gpt2")), batch(rows=3)
    train(engine, [labelled_at(data, 0)] * 2)
    with pytest.raises(HoldfastError, match="it reads now one token of a row and now another"):
        train(engine, [labelled_at(data, 1)])


def test_padding_that_is_read_only_later_is_an_error_too():
    """RoBERTa's first token is the row's own in the one batch and padding in the other."""
    engine, data = tuning(classifier("roberta")), batch(rows=1)
    train(engine, [data])
    padded = {
        key: torch.cat([torch.full((1, 2), PAD if key == "input_ids" else 0), data[key]], 1)
        for key in ("input_ids", "attention_mask")
    }
    with pytest.raises(HoldfastError, match="reads padding: pad on the other side"):
        train(engine, [{**padded, "labels": data["labels"]}])


def test_multiple_choice_keeps_each_choice():
    model = BertForMultipleChoice(classifier("bert").config)
    data = {key: value.view(2, 2, -1) for key, value in batch().items() if key != "labels"}
    data["labels"] = torch.tensor([0, 1])
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    reference = copy.deepcopy(model)
    engine = tuning(model)
    assert train(engine, [data] * 3) == pytest.approx(by_hand(reference, [data] * 3), abs=1e-6)
    assert len(cache_of(engine).rows) == 4


def test_beyond_the_limit_rows_are_computed_each_time(caplog):
    runs, losses, kept = [], [], []
    for limit in (10**6, 400):
        model = classifier("bert")
        counted = row_runs(model)
        engine = tuning(model)
        cache_of(engine).limit = limit
        data = batch(rows=6)
        with caplog.at_level(logging.WARNING):
            losses.append(train(engine, [data] * 3))
        runs.append(sum(counted))
        kept.append(len(cache_of(engine).rows))
    assert losses[0] == losses[1]
    assert kept == [6, 2], "a row takes 32 numbers and a key of 16 bytes"
    assert runs[1] - runs[0] == 2 * 4
    assert [record.message for record in caplog.records] == [
        "head_tuning keeps the features of 2 rows, 0.0 GB; further rows are computed each time"
    ]


@pytest.mark.parametrize("case", ["hidden states", "embeddings", "no mask"])
def test_calls_of_other_kinds(case):
    """Computed as they come where a row is more than its tokens; without a mask padding is part of the text."""
    model = classifier("bert")
    data = batch(rows=4)
    if case == "hidden states":
        data["output_hidden_states"] = True
    elif case == "embeddings":
        data["inputs_embeds"] = model.get_input_embeddings()(data.pop("input_ids")).detach()
    else:
        del data["attention_mask"]
    reference = copy.deepcopy(model)
    engine = tuning(model)
    assert train(engine, [data] * 3) == pytest.approx(by_hand(reference, [data] * 3), abs=1e-6)
    assert len(cache_of(engine).rows) == (4 if case == "no mask" else 0)


def test_features_are_forgotten_when_the_body_changes():
    model, data = classifier("bert"), batch()
    engine = tuning(model)
    train(engine, [data, data])
    other = classifier("bert", seed=5)
    model.load_state_dict(other.state_dict())
    assert train(engine, [data]) == pytest.approx(by_hand(other, [data]), abs=1e-6)


def test_the_heads_own_dropout_stays_and_the_bodys_does_not_act():
    model = classifier("bert", dropout=0.5)
    engine = tuning(model, rate=0.0)
    torch.manual_seed(0)
    assert len(set(train(engine, [batch()] * 4))) == 4
    model.dropout.p = 0.0
    assert len(set(train(engine, [batch()] * 4))) == 1
    assert all(module.training for module in model.modules())
    fresh = classifier("bert", dropout=0.5)
    fresh.dropout.p = 0.0
    reference = copy.deepcopy(fresh)
    assert train(tuning(fresh), [batch()] * 2) == pytest.approx(by_hand(reference, [batch()] * 2), abs=1e-6)


@pytest.mark.parametrize("name", ["token_type_ids", "attention_mask", "position_ids"])
def test_rows_of_the_same_words_differ_by_all_that_the_body_reads(name):
    model, data = classifier("bert"), batch(rows=1)
    other = {
        **data,
        name: {
            "token_type_ids": torch.arange(10)[None] // 5,
            "attention_mask": (torch.arange(10)[None] != 4).long(),
            "position_ids": torch.arange(10)[None] + 3,
        }[name],
    }
    given = {**data, name: torch.ones_like(data["input_ids"]) if name == "attention_mask" else 0 * other[name]}
    reference = copy.deepcopy(model)
    batches = [given, other] * 2
    found = train(tuning(model), batches)
    assert found == pytest.approx(by_hand(reference, batches), abs=1e-6)
    assert abs(found[0] - found[1]) > 1e-3


class Own(nn.Module):
    """A classifier that reads the body as ``read`` says."""

    config = SimpleNamespace()
    base_model = property(lambda self: self.body)

    def __init__(self, read):
        super().__init__()
        self.body = BertModel(classifier("bert").config)
        self.head = nn.Linear(32, 2)
        self.read = read

    def forward(self, input_ids, attention_mask, labels=None):
        logits = self.head(self.read(self.body(input_ids, attention_mask=attention_mask), attention_mask))
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def test_a_pooling_over_all_tokens_needs_the_mask():
    def masked(outputs, mask):
        return (outputs.last_hidden_state * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)

    model = Own(masked).train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    reference = copy.deepcopy(model)
    assert train(tuning(model), [batch()] * 3) == pytest.approx(by_hand(reference, [batch()] * 3), abs=1e-6)
    with pytest.raises(HoldfastError, match="the head of Own reads padding"):
        train(tuning(Own(lambda outputs, mask: outputs.last_hidden_state.mean(1)).train()), [batch()])


def test_a_head_that_changes_what_it_reads_is_refused():
    turns = iter([0, 1])
    model = Own(lambda outputs, mask: outputs[1] if next(turns) else outputs[0][:, 0]).train()
    engine = tuning(model)
    train(engine, [batch()])
    with pytest.raises(HoldfastError, match="it reads pooler_output of the body in some batches only"):
        train(engine, [batch()])


@pytest.mark.parametrize("problem", ["regression", "multi_label_classification"])
def test_other_labels_and_half_precision(problem):
    labels = 1 if problem == "regression" else 3
    model = classifier("bert", labels=labels, problem=problem).to(torch.bfloat16)
    data = batch()
    data["labels"] = torch.rand(4, labels).round().to(torch.bfloat16).squeeze(-1)
    engine = tuning(model, rate=0.01)
    losses = train(engine, [data] * 5)
    assert losses[-1] < losses[0]
    assert {row["pooler_output"][1].dtype for row in cache_of(engine).rows.values()} == {torch.bfloat16}


def test_finish_leaves_a_plain_model():
    model = classifier("roberta")
    model.roberta.encoder.requires_grad_(False)
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    engine = tuning(model)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {f"classifier.{layer}.{kind}" for layer in ("dense", "out_proj") for kind in ("weight", "bias")}
    assert trained == set(HeadTuning().check(model).weights)
    train(engine, [batch()])
    cache = cache_of(engine)
    engine.finish()
    assert flags == {name: p.requires_grad for name, p in model.named_parameters()}
    assert "forward" not in vars(model.roberta)
    assert cache.rows == {}
    model.train()
    model(**batch()).loss.backward()
    assert model.roberta.embeddings.word_embeddings.weight.grad.abs().sum() > 0


def test_a_forward_that_the_body_was_given_is_put_back():
    model = classifier("bert")
    plain, calls = model.bert.forward, []

    def own(*args, **kwargs):
        calls.append(1)
        return plain(*args, **kwargs)

    model.bert.forward = own
    cache = BodyCache(model, "head_tuning")
    model.eval()(**batch())
    cache.remove()
    model(**batch())
    assert (model.bert.forward, calls) == (own, [1, 1])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:torch._dynamo", "ignore::DeprecationWarning")
def test_a_compiled_model_trains_the_same():
    torch._dynamo.reset()
    plain, model = classifier("bert"), classifier("bert")
    expected = train(tuning(plain), [batch()] * 3)
    engine = tuning(torch.compile(model, backend="eager"))
    assert train(engine, [batch()] * 3) == pytest.approx(expected, abs=1e-6)
    assert len(cache_of(engine).rows) == 4


def test_several_heads_on_the_same_features():
    model = classifier("bert")
    runs = row_runs(model)
    engine = tuning(model, HeadTuning(), MHLoss(heads=4), rate=0.5)
    losses = train(engine, [batch()] * 20)
    assert losses[-1] < losses[0]
    # Two batches tell what the head's loss is, one and its rows whether padding matters; then each row.
    assert sum(runs) == 4 * 5
    engine.finish()
    assert type(model.classifier) is nn.Linear


NEED_THE_BODY = (
    *("r3f", "r4f", "mmr", "dps", "dps(variant=mix)", "mixout", "child_tuning_d", "l2_sp", "rec_adam"),
    *("pretrained_decay", "bitfit", "lora", "sift", "top_k_layers"),
)


@pytest.mark.parametrize("other", NEED_THE_BODY)
def test_methods_that_need_the_body_are_refused(other):
    with pytest.raises(HoldfastError, match=r"head_tuning .*use one of them"):
        parse(f"head_tuning+{other}")


def test_models_and_rates():
    with pytest.raises(HoldfastError, match="BertForMaskedLM has no new head that is trained: use bitfit"):
        HeadTuning().check(BertForMaskedLM(classifier("bert").config))
    with pytest.raises(HoldfastError, match="give it a property base_model"):
        HeadTuning().check(nn.Sequential(nn.Linear(2, VOCABULARY)))
    assert HeadTuning(lr_factor=20.0).requires.lr_scale == 20.0
    with pytest.raises(HoldfastError, match="lr_factor=0"):
        HeadTuning(lr_factor=0)
    model = classifier("bert")
    model(**batch()).loss.backward()
    HeadTuning().start(model, Plan(None))
    assert model.bert.pooler.dense.weight.grad is None
