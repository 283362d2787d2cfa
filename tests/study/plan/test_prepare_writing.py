"""Studies of texts to be written: methods by default, and settings that belong to them alone."""

import json

import pytest

from holdfast import HoldfastError
from holdfast.study.define.study_file import from_options
from holdfast.study.plan.prepare import prepare
from tiny import WORDS, save_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("writing")
    save_model(made / "bert")
    texts = [f"{first} {second} film" for first in WORDS for second in WORDS if first != second]
    files = {
        "write": [{"document": text, "summary": f"{text.split()[0]} of the film"} for text in texts],
        "judge": [{"text": text, "label": "yes" if "good" in text else "no"} for text in texts],
    }
    for name, rows in files.items():
        (made / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return made


def study(folder, *names, settings=None, **keys):
    sizes = {"max_length": 16, "max_target_length": 8} if settings is None else settings
    tasks = [{"source": str(folder / f"{name}.jsonl")} for name in names]
    return from_options({"model": str(folder / "bert"), "tasks": tasks, "settings": sizes, **keys})


def test_r4f_is_left_out_of_the_default_methods_and_a_note_says_why(folder):
    prepared = prepare(study(folder, "write", seq2seq_from_encoder=True))
    assert prepared.study.methods == ["vanilla", "r3f"]
    assert {spec.method for spec in prepared.grid} == {"vanilla", "r3f"}
    assert any("r4f normalises a head" in note for note in prepared.stored[0].info.notes)
    prepared = prepare(study(folder, "judge", settings={"max_length": 16}))
    assert prepared.study.methods == ["vanilla", "r3f", "r4f"]


def test_r4f_asked_for_is_refused(folder):
    with pytest.raises(HoldfastError, match=r"r4f needs a classification head: .*use r3f instead"):
        prepare(study(folder, "write", seq2seq_from_encoder=True, methods=["vanilla,r4f"]))


@pytest.mark.parametrize(("name", "value"), [("max_target_length", 8), ("num_beams", 2)])
def test_settings_of_writing_are_refused_where_nothing_is_written(folder, name, value):
    told = f"--{name.replace('_', '-')} {value}: judge asks for no text to be written"
    with pytest.raises(HoldfastError, match=told):
        prepare(study(folder, "judge", settings={"max_length": 16, name: value}))


def test_cut_texts_are_told_by_their_option(folder):
    settings = {"max_length": 4, "max_target_length": 3}
    prepared = prepare(study(folder, "write", settings=settings, seq2seq_from_encoder=True))
    told = " ".join(prepared.stored[0].info.warnings)
    assert "texts are longer than 4 tokens and are cut; see --max-length" in told
    assert "texts to write are longer than 3 tokens and are cut; see --max-target-length" in told
