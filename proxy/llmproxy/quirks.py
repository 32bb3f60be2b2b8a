"""In what a provider departs from the dialect that it speaks: data, so that it needs no code of its own."""

from __future__ import annotations

from typing import Literal

from llmproxy.sections import Section


class Quirks(Section, frozen=True):
    """What a translation for one provider must mind; the defaults suit an unknown server of OpenAI's dialect."""

    #: Where chat completions are asked for, relative to the base URL.
    chat_path: str = "/chat/completions"
    #: The field of the answer's bound.
    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    #: How usage comes at a stream's end: when `stream_options` asks, unasked, or not at all.
    stream_usage: Literal["asked", "always", "never"] = "asked"
    #: The role of instructions.
    system_role: Literal["system", "developer"] = "system"
    #: Whether the Responses API is there, beside chat completions.
    responses: bool = False
    #: How a picture that is to be edited is named: `images: [{image_url}]` or a form, or `images: [{url}]` alone (xAI).
    images: Literal["image_url", "url"] = "image_url"
    #: Whether embeddings are there.
    embeddings: bool = True
    #: What a ranking's bound is called, and with it how it is answered: `top_n` with `results`, `top_k` with `data`.
    rerank: Literal["top_n", "top_k"] = "top_n"
    #: What a forced tool call is called.
    required: Literal["required", "any"] = "required"
    #: How ids of tool calls must look: as they come, or nine letters and digits (Mistral).
    tool_ids: Literal["any", "nine"] = "any"
    #: How much thought is asked for: `reasoning_effort`, `thinking: {type: enabled}`, both of them,
    #: `reasoning: {effort}`, or not.
    thinking: Literal["reasoning_effort", "thinking", "thinking_and_effort", "reasoning", "none"] = (
        "reasoning_effort"
    )
    #: The member of an assistant's message that carries its thoughts back, or none where they are refused.
    reasoning_field: Literal["reasoning_content", "reasoning", "reasoning_details", "none"] = "none"
    #: The strongest form of answer: by schema, any JSON, or text only.
    format: Literal["json_schema", "json_object", "none"] = "json_schema"
    #: Request fields that are refused and so left out, told of as losses.
    refused: tuple[str, ...] = ()
    #: What is taken beyond OpenAI's own fields: `top_k`, `min_p`, `random_seed` (in place of `seed`), `cache_control`
    #: and `prompt_cache_breakpoint` (on parts and tools), `extra_content` (Gemini's signatures), `video_url`,
    #: `modalities` (of chats that draw); of
    #: embeddings `output_dimension` (in place of `dimensions`), `input_type` (Voyage's) and `task` (Jina's).
    extras: tuple[str, ...] = ()
    #: The dated version of Azure's API that is asked (`2024-10-21`); below a base URL that ends in `/openai` models are
    #: deployments then, named in the path. Empty for the undated API below `/openai/v1`.
    api_version: str = ""
