from llmproxy_calllog.asking import question
from llmproxy_calllog.filtering import Filter


def worded(text):
    return "found(?)", [text]


def test_values_are_never_part_of_a_question():
    asked = question(Filter(tenant="' OR 1 --", text="x", bodies=True, limit=7), worded)

    assert asked.values == ["' OR 1 --", "x", 7]
    assert "WHERE calls.tenant = ? AND found(?) ORDER BY calls.number DESC LIMIT ?" in asked.query
    assert asked.keys[-2:] == ("request", "answer")


def test_rows_are_told_by_their_names():
    asked = question(Filter(after=3), worded)

    assert asked.query.endswith("ORDER BY calls.number ASC LIMIT ?")
    assert asked.told([range(len(asked.keys))])[0]["number"] == 0
