"""A whole chat completion, read into the canonical form and written from it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmproxy.canonical import (
    Answer,
    Audio,
    Block,
    Choice,
    Citation,
    Foreign,
    Image,
    Inline,
    Losses,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from llmproxy.plugin import Usage, error_of
from llmproxy_openai.chat.annotations import read_annotations, read_sources, write_annotations
from llmproxy_openai.chat.finishes import native_finish, read_finish, write_finish
from llmproxy_openai.chat.parts import source_of, thinking_text, write_image
from llmproxy_openai.chat.reasoning import is_proven, read_reasoning, write_details
from llmproxy_openai.chat.toolcalls import (
    arguments_text,
    made_up_id,
    read_custom,
    signature_of,
    signed,
    write_call,
    write_custom,
)
from llmproxy_openai.usage import read_usage

#: Whoever counts so many since 1970 counts no seconds: they would be of the year 5138.
_MILLISECONDS: Final = 100_000_000_000
#: Seconds that OpenAI keeps a spoken answer that may be referred to.
_AUDIO_KEPT: Final = 3600


def decode_answer(body: Any) -> Answer:
    """Read an answer; servers leave out much of what it should hold.

    Raises:
        GatewayError: it says that it failed.
        ValueError: it is no chat completion.
    """
    if type(body) is not dict:
        raise ValueError("a chat completion is an object")
    choices = body.get("choices")
    if body.get("object") == "error" or (body.get("error") and not _is_answered(choices)):
        raise error_of(body)
    if type(choices) is not list or not choices:
        raise ValueError("a chat completion has choices")
    name, sources = text_of(body, "id"), read_sources(body)
    return Answer(
        id=name,
        model=text_of(body, "model"),
        created=created_of(body),
        choices=tuple(_choice(choice, f"{name}:{n}", sources) for n, choice in enumerate(choices)),
        usage=usage_of(body),
        service_tier=text_of(body, "service_tier"),
        fingerprint=text_of(body, "system_fingerprint"),
    )


def _is_answered(choices: Any) -> bool:
    """Say whether an answer stands beside an error: a choice without a message is none."""
    first = choices[0] if type(choices) is list and choices else None
    return type(first) is dict and type(first.get("message")) is dict


def text_of(where: dict[str, Any], key: str) -> str:
    """Return a string, empty where it is none."""
    value = where.get(key)
    return value if type(value) is str else ""


def created_of(body: dict[str, Any]) -> int:
    """Return when the answer was made; some servers write it as text, with a fraction, or in milliseconds."""
    value = body.get("created")
    try:
        created = value if type(value) is int else int(float(value or 0))
    except (TypeError, ValueError, OverflowError):
        return 0
    return created // 1000 if created >= _MILLISECONDS else created


def usage_of(body: dict[str, Any]) -> Usage | None:
    """Return what an answer or a chunk says was used; Groq's streams hide it."""
    told = body.get("usage")
    if type(told) is not dict or not told:
        groq = body.get("x_groq")
        told = groq.get("usage") if type(groq) is dict else None
    return read_usage(told) if type(told) is dict else None


def _choice(choice: Any, seed: str, sources: tuple[Citation, ...]) -> Choice:
    message = choice.get("message") if type(choice) is dict else None
    if type(message) is not dict:
        raise ValueError("a choice has a message")
    content = _content(message, seed, sources)
    calls = any(isinstance(block, ToolCall | Foreign) for block in content)
    word = choice.get("finish_reason")
    reason, detail = read_finish(word, calls=calls)
    stop, logprobs = choice.get("stop_reason"), choice.get("logprobs")
    return Choice(
        content=tuple(content),
        finish=reason if word else None,
        stop_sequence=stop if type(stop) is str and reason == "stop" else None,
        detail=detail,
        logprobs=logprobs if type(logprobs) is dict else None,
    )


def _content(message: dict[str, Any], seed: str, sources: tuple[Citation, ...]) -> list[Block]:
    blocks: list[Block] = [*read_reasoning(message), *content_of(message.get("content"))]
    citations, signature = read_annotations(message.get("annotations")) + sources, signature_of(message)
    if citations or signature:
        _hang(blocks, citations, signature)
    if refusal := text_of(message, "refusal"):
        blocks.append(Refusal(refusal))
    blocks += images_of(message)
    audio = message.get("audio")
    if type(audio) is dict:
        blocks += [Text(spoken)] if (spoken := text_of(audio, "transcript")) else []
        blocks += [Audio(Inline("audio/wav", data))] if (data := text_of(audio, "data")) else []
    items = message.get("tool_calls")
    old = message.get("function_call")
    calls = [*items] if type(items) is list else []
    if type(old) is dict and text_of(old, "name"):
        calls.append({"function": old})
    seen: set[str] = set()
    for n, item in enumerate(calls):
        if type(item) is dict:
            blocks.append(_call(item, f"{seed}:{n}", seen))
    return blocks


def content_of(content: Any) -> list[Block]:
    """Read what was said: text, or Mistral's parts, among which thoughts may be."""
    if type(content) is str:
        return [Text(content)] if content else []
    blocks: list[Block] = []
    for part in content if type(content) is list else []:
        kind = part.get("type") if type(part) is dict else None
        if kind == "thinking" and (said := thinking_text(part.get("thinking"))):
            blocks.append(Reasoning(said))
        elif kind in ("text", "output_text") and (said := text_of(part, "text")):
            blocks.append(Text(said))
    return blocks


def images_of(message: dict[str, Any]) -> list[Block]:
    """Read pictures that the model made, as OpenRouter and others give them."""
    images = message.get("images")
    blocks: list[Block] = []
    for item in images if type(images) is list else []:
        told = item.get("image_url") if type(item) is dict else None
        url = told.get("url") if type(told) is dict else told
        if type(url) is str and url and (url[:5] != "data:" or "," in url):
            blocks.append(Image(source_of(url, "")))
    return blocks


def _hang(blocks: list[Block], citations: tuple[Citation, ...], signature: str) -> None:
    for place in reversed(range(len(blocks))):
        block = blocks[place]
        if isinstance(block, Text):
            blocks[place] = msgspec.structs.replace(block, citations=citations, signature=signature)
            return
    if signature:
        blocks.append(Text("", signature=signature))


def _call(item: dict[str, Any], seed: str, seen: set[str]) -> ToolCall | Foreign:
    function, custom = item.get("function"), item.get("custom")
    function = function if type(function) is dict else {}
    name = text_of(item, "id")
    if not name or name in seen:
        name = made_up_id(seed, text_of(function, "name"))
    seen.add(name)
    if type(custom) is dict:
        return read_custom(name, custom)
    arguments = arguments_text(function.get("arguments"))
    return ToolCall(name, text_of(function, "name"), arguments, signature_of(item))


def encode_answer(answer: Answer, *, name: str, model: str, created: int, legacy: bool) -> dict[str, Any]:
    """Write an answer; `name`, `model` and `created` stand in where it has none of its own.

    `legacy` callers know one function call, not several tool calls.
    """
    made = answer.created or created
    body: dict[str, Any] = {
        "id": answer.id or name,
        "object": "chat.completion",
        "created": made,
        "model": answer.model or model,
        "choices": [_write_choice(choice, n, made, legacy) for n, choice in enumerate(answer.choices)],
    }
    if answer.usage is not None:
        body["usage"] = write_usage(answer.usage)
    if answer.service_tier:
        body["service_tier"] = answer.service_tier
    body["system_fingerprint"] = answer.fingerprint or None
    return body


def write_usage(usage: Usage) -> dict[str, Any]:
    """Write counts; OpenAI's prompt tokens include what came from a cache and what went there."""
    prompt, completion = usage.input + usage.cache_read + usage.cache_write, usage.output + usage.reasoning
    details = {"cached_tokens": usage.cache_read}
    if usage.cache_write:
        details["cache_write_tokens"] = usage.cache_write
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def _write_choice(choice: Choice, index: int, created: int, legacy: bool) -> dict[str, Any]:
    message = _write_message(choice.content, index, created, legacy)
    calls = "tool_calls" in message or "function_call" in message
    written: dict[str, Any] = {
        "index": index,
        "message": message,
        "logprobs": choice.logprobs,
        "finish_reason": write_finish(choice.finish, calls=calls, legacy=legacy),
    }
    if native := native_finish(choice.finish, choice.detail):
        written["native_finish_reason"] = native
    return written


def _write_message(content: tuple[Block, ...], index: int, created: int, legacy: bool) -> dict[str, Any]:
    texts = [block for block in content if isinstance(block, Text)]
    said = "".join(block.text for block in texts)
    refusal = "".join(block.text for block in content if isinstance(block, Refusal))
    message: dict[str, Any] = {"role": "assistant", "content": said or None, "refusal": refusal or None}
    thoughts = [block for block in content if isinstance(block, Reasoning)]
    if thoughts:
        message |= _write_thoughts(thoughts)
    if annotations := write_annotations(texts):
        message["annotations"] = annotations
    if images := [write_made_image(block) for block in content if isinstance(block, Image)]:
        message["images"] = [image for image in images if image is not None]
    for block in content:
        if isinstance(block, Audio) and isinstance(block.source, Inline):
            message["audio"] = _write_audio(block.source, index, created)
    if signature := next((block.signature for block in texts if block.signature), ""):
        message["extra_content"] = signed(signature)
    calls = [call for block in content if (call := _write_call(block)) is not None]
    if calls and legacy and "function" in calls[0]:
        message["function_call"] = calls[0]["function"]
    elif calls:
        message["tool_calls"] = calls
    elif not refusal and not said:
        message["content"] = ""
    return message


def _write_thoughts(thoughts: list[Reasoning]) -> dict[str, Any]:
    written: dict[str, Any] = {"reasoning_content": "".join(block.text for block in thoughts)}
    if any(block.origin or is_proven(block) for block in thoughts):
        written["reasoning_details"] = write_details(thoughts)
    return written


def _write_call(block: Block) -> dict[str, Any] | None:
    if isinstance(block, ToolCall):
        return write_call(block)
    return write_custom(block) if isinstance(block, Foreign) else None


def write_made_image(block: Image) -> dict[str, Any] | None:
    """Write a picture that the model made; an answer has nobody to report to."""
    return write_image(block, Losses())


def _write_audio(source: Inline, index: int, created: int) -> dict[str, Any]:
    return {
        "id": f"audio_{created}_{index}",
        "data": source.data,
        "expires_at": created + _AUDIO_KEPT,
        "transcript": "",
    }
