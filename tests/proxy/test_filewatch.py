import os

import pytest

from llmproxy.filewatch import WatchedFile, file_source


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes(b"one")
    return path


@pytest.fixture
def watched(path):
    watched = WatchedFile(path)
    watched.read()
    return watched


def rewrite(path, data):
    path.with_suffix(".new").write_bytes(data)
    os.replace(path.with_suffix(".new"), path)


def test_an_untouched_file_has_not_changed(watched):
    assert [watched.poll() for _ in range(3)] == [False, False, False]


def test_a_change_is_told_once_when_it_has_settled(watched, path):
    rewrite(path, b"two")

    assert [watched.poll() for _ in range(4)] == [False, True, False, False]


def test_a_file_still_being_written_is_not_told(watched, path):
    told = []
    for length in range(1, 4):
        rewrite(path, b"two"[:length])
        told.append(watched.poll())

    assert told == [False, False, False]
    assert watched.poll()


def test_the_same_bytes_again_are_no_change(watched, path):
    rewrite(path, b"one")

    assert [watched.poll() for _ in range(3)] == [False, False, False]


def test_a_file_that_was_read_meanwhile_is_no_change(watched, path):
    rewrite(path, b"two")
    watched.poll()

    assert watched.read() == b"two"
    assert not watched.poll()


def test_a_file_that_vanishes_is_told_when_it_is_back(watched, path):
    path.unlink()
    gone = [watched.poll(), watched.poll()]
    path.write_bytes(b"two")

    assert gone == [False, False]
    assert [watched.poll(), watched.poll()] == [False, True]


def test_a_swapped_symlink_is_a_change(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("one")
    watched = WatchedFile(tmp_path / "link")
    watched.read()
    (tmp_path / "next").symlink_to("two")
    os.replace(tmp_path / "next", tmp_path / "link")

    assert [watched.poll(), watched.poll()] == [False, True]


def test_a_source_that_is_not_watched_has_nothing_to_ask(path):
    source = file_source(path, watch=False)

    assert source.read() == b"one"
    assert source.changed is None
    assert file_source(path, watch=True).changed is not None
