"""A target: one model at one address or engine, with everything that can change its answers."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any

from pydantic import Field, field_validator, model_validator

from bench.catalog.address import checked_url, is_loopback, safe, split
from bench.catalog.files import Noun
from bench.catalog.keys import checked_headers, checked_reference, problem_with, public_reference, redacted
from bench.catalog.nouns import Count, Number, Usd
from bench.catalog.quirks import checked_quirks
from bench.errors import ConfigError
from bench.records import Endpoint, Layer

TIMEOUTS = ("connect_timeout_s", "first_token_timeout_s", "stall_timeout_s", "total_timeout_s")
WAY = ("proxy", "ca_file", "client_cert", "client_key")
"""How the network is crossed: never what is answered."""


class Options(Noun):
    """How a target is asked."""

    temperature: Number | None = Field(default=0.0, ge=0)
    """Write `temperature = "unset"` to leave it to the server."""
    max_tokens: Count | None = Field(default=None, gt=0)
    """Lowers the task's cap of the visible answer; never raises it."""
    reasoning_budget: Count = Field(default=0, ge=0)
    """Tokens of thinking added to the cap."""
    reasoning_effort: str | None = None
    """The provider's own word: `none`, `minimal`, `low`, `medium`, `high` …; None leaves it to the server."""
    seed: Count | None = None
    extra: dict[str, Any] = Field(default_factory=dict)
    """Merged into the body as it is: `extra = { top_k = 20 }`."""
    concurrency: Count | None = Field(default=None, gt=0)
    """Requests under way at once in quality traffic; None = the caller's default."""
    connect_timeout_s: Number = Field(default=10.0, gt=0)
    first_token_timeout_s: Number = Field(default=600.0, gt=0)
    stall_timeout_s: Number = Field(default=120.0, gt=0)
    total_timeout_s: Number = Field(default=1800.0, gt=0)
    proxy: str | None = None
    """`http://HOST:PORT`, or `none`; otherwise the environment's HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY."""
    ca_file: str | None = None
    """Authorities to trust (PEM) instead of the system's or SSL_CERT_FILE's."""
    client_cert: str | None = None
    client_key: str | None = None

    @field_validator("temperature", mode="before")
    @classmethod
    def _unset(cls, value: object) -> object:
        return None if value == "unset" else value

    @field_validator("proxy")
    @classmethod
    def _proxy(cls, proxy: str | None) -> str | None:
        if proxy is None or proxy == "none" or (proxy.startswith("env:") and checked_reference(proxy)):
            return proxy
        if "@" in proxy:
            raise ValueError('the proxy holds credentials; write proxy = "env:NAME" and put the address there')
        if split(proxy).scheme not in ("http", "https", "socks5", "socks5h"):
            raise ValueError("no proxy's address; write http://HOST:PORT, or none")
        return proxy

    def answering(self) -> dict[str, Any]:
        """The options that can change an answer; patience, parallelism and the way through the network can't."""
        told = self.model_dump(mode="json", exclude={"concurrency", *TIMEOUTS, *WAY})
        if self.reasoning_effort is None:
            del told["reasoning_effort"]  # younger than the first fingerprints
        return told


class Declared(Noun):
    """What a target and the block of targets.toml that declares one have in common."""

    headers: dict[str, str] = Field(default_factory=dict)
    quirks: dict[str, Any] = Field(default_factory=dict)
    options: Options = Options()
    engine_args: dict[str, Any] = Field(default_factory=dict)
    """Handed to the engine as they are: `{ max-model-len = 8192 }`."""
    revision: str | None = None
    """Of the weights: a commit, or a sha256."""
    quantisation: str | None = None
    usd_per_mtok_in: Usd | None = None
    usd_per_mtok_cached: Usd | None = None
    usd_per_mtok_out: Usd | None = None
    allow_insecure: bool = False
    """Lets a key travel over plain http to another machine."""
    note: str = ""

    _quirks = field_validator("quirks")(checked_quirks)
    _headers = field_validator("headers")(checked_headers)


class Target(Declared):
    """What is measured. Resolved from what the user typed by `bench.catalog.target`."""

    id: str
    layer: Layer
    engine: str | None = None
    """Launched here by `bench.engines`; then `base_url` is only known while it runs."""
    provider: str | None = None
    wire: str
    base_url: str | None = None
    model: str = Field(min_length=1)
    """The name sent to the server."""
    key_ref: str | None = None

    @field_validator("base_url")
    @classmethod
    def _url(cls, url: str | None) -> str | None:
        return None if url is None else checked_url(url)

    @field_validator("key_ref")
    @classmethod
    def _key(cls, reference: str | None) -> str | None:
        return None if reference is None else checked_reference(reference)

    @model_validator(mode="after")
    def _consistent(self) -> Target:
        if (self.base_url is None) == (self.engine is None):
            raise ValueError("exactly one of base_url and engine says where the model is; give one of them")
        if (self.usd_per_mtok_in is None) != (self.usd_per_mtok_out is None):
            raise ValueError("usd_per_mtok_in and usd_per_mtok_out are given together or not at all")
        if self.base_url and self.key_ref and not self.allow_insecure and _in_the_clear(self.base_url):
            raise ValueError(
                f"base_url = {safe(self.base_url)!r} would send the key unencrypted to another machine; "
                "use https, or set allow_insecure = true"
            )
        return self

    def fingerprint(self) -> str:
        """sha256 over all that is declared and can change an answer; never the key, the price or the patience.

        METRICS section 5: a new fingerprint is a new revision of the target, a visible break in every series.
        """
        parts = {
            "at": self.base_url or self.engine,
            "wire": self.wire,
            "model": self.model,
            "headers": redacted(self.headers),
            "quirks": self.quirks,
            "options": self.options.answering(),
            "engine_args": self.engine_args,
            "revision": self.revision,
            "quantisation": self.quantisation,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

    def endpoint(self, base_url: str | None = None) -> Endpoint:
        """The address to measure; `base_url` is what an engine lends. ConfigError when the key can't be read now."""
        address = base_url or self.base_url
        if address is None:
            raise ConfigError(f"target {self.id} has no address of its own: engine {self.engine!r} must serve it first")
        if problem := problem_with(self.key_ref):
            raise ConfigError(f"target {self.id}: {problem}")
        options = {name: getattr(self.options, name) for name in (*TIMEOUTS, *WAY)}
        return Endpoint(
            target_id=self.id,
            base_url=address.rstrip("/"),
            wire=self.wire,
            model=self.model,
            key_ref=self.key_ref,
            headers=self.headers,
            quirks=self.quirks,
            **options,
        )

    def public(self) -> dict[str, Any]:
        """What goes into run.json: JSON-ready, with no secret in it."""
        told = self.model_dump(mode="json")
        told.update(
            headers=redacted(self.headers), key_ref=public_reference(self.key_ref), fingerprint=self.fingerprint()
        )
        return {**told, **{name: _plain(getattr(self, name)) for name in told if name.startswith("usd_")}}


class UserTarget(Declared):
    """A `[[targets]]` block of targets.toml, as people type it."""

    id: str = Field(pattern=r"^\S+$")
    model: str = Field(min_length=1)
    provider: str | None = None
    engine: str | None = None
    base_url: str | None = None
    wire: str | None = None
    layer: Layer | None = None
    key: str | None = None

    @field_validator("key")
    @classmethod
    def _key(cls, reference: str | None) -> str | None:
        return None if reference is None else checked_reference(reference)

    @model_validator(mode="after")
    def _somewhere(self) -> UserTarget:
        if not (self.provider or self.engine or self.base_url):
            raise ValueError("one of provider, engine and base_url is needed to say where the model is")
        if self.engine and (self.provider or self.base_url):
            raise ValueError("engine stands alone: it is launched here and lends its own address")
        return self

    def given(self) -> dict[str, Any]:
        """What the user wrote, under a Target's names, less what says where the model is."""
        told = {name: getattr(self, name) for name in self.model_fields_set - {"model", "provider", "engine"}}
        if "key" in told:
            told["key_ref"] = told.pop("key")
        return told


def _in_the_clear(url: str) -> bool:
    return url.startswith("http:") and not is_loopback(url)


def _plain(usd: Decimal | None) -> str | None:
    return None if usd is None else str(usd)
