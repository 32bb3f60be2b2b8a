import pytest

from llmproxy.importing.keyrefs import KeyRefs


def refs(tree=None):
    notes = []
    return KeyRefs(tree or {}, notes), notes


def test_a_variable_is_referred_to_as_it_was():
    keys, notes = refs()

    assert keys.text("os.environ/REGION") == "${env:REGION}"
    assert keys.secret("os.environ/MY_KEY", "OTHER", "a") == "${env:MY_KEY}"
    assert notes == []


def test_text_that_looks_like_a_reference_stays_text():
    assert refs()[0].text("a ${env:HOME} b") == "a $${env:HOME} b"


def test_a_secret_written_out_is_not_copied_and_told():
    keys, notes = refs()

    assert keys.secret("sk-canary", "OPENAI_API_KEY", "a.api_key") == "${env:OPENAI_API_KEY}"
    assert [note.path for note in notes] == ["a.api_key"]
    assert "set OPENAI_API_KEY" in notes[0].text
    assert "canary" not in notes[0].text


def test_one_secret_has_one_variable_and_another_one_another():
    keys, _ = refs()

    assert [keys.secret(secret, "KEY", "a") for secret in ("s-1", "s-2", "s-1")] == [
        "${env:KEY}",
        "${env:KEY_2}",
        "${env:KEY}",
    ]


@pytest.mark.parametrize(
    ("wish", "other"),
    [
        ("OPENAI_API_KEY", "OPENAI_2_API_KEY"),
        ("HF_TOKEN", "HF_2_TOKEN"),
        ("SCW_SECRET_KEY", "SCW_SECRET_2_KEY"),
    ],
)
def test_a_second_secret_is_no_further_key_of_the_first_ones_upstream(wish, other):
    keys, _ = refs()
    keys.secret("s-1", wish, "a")

    assert keys.secret("s-2", wish, "b") == f"${{env:{other}}}"


def test_a_variable_that_the_file_names_is_not_given_to_another_secret():
    keys, _ = refs({"model_list": [{"litellm_params": {"api_key": "os.environ/KEY"}}]})

    assert keys.secret("sk-canary", "KEY", "a") == "${env:KEY_2}"


@pytest.mark.parametrize(
    "value", ["none", "EMPTY", "fake-key", "not-needed", "dummy", "sk-fake", "my-fake-key", "", "x"]
)
def test_a_stand_in_is_no_key(value):
    keys, notes = refs()

    assert keys.secret(value, "KEY", "a") is None
    assert "stand-in" in notes[0].text


def test_a_reference_to_nothing_is_no_key():
    keys, notes = refs()

    assert keys.secret("os.environ/", "KEY", "a") is None
    assert len(notes) == 1
