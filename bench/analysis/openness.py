"""Who could use which model since when: grades of access from all who tell, the one that counts first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import database
from bench.errors import ConfigError, nearest

if TYPE_CHECKING:
    import pandas

ACCESS_COLUMNS = ("model", "grade", "valid_from", "valid_to", "source", "licence", "note", "told_by")
Spans = list[tuple[Any, str]]
"""(day from which it held, grade)."""
TOLD_BY = ("override", "bundled", "Epoch", "licence label", "catalogue")
"""Who counts first: what was corrected by hand, our checked facts, a researcher's finding, what somebody typed."""


def access(results: Path) -> pandas.DataFrame:
    """Every grade known, in the order in which their sources count; ACCESS_COLUMNS, `model` a model or one version."""
    import pandas as pd

    from bench.catalog import load, published
    from bench.catalog.grades import from_catalog
    from bench.catalog.overrides import load_overrides

    catalogue = [
        {"model": m.id, "grade": from_catalog(m.access), "source": m.source, "licence": m.licence}
        for m in load().models.values()
        if m.layer != "reference"
    ]
    overrides = load_overrides().access.values()
    parts = [
        pd.DataFrame([fact.model_dump() for facts in overrides for fact in facts]).assign(told_by="override"),
        published.access().assign(told_by="bundled"),
        _imported(results),
        pd.DataFrame(catalogue).assign(told_by="catalogue"),
    ]
    frame = pd.concat([part for part in parts if len(part)], ignore_index=True).reindex(columns=list(ACCESS_COLUMNS))
    for column in ("valid_from", "valid_to"):
        frame[column] = pd.to_datetime(frame[column])
    return frame[frame["grade"].notna()].reset_index(drop=True)


def _imported(results: Path) -> pandas.DataFrame:
    """Grades of imports, each under the version's name and under the model's."""
    import pandas as pd

    from bench.catalog.names import match
    from bench.catalog.overrides import load_overrides

    if not (Path(results) / database.NAME).exists():
        return pd.DataFrame()
    found = database.query(results, "access_grades")
    epoch = found["source"].str.contains("Epoch", na=False)
    told = found.assign(told_by=epoch.map({True: "Epoch", False: "licence label"}))
    overrides = load_overrides()
    matched = found["model"].map({name: match(name, overrides) for name in found["model"].unique()})
    versions = told.assign(model=matched.map(lambda m: m.version))
    models = told.assign(model=matched.map(lambda m: m.model))
    return pd.concat([versions, models], ignore_index=True).drop_duplicates(["model", "grade", "valid_from", "told_by"])


def graded(
    frame: pandas.DataFrame, grades: pandas.DataFrame, open_at_least: str, as_of: pandas.Timestamp | None
) -> pandas.DataFrame:
    """`frame` with `grade` (on `as_of`), `open_since` and `closed_since`; it has `raw`, `version`, `model`, `released`.

    Of the names a score goes by, the one whose grade comes from the source that counts most is taken; among equals the
    most special: the name as written, the version, the model. ConfigError for a grade that doesn't exist.
    """
    import pandas as pd

    from bench.catalog.grades import GRADES

    if open_at_least not in GRADES:
        raise ConfigError(f"grade {open_at_least!r} is none of {', '.join(GRADES)}{nearest(open_at_least, GRADES)}")
    known = _spans(grades)
    rows = zip(frame["raw"], frame["version"], frame["model"], frame["released"], strict=True)
    told = [_times(_best(known, names), released, open_at_least, as_of) for *names, released in rows]
    columns = ["grade", "open_since", "closed_since"]
    times = pd.DataFrame(told, columns=columns, index=frame.index)
    for column in columns[1:]:
        times[column] = pd.to_datetime(times[column])
    return frame.drop(columns=columns, errors="ignore").join(times)


def _spans(grades: pandas.DataFrame) -> dict[str, dict[int, Spans]]:
    """By name and by place of the source that tells: its grades with the day from which each held."""
    found: dict[str, dict[int, Spans]] = {}
    columns = ("model", "told_by", "valid_from", "grade")
    for name, told_by, start, grade in zip(*(grades[column] for column in columns), strict=True):
        found.setdefault(name, {}).setdefault(TOLD_BY.index(told_by), []).append((start, grade))
    return found


def _best(known: Mapping[str, Mapping[int, Spans]], names: list[str]) -> Spans:
    """The grades that count: of the first source that tells of any of these names, and of the others before its first.

    An override that tells only when the weights came leaves what was known of the time before: only less open grades,
    though, so that a wrong label of openness does not come back by an earlier date.
    """
    told: dict[int, Spans] = {}
    for name in names:
        for place, spans in known.get(name, {}).items():
            told.setdefault(place, spans)
    best: Spans = []
    for place in sorted(told):
        best += [span for span in told[place] if not best or _before(span, best)]
    return best


def _before(span: tuple[Any, str], best: Spans) -> bool:
    """Whether a grade began before the others and was less open; one without a date says nothing of that time."""
    import pandas as pd

    from bench.catalog.grades import GRADES

    (start, grade), starts = span, [day for day, _ in best]
    earlier = pd.notna(start) and all(pd.notna(day) and start < day for day in starts)
    return bool(earlier) and GRADES.index(grade) < min(GRADES.index(held) for _, held in best)


def _times(
    spans: list[tuple[Any, str]], released: Any, open_at_least: str, as_of: pandas.Timestamp | None
) -> tuple[str | None, Any, Any]:
    """(grade on that day, open since, closed since) of one version; nothing of one without a grade or a release.

    Closed only where somebody could use it under a grade below the threshold: a model that was announced a month before
    its weights came was not a closed model for that month.
    """
    import pandas as pd

    from bench.catalog.grades import GRADES, at_least

    if not spans or pd.isna(released):
        return (spans[-1][1] if spans else None), pd.NaT, pd.NaT
    dated = sorted(
        ((max(released, start) if pd.notna(start) else released), GRADES.index(grade)) for start, grade in spans
    )
    held = [level for start, level in dated if as_of is None or start <= as_of]
    opened = min((start for start, level in dated if at_least(GRADES[level], open_at_least)), default=pd.NaT)
    closed = min((start for start, level in dated if not at_least(GRADES[level], open_at_least)), default=pd.NaT)
    if pd.notna(opened) and pd.notna(closed) and closed >= opened:
        closed = pd.NaT
    return GRADES[held[-1] if held else dated[0][1]], opened, closed
