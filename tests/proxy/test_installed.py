import sys

from llmproxy.installed import COMMAND_GROUP, DIALECT_GROUP, PLUGIN_GROUP, available


def package(folder, *points):
    metadata = folder / "extra-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("\n".join([f"[{PLUGIN_GROUP}]", *points]))


def test_each_group_has_its_own():
    assert {"demo", "openai", "cache"} <= available().keys()
    assert all(point.group == PLUGIN_GROUP for point in available().values())
    assert {"openai", "anthropic"} <= available(DIALECT_GROUP).keys()
    assert "keys" in available(COMMAND_GROUP)


def test_nothing_is_read_twice_while_no_folder_changes():
    assert available() is available()


def test_a_folder_that_is_imported_from_since_is_read(tmp_path, monkeypatch):
    before = available()
    package(tmp_path, "extra = extra:Extra")
    monkeypatch.syspath_prepend(tmp_path)

    assert available().keys() - before.keys() == {"extra"}


def test_what_is_installed_since_is_read(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    before = available()
    package(tmp_path, "extra = extra:Extra")

    assert available().keys() - before.keys() == {"extra"}


def test_a_folder_that_is_not_there_is_passed_over(monkeypatch):
    before = available()
    monkeypatch.setattr(sys, "path", [*sys.path, "/nowhere/at/all", ""])

    assert available() == before
