import pytest

from holdfast.errors import HoldfastError
from holdfast.study.define.study_file import StudyFile, from_options, load_study, read_study, to_yaml

FULL = """
model: some/model
revision: main
tasks:
  - rte
  - {source: tickets.csv, text: body, label: kind}
methods: [vanilla, "r3f(sigma=0.0)"]
baseline: vanilla
seeds: [3, 1]
data_seeds: [7, 8]
subset_seed: 5
train_size: 500
settings:
  learning_rate: 2e-5
  max_steps: 60
perturb: data
delta: 0.5
max_seeds: 10
workers: 4
threads: 2
"""


def write(folder, text):
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_key_is_read(tmp_path):
    study = load_study(write(tmp_path, FULL))
    assert [task.source for task in study.tasks] == ["rte", "tickets.csv"]
    assert (study.tasks[1].text, study.tasks[1].label) == ("body", "kind")
    assert study.methods == ["vanilla", "r3f(sigma=0.0)"]
    assert study.seed_pairs == [(3, 7), (1, 8)]
    # YAML 1.1 takes 2e-5 for a text.
    assert (study.settings.learning_rate, study.settings.max_steps) == (0.00002, 60)
    assert (study.model, study.revision, study.subset_seed, study.train_size) == ("some/model", "main", 5, 500)
    assert study.perturb == "data"
    assert (study.delta, study.max_seeds, study.alpha, study.workers, study.threads) == (0.5, 10, 0.025, 4, 2)


def test_little_need_be_said(tmp_path):
    study = load_study(write(tmp_path, "tasks: rte\nmethods: vanilla,r3f\nseeds: 4"))
    assert [task.source for task in study.tasks] == ["rte"]
    assert study.seeds == [0, 1, 2, 3]
    assert study.seed_pairs == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert (study.model, study.delta, study.alpha) == ("minilm", 1.0, 0.05)


def test_what_is_written_back_reads_the_same(tmp_path):
    study = load_study(write(tmp_path, FULL))
    assert load_study(write(tmp_path, to_yaml(study))) == study


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("task: rte", "task: unknown key, did you mean 'tasks'?"),
        (
            "tasks: rte\nsettings: {lerning_rate: 1}",
            "settings.lerning_rate: unknown key, did you mean 'learning_rate'?",
        ),
        ("tasks: [{source: x.csv, text_par: a}]", r"tasks\[0\].text_par: unknown key, did you mean 'text_pair'?"),
        ("tasks: [{text: a}]", r"tasks\[0\].source: is missing"),
        ("model: minilm", "tasks: is missing"),
        ("tasks: rte\nepochs: 3", r"epochs: unknown key, did you mean 'settings.epochs'\?; known are model, "),
        ("tasks: 5", r"tasks\[0\]: give `key: value` lines .got 5"),
        ("tasks: rte\x07", "special characters are not allowed"),
        ("tasks: []", "tasks: list should have at least 1 item"),
        ("tasks: rte\nseeds: 0", "seeds: a study needs at least one seed"),
        ("tasks: rte\nseeds: five", r"seeds: .* \(got 'five'\)"),
        ("tasks: rte\nseeds: true", "seeds: "),
        ("tasks: rte\nseeds: [1, 2, 1]", "seeds: seed 1 is listed twice"),
        ("tasks: rte\nseeds: [-1]", "seeds: a seed is a number from 0"),
        ("tasks: rte\nseeds: 3\ndata_seeds: [1]", "data_seeds has 1 values and seeds has 3"),
        ("tasks: rte\nseeds: 1\nperturb: data", "perturb draws a training set for each seed, and one alone"),
        ("tasks: rte\nseeds: 3\nmax_seeds: 2", "max_seeds is 2 and there are 3 seeds"),
        ("tasks: rte\nsettings: {batch_size: 0}", r"settings.batch_size: input should be greater than 0 \(got 0\)"),
        ("tasks: rte\nseeds: 20250101", "seeds: 20250101 seeds are more than 10000; .* as a list"),
        ("tasks: rte\ndelta: 0", "delta: "),
        ("tasks: rte\nperturb: seeds", r"perturb: input should be 'data' \(got 'seeds'\)"),
        ("tasks: rte\ndelta: .inf", "delta: input should be a finite number"),
        ("tasks: [{source: x.csv, holdout: 1.5}]", r"tasks\[0\].holdout: input should be less than 1 .got 1.5"),
        ("tasks: rte\nsettings:", "settings: "),
        ("tasks: rte\nmodel: a\ntasks: cola", "line 3: tasks is given twice"),
        ("tasks: [rte", "line 1"),
        ("- rte", "`key: value` lines"),
        ("", "`key: value` lines"),
    ],
)
def test_mistakes_are_told_in_one_line_with_their_place(tmp_path, text, told):
    path = write(tmp_path, text)
    with pytest.raises(HoldfastError, match=told) as caught:
        load_study(path)
    assert str(caught.value).startswith(f"{path}:")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(HoldfastError, match="no such study file"):
        load_study(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("tasks: caf\xe9".encode("latin-1"))
    with pytest.raises(HoldfastError, match="YAML in UTF-8"):
        load_study(tmp_path / "latin.yaml")
    with pytest.raises(HoldfastError, match="cannot be read"):
        load_study(tmp_path)


def test_options_come_before_the_file_key_by_key(tmp_path):
    options = {"model": "other", "seeds": [4, 5], "settings": {"max_steps": 9}}
    study = read_study(write(tmp_path, FULL), options)
    assert (study.model, study.seed_pairs) == ("other", [(4, 7), (5, 8)])
    assert (study.settings.max_steps, study.settings.learning_rate) == (9, 0.00002)


@pytest.mark.parametrize("flag", ["remote_code", "pickled_weights"])
def test_a_file_alone_cannot_switch_dangers_on(tmp_path, flag):
    path = write(tmp_path, f"tasks: rte\n{flag}: true")
    with pytest.raises(HoldfastError, match=f"add --{flag.replace('_', '-')}"):
        read_study(path, {})
    assert getattr(read_study(path, {flag: True}), flag)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"settings": {"batch_size": -1}}, "^--batch-size: .* greater than 0 .got -1"),
        ({"seeds": 0}, "^--seeds: "),
        ({"train_size": 0}, "^--train-size: "),
        ({"tasks": [{"source": "x", "size": "many"}]}, "^--size: "),
    ],
)
def test_mistakes_in_options_name_the_option(options, told):
    with pytest.raises(HoldfastError, match=told):
        from_options({"tasks": ["rte"], **options})


def test_studies_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        StudyFile(tasks=["rte"]).delta = 2.0


def test_options_for_probes_change_only_what_they_name(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("tasks: [rte]\nprobed: [cola]\nood: [{task: sick, labels: [[a, b]]}]\nprobe: {seeds: 5, layer: 2}")
    study = read_study(path, {"probe": {"rows": 10}})
    assert (study.probe.seeds, study.probe.layer, study.probe.rows) == (5, 2, 10)
    assert (study.ood[0].task.source, study.ood[0].labels) == ("sick", (("a", "b"),))


@pytest.mark.parametrize(
    ("options", "told"),
    [({"probe": {"rows": 10}}, "name some with --probe"), ({"cycles": 5}, "sequence is not cycles")],
)
def test_keys_that_would_do_nothing_are_refused(options, told):
    with pytest.raises(HoldfastError, match=told):
        from_options({"tasks": ["rte"], **options})
