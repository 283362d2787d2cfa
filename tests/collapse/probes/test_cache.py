"""What is found again, what is not, and what becomes of damage, other processes and killed ones."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from holdfast.collapse.probes.cache import FeatureCache, Source, default_cache, model_digest, rows_digest
from holdfast.collapse.probes.features import Features
from holdfast.errors import HoldfastError
from holdfast.tasks.task import Split
from tiny import save_model

SOURCE = Source("m" * 64, "r" * 64, "auto", 128)
STATES = {layer: np.full((5, 2), layer, np.float32) for layer in range(3)}


class Extractor:
    """Writes STATES of the layers asked for, and counts."""

    def __init__(self):
        self.asked = []

    def __call__(self, layers, folder):
        self.asked.append(layers)
        chosen = range(3) if layers == "all" else [layer % 3 for layer in layers]
        for layer in chosen:
            np.save(folder / f"{layer}.npy", STATES[layer])
        return Features({layer: folder / f"{layer}.npy" for layer in chosen}, 3)


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "cache")


def leftovers(cache):
    return list(cache.folder.glob(".partial-*"))


def test_only_what_is_missing_is_made(cache):
    extract = Extractor()
    assert np.array_equal(cache.features(SOURCE, [-1], extract).layer(-1), STATES[2])
    again = cache.features(SOURCE, [2], extract)
    assert (again.count, list(again.files)) == (3, [2])
    every = cache.features(SOURCE, "all", extract)
    assert extract.asked == [[-1], [0, 1]]
    assert all(np.array_equal(every.layer(layer), STATES[layer]) for layer in range(3))
    assert leftovers(cache) == []
    with pytest.raises(HoldfastError, match="layer 7 does not exist: the model has 3"):
        cache.features(SOURCE, [7], extract)


@pytest.mark.parametrize("other", [{"model": "n"}, {"rows": "s"}, {"pooling": "mean"}, {"max_length": 64}])
def test_whatever_changes_the_features_changes_the_entry(cache, other):
    extract = Extractor()
    cache.features(SOURCE, [0], extract)
    cache.features(Source(**{**vars(SOURCE), **other}), [0], extract)
    assert len(extract.asked) == 2


def cut(file):
    file.write_bytes(file.read_bytes()[:-3])


def flip(file):
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
@pytest.mark.parametrize("name", ["features.npy", "entry.json"])
def test_damaged_entries_are_made_anew(cache, damage, name):
    extract = Extractor()
    damage(cache.features(SOURCE, [1], extract).files[1].with_name(name))
    assert cache.find(SOURCE, 1) is None
    assert np.array_equal(cache.features(SOURCE, [1], extract).layer(1), STATES[1])
    assert np.array_equal(cache.features(SOURCE, [1], extract).layer(1), STATES[1])
    assert len(extract.asked) == 2


def test_what_stops_midway_leaves_nothing(cache):
    def stopped(layers, folder):
        np.save(folder / "0.npy", STATES[0][:2])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.features(SOURCE, [0], stopped)
    assert leftovers(cache) == []
    assert cache.find(SOURCE, 0) is None


def test_what_a_killed_process_left_is_removed_once_it_is_a_day_old(cache):
    left, under_way = cache.folder / ".partial-left", cache.folder / ".partial-under-way"
    for folder in (left, under_way):
        folder.mkdir(parents=True)
        np.save(folder / "0.npy", STATES[0])
    old = time.time() - 2 * 24 * 3600
    for path in (left / "0.npy", left):
        os.utime(path, (old, old))
    cache.features(SOURCE, [0], Extractor())
    assert leftovers(cache) == [under_way]


def test_whoever_comes_second_uses_the_entry_of_the_first(cache):
    def slow(layers, folder):
        FeatureCache(cache.folder.parent).features(SOURCE, layers, Extractor())
        return Extractor()(layers, folder)

    assert np.array_equal(cache.features(SOURCE, [0, 1], slow).layer(1), STATES[1])
    assert leftovers(cache) == []


def test_an_entry_that_another_process_mends_at_the_same_time_is_used(cache, monkeypatch):
    flip(cache.features(SOURCE, [1], Extractor()).files[1])
    rename = os.rename

    def slow(old, new):
        rename(old, new)
        if str(new).endswith("-damaged"):
            monkeypatch.setattr(os, "rename", rename)
            FeatureCache(cache.folder.parent).features(SOURCE, [1], Extractor())

    monkeypatch.setattr(os, "rename", slow)
    assert np.array_equal(cache.features(SOURCE, [1], Extractor()).layer(1), STATES[1])
    assert cache.find(SOURCE, 1) is not None
    assert leftovers(cache) == []


def test_many_at_once(cache):
    def one(_):
        return FeatureCache(cache.folder.parent).features(SOURCE, "all", Extractor())

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(one, range(16)))
    assert all(np.array_equal(features.layer(layer), STATES[layer]) for features in found for layer in range(3))
    assert leftovers(cache) == []


def test_a_model_is_known_by_what_it_makes_of_texts(tmp_path):
    folder = Path(save_model(tmp_path / "model"))
    digest = model_digest(folder)
    shutil.copytree(folder, tmp_path / "elsewhere")
    (folder / "README.md").write_text("trained on Tuesday")
    (folder / "trainer_state.json").write_text("{}")
    assert model_digest(folder) == digest == model_digest(tmp_path / "elsewhere")
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        changed = tmp_path / name
        shutil.copytree(folder, changed)
        flip(changed / name)
        assert model_digest(changed) != digest
    # An adapter's strength and pieces of words are in files of their own.
    for name in ("adapter_config.json", "bpe.codes", "source.spm", "qwen.tiktoken"):
        before = model_digest(folder)
        (folder / name).write_text("r = 8")
        assert model_digest(folder) != before


def test_rows_are_known_by_their_texts():
    rows = Split(["a", "b\n"], ["c", "d"], [0, 1], ["first", "second"])
    same = Split(["a", "b\n"], ["c", "d"], None, ["x", "y"])
    others = [
        Split(["a", "b\n"], None, None, rows.ids),
        Split(["b\n", "a"], ["d", "c"], None, rows.ids),
        Split(["ac", "b\n"], ["", "d"], None, rows.ids),
        Split(["a"], ["c"], None, ["first"]),
    ]
    assert rows_digest(rows) == rows_digest(same)
    assert len({rows_digest(split) for split in (rows, *others)}) == 5


def test_the_folder_is_that_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("HOLDFAST_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "holdfast"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert default_cache() == tmp_path / "shared" / "holdfast"
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "own"))
    assert default_cache() == tmp_path / "own"
