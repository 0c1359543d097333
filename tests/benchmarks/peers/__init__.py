"""Other clients beside ours, and what each reports: `Seen`, one for each answer, in the terms of the server's log.

A client that runs in this process is a `Session`: it opens for a `Load` and sends one request at a time. One that is a
program of its own is an `Outside`: it is given the load and a folder, and what it wrote there is read afterwards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a client is asked to do: `rounds` times `streams` requests, so many at once, after `streams` to warm up."""

    url: str
    """With `/v1`."""
    model: str
    streams: int
    rounds: int
    limit_s: float
    """A program that runs longer, or a round of a client in this process, is stopped; then there is no row."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One answer as a client reports it [ns]."""

    request_id: str
    """The header `x-request-id`, which is in the server's log; of a client that sends none, its prompt, used once."""
    ttft_ns: int
    e2e_ns: int
    chunks: int


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A level's answers without those of the warm-up, and until which event the client's end-to-end time lasts."""

    seen: list[Seen]
    until: Literal["token", "finish", "done"] = "finish"
    cpu_s: float | None = None
    """Of the client, user and system; None for a program of its own."""


class PeerError(Exception):
    """A client gave no result; the text says why."""


Sender = Callable[[str], Awaitable[Seen]]
"""Sends one request of this id."""
Session = Callable[[Load], AbstractAsyncContextManager[Sender]]
Outside = Callable[[Load, Path], Heard]
