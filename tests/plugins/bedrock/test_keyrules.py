import orjson
import pytest

from llmproxy_bedrock.frames import event_frame
from llmproxy_bedrock.keyrules import CONVERSE, COUNT, hosted, rules_of

from .conftest import BEGUN, HI, SAID, delta, stop


def read(**members):
    body = orjson.loads(orjson.dumps({**HI, **members}))
    return CONVERSE.read(body, str.strip)


@pytest.mark.parametrize(
    ("path", "rules"),
    [
        ("/model/m/converse", CONVERSE),
        ("/model/m/converse-stream", CONVERSE),
        ("/model/m/count-tokens", COUNT),
        ("/model/m/invoke", None),
    ],
)
def test_a_path_says_which_call_it_is(path, rules):
    assert rules_of(path) is rules


def test_form_price_and_notes_do_not_count():
    plain = read()
    more = read(
        modelId="m",
        requestMetadata={"a": "b"},
        serviceTier={"type": "flex"},
        inferenceConfig={"maxTokens": None, "stopSequences": []},
        system=[],
        toolConfig=None,
        additionalModelRequestFields={},
        messages=[{"role": "user", "content": [{"text": " hi "}]}],
    )

    assert more.counted == plain.counted


@pytest.mark.parametrize(
    "members",
    [
        {"inferenceConfig": {"temperature": 0.1}},
        {"system": [{"text": "be"}]},
        {"additionalModelRequestFields": {"top_k": 1}},
        {"toolConfig": {"tools": [{"toolSpec": {"name": "f"}}]}},
        {"outputConfig": {"effort": "low"}},
        {"tomorrows": 1},
    ],
)
def test_what_may_change_the_answer_counts(members):
    assert read(**members).counted != read().counted


def test_the_temperature_is_found():
    assert read(inferenceConfig={"temperature": 0}).temperature == 0


@pytest.mark.parametrize(
    ("members", "ground"),
    [
        ({"guardrailConfig": {"guardrailIdentifier": "g"}}, "references"),
        ({"promptVariables": {"a": {"text": "b"}}}, "references"),
        ({"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}}, "hosted-tools"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/x"}}}}
                        ],
                    }
                ]
            },
            "references",
        ),
    ],
)
def test_grounds_are_told(members, ground):
    assert read(**members).grounds == {ground}


def test_whole_and_good_answers_are_kept_only():
    flawed = BEGUN + delta(0, text="x") + stop(0) + event_frame("messageStop", {"stopReason": "max_tokens"})

    assert CONVERSE.keeps(SAID)
    assert not CONVERSE.keeps(flawed)
    assert not CONVERSE.keeps(BEGUN + delta(0, text="x"))
    assert CONVERSE.keeps(b'{"output":{},"stopReason":"end_turn"}')
    assert not CONVERSE.keeps(b'{"output":{},"stopReason":"guardrail_intervened"}')
    assert COUNT.keeps(b'{"inputTokens":3}')


def test_a_tool_that_is_none_is_taken_for_a_hosted_one():
    assert hosted("x")
    assert not hosted({"toolSpec": {}})
