"""List prices of others: exact money, and dates that say no more than the source did."""

from __future__ import annotations

import datetime as dt
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from bench import database, imports
from bench.errors import ConfigError
from bench.imports import list_prices, litellm, llm_prices, prices_csv
from bench.imports.published import Published
from tests.published_files import folder
from tests.real_data import real

CURRENT = """{"updated_at": "2026-10-01", "prices": [
 {"id": "ace-1", "vendor": "ace", "name": "Ace 1", "input": 1.25, "output": 10, "input_cached": 0.125},
 {"id": "oak", "vendor": "oak", "name": "Oak", "input": 0.1, "output": 0.30000000000000004, "input_cached": null},
 {"id": "gift", "vendor": "oak", "name": "Gift", "input": 0, "output": 0, "input_cached": null},
 {"id": "half", "vendor": "oak", "name": "Half", "input": 1, "output": null}]}"""
HISTORICAL = """{"prices": [
 {"id": "ace-1", "vendor": "ace", "name": "Ace 1", "input": 1.25, "output": 10, "input_cached": 0.125,
  "from_date": "2026-02-01", "to_date": null},
 {"id": "ace-1", "vendor": "ace", "name": "Ace 1", "input": 2.5, "output": 15, "input_cached": null,
  "from_date": null, "to_date": "2026-02-01"},
 {"id": "oak", "vendor": "oak", "name": "Oak", "input": 0.1, "output": 0.30000000000000004, "input_cached": null,
  "from_date": null, "to_date": null},
 {"id": "odd", "vendor": "oak", "name": "Odd", "input": 1, "output": 1, "from_date": "2026-02-01",
  "to_date": "2026-01-01"}]}"""
VENDOR = """{"vendor": "ace", "models": [{"id": "ace-1", "name": "Ace 1", "price_history": [
 {"input": 1.25, "output": 10, "input_cached": 0.125, "from_date": "2026-02-01", "to_date": null},
 {"input": 2.5, "output": 15, "from_date": null, "to_date": "2026-02-01"}]}, {"id": "ace-2"}]}"""
LITELLM = """{
 "sample_spec": {"input_cost_per_token": 0.0, "litellm_provider": "one of https://docs", "mode": "one of: chat"},
 "ace/ace-1": {"input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05, "litellm_provider": "ace",
   "cache_read_input_token_cost": 5.46875e-07, "cache_creation_input_token_cost": 1.5e-06, "mode": "chat",
   "input_cost_per_token_above_200k_tokens": 2.5e-06},
 "oak": {"input_cost_per_token": "1e-07", "output_cost_per_token": 3e-7, "litellm_provider": "oak"},
 "gift": {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0, "litellm_provider": "ollama", "mode": "chat"},
 "paint": {"litellm_provider": "oak", "mode": "image_generation", "output_cost_per_image": 0.06},
 "seconds": {"litellm_provider": "oak", "mode": "chat", "output_cost_per_second": 0.06},
 "nobody": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06, "mode": "chat"},
 "huge": {"input_cost_per_token": 1e308, "output_cost_per_token": 1e999999999, "litellm_provider": "oak"},
 "nan": {"input_cost_per_token": NaN, "output_cost_per_token": Infinity, "litellm_provider": "oak"},
 "minus": {"input_cost_per_token": -1e-06, "output_cost_per_token": 1e-06, "litellm_provider": "oak"},
 "list": [1]}"""


TIERS = """{"vendor": "ace", "models": [
 {"id": "ace-9-pro", "name": "Ace 9 Pro ≤200k", "price_history": [
  {"input": 1, "output": 4, "from_date": null, "to_date": null, "input_cached": null}]},
 {"id": "ace-9-pro-200k", "name": "Ace 9 Pro >200k", "price_history": [
  {"input": 2, "output": 6, "from_date": null, "to_date": null, "input_cached": null}]},
 {"id": "ace-9-128k", "name": "Ace 9 (128k context)", "price_history": [
  {"input": 3, "output": 6, "from_date": null, "to_date": null, "input_cached": null}]},
 {"id": "ace-paint", "name": "ace-paint (image gen)", "price_history": [
  {"input": 10, "output": 40, "from_date": null, "to_date": null, "input_cached": 1.25}]}]}"""
"""As llm-prices writes a price that depends on the prompt: two models, told apart by their names."""
NESTED = """{
 "oak/oak-max": {"litellm_provider": "oak", "mode": "chat", "tiered_pricing": [
   {"input_cost_per_token": 6e-07, "output_cost_per_token": 4.8e-06, "range": [256000.0, 1000000.0]},
   {"input_cost_per_token": 3e-07, "output_cost_per_token": 2.4e-06, "range": [32000.0, 256000.0]},
   {"input_cost_per_token": 2e-07, "output_cost_per_token": 1.6e-06, "cache_read_input_token_cost": 2e-08,
    "range": [0, 32000.0]}]},
 "oak/oak-late": {"litellm_provider": "oak", "mode": "chat", "tiered_pricing": [
   {"input_cost_per_token": 3e-07, "output_cost_per_token": 2.4e-06, "range": [32000.0, 128000.0]}]},
 "oak/oak-odd": {"litellm_provider": "oak", "mode": "chat", "tiered_pricing": [3, {"range": "all"},
   {"range": [NaN]}, {"range": [1e999999, 2]}, {"range": [true]}]},
 "oak/oak-half": {"litellm_provider": "oak", "mode": "chat", "output_cost_per_token": 1.6e-06,
   "tiered_pricing": [{"input_cost_per_token": 4e-07, "range": [0, 1000]}]},
 "ace-8": {"litellm_provider": "ace", "mode": "responses", "input_cost_per_token": 1e-06,
   "output_cost_per_token": 2e-06, "input_cost_per_token_above_128k_tokens": null,
   "input_cost_per_token_above_272k_tokens": 2e-06, "input_cost_per_token_above_272k_tokens_priority": 4e-06,
   "input_cost_per_token_priority": 2e-06, "input_cost_per_token_batches": 5e-07,
   "metadata": {"notes": "Listed as a sum; halved."}},
 "ace-8-speech": {"litellm_provider": "ace", "mode": "chat", "input_cost_per_token": 1e-06,
   "output_cost_per_token": 2e-06, "supported_modalities": ["text"], "supported_output_modalities": ["audio"]},
 "ace-embed": {"litellm_provider": "ace", "mode": "embedding", "input_cost_per_token": 1e-07,
   "output_cost_per_token": 0.0, "output_vector_size": 1024},
 "ace-hear": {"litellm_provider": "ace", "mode": "audio_transcription", "input_cost_per_second": 0.0001,
   "output_cost_per_second": 0.0001},
 "1024-x-1024/ace-paint": {"litellm_provider": "ace", "mode": "image_generation", "input_cost_per_pixel": 1.9e-08,
   "output_cost_per_pixel": 0.0}}"""


def rows(found: Published) -> list[tuple[object, ...]]:
    names = ("provider", "model", "usd_per_mtok_in", "usd_per_mtok_out", "valid_from", "valid_to")
    return [tuple(row[name] for name in names) for row in found.prices]


def test_today_s_list_is_dated_by_its_update_and_begins_at_no_known_day(tmp_path: Path) -> None:
    found = llm_prices.read_published(folder(tmp_path, {"current-v1.json": CURRENT}) / "current-v1.json")
    assert rows(found) == [
        ("ace", "ace-1", Decimal("1.25"), Decimal(10), None, None),
        ("oak", "oak", Decimal("0.1"), Decimal("0.30000000000000004"), None, None),
    ]
    assert [row["observed"] for row in found.prices] == [dt.date(2026, 10, 1)] * 2
    assert [row["usd_per_mtok_cached"] for row in found.prices] == [Decimal("0.125"), None]
    assert found.table[0].skipped == {list_prices.BOTH_FREE: 1, list_prices.NO_PRICE: 1}


def test_the_history_has_first_and_first_no_longer_valid_days(tmp_path: Path) -> None:
    found = llm_prices.read_published(folder(tmp_path, {"h.json": HISTORICAL}) / "h.json")
    assert rows(found)[:2] == [
        ("ace", "ace-1", Decimal("1.25"), Decimal(10), dt.date(2026, 2, 1), None),
        ("ace", "ace-1", Decimal("2.5"), Decimal(15), None, dt.date(2026, 2, 1)),
    ]
    assert found.table[0].skipped == {list_prices.NEGATIVE_TIME: 1}


def test_a_vendor_s_own_file_says_the_same(tmp_path: Path) -> None:
    vendor = llm_prices.read_published(folder(tmp_path, {"ace.json": VENDOR}) / "ace.json")
    history = llm_prices.read_published(folder(tmp_path, {"h.json": HISTORICAL}) / "h.json")
    assert rows(vendor) == rows(history)[:2]
    assert vendor.table[0].skipped == {llm_prices.NOT_OURS: 1}


def test_a_price_that_stands_in_two_files_counts_once(tmp_path: Path) -> None:
    found = llm_prices.read_published(folder(tmp_path, {"current-v1.json": CURRENT, "historical-v1.json": HISTORICAL}))
    assert len(rows(found)) == len(set(rows(found)))
    oak = next(row for row in found.prices if row["model"] == "oak")
    assert oak["observed"] == dt.date(2026, 10, 1)
    assert {count.file: count.read - count.kept for count in found.table} == {
        "current-v1.json": 3,
        "historical-v1.json": 1,
    }


def test_dollars_per_token_become_exact_dollars_per_million(tmp_path: Path) -> None:
    found = litellm.read_published(folder(tmp_path, {"m.json": LITELLM}) / "m.json")
    assert rows(found) == [
        ("ace", "ace-1", Decimal("1.25"), Decimal(10), None, None),
        ("oak", "oak", Decimal("0.1"), Decimal("0.3"), None, None),
    ]
    first = found.prices[0]
    assert (first["usd_per_mtok_cached"], first["usd_per_mtok_cache_write"]) == (Decimal("0.546875"), Decimal("1.5"))
    assert first["note"] == "named ace/ace-1; costs more above 200k input tokens"
    assert found.table[0].read == 11
    assert found.table[0].skipped == {
        "the description of the file's fields": 1,
        list_prices.BOTH_FREE: 1,
        "a model that does not answer in text (image_generation)": 1,
        list_prices.NO_PRICE: 4,
        list_prices.NO_PROVIDER: 1,
        "not in the layout of LiteLLM": 1,
    }


def test_a_price_of_longer_prompts_is_no_second_price_of_the_model(tmp_path: Path) -> None:
    found = llm_prices.read_published(folder(tmp_path, {"ace.json": TIERS}) / "ace.json")
    assert [(row["model"], row["usd_per_mtok_in"], row.get("note")) for row in found.prices] == [
        ("ace-9-pro", Decimal(1), "costs more above 200k input tokens"),
        ("ace-9-128k", Decimal(3), None),
    ]
    assert found.table[0].skipped == {llm_prices.LONG: 1, llm_prices.PICTURES: 1}


def test_of_nested_tiers_the_one_that_begins_at_nothing_counts(tmp_path: Path) -> None:
    found = litellm.read_published(folder(tmp_path, {"m.json": NESTED}) / "m.json")
    assert [row[1:4] for row in rows(found)] == [
        ("oak-max", Decimal("0.2"), Decimal("1.6")),
        ("oak-half", Decimal("0.4"), Decimal("1.6")),
        ("ace-8", Decimal(1), Decimal(2)),
    ]
    assert [row["note"] for row in found.prices] == [
        "named oak/oak-max; costs more above 32k and 256k input tokens",
        "named oak/oak-half",
        "costs more above 272k input tokens; Listed as a sum; halved.",
    ]
    assert found.prices[0]["usd_per_mtok_cached"] == Decimal("0.02")


def test_what_does_not_answer_in_text_is_skipped_whatever_its_price_is_per(tmp_path: Path) -> None:
    found = litellm.read_published(folder(tmp_path, {"m.json": NESTED}) / "m.json")
    assert found.table[0].skipped == {
        list_prices.NO_PRICE: 2,
        "a model that does not answer in text (audio)": 1,
        "a model that does not answer in text (embedding)": 1,
        "a model that does not answer in text (audio_transcription)": 1,
        "a model that does not answer in text (image_generation)": 1,
    }


def test_an_undated_list_is_observed_when_its_file_was_written_and_stays_so(tmp_path: Path) -> None:
    path = folder(tmp_path, {"m.json": LITELLM}) / "m.json"
    os.utime(path, (1_770_000_000, 1_770_000_000))
    first = imports.import_published("litellm", path, tmp_path / "results")
    os.utime(path, (1_780_000_000, 1_780_000_000))
    again = imports.import_published("litellm", path, tmp_path / "results")
    assert (first.kind, again.added, again.read_anew) == ("prices", False, False)
    database.build(tmp_path / "results")
    _, found = database.sql(tmp_path / "results", "select distinct observed, valid_from from list_price")
    assert found == [(dt.date(2026, 2, 2), None)]
    os.utime(path, (0, 0))  # the stamp of a program that writes none
    fresh = imports.import_published("litellm", path, tmp_path / "fresh")
    told = json.loads((Path(fresh.path) / "list_prices.jsonl").read_text().splitlines()[0])
    assert told["observed"] == dt.datetime.now(dt.UTC).date().isoformat()


def test_money_in_the_store_is_to_the_last_digit(tmp_path: Path) -> None:
    imports.import_published("litellm", folder(tmp_path, {"m.json": LITELLM}) / "m.json", tmp_path / "results")
    database.build(tmp_path / "results")
    _, found = database.sql(tmp_path / "results", "select usd_per_mtok_cached from list_price where model = 'ace-1'")
    assert found == [(Decimal("0.54687500"),)]


@pytest.mark.parametrize(
    ("value", "usd"),
    [
        ("0.15", Decimal("0.15")), (3, Decimal(3)), (Decimal("1.50"), Decimal("1.5")), (0, Decimal(0)),
        (None, None), (True, None), ("free", None), ("", None), (-1, None), (0.1, None), ("1e99", None),
        (Decimal("Infinity"), None), (Decimal("NaN"), None), (Decimal("1e-999999"), None), (10**400, None),
    ],
)  # fmt: skip
def test_money_is_exact_or_unknown(value: object, usd: Decimal | None) -> None:
    assert list_prices.money(value) == usd


def test_a_price_list_by_hand_takes_our_columns_and_names_a_bad_cell(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(
        "provider,model,usd_per_mtok_in,usd_per_mtok_out,valid_from,valid_to,observed\n"
        "akash,oak,0.10,0.40,2026-01-01,2026-03-01,\nakash,oak,$0.2,0.5,,,2026-11\n"
        "akash,oak,cheap,0.5,,,\nakash,oak,1,2,yesterday,,\n,oak,1,2,,,\n"
    )
    found = prices_csv.read_published(path)
    assert rows(found) == [
        ("akash", "oak", Decimal("0.1"), Decimal("0.4"), dt.date(2026, 1, 1), dt.date(2026, 3, 1)),
        ("akash", "oak", Decimal("0.2"), Decimal("0.5"), None, None),
    ]
    assert (found.prices[1]["observed"], found.prices[1]["note"]) == (dt.date(2026, 11, 1), "observed 2026-11")
    assert [note.partition("prices.csv, ")[2] for note in found.notes] == [
        "line 4, a price that cannot be read: column usd_per_mtok_in: 'cheap'; write it like 0.15",
        "line 5, a date that cannot be read: column valid_from: 'yesterday'; write it like 2026-04-16",
    ]
    path.write_text("provider,model,usd_per_mtok_in,usd_out\n")
    with pytest.raises(ConfigError, match="unknown column 'usd_out'"):
        prices_csv.read_published(path)


def test_the_real_price_history_is_read_once(tmp_path: Path) -> None:
    path = real("prices/prices_history.csv")
    first = imports.import_published("prices_csv", path, tmp_path)
    for row in first.rows():
        print(row)
    assert (first.n_read, first.n_prices, first.notes) == (2074, 1915, ())
    assert first.table[0].skipped == {list_prices.NO_PROVIDER: 134, list_prices.NO_PRICE: 25}
    assert imports.import_published("prices_csv", path, tmp_path).added is False
    assert database.build(tmp_path).problems == []
    _, found = database.sql(
        tmp_path,
        "select count(*), count(valid_from), count(observed), max(observed) from list_price where usd_per_mtok_in > 0",
    )
    assert found == [(1915, 257, 1915, dt.date(2026, 11, 1))]
    seen = "select observed, note from list_price where model = 'o1-preview' and note like '%observed%'"
    assert database.sql(tmp_path, seen)[1][0][0] == dt.date(2025, 12, 17)
