from study.studies import begun


def test_results_are_shown_again_without_a_run(fakes, tickets, tmp_path, holdfast):
    first = holdfast("compare", tickets, "--seeds", 2, "--methods", "vanilla,r3f", "--workers", 0, "--out", "out")
    (tmp_path / "out" / "report.html").unlink()
    tickets.unlink()
    again = holdfast("report", "out")
    assert (again.code, again.out) == (0, first.out)
    assert (tmp_path / "out" / "report.html").exists()
    assert len(begun(fakes)) == 4


def test_a_folder_without_a_study_is_told(tmp_path, holdfast):
    for folder in (tmp_path, tmp_path / "nowhere"):
        told = holdfast("report", folder)
        assert (told.code, told.err) == (
            2,
            f"holdfast: error: {folder} holds no study (no study.yaml in it); check the path\n",
        )
        assert not list(tmp_path.iterdir())
