"""What became of a reply before anybody looks at whether it is right: its state, and the text the model showed.

Unscored is not wrong: a failed, empty or cut-off reply says nothing about what the model knows.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files

from bench.records import ANSWERED, Reply, State
from bench.scoring.clean import plain

_REFUSAL_SIGNALS = frozenset(
    {"refusal", "content_filter", "safety", "prohibited_content", "blocklist", "spii", "guardrail_intervened"}
)
_LENGTH_SIGNALS = frozenset(
    {"length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"}
)
_LONGEST_REFUSAL_CHARS = 400
_TAG = "(?:think|thinking|thought|reasoning)"
_CLOSING = re.compile(rf"</{_TAG}>|\[/THINK\]", re.IGNORECASE)
_OPENING = re.compile(rf"<{_TAG}>|\[THINK\]", re.IGNORECASE)


def visible_text(text: str) -> tuple[str, bool]:
    """What was shown once thoughts are cut, and whether a thought was left open (then nothing was shown).

    The cut goes from the start to the *last* closing tag: servers that parse reasoning often leave only that one. Where
    nothing was closed, an opening tag opens a thought at the start only; elsewhere it is merely spoken of.
    """
    closings = list(_CLOSING.finditer(text))
    if closings:
        text = text[closings[-1].end() :]
    opened = _OPENING.search(text) if closings else _OPENING.match(text.lstrip())
    return ("", True) if opened else (text, False)


def state_of(reply: Reply, strict_found: bool, visible: str, *, found: bool = False) -> State:
    """`strict_found`, `found`: what strict and lenient extraction found in `visible`.

    A reply cut off at its limit still counts if it had already answered in the asked form.
    """
    if reply.status not in ANSWERED:
        return "unscored_error"
    signal = (reply.finish_reason or "").casefold()
    if reply.status in ("refused", "filtered") or signal in _REFUSAL_SIGNALS:
        return "refused"
    if not strict_found and cut_off(reply):
        return "unscored_truncated"
    if not visible.strip():
        return "unscored_empty"
    if not found and opens_with_refusal(visible):
        return "refused"
    return "scored"


def cut_off(reply: Reply) -> bool:
    """It hit its token limit, or ended inside a thought."""
    signal = (reply.finish_reason or "").casefold()
    return reply.status == "truncated" or signal in _LENGTH_SIGNALS or reply.unclosed_thought


def opens_with_refusal(visible: str) -> bool:
    """A short reply that begins with a phrase of `refusals.toml`. That it holds no answer is for the caller to know."""
    start = plain(visible.strip().lstrip("*_>\"' ")).casefold()
    return len(visible) < _LONGEST_REFUSAL_CHARS and start.startswith(_phrases())


@cache
def _phrases() -> tuple[str, ...]:
    declared = tomllib.loads(files("bench.scoring").joinpath("refusals.toml").read_text(encoding="utf-8"))
    return tuple(declared["opens_with"])
