"""Who could use a model since when: whose word counts, which of its names, and when a grade began."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from bench import database, imports
from bench.analysis import openness
from bench.analysis.openness import TOLD_BY, access, graded
from bench.errors import ConfigError

ANY = "weights-noncommercial"


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.delenv("BENCH_OVERRIDES", raising=False)
        yield


def score(
    *, released: str | None = "2024-01-01", raw: str = "Ace 1", version: str = "ace-1-0101", model: str = "ace-1"
):
    return pd.DataFrame([{"raw": raw, "version": version, "model": model, "released": pd.Timestamp(released)}])


def told(*facts: tuple[str, str, str, str | None]) -> pd.DataFrame:
    """`(told_by, model, grade, valid_from)`."""
    frame = pd.DataFrame(facts, columns=["told_by", "model", "grade", "valid_from"])
    return frame.assign(valid_from=pd.to_datetime(frame["valid_from"]))


def times(frame: pd.DataFrame, grades: pd.DataFrame, at_least: str = ANY, as_of: str | None = None):
    """`grade, open_since, closed_since` of the one row, dates as text."""
    found = graded(frame, grades, at_least, None if as_of is None else pd.Timestamp(as_of)).iloc[0]
    days = [None if pd.isna(found[name]) else f"{found[name]:%Y-%m-%d}" for name in ("open_since", "closed_since")]
    return (found["grade"], *days)


@pytest.mark.parametrize("place", range(len(TOLD_BY) - 1))
def test_of_two_who_tell_the_one_that_counts_first_is_believed_whatever_stands_first(place: int) -> None:
    first = (TOLD_BY[place], "ace-1", "closed-api", None)
    for second in ((by, "ace-1", "fully-open", None) for by in TOLD_BY[place + 1 :]):
        for facts in ((first, second), (second, first)):
            assert times(score(), told(*facts)) == ("closed-api", None, "2024-01-01")


def test_the_order_is_that_of_the_method() -> None:
    assert TOLD_BY == ("override", "bundled", "Epoch", "licence label", "catalogue")


def test_a_better_source_on_the_model_beats_a_worse_one_on_the_very_name() -> None:
    facts = told(("Epoch", "Ace 1", "fully-open", None), ("bundled", "ace-1", "closed-api", None))
    assert times(score(), facts) == ("closed-api", None, "2024-01-01")


@pytest.mark.parametrize(
    ("facts", "grade"),
    [
        (("ace-1", "ace-1-0101", "Ace 1"), "weights-restricted"),
        (("ace-1", "ace-1-0101"), "weights-unrestricted"),
        (("ace-1",), "fully-open"),
    ],
)
def test_among_equals_the_most_special_name_counts(facts: tuple[str, ...], grade: str) -> None:
    of = {"Ace 1": "weights-restricted", "ace-1-0101": "weights-unrestricted", "ace-1": "fully-open"}
    assert times(score(), told(*(("Epoch", name, of[name], None) for name in facts)))[0] == grade


def test_weights_a_year_after_the_api_are_closed_from_release_and_open_from_then() -> None:
    facts = told(
        ("bundled", "ace-1", "closed-api", "2024-01-01"), ("bundled", "ace-1", "weights-restricted", "2025-01-01")
    )
    assert times(score(), facts) == ("weights-restricted", "2025-01-01", "2024-01-01")
    assert times(score(), facts, as_of="2024-12-31") == ("closed-api", "2025-01-01", "2024-01-01")
    assert times(score(), facts, as_of="2025-01-01")[0] == "weights-restricted"


def test_announced_before_its_weights_and_never_served_is_open_from_the_weights_and_never_closed() -> None:
    facts = told(("bundled", "ace-1", "weights-unrestricted", "2024-02-15"))
    assert times(score(), facts) == ("weights-unrestricted", "2024-02-15", None)


def test_a_version_released_after_the_weights_came_is_open_from_its_own_release() -> None:
    facts = told(
        ("bundled", "ace-1", "closed-api", "2023-01-01"), ("bundled", "ace-1", "weights-restricted", "2023-06-01")
    )
    assert times(score(), facts) == ("weights-restricted", "2024-01-01", None)


def test_a_grade_without_a_date_holds_from_release() -> None:
    assert times(score(), told(("Epoch", "ace-1", "weights-restricted", None))) == (
        "weights-restricted",
        "2024-01-01",
        None,
    )


def test_weights_given_and_taken_back_were_open_and_are_not_closed_for_it() -> None:
    facts = told(
        ("bundled", "ace-1", "weights-restricted", "2024-01-01"), ("bundled", "ace-1", "closed-api", "2025-01-01")
    )
    assert times(score(), facts) == ("closed-api", "2024-01-01", None)


def test_a_model_whose_grade_nobody_tells_is_in_neither_class() -> None:
    assert times(score(), told(("bundled", "oak", "fully-open", None))) == (None, None, None)


def test_a_model_without_a_release_is_in_neither_class() -> None:
    assert times(score(released=None), told(("bundled", "ace-1", "fully-open", "2024-01-01"))) == (
        "fully-open",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("threshold", "opened"),
    [
        ("weights-noncommercial", True),
        ("weights-restricted", True),
        ("weights-unrestricted", False),
        ("fully-open", False),
    ],
)
def test_open_begins_where_the_reader_says(threshold: str, opened: bool) -> None:
    found = times(score(), told(("Epoch", "ace-1", "weights-restricted", None)), threshold)
    assert found[1:] == (("2024-01-01", None) if opened else (None, "2024-01-01"))


def test_at_the_lowest_threshold_all_are_open_and_none_is_closed() -> None:
    facts = told(("bundled", "ace-1", "closed-hosted", "2024-01-01"), ("bundled", "ace-1", "closed-api", "2024-03-01"))
    assert times(score(), facts, "closed-hosted") == ("closed-api", "2024-01-01", None)
    assert times(score(), facts, "closed-api") == ("closed-api", "2024-03-01", "2024-01-01")


def test_an_unknown_grade_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"grade 'weights-restrictd' is none of .*'weights-restricted'"):
        graded(score(), told(), "weights-restrictd", None)


# ------------------------------------------------------------------------------------------------- of files, end to end

LABELS = (
    "model,benchmark,score,grade,valid_from,source\n"
    "gpt-5-2025-08-07,,,weights-unrestricted,2025-08-07,an arena\n"
    "yew-9-large,,,weights-unrestricted,2025-02-03,an arena\n"
    "yew-9-large,,,closed-api,2025-02-01,Epoch AI\n"
    "fir-1,,,fully-open,2025-02-03,an arena\n"
)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with labels of an arena and of Epoch, both of them on models and one on a model that we know better."""
    place = tmp_path_factory.mktemp("labelled")
    (place / "labels.csv").write_text(LABELS, encoding="utf-8")
    imports.import_path("csv", place / "labels.csv", place / "results")
    database.build(place / "results")
    return place / "results"


def of_name(results: Path, name: str, released: str) -> tuple[str | None, str | None, str | None]:
    from bench.catalog.names import match

    found = match(name)
    return times(score(raw=name, version=found.version, model=found.model, released=released), access(results))


def test_a_wrong_label_of_an_arena_loses_against_the_bundled_facts(labelled: Path) -> None:
    assert of_name(labelled, "gpt-5-2025-08-07", "2025-08-07") == ("closed-api", None, "2025-08-07")


def test_epoch_counts_before_an_arenas_label(labelled: Path) -> None:
    assert of_name(labelled, "yew-9-large", "2025-02-01") == ("closed-api", None, "2025-02-01")


def test_a_label_is_believed_where_nobody_else_tells(labelled: Path) -> None:
    assert of_name(labelled, "fir-1", "2025-02-03") == ("fully-open", "2025-02-03", None)


def test_what_was_corrected_by_hand_counts_before_all(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = "".join(
        f'[[access]]\nmodel = "gpt-5"\ngrade = "{grade}"\nvalid_from = {since}\n{until}source = "made up"\n'
        for grade, since, until in (
            ("closed-api", "2025-08-07", "valid_to = 2026-08-07\n"),
            ("weights-restricted", "2026-08-07", ""),
        )
    )
    (tmp_path / "mine.toml").write_text(facts, encoding="utf-8")
    monkeypatch.setenv("BENCH_OVERRIDES", str(tmp_path / "mine.toml"))
    found = of_name(labelled, "gpt-5-2025-08-07", "2025-08-07")
    assert found == ("weights-restricted", "2026-08-07", "2025-08-07")


def test_an_override_that_tells_only_of_the_weights_keeps_what_was_known_before() -> None:
    facts = told(
        ("override", "ace-1", "weights-restricted", "2025-01-01"), ("bundled", "ace-1", "closed-api", "2024-01-01")
    )
    assert times(score(), facts) == ("weights-restricted", "2025-01-01", "2024-01-01")


def test_without_a_store_the_bundled_facts_and_the_catalogue_tell(tmp_path: Path) -> None:
    frame = access(tmp_path / "nothing")
    assert tuple(frame.columns) == openness.ACCESS_COLUMNS
    assert set(frame["told_by"]) == {"override", "bundled", "catalogue"}
    assert list(tmp_path.iterdir()) == []
