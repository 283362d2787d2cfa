from holdfast.report.sections import representation
from holdfast.wording import rank_share
from report.rendered import grid, markdown, page, terminal
from report.test_markdown import parsed
from report.test_page import Page
from report.transfers import layers, transfers

HEADER = ["runs", "CKA", "effective rank", "participation ratio", "mean cosine", "weights moved"]


def only_part(result):
    (block,) = representation.blocks(result, [])
    (part,) = block.parts
    return part


def test_the_last_layer_stands_in_a_line_beside_the_pre_trained_model():
    result = transfers()
    # The order in which layers are stored does not matter.
    result.representations.reverse()
    part = only_part(result)
    assert part.title == "rte, layer 2, the last"
    header, lines = grid(part.table)
    assert header == HEADER
    # By hand: the ranks of the third layer are 30 of 60 and 12 of 25, its mean cosine .1 + 2 x .2.
    assert lines["r4f"] == ["5", "0.70", "30.0 (50 %)", "12.0 (48 %)", "0.50", "1"]
    assert lines["vanilla"][1] == "0.40"
    assert lines["(pre-trained model)"] == ["–", "1.00", "60.0 (100 %)", "25.0 (100 %)", "0.10", "0"]


def test_columns_without_a_number_are_left_out():
    result = transfers()
    result.representations = layers("vanilla", (1.0, 0.5), weight_distance=None, mean_cosine=None)
    header, lines = grid(only_part(result).table)
    assert header == HEADER[:4]
    assert len(lines["(pre-trained model)"]) == 4


def test_a_rank_without_its_start_has_no_share():
    assert rank_share(12.34, None) == "12.3"
    assert rank_share(None, 20.0) == "–"
    assert rank_share(10.0, 40.0) == "10.0 (25 %)"


def test_markdown_and_page_hold_the_same_table():
    result = transfers()
    rows = parsed(markdown(result)).rows
    (start,) = [index for index, row in enumerate(rows) if row[1:] == HEADER]
    found = Page(page(result, []))
    assert rows[start : start + 4] in found.tables
    assert "CKA: how alike a layer's states" in found.text
    assert all(cell in terminal(result, 120) for cell in rows[start + 1])


def test_a_study_without_layers_says_nothing_of_them(normal):
    assert representation.blocks(normal, []) == []
    assert "representation" not in Page(page(normal, [])).text
