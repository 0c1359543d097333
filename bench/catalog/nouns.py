"""What we declare besides targets and suites: Provider, Model, Gpu, Price, Load."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from bench.catalog.address import checked_url, filled, variables_in
from bench.catalog.files import Noun
from bench.catalog.quirks import checked_quirks
from bench.errors import ConfigError
from bench.records import Layer

Number = Annotated[float, Field(strict=True)]
"""A TOML number; the text "60" and the word true are refused."""
Count = Annotated[int, Field(strict=True)]
Usd = Annotated[Decimal, Field(ge=0)]
Access = Literal["fully open", "open weights", "open weights restricted", "api-only", "unreleased"]
"""`fully open`: weights, training code and training data. `restricted`: a licence that limits users or uses."""


class BatchTerms(Noun):
    """A provider's batch API and what one batch may hold; its price is the tier `batch` of `bench.price`."""

    api: str
    """Name of a module in `bench.batch`."""
    requests: Count = Field(gt=0)
    mib: Count = Field(gt=0)
    """Of the requests together, as they are sent."""
    path: str = "/v1"
    """Put before a wire's path where the endpoint of a batch is named."""
    window: str = "24h"
    upload: str = "/files"
    """Where OpenAI's likes take the file of requests, and the purpose they want to be told."""
    purpose: str = "batch"
    bare_lines: bool = False
    """Requests are `custom_id` and `body` alone, and the batch takes no metadata."""


class Provider(Noun):
    """Somebody's address that speaks one or more wires; one file in `providers/`."""

    id: str
    name: str
    aliases: tuple[str, ...] = ()
    layer: Layer
    """Of the host; whether a model is open is the model's own fact."""
    wires: tuple[str, ...] = Field(min_length=1)
    """The first is the one used unless a target says otherwise."""
    base_url: str
    """May hold `{NAME}` or `{NAME=default}` for a variable of the environment: a region, an account, a resource.

    One that begins the address holds an origin: `{OLLAMA_HOST=http://127.0.0.1:11434}/v1`.
    """
    base_urls: dict[str, str] = Field(default_factory=dict)
    """By wire, where one has an address of its own."""
    base_url_env: tuple[str, ...] = ()
    """Variables that, the first one set, replace `base_url` for the wires without an address of their own."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Sent with every request, by wire where only one needs them: see `wire_headers`."""
    wire_headers: dict[str, dict[str, str]] = Field(default_factory=dict)
    wire_quirks: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Deviations on one wire; a model's own win over them, so a model says by wire what no other wire knows."""
    key_env: str | None = None
    key_env_also: tuple[str, ...] = ()
    """Other names that people give the variable; looked at when `key_env` is not set."""
    key_optional: bool = False
    """Local servers: the key is sent only when the variable is set."""
    price_book: str | None = None
    """This provider's id in genai-prices."""
    batch: BatchTerms | None = None
    """Where it takes questions in bulk, at a lower price."""
    quirks: dict[str, Any] = Field(default_factory=dict)
    models: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Quirks by exact model id; they win over the provider's. Its own `wire_quirks`, by wire, win over these."""
    docs: str | None = None
    note: str = ""
    source: str = ""
    """Where these facts were read, and the day; every packaged file says both, a user's block may."""
    date: dt.date | None = None

    @field_validator("base_url")
    @classmethod
    def _url(cls, url: str) -> str:
        checked_url(filled(url, dict.fromkeys(variables_in(url), "x")))
        return url.rstrip("/")

    @field_validator("base_urls")
    @classmethod
    def _urls(cls, urls: dict[str, str]) -> dict[str, str]:
        return {wire: cls._url(url) for wire, url in urls.items()}

    @field_validator("wire_quirks")
    @classmethod
    def _wire_quirks(cls, quirks: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {wire: checked_quirks(some) for wire, some in quirks.items()}

    _quirks = field_validator("quirks")(checked_quirks)

    @field_validator("models")
    @classmethod
    def _model_quirks(cls, models: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {model: _checked_model(quirks) for model, quirks in models.items()}

    def quirks_of(self, model: str, wire: str | None = None) -> dict[str, Any]:
        """Deviations of this exact model id, on that wire: never found by a part of its name."""
        own = dict(self.models.get(model, {}))
        by_wire = own.pop("wire_quirks", {})
        return {**self.quirks, **self.wire_quirks.get(wire or "", {}), **own, **by_wire.get(wire or "", {})}

    @property
    def key_names(self) -> tuple[str, ...]:
        """The variables that may hold the key, the first one set is taken."""
        return tuple(name for name in (self.key_env, *self.key_env_also) if name)

    def url(self, wire: str, environ: Mapping[str, str]) -> str:
        """The address on that wire, variables filled in; ConfigError names the one that is not set."""
        if missing := self.missing(wire, environ):
            raise ConfigError(
                f"provider {self.id}: its address {self._open_url(wire, environ)} needs the variable {missing[0]}, "
                f"which is not set; run: export {missing[0]}=…"
            )
        return filled(self._open_url(wire, environ), environ)

    def missing(self, wire: str, environ: Mapping[str, str]) -> tuple[str, ...]:
        """The variables that the address on that wire needs and that are not set."""
        needed = variables_in(self._open_url(wire, environ))
        return tuple(name for name, default in needed.items() if default is None and not environ.get(name))

    def _open_url(self, wire: str, environ: Mapping[str, str]) -> str:
        own = self.base_urls.get(wire)
        if own is None:
            own = next((environ[name] for name in self.base_url_env if environ.get(name)), self.base_url)
        return own


def _checked_model(quirks: Mapping[str, Any]) -> dict[str, Any]:
    by_wire = quirks.get("wire_quirks", {})
    if not isinstance(by_wire, dict) or not all(isinstance(some, dict) for some in by_wire.values()):
        raise ValueError(f"wire_quirks = {by_wire!r} is no table of quirks by wire")
    own = checked_quirks({word: value for word, value in quirks.items() if word != "wire_quirks"})
    told = {wire: checked_quirks(some) for wire, some in by_wire.items()}
    return {**own, "wire_quirks": told} if told else own


class Openness(Noun):
    """What of a model was published."""

    weights: Literal["open", "open, restricted licence", "closed"]
    training_code: Literal["open", "closed"] | None = None
    training_data: Literal["open", "closed"] | None = None


class Model(Noun):
    """A model whatever serves it. A rumour is not a fact: unknown sizes stay out."""

    id: str
    name: str
    vendor: str
    released: dt.date | None = None
    access: Access
    parameters_total: Count | None = None
    parameters_active: Count | None = None
    context_tokens: Count | None = None
    licence: str | None = None
    openness: Openness
    served_as: tuple[str, ...] = ()
    """Targets known to be this model: `PROVIDER:MODEL`."""
    layer: Layer | None = None
    """`reference` for the models that come with the package; they never enter a gap."""
    tokens_seen: Count | None = None
    checkpoint_of: str | None = None
    sha256: str | None = None
    source: str
    source_licence: str | None = None
    date: dt.date
    """When the facts were last checked against the source."""


class Rent(Noun):
    """US dollars per hour for one GPU; spreads two to six times between hosts, so a default to be replaced."""

    low_usd_h: Usd | None = None
    typical_usd_h: Usd | None = None
    high_usd_h: Usd | None = None
    marketplace_usd_h: Usd | None = None
    source: str


class Purchase(Noun):
    """US dollars for one board or machine."""

    usd: Usd | None = None
    source: str


class Gpu(Noun):
    """A board, by its vendor's figures; what was not found is left out."""

    id: str
    name: str
    released: dt.date | None = None
    memory_gb: Number | None = None
    bandwidth_gb_s: Number | None = None
    tdp_w: Number | None = None
    bf16_dense_tflops: Number | None = None
    fp8_dense_tflops: Number | None = None
    rent: Rent | None = None
    purchase: Purchase | None = None
    source: str
    source_licence: str | None = None
    date: dt.date


class Price(Noun):
    """US dollars per million tokens, with the time they were seen to hold and where."""

    id: str
    provider: str | None = None
    model: str
    usd_per_mtok_in: Usd
    usd_per_mtok_cached: Usd | None = None
    """None = no price of its own is known: cached input then costs what input costs."""
    usd_per_mtok_cache_write: Usd | None = None
    usd_per_mtok_out: Usd
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    """The first day on which it no longer held."""
    tiered: bool = False
    """Long prompts cost more at this provider; the figures are the lowest tier's."""
    source: str
    source_licence: str | None = None
    observed: dt.date | None = None
    note: str = ""

    @model_validator(mode="after")
    def _dates(self) -> Price:
        if self.valid_from and self.valid_to and self.valid_to <= self.valid_from:
            raise ValueError(f"valid_to = {self.valid_to} is not after valid_from = {self.valid_from}")
        return self


class Load(Noun):
    """The shape of a load step: how requests arrive and how long they are."""

    name: str
    arrivals: tuple[str, ...] = Field(min_length=1)
    """`closed:8`, `constant:2`, `poisson:4`, `gamma:4,2`, `trace:FILE`."""
    in_tokens: Count | None = None
    out_tokens: Count | None = None
    duration_s: Number = 60.0
    slo: dict[str, Number] = Field(default_factory=dict)
    """Limits by column: `ttft_ms`, `tpot_ms`, `e2e_ms`."""

    @field_validator("arrivals")
    @classmethod
    def _known(cls, arrivals: tuple[str, ...]) -> tuple[str, ...]:
        for arrival in arrivals:
            if arrival.partition(":")[0] not in {"closed", "constant", "poisson", "gamma", "trace"}:
                raise ValueError(
                    f"arrival {arrival!r} is none of closed:N, constant:R, poisson:R, gamma:R,CV, trace:FILE"
                )
        return arrivals
