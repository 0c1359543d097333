"""What we observe: Endpoint, Request, Measurement, Sample, Score.

Stamps are integer nanoseconds of one monotonic clock (`time.perf_counter_ns`); `None` means unknown,
zero means zero. The column names of `Measurement` are those of the table `request`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal[
    "ok",
    "refused",
    "truncated",
    "filtered",
    "http_error",
    "timeout",
    "connect_error",
    "stream_cut",
    "garbled",
    "cancelled",
]
ANSWERED: frozenset[str] = frozenset({"ok", "refused", "truncated", "filtered"})
"""Statuses in which the server said all it was going to say: asking again would buy the same thing twice."""

Kind = Literal["quality", "load", "canary", "warmup"]
Layer = Literal["on-device", "self-hosted", "decentralised", "hosted-open", "hosted-closed", "reference"]
TokensSource = Literal["server", "client", "estimate"]
State = Literal["scored", "unscored_error", "unscored_truncated", "unscored_empty", "refused"]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An address that speaks a wire protocol: everything we measure is one of these first."""

    target_id: str
    base_url: str
    """Without a trailing slash, with the version part: `http://127.0.0.1:8000/v1`."""
    wire: str
    """Name of a module in `bench.wires`."""
    model: str
    """The name sent to the server."""
    key_ref: str | None = None
    """Where the key is, never the key: `env:NAME` or `file:PATH`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    quirks: Mapping[str, Any] = field(default_factory=dict)
    """Deviations of this exact model or provider, read by the wire's `encode` (data, from the catalogue)."""
    proxy: str | None = None
    """Goes through this proxy whatever the environment says; `none` = through none."""
    ca_file: str | None = None
    """PEM file of the authorities to trust instead of the system's."""
    client_cert: str | None = None
    """PEM file with the certificate this client shows (mutual TLS), and its key unless `client_key` names it."""
    client_key: str | None = None
    connect_timeout_s: float = 10.0
    first_token_timeout_s: float = 600.0
    stall_timeout_s: float = 120.0
    """Longest silence inside a stream."""
    total_timeout_s: float = 1800.0


@dataclass(frozen=True, kw_only=True)
class Message:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A function the model may call."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    """JSON Schema of its arguments."""


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A call the model made; nobody runs it."""

    id: str | None
    name: str
    arguments: str
    """JSON text, its pieces joined, as it came."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One attempt at one question. Exactly one of `messages` and `prompt` is set."""

    request_id: str
    """Unique per attempt."""
    request_key: str
    """The same for every attempt at the same question: sha256(fingerprint, prompt, arguments, repeat)."""
    kind: Kind = "quality"
    messages: tuple[Message, ...] | None = None
    prompt: str | None = None
    max_tokens: int = 256
    temperature: float | None = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None
    echo: bool = False
    effort: str | None = None
    """How hard to think, in the provider's own word (`none`, `low`, `high` …); None = its default."""
    thinking_tokens: int | None = None
    """How many of `max_tokens` may be thoughts, where a target takes such a number; None = its default."""
    tools: tuple[Tool, ...] = ()
    tool_choice: str | None = None
    """`auto`, `none`, `required`, or the name of the tool that must be called; None = the provider's default."""
    answer_schema: Mapping[str, Any] | None = None
    """JSON Schema that the answer is to follow (structured output)."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Merged into the body as it is (`ignore_eos`, a router's choice of hosts …)."""
    task: str | None = None
    doc_id: int | None = None
    repeat: int = 0
    attempt: int = 0
    sched_ns: int | None = None
    """When it was due; None = the moment it is sent."""


@dataclass(frozen=True, kw_only=True)
class TokenLogprob:
    """One token and its natural-log probability; `None` for the first token of an echoed prompt."""

    token: str
    logprob: float | None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One attempt and all that came back of it: a row of `request`, and of `request_text`.

    Definitions of the stamps are in METRICS section 1: `sent_ns` = handed to the socket, `first_event_ns` = first
    event of the body, `first_token_ns` = first event with non-empty content of any kind, `first_answer_ns` = first
    that is not reasoning, `end_ns` = the event with the finish reason (or when it failed).
    """

    request_id: str
    run_id: str | None = None
    target_id: str
    request_key: str
    attempt: int = 0
    kind: Kind
    task: str | None = None
    doc_id: int | None = None
    repeat: int = 0
    status: Status
    http_status: int | None = None
    error: str | None = None
    sched_ns: int | None = None
    sent_ns: int | None = None
    headers_ns: int | None = None
    first_event_ns: int | None = None
    first_token_ns: int | None = None
    first_answer_ns: int | None = None
    last_token_ns: int | None = None
    end_ns: int | None = None
    started_at: str
    """UTC wall time, ISO 8601 with microseconds and `Z`."""
    connection_reused: bool | None = None
    inflight: int | None = None
    """Requests of this client under way when this one was sent, itself included."""
    in_tokens: int | None = None
    in_cached_tokens: int | None = None
    in_cache_write_tokens: int | None = None
    out_tokens: int | None = None
    reasoning_tokens: int | None = None
    tokens_source: TokensSource | None = None
    chunks: int = 0
    """Token-bearing events, not reads and not tokens."""
    finish_reason: str | None = None
    """As the server wrote it."""
    response_id: str | None = None
    response_model: str | None = None
    system_fingerprint: str | None = None
    routed_provider: str | None = None
    provider_usd: str | None = None
    """What the provider says it billed, a decimal string."""
    replayed: bool = False
    # How good the stamps are; extra columns of `request`.
    stamp_source: Literal["kernel", "read", "httpx"] | None = None
    read_lag_max_ns: int | None = None
    """Largest stamp-to-read distance in this answer: how late the event loop was."""
    merged_reads: int | None = None
    """Reads in which the kernel had merged several token events into one stamp."""
    retry_after_s: float | None = None
    retryable: bool = False
    """Whether asking again can help (429, 5xx, timeouts, cut streams; never a plain 4xx)."""
    waited_s: float | None = None
    """How long this attempt was held back before it was sent: by the target's limits, or to back off."""
    service_tier: str | None = None
    """As the provider said it was served (`default`, `flex`, `priority`, `batch` …): it changes price and latency."""
    schema_valid: bool | None = None
    """Whether the answer follows `answer_schema` and every tool call its parameters; None where nothing was asked."""
    server_queue_ms: float | None = None
    server_prefill_ms: float | None = None
    server_decode_ms: float | None = None
    """The server's own word on its time, beside ours: waiting, reading the prompt, writing the answer."""
    # Load traffic; None elsewhere.
    step: int | None = None
    """Step of the load run, from 0."""
    lane: Literal["httpx", "raw"] | None = None
    """Which client carried it: httpx's API, or bare sockets."""
    worker: int | None = None
    """Number of the client process that sent it."""
    asked_in_tokens: int | None = None
    asked_out_tokens: int | None = None
    """What the load's shape asked for, or what a question reserves (its prompt, estimated, and its token cap); what the
    server counted is in `in_tokens` and `out_tokens`."""
    prompt_cache: Literal["cold", "warm"] | None = None
    """`cold`: nothing of the prompt was sent before; `warm`: it begins like others."""
    # The text half: `request_text`.
    prompt: str | None = None
    """What was asked, messages as JSON, or the plain prompt."""
    answer: str | None = None
    """Visible text, reasoning cut out. None where nothing was answered; kept, for reading only, on a cut stream."""
    reasoning: str | None = None
    chunk_offsets_ns: tuple[int, ...] = ()
    """Stamp of each token-bearing event less `sent_ns`."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    tool_calls: tuple[ToolCall, ...] | None = None


class Reply(str):
    """The visible text of an answer as lm-eval carries it about, with what the scorer needs to know beside it."""

    status: Status
    finish_reason: str | None
    request_id: str | None
    unclosed_thought: bool

    def __new__(
        cls,
        text: str = "",
        *,
        status: Status = "ok",
        finish_reason: str | None = "stop",
        request_id: str | None = None,
        unclosed_thought: bool = False,
    ) -> Reply:
        self = super().__new__(cls, text)
        self.status = status
        self.finish_reason = finish_reason
        self.request_id = request_id
        self.unclosed_thought = unclosed_thought
        return self


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One repeat of one item under one metric: a row of `sample`."""

    task: str
    doc_id: int
    item_id: str
    repeat: int
    metric: str
    state: State
    value: float | None
    """In [0, 1]; None unless `state` is `scored` (or `refused`, which scores 0)."""
    answer: str | None
    expected: str | None
    reason: str | None = None
    request_id: str | None = None
    cluster: str | None = None


@dataclass(frozen=True, kw_only=True)
class Score:
    """One figure of one task (or `macro`) with its interval: a row of `score`."""

    task: str
    metric: str
    value: float | None
    stderr: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    n_unscored: int
    low_bound: float | None
    """All unscored items counted wrong."""
    high_bound: float | None
    """All unscored items counted right."""
    method: str
