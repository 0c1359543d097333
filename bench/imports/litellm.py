"""List prices from LiteLLM's `model_prices_and_context_window.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.errors import ConfigError
from bench.imports.list_prices import PER_MTOK, money, price, text
from bench.imports.opened import glance, opened
from bench.imports.published import Published
from bench.imports.tabular import Tally, tally_of

FORMAT = """LiteLLM's `model_prices_and_context_window.json`: dollars per token of every model its proxy knows.

Only models that answer in text are taken (`mode` chat, completion or responses). Prices are the base tier's, also of
`tiered_pricing`; that a longer prompt costs more is noted. The file has no date: it is the current list as of the day
it was written here.
"""
SOURCE = "LiteLLM, model_prices_and_context_window.json"
LICENCE = "MIT"
MODES = ("chat", "completion", "responses")
COLUMNS = {
    "usd_per_mtok_in": "input_cost_per_token",
    "usd_per_mtok_out": "output_cost_per_token",
    "usd_per_mtok_cached": "cache_read_input_token_cost",
    "usd_per_mtok_cache_write": "cache_creation_input_token_cost",
}
MOST_TOKENS = 10**9
"""Of one prompt."""
TIER = re.compile(r"input_cost_per_token_above_(\d+k?)_tokens")


def is_mine_path(path: Path) -> bool:
    """Whether it is a JSON whose beginning speaks of LiteLLM's providers."""
    found = glance(path, suffixes=(".json",))
    return len(found) == 1 and all('"litellm_provider"' in text for text in found.values())


def read_published(path: Path) -> Published:
    """Every model's price. ConfigError when the file is no object of objects."""
    found = opened(path, suffixes=(".json",))
    name = found.files[0]
    content = found.json(name, exact=True)
    if not isinstance(content, dict):
        raise ConfigError(f"{found.where(name)} is no object of models by name; fetch it again")
    tally, prices = Tally(file=name), []
    for key, entry in content.items():
        told = _price(key, entry)
        tally_of(tally, told if isinstance(told, str) else None)
        prices += [told] if not isinstance(told, str) else []
    return Published(
        source=f"{SOURCE}, {LICENCE}",
        sha256=found.sha256,
        files=found.files,
        prices=tuple(prices),
        table=(tally.count(),),
    )


def _price(key: str, entry: Any) -> Mapping[str, Any] | str:
    if key == "sample_spec":
        return "the description of the file's fields"
    if not isinstance(entry, dict):
        return "not in the layout of LiteLLM"
    if (other := _other_than_text(entry)) is not None:
        return other
    provider = text(entry.get("litellm_provider"))
    base = {**entry, **_base_tier(entry)}
    usd = {name: money(base.get(column), PER_MTOK) for name, column in COLUMNS.items()}
    usd_in, usd_out = usd.pop("usd_per_mtok_in"), usd.pop("usd_per_mtok_out")
    name = text(key)
    model = name.removeprefix(f"{provider}/") if name else None
    told = {"source": SOURCE, "licence": LICENCE, "note": _note(name, model, entry)}
    return price(provider, model, usd_in, usd_out, {**usd, **told})


def _other_than_text(entry: Mapping[str, Any]) -> str | None:
    """Why it is no model of text: its mode, or that it only speaks or paints."""
    if (mode := entry.get("mode", "chat")) not in MODES:
        return f"a model that does not answer in text ({mode})" if text(mode) else "a mode that is no text"
    answers = entry.get("supported_output_modalities")
    kinds = [kind for kind in answers if isinstance(kind, str)] if isinstance(answers, list) else []
    return f"a model that does not answer in text ({', '.join(kinds)})" if kinds and "text" not in kinds else None


def _tiers(entry: Mapping[str, Any]) -> list[tuple[Any, Mapping[str, Any]]]:
    """`tiered_pricing`: from how many input tokens on, and what holds then."""
    told = entry.get("tiered_pricing")
    tiers = [tier for tier in told if isinstance(tier, dict)] if isinstance(told, list) else []
    ranges = [(tier.get("range"), tier) for tier in tiers]
    return [(span[0], tier) for span, tier in ranges if isinstance(span, list) and span and _is_number(span[0])]


def _base_tier(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Prices of the shortest prompts, where they are told by tiers; a model's own count where there are some."""
    told = next((tier for begin, tier in _tiers(entry) if begin == 0), {})
    return {column: told[column] for column in COLUMNS.values() if column in told and entry.get(column) is None}


def _is_number(value: Any) -> bool:
    """A number of tokens."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return False
    return Decimal(value).is_finite() and 0 <= value <= MOST_TOKENS


def _note(name: str | None, model: str | None, entry: Mapping[str, Any]) -> str | None:
    dearer = {found[1] for column in entry if (found := TIER.fullmatch(column)) and entry[column] is not None}
    dearer |= {_thousands(begin) for begin, _ in _tiers(entry) if begin > 0}
    told = [f"named {name}"] if name != model else []
    told += [f"costs more above {' and '.join(sorted(dearer, key=_size))} input tokens"] if dearer else []
    metadata = entry.get("metadata")
    said = text(metadata.get("notes")) if isinstance(metadata, dict) else None
    return "; ".join([*told, *filter(None, (said,))]) or None


def _size(tier: str) -> int:
    return int(tier.removesuffix("k")) * (1000 if tier.endswith("k") else 1)


def _thousands(n: int | Decimal) -> str:
    return f"{n / 1000:.0f}k" if n % 1000 == 0 else f"{n:.0f}"
