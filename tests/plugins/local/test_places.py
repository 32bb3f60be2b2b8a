from __future__ import annotations

from pathlib import Path

import pytest

from llmproxy_local.places import Places, folder_of, is_held, locked, mark_of


def test_workers_share_a_folder_and_one_alone_has_its_own():
    assert folder_of(Path("/run/gateway"), "local") == Path("/run/gateway/local")
    assert folder_of(None, "local") == folder_of(None, "local") != folder_of(None, "other")


def test_each_file_has_its_name():
    places = Places(Path("/x"), "m")

    assert places.socket == Path("/x/m.sock")
    assert len({places.socket, places.ready, places.alive, places.gate, places.start, places.log}) == 6


def test_a_lock_is_held_by_one(tmp_path):
    path = tmp_path / "lock"
    with locked(path) as ours:
        assert ours
        assert is_held(path)
        with locked(path) as others:
            assert not others

    assert not is_held(path)


def test_other_settings_have_other_files(tmp_path):
    one, other = (Places(tmp_path, "m", mark_of(size)) for size in (1, 2))

    assert one.socket != other.socket
    assert Places(tmp_path, "m", mark_of(1)) == one


def test_each_removes_its_own_and_the_last_one_the_folder(tmp_path):
    folder = tmp_path / "run"
    one, other = Places(folder, "m", "a"), Places(folder, "m", "b")
    for places in (one, other):
        with locked(places.gate):
            pass
    one.remove()
    assert [file.name for file in folder.iterdir()] == ["m-b.gate"]

    other.remove()
    other.remove()
    assert not folder.exists()


def test_a_folder_that_is_open_to_others_is_not_used(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(0o777)
    elsewhere = tmp_path / "link"
    elsewhere.symlink_to(tmp_path)

    for place in (folder, elsewhere):
        with pytest.raises(PermissionError, match="alone"), locked(place / "m.gate"):
            pass
