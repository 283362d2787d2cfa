from holdfast.tasks import available


def test_every_task_is_listed(holdfast):
    told = holdfast("tasks")
    assert told.code == 0
    assert [line.split()[0] for line in told.out.splitlines()] == [entry.name for entry in available()]


def test_a_task_is_described(holdfast):
    told = holdfast("tasks", "stsb")
    assert "regression" in told.out
    assert "pearson, spearman" in told.out


def test_a_file_is_shown_as_it_will_be_learned(holdfast, tmp_path):
    path = tmp_path / "mails.csv"
    rows = [f"{i};mail {i}, {'thanks' if i % 2 else 'please'};{('praise', 'wish')[i % 2]};web" for i in range(10)]
    path.write_text("\n".join(["id;body of mail;folder;origin", *rows, ";;;", ""]))
    told = holdfast("tasks", path, "--label", "folder")
    assert told.code == 0
    for part in (
        f"file     {path}: 10 rows of 11 lines",
        "used     text: 'body of mail', label: 'folder'",
        "unused   'id', 'origin'",
        "train    8 rows: ",
        "'wish' 4",
        "'praise' 4",
        "text: 'mail 1, thanks'",
        "class: 'wish'",
        "class: 'praise'",
        "columns are separated by semicolons",
        "1 row without any value left out",
    ):
        assert part in told.out


def test_how_a_file_is_read_can_be_said(holdfast, tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("".join(f"{i},text number {i},{('a', '#N/A', 'b')[i % 3]}\n" for i in range(12)))
    told = holdfast("tasks", path)
    assert "--read header=no" in told.err
    options = ["--read", "header=no", "--text", "column 2", "--label", "column 3"]
    assert "--read missing=drop" in holdfast("tasks", path, *options).err
    told = holdfast("tasks", path, *options, "--read", "missing=drop")
    assert f"{path}: 8 rows of 12 lines" in told.out
    assert "'a' 3, 'b' 3" in told.out


def test_mistakes_in_how_a_file_is_read_are_told(holdfast, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,b\n")
    for given, part in (
        ("heder=no", "did you mean 'header'"),
        ("header", "give a key and a value, such as header=no"),
        ("encoding=latin-99", "'latin-99' is no encoding"),
        ("separator=ab", "give comma, semicolon, tab, bar or one character"),
        ("missing=maybe", "--read missing: input should be 'drop' or 'keep'"),
    ):
        told = holdfast("tasks", path, "--read", given)
        assert (told.code, told.err.count("\n")) == (2, 1)
        assert part in told.err


def test_an_unknown_task_is_told_with_the_nearest(holdfast):
    told = holdfast("tasks", "rtee")
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert "did you mean 'rte'" in told.err
