from llmproxy.importing.walking import Note, Walk


def walk(tree, notes=None):
    return Walk(tree, "top", notes if notes is not None else [])


def test_what_nobody_took_is_told_by_its_path_and_why():
    notes = []
    each = walk({"a": 1, "b.c": 2, "none": None, "empty": []}, notes)
    each.take("a")
    each.tell_rest(lambda key: f"why {key}")

    assert notes == [Note('top."b.c"', "why b.c")] or [note.text for note in notes] == ["why b.c"]


def test_a_value_that_is_taken_is_gone():
    each = walk({"a": 1})

    assert (each.take("a"), each.take("a")) == (1, None)


def test_the_first_of_several_keys_that_is_set_counts_and_says_where_it_stands():
    each = walk({"x": "", "y": "there", "z": "too"})

    assert each.first("x", "y", "z") == ("top.y", "there")
    assert each.first("nowhere") == ("top.nowhere", None)


def test_what_is_no_mapping_and_no_list_is_told():
    notes = []
    each = walk({"section": [1], "list": {"a": 1}}, notes)
    section, items = each.section("section"), list(each.sections("list"))

    assert (list(section), items) == ([], [])
    assert [note.path for note in notes] == ["top.section", "top.list"]


def test_items_of_a_list_know_their_place():
    notes = []
    for each in walk({"list": [{"a": 1}, {"b": 2}]}, notes).sections("list"):
        each.tell_rest(lambda key: "why")

    assert [note.path for note in notes] == ["top.list[0].a", "top.list[1].b"]


def test_values_put_under_do_not_hide_those_written():
    each = walk({"a": 1})
    each.under({"a": 2, "b": 3})

    assert (each.take("a"), each.take("b")) == (1, 3)


def test_what_was_told_as_a_whole_is_not_told_again():
    notes = []
    each = walk({"a": 1}, notes)
    each.drop()
    each.tell_rest(lambda key: "why")

    assert notes == []
