"""LMArena's ratings and licence labels, as its arena-catalog and its older leaderboard tables publish them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from bench.catalog import grades
from bench.catalog.benchmarks import arena
from bench.imports.lmarena_cells import as_float, as_text, is_board, usd
from bench.imports.lmarena_dates import HISTORY, Past, date_in, is_styled
from bench.imports.opened import Opened, glance, opened
from bench.imports.published import Published
from bench.imports.tabular import Row, Tally, day, distinct, first, header_of, number, slug, table, tally_of, words

FORMAT = """LMArena's `leaderboard-text*.json`, `scatterplot-data.json` and leaderboard tables (CSV), or their folder.

Also read: all versions of them as one table (`arena_history.csv`: commit_date, style_control, category, model, rating,
q025, q975) and a list of licences (`arena_model_license.csv`). A rating is in points of `lmarena-text[-CATEGORY]`, with
style control `lmarena-text-style[-CATEGORY]`, and comparable only within one snapshot: `benchmark_version` is its date.
A JSON has no date inside; it is dated by its file's name, else by the history beside it if that has the same ratings,
else it is named by its content. Licence labels become grades of access as they stand; the errors among them are
corrected when they are read (`bench models show NAME`).
"""
SOURCE = "LMArena, lmarena.ai"
LICENCE = "arena-catalog: no licence file"
Z95 = 1.959963984540054
LEAST_GRADE: Mapping[str, grades.Grade] = {"open": "weights-noncommercial", "closed": "closed-api"}
"""Where a list says only which of the two."""
LICENCES = {"model", "weights_class", "license"}
LEADERBOARD = {"Model", "License", "Organization"}
NO_RATING, NO_MODEL, NO_GRADE = "no rating", "no model name", "a licence that tells no grade"
THE_SAME = "the snapshot that a JSON beside it tells in full"
FOREIGN = "not a file of LMArena's that holds ratings, licences or prices"


def is_mine_path(path: Path) -> bool:
    """Whether any file there has their shape."""
    return any(_looks(name, text) for name, text in glance(path).items())


def _looks(name: str, text: str) -> bool:
    if name.lower().endswith(".json"):
        return '"rating_q975"' in text or ('"model_api_name"' in text and '"license"' in text)
    columns = set(header_of(text))
    return any(wanted <= columns for wanted in (HISTORY, LICENCES, LEADERBOARD))


def read_published(path: Path) -> Published:
    """Ratings, grades and prices of a file, folder or zip."""
    found = opened(path)
    reading = _Reading(found=found, past=Past(found=found))
    for name in sorted(found.files, key=lambda name: not name.lower().endswith(".json")):
        reading.read(name)
    vendors = reading.vendors
    return Published(
        source=f"{SOURCE} ({LICENCE})",
        sha256=found.sha256,
        files=found.files,
        scores=tuple({"vendor": vendors.get(row["model"]), **row} for row in reading.scores),
        access=distinct(reading.access),
        prices=tuple(reading.prices),
        table=tuple(reading.tallies[name].count() for name in found.files),
        notes=tuple(reading.notes),
    )


@dataclass(kw_only=True)
class _Reading:
    found: Opened
    past: Past
    scores: list[Mapping[str, Any]] = field(default_factory=list)
    access: list[Mapping[str, Any]] = field(default_factory=list)
    prices: list[Mapping[str, Any]] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    vendors: dict[str, str] = field(default_factory=dict)
    dated: set[tuple[str, bool, str]] = field(default_factory=set)
    """Snapshots (date, style control, category) that a JSON has told already."""

    def read(self, name: str) -> None:
        tally = self.tallies[name] = Tally(file=name)
        if name.lower().endswith(".json"):
            self._json(name, tally)
            return
        told = table(self.found.where(name), self.found.text(name))
        columns = set(told.header)
        read = (
            self._past if columns >= HISTORY else self._label if columns >= LICENCES
            else self._entry if columns >= LEADERBOARD else None
        )  # fmt: skip
        dated = date_in(name)
        for row in told.rows:
            tally_of(tally, read(row, dated) if read else FOREIGN)

    # ------------------------------------------------------------------------------------------------------- the JSONs

    def _json(self, name: str, tally: Tally) -> None:
        content = self.found.json(name, exact=True)
        if isinstance(content, list):
            for entry in content:
                tally_of(tally, self._offer(entry, date_in(name)) if isinstance(entry, dict) else FOREIGN)
            return
        if not isinstance(content, dict) or not any(map(is_board, content.values())):
            tally.skip(FOREIGN)
            return
        self._board(name, content, tally)

    def _board(self, name: str, content: Mapping[str, Any], tally: Tally) -> None:
        style = "style" in PurePosixPath(name).name
        date = date_in(name) or self.past.date_of(content, style)
        version = date or f"content {sha256(self.found.contents[name]).hexdigest()[:8]}"
        if date is None:
            self.notes.append(f"{self.found.where(name)} has no date; its snapshot is called {version!r}")
        for category, ratings in content.items():
            board = ratings if isinstance(ratings, dict) else {}
            self.dated |= {(version, style, category)} if board else set()
            for model, rating in board.items():
                told = rating if isinstance(rating, dict) else {}
                ends = (told.get("rating"), told.get("rating_q025"), told.get("rating_q975"))
                tally_of(tally, self._rated(model, category, style, version, *map(as_float, ends)))

    def _offer(self, entry: Mapping[str, Any], date: str | None) -> str | None:
        """A model of the scatter plot: its licence and its list price."""
        names = dict.fromkeys(filter(None, (words(as_text(entry, key)) for key in ("model_api_name", "name"))))
        if not names:
            return NO_MODEL
        vendor = words(as_text(entry, "organization"))
        self.vendors |= {name: vendor for name in names if vendor}
        model = next(iter(names))
        why = self._graded(model, as_text(entry, "license"), {"note": "the label in scatterplot-data.json"})
        usd_in, usd_out = (usd(entry.get(f"{side}_token_price")) for side in ("input", "output"))
        if vendor is None or usd_in is None or usd_out is None:
            return why
        self.prices.append(
            {
                "provider": slug(vendor),
                "model": model,
                "usd_per_mtok_in": usd_in,
                "usd_per_mtok_out": usd_out,
                "observed": date,
                "source": words(as_text(entry, "price_source")) or SOURCE,
                "licence": LICENCE,
                "note": f"as {SOURCE} shows it",
            }
        )
        return None

    # -------------------------------------------------------------------------------------------------------- the CSVs

    def _past(self, row: Row, _: str | None) -> str | None:
        date = day(row["commit_date"])
        if date is None:
            return "no date"
        style = is_styled(row)
        if (date.isoformat(), style, row["category"]) in self.dated:
            return THE_SAME
        ends = (number(row.get(name)) for name in ("rating", "q025", "q975"))
        return self._rated(row["model"], row["category"], style, date.isoformat(), *ends)

    def _label(self, row: Row, _: str | None) -> str | None:
        model = words(row["model"])
        if model is None:
            return NO_MODEL
        said = row["weights_class"]
        open_or_not = LEAST_GRADE.get(said)
        note = f"{said}; {row.get('class_from') or 'by whom is not told'}"
        labelled = grades.from_licence(row["license"])
        if labelled and open_or_not and grades.at_least(labelled, grades.OPEN) == (said == "open"):
            return self._graded(model, row["license"], {"note": note})
        if open_or_not is None:
            return NO_GRADE
        self._add_access(model, open_or_not, row["license"], {"note": note})
        return None

    def _entry(self, row: Row, dated: str | None) -> str | None:
        """A line of an older leaderboard: a licence, and what it shows of MMLU, MT-bench and the rating."""
        model = words(first(row, "key", "Model"))
        if model is None:
            return NO_MODEL
        if vendor := words(row["Organization"]):
            self.vendors[model] = vendor
        date = day(row.get("table_date")) or day(dated)
        told = {"evaluated_on": date, "observed": date, "source": SOURCE, "licence": LICENCE, "model": model}
        told["display_name"] = words(row["Model"])
        mmlu, mt_bench, rating = (number(row.get(name)) for name in ("MMLU", "MT-bench (score)", "Arena Elo rating"))
        is_share = mmlu is not None and 0 <= mmlu <= 1
        found = [
            {"benchmark": "mmlu", "scale": "proportion", "score": mmlu} if is_share else None,
            {"benchmark": "mt-bench", "scale": "points", "score": mt_bench} if mt_bench is not None else None,
            {"benchmark": "lmarena-text", "scale": "points", "score": rating, "benchmark_version": date}
            if rating is not None and date is not None else None,
        ]  # fmt: skip
        self.scores += [{**told, **score} for score in found if score]
        why = self._graded(model, row["License"], {"note": f"the label in the table of {date or 'an unknown date'}"})
        return None if any(found) else why

    # ------------------------------------------------------------------------------------------------------------ both

    def _rated(
        self, model: str, category: str, style: bool, version: str, rating: float | None, *ends: float | None
    ) -> str | None:
        name = words(model)
        if name is None:
            return NO_MODEL
        if rating is None:
            return NO_RATING
        low, high = ends
        if low is None or high is None or not low <= rating <= high:
            low = high = None
        date = day(version)
        self.scores.append(
            {
                "model": name,
                "benchmark": _benchmark(category, style),
                "benchmark_version": version,
                "score": rating,
                "score_low": low,
                "score_high": high,
                "stderr": (high - low) / (2 * Z95) if low is not None and high is not None and high > low else None,
                "scale": "points",
                "evaluated_on": date,
                "observed": date,
                "source": SOURCE,
                "licence": LICENCE,
            }
        )
        return None

    def _graded(self, model: str, label: str, told: Mapping[str, Any]) -> str | None:
        grade = grades.from_licence(label)
        if grade is None:
            return f"{NO_GRADE}: {words(label, 40) or 'none told'}"
        self._add_access(model, grade, label, told)
        return None

    def _add_access(self, model: str, grade: grades.Grade, label: str, told: Mapping[str, Any]) -> None:
        self.access.append({"model": model, "grade": grade, "source": SOURCE, "licence": words(label), **told})


@cache
def _benchmark(category: str, style: bool) -> str:
    """Our id of a category; of one that is new, made after its name."""
    found = arena(category, style_control=style)
    return found.id if found else "-".join(filter(None, ("lmarena-text", "style" * style, slug(category))))
