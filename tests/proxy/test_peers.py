import pytest

from llmproxy.peers import Peer, Topics


def test_a_peers_file_name_says_who_it_is():
    peer = Peer(2, 4242)

    assert peer.file_name == "slot-2.4242.sock"
    assert Peer.from_file_name(peer.file_name) == peer


@pytest.mark.parametrize(
    "name", ["slot-2.4242.sock.new", "slot-2.sock", "slot-x.1.sock", "slot-1.y.sock", "other", ""]
)
def test_other_files_are_no_peers(name):
    assert Peer.from_file_name(name) is None


def test_the_newest_handler_of_a_topic_answers_until_it_is_removed():
    topics = Topics()
    topics.add("t", "old")
    remove = topics.add("t", "new")
    seen = [topics.newest("t"), topics.all("t")]
    remove()
    remove()

    assert seen == ["new", ("old", "new")]
    assert topics.newest("t") == "old"


def test_a_topic_without_handlers_has_no_newest():
    topics = Topics()
    topics.add("t", "only")()

    assert topics.newest("t") is None
    assert topics.all("t") == ()
