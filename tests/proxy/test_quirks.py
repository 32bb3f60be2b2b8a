import pytest

from llmproxy.decode import decode_struct
from llmproxy.errors import ConfigErrors
from llmproxy.quirks import Quirks


def test_the_defaults_suit_an_unknown_server():
    assert decode_struct(Quirks, {}) == Quirks()
    assert (Quirks().max_tokens, Quirks().responses, Quirks().refused) == ("max_tokens", False, ())


def test_a_provider_says_where_it_departs():
    quirks = decode_struct(Quirks, {"max_tokens": "max_completion_tokens", "refused": ["seed"]})

    assert (quirks.max_tokens, quirks.refused) == ("max_completion_tokens", ("seed",))


@pytest.mark.parametrize("tree", [{"tool_ids": "ten"}, {"no_such_quirk": True}])
def test_what_nobody_minds_is_refused(tree):
    with pytest.raises(ConfigErrors):
        decode_struct(Quirks, tree)
