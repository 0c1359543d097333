"""What a server's finish reason means for a row: the table of all wires, raw value to status."""

from __future__ import annotations

from bench.records import Status

_OK = """stop eos eos_token tool_calls function_call end_turn stop_sequence tool_use STOP COMPLETE STOP_SEQUENCE
TOOL_CALL completed word"""
_TRUNCATED = """length max_tokens MAX_TOKENS max_output_tokens model_context_window_exceeded CONTINUATION pause_turn
compaction repetition limit incomplete max_messages steered"""
_FILTERED = """content_filter sensitive SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII NO_IMAGE ESCALATION
MODEL_ARMOR PUP_LIMITED_DISABLED guardrail_intervened content_filtered ERROR_TOXIC"""
_FAILED = "error ERROR TIMEOUT failed network_error insufficient_system_resource abort cancelled"
_GARBLED = """MALFORMED_FUNCTION_CALL MALFORMED_RESPONSE UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS
MISSING_THOUGHT_SIGNATURE malformed_model_output malformed_tool_use"""

_STATUS: dict[str, Status] = {
    **dict.fromkeys(_OK.split(), "ok"),
    **dict.fromkeys(_TRUNCATED.split(), "truncated"),
    **dict.fromkeys(_FILTERED.split(), "filtered"),
    **dict.fromkeys(_FAILED.split(), "http_error"),
    **dict.fromkeys(_GARBLED.split(), "garbled"),
    "refusal": "refused",
}


def status_of(finish_reason: str) -> Status | None:
    """The status of an answer that ended so; None for a value nobody has described, which is never taken for `ok`."""
    if finish_reason.startswith(("IMAGE_", "blockReason ")):
        return "filtered"
    return _STATUS.get(finish_reason)
