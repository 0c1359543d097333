"""The fast way: what it says a payload's text is, is what decoding says, and it learns only what it has tried out."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.client.pattern import Pattern
from bench.wires import Event, Usage, openai_chat


def payload(text: str, **more: object) -> bytes:
    return json.dumps(
        {"id": "c1", "choices": [{"index": 0, "delta": {"content": text}, **more}]}, ensure_ascii=False
    ).encode()


def learned(text: str = " tok", **more: object) -> Pattern:
    pattern = Pattern(openai_chat)
    pattern.learn(payload(text, **more), openai_chat.decode(payload(text, **more)))
    return pattern


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_what_it_answers_is_what_decoding_answers(text: str) -> None:
    assert learned().text_of(payload(text)) in ("", openai_chat.decode(payload(text)).text)


def test_plain_text_needs_no_parsing_and_everything_else_does() -> None:
    pattern = learned()
    assert pattern.text_of(payload("Grüße")) == "Grüße"
    for other in (
        payload('"'),
        payload("\\"),
        payload("\n"),
        payload(""),
        payload("x", finish_reason="stop"),
        b"",
        b"{}",
    ):
        assert pattern.text_of(other) == ""
    assert pattern.text_of(payload("X").replace(b"X", b"\xff")) == ""


def test_a_string_that_closes_early_and_reopens_is_not_taken_for_text() -> None:
    forged = payload("x").replace(b'"x"', b'"a"}}],"error":{"message":"x"},"y":[{"z":{"w":"b"')
    assert learned().text_of(forged) == ""


def test_a_text_that_also_stands_elsewhere_is_not_learned() -> None:
    assert learned("c1").text_of(payload("zz")) == ""


def test_an_end_or_a_wire_that_changes_its_text_is_not_learned() -> None:
    assert learned(finish_reason="stop").text_of(payload("zz", finish_reason="stop")) == ""

    class Loud:
        VERBATIM = True

        @staticmethod
        def decode(raw: bytes) -> Event:
            return Event(text=openai_chat.decode(raw).text.upper())

    pattern = Pattern(Loud())  # type: ignore[arg-type]
    pattern.learn(payload("ab"), Loud.decode(payload("ab")))
    assert pattern.text_of(payload("zz")) == ""


def test_usage_that_stays_the_same_does_not_hide_usage_that_changes() -> None:
    one = b'{"choices":[{"delta":{"content":"a"}}],"usage":{"completion_tokens":1}}'
    two = one.replace(b"1}", b"2}")
    pattern = Pattern(openai_chat)
    event = openai_chat.decode(one)
    assert event.usage == Usage(out_tokens=1)
    pattern.learn(one, event)
    assert pattern.text_of(one) == "a"
    assert pattern.text_of(two) == ""
