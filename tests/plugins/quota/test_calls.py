import pytest

from llmproxy_quota.calls import kind_of


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/chat/completions", "chat"),
        ("/openai/deployments/embedder/chat/completions", "chat"),
        ("/v1/completions", "completions"),
        ("/v1/responses", "responses"),
        ("/v1/messages", "messages"),
        ("/v1/complete", "complete"),
        ("/v1beta/models/embed:streamGenerateContent", "gemini"),
        ("/v2/chat", "cohere"),
        ("/v1/chat", "cohere"),
        ("/team/api/chat", "ollama"),
        ("/api/generate", "ollama"),
        ("/api/embed", "reads"),
        ("/api/show", "nothing"),
        ("/model/us.amazon.nova/converse", "converse"),
        ("/model/us.amazon.nova/converse-stream", "converse"),
        ("/model/us.amazon.nova/count-tokens", "nothing"),
        ("/model/us.amazon.nova/invoke", "any"),
        ("/v1/embeddings", "reads"),
        ("/v1beta/models/x:batchEmbedContents", "reads"),
        ("/v1/images/edits", "media"),
        ("/v1/uploads/u/complete", "nothing"),
        ("/v1/threads/t/messages", "any"),
        ("/v1/fine_tuning/jobs", "any"),
    ],
)
def test_a_call_is_known_by_the_end_of_its_path(path: str, kind: str) -> None:
    assert kind_of("POST", path) == kind


def test_what_has_no_body_uses_nothing_but_a_websocket_may() -> None:
    assert kind_of("GET", "/v1/responses") == "nothing"
    assert kind_of("GET", "/v1/responses", upgraded=True) == "any"
