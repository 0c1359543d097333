"""Prices over time: dates said or said to be missing, sources compared, a user's price added and never overwritten."""

from __future__ import annotations

import csv
import datetime as dt
import importlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from bench import analysis, price_book
from bench.catalog import Catalog, load
from bench.catalog.files import HERE
from bench.catalog.names import match
from bench.catalog.resolve import find
from bench.cost.history import Dated
from bench.errors import ConfigError
from bench.price import dating, is_dated, price_for, tariff_for

TODAY = dt.date(2026, 11, 20)


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_TARGETS", raising=False)
    monkeypatch.setattr(os, "fsync", lambda _: None)


def at(catalog: Catalog, spec: str):  # type: ignore[no-untyped-def]
    return find(spec, catalog.providers, catalog.targets)


def block(**changes: object) -> dict[str, object]:
    plain = {"usd_per_mtok_in": Decimal(1), "usd_per_mtok_out": Decimal("3.5"), "valid_from": TODAY,
             "observed": TODAY, "source": "https://example.org/pricing"}  # fmt: skip
    return {**plain, **changes}


def add(spec: str = "openai:gpt-9", **changes: object) -> price_book.Added:
    catalog = price_book.users_catalog()
    return price_book.add(at(catalog, spec), block(**changes), catalog)


# ---------------------------------------------------------------------------------------------------- traps


def test_a_price_of_2024_that_is_todays_says_so() -> None:
    """genai-prices answers a question about March 2024 with today's GPT-4o price; it cost twice as much then."""
    catalog, day = load(), dt.date(2024, 6, 1)
    found = price_for(at(catalog, "openai:gpt-4o"), when=day, catalog=catalog)
    assert found is not None
    assert found.usd_per_mtok_in == Decimal("2.5")  # 5 in truth
    assert not is_dated(found, day)
    assert dating(found, day).startswith("current list, not dated")
    assert dating(found, day).endswith("what it was on 2024-06-01 is not known")


def test_a_price_with_a_first_day_is_dated_from_then_on() -> None:
    catalog = load()
    before, after = (price_for(at(catalog, "openai:o3"), when=dt.date(2025, m, 1), catalog=catalog) for m in (6, 7))
    assert before is not None
    assert after is not None
    assert (before.usd_per_mtok_in, after.usd_per_mtok_in) == (10, 2)
    assert dating(before, dt.date(2025, 6, 1)) == "until 2025-06-10, its beginning is not known"
    assert dating(after, dt.date(2025, 7, 1)) == "since 2025-06-10"
    assert not is_dated(before, dt.date(2025, 6, 1))
    assert is_dated(after, dt.date(2025, 7, 1))


def test_every_price_of_genai_prices_says_of_when_its_list_is() -> None:
    found = price_for(at(load(), "openai:gpt-4o"), when=TODAY)
    assert found is not None
    assert found.observed is not None
    assert dt.date(2026, 1, 1) < found.observed <= TODAY


def test_what_a_run_stores_of_a_price_says_the_amounts_who_says_so_and_the_day() -> None:
    catalog = load()
    tariff = tariff_for(at(catalog, "openai:gpt-4o"), TODAY, catalog=catalog)
    assert tariff is not None
    row = tariff.rows()[0]
    assert (row["usd_per_mtok_in"], row["usd_per_mtok_out"]) == ("2.5", "10")
    assert row["source"].startswith("genai-prices ")
    assert dt.date.fromisoformat(row["observed"]) <= TODAY
    assert row["valid_from"] is None


# ---------------------------------------------------------------------------------------------------- bundled history


def test_the_bundled_history_is_dated_and_says_who_says_so() -> None:
    found = price_book.bundled()
    assert 100 <= len(found) <= 250
    with (HERE / "price_history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(found)
    for price in found:
        assert price.since is not None, price
        assert price.source, price
        assert price.licence, price
        assert price.usd_per_mtok_out >= price.usd_per_mtok_in > 0, price
        assert price.valid_to is None or price.valid_from is None or price.valid_from < price.valid_to, price
        assert match(price.model).model == price.model, price
    starts = [(p.provider, p.model, p.since) for p in found]
    assert len(set(starts)) == len(starts)
    assert {p.since.year for p in found if p.since} >= {2023, 2024, 2025, 2026}


def test_launch_prices_are_the_announced_ones() -> None:
    """openai.com and anthropic.com of those days."""
    known = {(p.model, str(p.valid_from)): (p.usd_per_mtok_in, p.usd_per_mtok_out) for p in price_book.bundled()}
    assert known["gpt-4", "2023-03-14"] == (30, 60)
    assert known["gpt-4-turbo", "2023-11-06"] == (10, 30)
    assert known["claude-3-opus", "2024-03-04"] == (15, 75)
    assert known["gpt-4o", "2024-05-13"] == (5, 15)
    assert known["gpt-4o-mini", "2024-07-18"] == (Decimal("0.15"), Decimal("0.6"))


def test_the_history_of_a_model_goes_by_its_names_and_ends_with_what_has_no_date() -> None:
    frame = analysis.price_history("GPT-4o-2024-08-06")
    assert set(frame["model"]) == {"gpt-4o"}
    days = frame["since"].dropna()
    assert days.is_monotonic_increasing
    assert str(days.iloc[0].date()) == "2024-05-13"
    assert frame["dating"].str.startswith("current list, not dated").any()
    assert set(analysis.price_history("openai:gpt-4o")["provider"]) == {"openai"}
    with pytest.raises(ConfigError, match="did you mean"):
        analysis.price_history("gpt-4oo")


def test_the_price_of_gpt_4s_quality_fell_a_hundredfold_in_two_years() -> None:
    frame = analysis.price_to_reach(125.0, until=dt.date(2025, 6, 1))
    assert list(frame.columns) == list(analysis.REACH_COLUMNS)
    first, last = frame.iloc[0], frame.iloc[-1]
    assert (first["model"], first["usd_per_mtok"]) == ("gpt-4", 37.5)
    assert last["usd_per_mtok"] < 0.375
    (found,) = analysis.reach_declines(frame).values()
    assert found.factor_per_year is not None
    assert found.factor_per_year < 0.2
    assert analysis.price_to_reach(1000.0).empty


def test_the_chart_of_the_price_of_a_quality_draws_every_quality() -> None:
    from bench.charts import price_to_reach

    frame = analysis.price_to_reach([125.0, 140.0], until=TODAY)
    figure = price_to_reach.chart(frame, analysis.reach_declines(frame))
    assert [trace.name.partition(":")[0] for trace in figure.data[::2]] == ["at least 125", "at least 140"]
    assert "a year [" in figure.data[0].name
    assert figure.layout.yaxis.type == "log"


# ---------------------------------------------------------------------------------------------------- differences


def test_sources_that_disagree_are_named_with_the_older_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def price(origin: str, usd: str, **dates: dt.date) -> Dated:
        return Dated(provider="p", model="m", usd_per_mtok_in=Decimal(usd), usd_per_mtok_out=Decimal(usd), source="s",
                     origin=origin, **dates)  # fmt: skip

    every = [
        price("genai-prices", "2", observed=dt.date(2026, 11, 3)),
        price("book", "3", valid_from=dt.date(2026, 5, 1)),
        price("book", "9", valid_from=dt.date(2025, 1, 1), valid_to=dt.date(2026, 5, 1)),
        price("imported", "3", observed=dt.date(2026, 8, 5)),
        price("run", "1"),
    ]
    monkeypatch.setattr(importlib.import_module("bench.analysis.prices"), "every", lambda results, catalog: every)
    frame = analysis.price_differences()
    assert list(frame.columns) == list(analysis.DIFFERENCE_COLUMNS)
    assert list(zip(frame["origin"], frame["other"], frame["verdict"], strict=True)) == [
        ("book", "genai-prices", "differs; book is older"),
        ("book", "run", "differs"),
    ]
    assert len(analysis.price_differences(alike=True)) == 3


# ---------------------------------------------------------------------------------------------------- adding


def test_a_price_is_added_and_holds_from_its_day(tmp_path: Path) -> None:
    add()
    add(usd_per_mtok_in=Decimal(2), valid_from=dt.date(2027, 1, 1), usd_per_mtok_cached=Decimal("0.2"))
    catalog = load()
    for day, usd in ((dt.date(2026, 12, 1), 1), (dt.date(2027, 2, 1), 2)):
        found = price_for(at(catalog, "openai:gpt-9"), when=day, catalog=catalog)
        assert found is not None
        assert found.usd_per_mtok_in == usd
        assert is_dated(found, day)
    assert price_for(at(catalog, "openai:gpt-9"), when=dt.date(2026, 1, 1), catalog=catalog) is None


def test_what_was_there_stays_as_it_was_typed(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    path.write_text('# mine\n[[targets]]\nid = "x"   # odd   blanks\nmodel = "m"\nbase_url = "http://127.0.0.1:1/v1"')
    path.chmod(0o600)
    before = path.read_text()
    add()
    assert path.read_text().startswith(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "x" in load().targets


def test_the_same_day_again_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    add()
    before = (tmp_path / "targets.toml").read_text()
    with pytest.raises(ConfigError, match="never overwritten"):
        add(usd_per_mtok_in=Decimal(7))
    with pytest.raises(ConfigError, match="valid_to"):
        add(valid_from=dt.date(2028, 1, 1), valid_to=dt.date(2027, 1, 1))
    with pytest.raises(ConfigError, match="can't be printed"):
        add(valid_from=dt.date(2029, 1, 1), source="a\nb")
    assert (tmp_path / "targets.toml").read_text() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [".targets.toml.lock", "targets.toml"]


def test_a_broken_file_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    path.write_text("[[prices]\n")
    with pytest.raises(ConfigError, match=r"targets\.toml: not valid TOML"):
        add()
    assert path.read_text() == "[[prices]\n"


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    catalog = price_book.users_catalog()
    target = at(catalog, "openai:gpt-9")
    days = [dt.date(2030, 1, 1) + dt.timedelta(days=k) for k in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda day: price_book.add(target, block(valid_from=day), catalog), days))
    assert {p.valid_from for p in load().prices.values() if p.model == "gpt-9"} == set(days)


def test_the_file_is_the_one_bench_targets_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_TARGETS", str(tmp_path / "elsewhere.toml"))
    assert add().path == tmp_path / "elsewhere.toml"
    assert not (tmp_path / "targets.toml").exists()
    monkeypatch.setenv("BENCH_TARGETS", str(tmp_path / "no" / "where.toml"))
    with pytest.raises(ConfigError, match="there is no folder"):
        add()


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text("")
    (tmp_path / "targets.toml").symlink_to(tmp_path / "real.toml")
    add()
    assert (tmp_path / "targets.toml").is_symlink()
    assert "gpt-9" in (tmp_path / "real.toml").read_text()


def test_an_own_address_takes_its_price_in_its_own_block() -> None:
    catalog = load()
    with pytest.raises(ConfigError, match="usd_per_mtok_in"):
        price_book.add(at(catalog, "http://10.0.0.1:8000/v1#m"), block(), catalog)


def test_providers_are_known_by_the_words_of_others() -> None:
    catalog = load()
    said = {"x-ai": "xai", "moonshot-ai": "moonshot", "OpenAI": "openai", "Moonshot AI": "moonshot", "nobody": "nobody"}
    assert {word: price_book.same_provider(catalog, word) for word in said} == said
    assert price_book.same_provider(catalog, None) is None
