import pytest

from llmproxy.importing.manner import Manner, is_true, read_manner
from llmproxy.importing.walking import Walk


def read(library=None, router=None):
    notes = []
    manner = read_manner(
        Walk(library or {}, "litellm_settings", notes), Walk(router or {}, "router_settings", notes)
    )
    return manner, [note.path for note in notes]


def test_what_is_not_said_stays_as_it_is_here():
    assert read() == (Manner(), [])


@pytest.mark.parametrize(("drops", "lossy"), [(True, "warn"), ("yes", "warn"), (False, "refuse")])
def test_parameters_that_a_provider_lacks_are_dropped_with_a_warning_or_refused(drops, lossy):
    assert read({"drop_params": drops})[0].lossy == lossy


def test_the_routers_time_counts_more_than_the_librarys():
    assert read({"request_timeout": 600})[0].total == "600s"
    assert read({"request_timeout": 600}, {"timeout": 30})[0].total == "30s"
    assert read({"request_timeout": "soon"}) == (Manner(), ["litellm_settings.request_timeout"])


def test_the_logs_manner_comes_over():
    assert read({"set_verbose": True, "json_logs": "on"})[0].log == {"level": "debug", "format": "json"}
    assert read({"set_verbose": False})[0].log == {}


@pytest.mark.parametrize(
    ("callbacks", "metrics", "told"),
    [
        ("prometheus", True, False),
        (["prometheus"], True, False),
        (["langfuse", "prometheus"], True, True),
        (["langfuse"], False, True),
        ("otel", False, True),
        ([], False, False),
    ],
)
def test_metrics_are_a_plugin_here_and_other_callbacks_are_told(callbacks, metrics, told):
    manner, paths = read({"success_callback": callbacks})

    assert manner.metrics is metrics
    assert paths == (["litellm_settings.success_callback"] if told else [])


@pytest.mark.parametrize(
    ("value", "true"), [(True, True), ("Yes", True), (1, True), (None, False), ("off", False)]
)
def test_words_for_true_are_those_of_older_yaml(value, true):
    assert is_true(value) is true
