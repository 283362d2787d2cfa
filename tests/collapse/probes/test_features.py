"""Features on disk, against forwards of single rows."""

import tracemalloc

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from holdfast.collapse.probes.features import chosen_layers, extract_features
from holdfast.errors import HoldfastError
from holdfast.records.model_source import ModelSource
from holdfast.tasks.task import Split
from holdfast.training.models.loading import load_model, load_tokenizer
from tiny import WORDS, classifier, save_model


def split_of(count, seed=0, longest=12):
    draw = np.random.default_rng(seed)
    texts = [" ".join(draw.choice(WORDS, size=draw.integers(1, longest))) for _ in range(count)]
    return Split(texts, None, [0] * count, [f"row {index}" for index in range(count)])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return ModelSource(save_model(tmp_path_factory.mktemp("features") / "model"))


@pytest.fixture
def model(saved):
    return load_model(saved, 2)


def alone(model, tokenizer, text, pair=None, max_length=64):
    model.eval()
    with torch.no_grad():
        given = tokenizer(text, pair, truncation=True, max_length=max_length, return_tensors="pt")
        return torch.stack([layer[0] for layer in model(**given, output_hidden_states=True).hidden_states]).numpy()


def test_rows_keep_their_order_whatever_their_length(model, saved, tmp_path):
    tokenizer, split = load_tokenizer(saved), split_of(37)
    found = extract_features(
        model, tokenizer, split, kind="classification", layers="all", batch_size=5, max_length=8, folder=tmp_path
    )
    expected = np.stack([alone(model, tokenizer, text, max_length=8)[:, 0] for text in split.texts], 1)
    assert found.count == len(found.files) == 3
    for layer in range(3):
        assert found.layer(layer).dtype == np.float32
        assert np.allclose(found.layer(layer), expected[layer], atol=1e-5)
    assert np.array_equal(found.layer(-1), found.layer(2))


def test_batches_make_no_difference(model, saved, tmp_path):
    tokenizer, split = load_tokenizer(saved), split_of(11)
    by_size = [
        extract_features(
            model, tokenizer, split, kind="classification", pooling="mean", batch_size=size, folder=tmp_path / str(size)
        ).layer(-1)
        for size in (1, 3, 10, 64)
    ]
    assert all(np.allclose(by_size[0], other, atol=1e-5) for other in by_size[1:])


def test_pairs_and_rows_without_labels(model, saved, tmp_path):
    split = Split(["good film", "a very bad meal"], ["the trip was fine", "poor"], None, ["a", "b"])
    tokenizer = load_tokenizer(saved)
    found = extract_features(model, tokenizer, split, kind="regression", pooling="mean", folder=tmp_path)
    for row in range(2):
        expected = alone(model, tokenizer, split.texts[row], split.pairs[row])[-1].mean(0)
        assert np.allclose(found.layer(-1)[row], expected, atol=1e-5)


def test_a_decoder_without_a_padding_token_gets_one_for_the_time(tmp_path):
    folder = save_model(tmp_path / "model", "gpt2")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = classifier("gpt2")
    model.config.pad_token_id = None
    model.transformer.h[0].eval()
    before = {name: module.training for name, module in model.named_modules()}
    tokenizer.padding_side = "left"
    found = extract_features(model, tokenizer, split_of(6), kind="classification", batch_size=4, folder=tmp_path / "f")
    assert model.config.pad_token_id is None
    assert {name: module.training for name, module in model.named_modules()} == before
    assert np.isfinite(found.layer(-1)).all()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(model, saved, tmp_path, monkeypatch):
    """The features of 3,600 more rows are 1.4 MB; what Python and NumPy hold at most grows by far less."""
    monkeypatch.setattr("holdfast.collapse.probes.features._WINDOW", 200)
    tokenizer, peaks = load_tokenizer(saved), []
    for count in (400, 400, 4000):
        split = split_of(count, longest=4)
        tracemalloc.start()
        extract_features(
            model, tokenizer, split, kind="classification", layers="all", batch_size=100, folder=tmp_path / str(count)
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 600_000


@pytest.mark.parametrize("layer", [3, -4])
def test_a_layer_that_does_not_exist(model, saved, tmp_path, layer):
    with pytest.raises(HoldfastError, match=f"layer {layer} does not exist: the model has 3, from 0"):
        extract_features(
            model, load_tokenizer(saved), split_of(2), kind="classification", layers=[layer], folder=tmp_path
        )


def test_layers_are_chosen_once_and_in_order():
    assert chosen_layers([-1, 0, 6, 2], 7) == [0, 2, 6]
    assert chosen_layers("all", 3) == [0, 1, 2]


def test_what_was_not_extracted_is_not_there(model, saved, tmp_path):
    found = extract_features(model, load_tokenizer(saved), split_of(2), kind="classification", folder=tmp_path)
    with pytest.raises(HoldfastError, match="layer 0 was not extracted: there are 2"):
        found.layer(0)


def test_rows_that_cannot_be_read(tmp_path):
    tokenizer = load_tokenizer(ModelSource(save_model(tmp_path / "model", "gpt2")))
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A")
    empty = Split(["good", ""], None, None, ["first", "second"])
    for split, told in ((empty, "row second: it has no tokens"), (empty.take([]), "no rows")):
        with pytest.raises(HoldfastError, match=told):
            extract_features(classifier("gpt2"), tokenizer, split, kind="classification", folder=tmp_path / "f")
