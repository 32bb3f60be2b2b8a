import msgspec
import pytest

from llmproxy.config import decode_struct
from llmproxy.errors import ConfigErrors
from llmproxy_accesslog.config import AccessLogConfig


def test_a_field_that_does_not_exist_cannot_be_left_out():
    with pytest.raises(
        ConfigErrors, match=r"plugins.log.omit\[1\]: 'status' is no field that can be left out"
    ):
        decode_struct(AccessLogConfig, {"omit": ["path", "status"]}, "plugins.log")


@pytest.mark.parametrize(
    "tree", [{"sample": 1.5}, {"sample": -0.1}, {"level": "debug"}, {"client": "half"}, {"samples": 1}]
)
def test_what_is_out_of_range_is_refused(tree):
    with pytest.raises(ConfigErrors):
        decode_struct(AccessLogConfig, tree, "plugins.log")


def test_every_key_can_be_written():
    tree = {"level": "warning", "sample": 0.5, "omit": ["query"], "path": False, "client": "truncated"}

    assert msgspec.to_builtins(decode_struct(AccessLogConfig, tree)) == {**tree, "omit": ("query",)}
