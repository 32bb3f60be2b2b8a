import pytest

from llmproxy_quota.bounds import bound_of
from llmproxy_quota.config import QuotaConfig
from llmproxy_quota.units import Units, units_of


@pytest.mark.parametrize(
    ("path", "body", "told", "units"),
    [
        ("/v1/audio/speech", b"x" * 100, None, Units(100, 100)),
        ("/v1/audio/transcriptions", b"x" * 3200, None, Units(6400, 200)),
        ("/v1/images/generations", b"{}", None, Units(3, 3)),
        ("/v1/ocr", b"{}", {}, Units(1000, 10)),
        ("/v1/rerank", b"x" * 100, {"documents": ["a"] * 250}, Units(3, 3)),
        ("/v2/rerank", b"x" * 500_000, {"documents": ["a"]}, Units(11, 1)),
        ("/v1/rerank", b"", None, Units(1, 1)),
    ],
)
def test_each_call_counts_its_own_things(path, body, told, units):
    assert units_of(path, body, told, 3) == units


def test_a_bound_has_them():
    config = QuotaConfig(store="s", limits=())
    pictures = bound_of("/v1beta/models/imagen-4:predict", b'{"parameters":{"sampleCount":4}}', config)
    ranking = bound_of("/v1/rerank", b'{"query":"a","documents":["b"]}', config)
    chat = bound_of("/v1/chat/completions", b'{"max_tokens":5}', config)

    assert (pictures.units.most, ranking.units.most, chat.units.most) == (4, 1, 1)
    assert pictures.output == 4 * max(config.output, config.attachment)
