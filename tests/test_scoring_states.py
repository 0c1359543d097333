"""What becomes of a reply: the table of states, thoughts, and refusals."""

from __future__ import annotations

import pytest

from bench.records import Reply
from bench.scoring.states import opens_with_refusal, state_of, visible_text


@pytest.mark.parametrize(
    ("reply", "strict_found", "state"),
    [
        (Reply("Answer: 42"), True, "scored"),
        (Reply("no idea"), False, "scored"),
        (Reply("", status="timeout", finish_reason=None), False, "unscored_error"),
        (Reply("", status="http_error", finish_reason=None), False, "unscored_error"),
        (Reply("Answer: 42", status="stream_cut", finish_reason=None), True, "unscored_error"),
        (Reply("", status="cancelled", finish_reason=None), False, "unscored_error"),
        (Reply("", status="garbled", finish_reason=None), False, "unscored_error"),
        (Reply("half an ans", finish_reason="length"), False, "unscored_truncated"),
        (Reply("half an ans", finish_reason="MAX_TOKENS"), False, "unscored_truncated"),
        (Reply("half an ans", status="truncated", finish_reason="length"), False, "unscored_truncated"),
        (Reply("Answer: 42", status="truncated", finish_reason="length"), True, "scored"),
        (Reply("", unclosed_thought=True), False, "unscored_truncated"),
        (Reply("", finish_reason="length"), False, "unscored_truncated"),
        (Reply(""), False, "unscored_empty"),
        (Reply(" \n"), False, "unscored_empty"),
        (Reply("", status="refused", finish_reason="refusal"), False, "refused"),
        (Reply("", status="filtered", finish_reason="content_filter"), False, "refused"),
        (Reply("Answer: 42", finish_reason="SAFETY"), True, "refused"),
        (Reply("I can't help with that."), False, "refused"),
        (Reply("I’m sorry, but I cannot do that."), False, "refused"),
        (Reply("I cannot do that. " + "Because of reasons. " * 30), False, "scored"),
    ],
)
def test_the_table_of_states(reply, strict_found, state):
    assert state_of(reply, strict_found, str(reply)) == state


def test_a_phrase_of_refusal_before_an_answer_is_no_refusal():
    assert state_of(Reply("I can't be sure. Answer: 42"), True, "I can't be sure. Answer: 42", found=True) == "scored"


@pytest.mark.parametrize(
    ("text", "visible", "unclosed"),
    [
        ("<think>7</think>Answer: 42", "Answer: 42", False),
        ("thoughts without an opening</think>42", "42", False),
        ("<think>a</think>b</think>c", "c", False),
        ("<thinking>a</thinking>\nb", "\nb", False),
        ("[THINK]a[/THINK]b", "b", False),
        ("<THINK>a</THINK>b", "b", False),
        ("<think>and then it stopped", "", True),
        ("<think>a</think>b<think>c", "", True),
        ("a < b and b > c", "a < b and b > c", False),
        ("", "", False),
    ],
)
def test_thoughts_are_cut_up_to_the_last_closing_tag(text, visible, unclosed):
    assert visible_text(text) == (visible, unclosed)


def test_only_the_declared_openings_count_as_refusal():
    assert opens_with_refusal("**I won't** do it")
    assert opens_with_refusal("  As an AI, I have no view")
    assert not opens_with_refusal("It can't be more than 42")
    assert not opens_with_refusal("I can! 42")
