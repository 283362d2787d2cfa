"""Probes of a checkpoint on a task, against scikit-learn on features read row by row."""

import numpy as np
import pytest
import torch
import transformers as t
from scipy.stats import pearsonr
from sklearn.linear_model import LogisticRegression

from holdfast.collapse.probes.checkpoints import load_classifier
from holdfast.collapse.probes.probe_task import probe_task
from holdfast.errors import HoldfastError
from holdfast.records.model_source import ModelSource
from holdfast.records.run import ProbeSettings
from holdfast.tasks.task import Split, Task
from holdfast.training.models.loading import load_model, load_tokenizer
from tiny import CLASSIFIERS, WORDS, bart_config, classifier, save_model, t5_config

OPTIONS = {"max_length": 16, "batch_size": 8}


def task_of(rows=120, names=("neg", "pos"), metrics=("accuracy", "f1"), kind="classification", scored=40):
    """The label is which of the first words the text starts with, but for one row in ten."""
    draw = np.random.default_rng(1)

    def split(count, name):
        classes = draw.integers(0, len(names) or 4, count)
        texts = [" ".join([WORDS[label], *draw.choice(WORDS[4:], 3)]) for label in classes]
        noisy = np.where(draw.random(count) < 0.1, draw.integers(0, len(names) or 4, count), classes)
        labels = noisy.tolist() if kind == "classification" else (noisy + draw.normal(0, 0.1, count)).tolist()
        return Split(texts, None, labels, [f"{name} {row}" for row in range(count)])

    splits = {"train": split(rows, "train"), "validation": split(scored, "validation")}
    return Task("words", kind, splits, tuple(names), metrics, "fingerprint")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return ModelSource(save_model(tmp_path_factory.mktemp("probe") / "model", labels=6))


def read(saved, texts):
    model, tokenizer = load_model(saved, 2).eval(), load_tokenizer(saved)
    with torch.no_grad():
        rows = [model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True) for text in texts]
    return np.stack([row.hidden_states[1][0, 0].numpy() for row in rows])


def standardised(train, test):
    return [(part - train.mean(0)) / train.std(0) for part in (train, test)]


@pytest.mark.slow
def test_three_classes_reach_what_scikit_learn_does_on_the_same_features(saved, tmp_path):
    task = task_of(names=("a", "b", "c"))
    settings = ProbeSettings(layer=1, seeds=2)
    score = probe_task(*load_classifier(saved), task, settings, folder=tmp_path, **OPTIONS)
    assert (score.metric, score.layer, len(score.scores), len(score.strengths)) == ("accuracy", 1, 2, 2)
    train, scored = task.splits["train"], task.splits["validation"]
    x, y = standardised(read(saved, train.texts), read(saved, scored.texts))
    best = max(
        LogisticRegression(C=c, max_iter=1000).fit(x, train.labels).score(y, scored.labels) for c in (0.1, 1, 10)
    )
    assert all(abs(one - best) <= 0.051 for one in score.scores)
    assert score.seconds > 0


def test_regression_is_scored_by_correlation(saved, tmp_path):
    task = task_of(names=(), kind="regression", metrics=("pearson", "spearman"))
    score = probe_task(*load_classifier(saved), task, ProbeSettings(), folder=tmp_path, **OPTIONS)
    words = np.array([[WORDS.index(text.split()[0])] for text in task.splits["validation"].texts])
    oracle = pearsonr(words[:, 0], task.splits["validation"].labels).statistic
    assert score.layer == 2
    assert all(0.8 * oracle < one < oracle + 0.05 for one in score.scores)


def test_few_rows_are_drawn_from_every_class_alike_for_every_model(saved, tmp_path, monkeypatch):
    learnt = []

    def spy(train, labels, *rest, **options):
        learnt.append((np.array(train), labels.tolist()))
        return real(train, labels, *rest, **options)

    from holdfast.collapse.probes import probing

    real = probing.linear_probe
    monkeypatch.setattr(probing, "linear_probe", spy)
    for model in (load_model(saved, 2), load_model(saved, 2)):
        settings = ProbeSettings(rows=10, seeds=1)
        probe_task(model, load_tokenizer(saved), task_of(), settings, folder=tmp_path, **OPTIONS)
    (first, labels), (second, others) = learnt
    assert first.shape == (10, 32)
    assert np.array_equal(first, second)
    assert labels == others
    assert set(labels) == {0, 1}


def test_the_model_comes_back_as_it_was(saved, tmp_path):
    model = load_model(saved, 2).train()
    model.bert.pooler.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    probe_task(model, load_tokenizer(saved), task_of(30), ProbeSettings(seeds=1), folder=tmp_path, **OPTIONS)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert not model.bert.pooler.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def without(task, name):
    return Task(task.name, task.kind, {k: v for k, v in task.splits.items() if k != name}, *vars_of(task))


def vars_of(task):
    return task.label_names, task.metrics, task.fingerprint


@pytest.mark.parametrize(
    ("settings", "task", "told"),
    [
        (ProbeSettings(layer=3), task_of(), "layer 3 does not exist: the model has 3"),
        (ProbeSettings(rows=2), task_of(names=("a", "b", "c")), "task words: --train-size 2: there are 3 classes"),
        (ProbeSettings(), without(task_of(), "train"), "task words: it has no labelled train split"),
        (ProbeSettings(), without(task_of(), "validation"), "no labelled validation split for probes to be scored on"),
    ],
)
def test_what_cannot_be_probed(saved, tmp_path, settings, task, told):
    with pytest.raises(HoldfastError, match=told):
        probe_task(*load_classifier(saved), task, settings, folder=tmp_path, **OPTIONS)


def language_models():
    yield "bert", t.BertForMaskedLM(classifier("bert").config), "bert"
    yield "modernbert", t.ModernBertForMaskedLM(classifier("modernbert").config), "model"
    yield "gpt2", t.GPT2LMHeadModel(classifier("gpt2").config), "transformer"
    yield "llama", t.LlamaForCausalLM(classifier("llama").config), "model"
    yield "t5", t.T5ForConditionalGeneration(t5_config(0.0)), None
    yield "bart", t.BartForConditionalGeneration(bart_config(0.0)), "model"


def bodies():
    yield from ((name, classifier(name, labels=6), "base_model") for name in CLASSIFIERS)
    yield from language_models()
    yield "bert", t.BertModel(classifier("bert").config), None


@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(CLASSIFIERS) + 7))
def test_a_probe_sees_the_checkpoint_s_own_body_whatever_its_head(tmp_path, index):
    """Nothing below the head is drawn at random: tuned with other labels, a language model, or a body alone."""
    name, model, part = list(bodies())[index]
    folder = save_model(tmp_path / "model", name)
    (tmp_path / "model" / "model.safetensors").unlink()
    model.save_pretrained(folder)
    own = dict((model if part is None else getattr(model, part)).named_parameters())
    loaded = dict(load_model(ModelSource(folder), 2).base_model.named_parameters())
    # No head of BERT's language models reads the pooler, and so no layer's states either.
    missing = {key for key in loaded if key not in own}
    assert missing <= {"pooler.dense.weight", "pooler.dense.bias"}
    assert all(torch.equal(loaded[key], own[key]) for key in loaded.keys() - missing)
    assert own.keys() <= loaded.keys() | {"lm_head.weight"}
