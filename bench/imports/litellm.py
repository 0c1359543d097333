"""List prices from LiteLLM's `model_prices_and_context_window.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import ConfigError
from bench.imports.list_prices import PER_MTOK, money, price, text
from bench.imports.opened import glance, opened
from bench.imports.published import Published
from bench.imports.tabular import Tally, tally_of

FORMAT = """LiteLLM's `model_prices_and_context_window.json`: dollars per token of every model its proxy knows.

Only models that answer in text are taken (`mode` chat, completion or responses). Prices are the base tier's; that a
longer prompt costs more is noted. The file has no date: it is the current list as of the day it was written here.
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
    if (mode := entry.get("mode", "chat")) not in MODES:
        return f"a model that does not answer in text ({mode})" if text(mode) else "a mode that is no text"
    provider = text(entry.get("litellm_provider"))
    usd = {name: money(entry.get(column), PER_MTOK) for name, column in COLUMNS.items()}
    usd_in, usd_out = usd.pop("usd_per_mtok_in"), usd.pop("usd_per_mtok_out")
    name = text(key)
    model = name.removeprefix(f"{provider}/") if name else None
    told = {"source": SOURCE, "licence": LICENCE, "note": _note(name, model, entry)}
    return price(provider, model, usd_in, usd_out, {**usd, **told})


def _note(name: str | None, model: str | None, entry: Mapping[str, Any]) -> str | None:
    tiers = [found[1] for column in entry if (found := TIER.fullmatch(column))]
    told = [f"named {name}"] if name != model else []
    return "; ".join([*told, *(f"costs more above {tier} input tokens" for tier in sorted(tiers))]) or None
