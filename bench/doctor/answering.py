"""Whether and how it answers: the first question, the stream's shape, usage, and the token cap."""

from __future__ import annotations

import re
from statistics import median
from typing import Any

from bench.doctor.visit import COUNTING, PLAIN, Visit, answered, refused, said, why
from bench.errors import nearest
from bench.records import Measurement
from bench.wires.common import number

CAPS = ("max_tokens", "max_completion_tokens")
TRIES = 4
SLACK_TOKENS = 1
"""What a server may count beyond the cap: an end token, or the one it was about to say."""
BURST = 0.05
MIN_BURST_MS = 100.0


async def hello(visit: Visit) -> None:
    """The smallest question, as a run would ask it. What is refused by name is left out or renamed, and asked again."""
    text = "Reply with the single word: ok" if visit.chat else PLAIN
    answer = await visit.ask(text, cap=16)
    for _ in range(TRIES):
        if answered(answer) or not refused(answer) or not _mended(visit, answer):
            break
        answer = await visit.ask(text, cap=16)
    if not answered(answer):
        raise visit.fatal(*_hopeless(visit, answer))
    shown = f"{answer.answer!r}" if answer.answer or not answer.reasoning else f"thoughts {answer.reasoning[:40]!r} …"
    said_no = answer.status in ("refused", "filtered")
    visit.tell("answers", "note" if said_no else "ok", f"{shown}, finish reason {answer.finish_reason!r}")
    _echoed(visit, answer)
    _usage(visit, answer)


def _mended(visit: Visit, answer: Measurement) -> bool:
    """A quirk for what this refusal names; False where it names nothing that we know a way round."""
    body, error = (visit.tape.sent.body if visit.tape.sent else {}), (answer.error or "").lower()
    for cap in CAPS:
        other = CAPS[1 - CAPS.index(cap)]
        if cap in body and (re.search(rf"\b{other}\b", error) or re.search(rf"\b{cap}\b", error)):
            visit.tell("cap field", "bad", f"{cap} is refused: {why(answer)}", quirks={"cap_field": other})
            return True
    if "temperature" in error and visit.target.options.temperature is not None:
        visit.tell("temperature", "bad", f"refused: {why(answer)}", quirks={"sampling": "refused"})
        return visit.endpoint.quirks.get("sampling") == "refused" and "temperature" in body
    if "stream_options" in body and re.search(r"stream_options|include_usage|include_obfuscation", error):
        left = {"include_usage": True} if "include_obfuscation" in error else False
        if left != body["stream_options"]:
            visit.tell("stream options", "bad", f"refused: {why(answer)}", quirks={"stream_options": left})
            return True
    return False


def _hopeless(visit: Visit, answer: Measurement) -> tuple[str, str]:
    told, where = why(answer, 300), visit.endpoint
    match answer.http_status:
        case 401 | 403 if where.key_ref is None:
            return "key", f'{told}; a key is needed: add key = "env:NAME" to its block in targets.toml'
        case 401 | 403:
            return "key", f"{told}; {where.key_ref} is not accepted for {where.model}"
        case 402 | 429:
            return "answers", f"{told}; see the account's balance and limits at the provider"
        case 404:
            close = nearest(where.model, visit.listed) if where.model not in visit.listed else ""
            return "answers", f"{told}; is {where.model!r} its name there, and {where.base_url} the address?{close}"
        case _:
            return "answers", told


def _echoed(visit: Visit, answer: Measurement) -> None:
    asked, echo = visit.endpoint.model, answer.response_model
    if echo is None:
        visit.tell("model echo", "note", "the answer does not say which model it is from")
    elif asked.endswith(echo) or echo.endswith(asked) or echo.startswith(asked) or asked.startswith(echo):
        visit.tell("model echo", "ok", echo)
    elif echo in visit.listed and asked in visit.listed:
        visit.tell("model echo", "bad", f"{asked} was asked and {echo} answered, another model that it lists")
    else:
        visit.tell("model echo", "note", f"{asked} was asked, the answer says {echo}: an alias, or another model")


def _usage(visit: Visit, answer: Measurement) -> None:
    if answer.tokens_source != "server":
        visit.tell("usage", "bad", "the server counts no tokens: tokens/s and dollars will be empty")
        return
    told = [f"{answer.in_tokens} in, {answer.out_tokens} out in {answer.chunks} chunks"]
    told.append("cached tokens reported" if answer.in_cached_tokens is not None else "cached tokens not reported")
    if answer.reasoning_tokens is not None:
        told.append(f"reasoning tokens reported ({answer.reasoning_tokens})")
    state = "ok"
    if (answer.out_tokens or 0) < (answer.reasoning_tokens or 0):
        visit.tell(
            "usage",
            "bad",
            f"{answer.out_tokens} out is less than {answer.reasoning_tokens} of reasoning: it is left out",
            quirks={"output_excludes_reasoning": True},
        )
        return
    visit.tell("usage", "ok" if state == "ok" else "bad", ", ".join(told))
    if not answer.out_tokens and said(answer):
        visit.tell("usage counts", "bad", "an answer with text is counted as 0 tokens: tokens/s and dollars are wrong")


async def stream(visit: Visit) -> None:
    """What the stream looks like, and whether it is one."""
    answer = await visit.ask(COUNTING, cap=48)
    if answered(answer) and not answer.chunks and not visit.chat:
        answer = await visit.ask(PLAIN)
    if not answered(answer):
        visit.tell("stream", "bad", f"a longer answer failed: {why(answer)}")
        return
    first, last, sent, end = answer.first_token_ns, answer.last_token_ns, answer.sent_ns, answer.end_ns
    if first is None or last is None or sent is None or end is None:
        visit.tell("stream", "bad", "no token was ever seen to arrive")
        return
    ttft_ms, e2e_ms = (first - sent) / 1e6, (end - sent) / 1e6
    stamped = f"first token after {ttft_ms:.1f} ms of {e2e_ms:.1f} ms, stamped by {answer.stamp_source}"
    if answer.chunks <= 1:
        visit.tell("stream", "note", f"answers come in one piece: tokens/s will be empty; {stamped}")
    elif e2e_ms > MIN_BURST_MS and (last - first) / 1e6 < BURST * e2e_ms and answer.chunks >= 4:
        visit.tell(
            "stream",
            "bad",
            f"not streamed: {answer.chunks} chunks in one burst at the end, so TTFT and tokens/s would lie; {stamped}; "
            "look for a proxy or gateway that buffers",
        )
    else:
        visit.tell("stream", "ok", stamped)
    visit.tell("stream shape", "note", ", ".join(_shape(visit, answer)))


def _shape(visit: Visit, answer: Measurement) -> list[str]:
    raw, payloads = bytes(visit.tape.raw), visit.payloads()
    told = [f"{answer.chunks} chunks with text"]
    if answer.out_tokens and answer.chunks:
        told[0] += f" ({answer.out_tokens / answer.chunks:.1f} tokens each)"
    told += _framed(raw)
    choices = [each for payload in payloads for each in payload.get("choices") or []]
    if choices and isinstance(choices[0], dict):
        delta = choices[0].get("delta")
        if isinstance(delta, dict) and "role" in delta and not delta.get("content"):
            told.append(f"role first, content {delta.get('content', 'absent')!r}")
        counted = [payload for payload in payloads if payload.get("usage")]
        told.append(_usage_place(counted))
        told.append("[DONE]" if b"[DONE]" in raw else "no [DONE]")
    if (coding := visit.headers.get("content-encoding", "identity")) != "identity":
        told.append(f"{coding}, though it was not asked for")
    return told


def _framed(raw: bytes) -> list[str]:
    """Line ends and comments; frames of a length hold zero bytes, lines of JSON or of server-sent events none."""
    if b"\0" in raw:
        return ["binary frames"]
    ends = "CRLF" if b"\r\n" in raw else "CR" if b"\r" in raw else "LF"
    return [ends, "comments"] if re.search(rb"(?m)^:", raw) else [ends]


def _usage_place(counted: list[dict[str, Any]]) -> str:
    if not counted:
        return "no usage"
    if len(counted) > 1:
        return f"usage on {len(counted)} chunks"
    return "usage on the finish chunk" if counted[0].get("choices") else "usage in a chunk of its own"


async def cap(visit: Visit) -> None:
    """Whether the token cap holds; if not, whether the field's other name does."""
    text, most = COUNTING, 16
    held, answer = await _held(visit, text, most)
    if held is None and not visit.chat and (n := _out(visit.answers[0])) >= 2:
        text, most = PLAIN, n - 1
        held, answer = await _held(visit, text, most)
    name = _cap_name(visit, most)
    if held:
        visit.tell("cap field", "ok", f"{name} holds: {_out(answer)} tokens of {most}")
    elif not answered(answer):
        visit.tell("cap field", "note", f"the question about it failed: {why(answer)}")
    elif held is None:
        visit.tell("cap field", "note", f"{name} is accepted; the answer ended by itself within {most} tokens")
    else:
        told = f"{name} is ignored: {_out(answer)} tokens came where {most} were allowed"
        await _other_cap(visit, told, text, most)


async def _other_cap(visit: Visit, told: str, text: str, most: int) -> None:
    now = visit.endpoint.quirks.get("cap_field", "max_tokens")
    other = CAPS[1 - CAPS.index(now)] if now in CAPS else None
    probe = visit.request(text)
    if other and visit.changes(probe, probe, {"cap_field": other}):
        held, answer = await _held(visit, text, most, {"cap_field": other})
        if held:
            visit.tell("cap field", "bad", f"{told}; {other} holds", quirks={"cap_field": other})
            return
        told += f"; {other} too" if answered(answer) else f"; {other} is refused"
    visit.tell("cap field", "bad", f"{told}: no cap protects time or money here")


async def _held(
    visit: Visit, text: str, most: int, bend: dict[str, Any] | None = None
) -> tuple[bool | None, Measurement]:
    """None: the answer was over before the cap could show."""
    answer = await visit.ask(text, cap=most, bend=bend)
    if not answered(answer) or _out(answer) > most + SLACK_TOKENS:
        return False, answer
    return (True if answer.status == "truncated" or _out(answer) >= most else None), answer


def _out(answer: Measurement) -> int:
    return answer.out_tokens or answer.chunks


def _cap_name(visit: Visit, most: int) -> str:
    """The field of the body that holds the cap."""
    body = visit.tape.sent.body if visit.tape.sent else {}
    return next((path for path, value in _leaves(body) if number(value) == most), "the token cap")


def _leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(path, value)]
    return [leaf for key, each in value.items() for leaf in _leaves(each, f"{path}.{key}" if path else str(key))]


def round_trip(visit: Visit, answers: list[Measurement]) -> None:
    """Medians over equal short questions."""
    ttft = [(m.first_token_ns - m.sent_ns) / 1e6 for m in answers if m.first_token_ns and m.sent_ns]
    e2e = [(m.end_ns - m.sent_ns) / 1e6 for m in answers if m.end_ns and m.sent_ns]
    if ttft and e2e:
        reused = sum(bool(m.connection_reused) for m in answers)
        visit.tell(
            "round trip",
            "ok",
            f"median of {len(ttft)}: first token {median(ttft):.1f} ms, whole answer {median(e2e):.1f} ms; "
            + (f"{reused} on a kept connection" if reused else "the connection is closed after every answer"),
        )
