"""Results of HELM, Stanford CRFM's Holistic Evaluation of Language Models: its runs, or the tables of a release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from bench.errors import ConfigError
from bench.imports import evaluated, helm_runs, helm_tables, items
from bench.imports.helm_runs import ITEMS, SPEC, STATS, Run
from bench.imports.nouns import mapping
from bench.imports.published import Published, nothing_in
from bench.imports.streamed import content_hash, files_of, json_file, name_in
from bench.imports.tabular import Tally

FORMAT = """HELM's `benchmark_output` (0.2 to 0.5.16): a folder of runs, one run, or the tables in a release's `groups`.

Of a run, the quality metrics on the test split (else the validation split), unperturbed; the metric HELM shows for a
known scenario is our benchmark, every other one a benchmark of its own. Its standard error is worked out here from the
items of `per_instance_stats.json`, as HELM prints none. A folder that holds runs gives those, else its tables: of them
the overviews, in which MMLU is our benchmark only when it is pooled over all 57 subjects.

Items of runs are kept where all are of one model, for `bench compare`; training trials are repeats.
"""
TWICE = "an item of another run of the same scenario"


def is_mine_path(path: Path) -> bool:
    """Whether a run's `run_spec.json` or a table of HELM's is there."""
    try:
        if any(helm_runs.is_run(folder) for folder in islice(_run_folders(path), 3)):
            return True
        return any(helm_tables.is_tables(json_file(file)) for file in islice(_table_files(path), 3))
    except (ConfigError, OSError):
        return False


def read_published(path: Path) -> Published:
    """Every run in a folder, else every table; or the one file."""
    folders = list(_run_folders(path))
    found = _of_runs(path, folders) if folders else _of_tables(path)
    if found is None:
        raise nothing_in(path, f"runs of HELM ({SPEC}) and none of its tables (groups/*.json)")
    return found


def _run_folders(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (file.parent for file in files_of(path, SPEC))
    elif path.name in (SPEC, STATS, ITEMS) and path.with_name(SPEC).is_file():
        yield path.parent


def _table_files(path: Path) -> Iterator[Path]:
    """Tables of groups; the folder `json` beside them repeats each alone."""
    if not path.is_dir():
        yield from [path] if path.suffix == ".json" else []
        return
    found = [file for file in files_of(path, "*.json") if "groups" in (path.name, *file.relative_to(path).parts[:-1])]
    yield from [file for file in found if file.parent.name == "groups"] or found


def _summary(folder: Path, up_to: Path) -> tuple[str | None, str | None]:
    """The suite and the day that `helm-summarize` wrote into the folder of a suite."""
    for place in (folder, *folder.parents):
        if (place / "summary.json").is_file():
            told = mapping(json_file(place / "summary.json"))
            suite = evaluated.name(told.get("release")) or evaluated.name(told.get("suite"))
            return suite, evaluated.day_of(told.get("date"))
        if place == up_to.parent:
            break
    return None, None


# ---------------------------------------------------------------------------------------------------------------- runs


def _of_runs(path: Path, folders: list[Path]) -> Published:
    found, counts, scores = [], [], []
    for folder in folders:
        try:
            found.append(helm_runs.run(folder))
        except ConfigError:
            if len(folders) == 1:
                raise
            counts.append(_broken(path, folder, helm_runs.DAMAGED))
    models = sorted({each.model for each in found})
    taken = items.Collector() if len(models) == 1 else None
    used: set[str] = set()
    for each in found:
        try:
            rows, tallies = _of_run(path, each, taken, used)
        except ConfigError:
            if len(folders) == 1:
                raise
            rows, tallies = [], [_broken(path, each.folder, helm_runs.DAMAGED)]
        scores += rows
        counts += tallies
    files = [(name_in(_top(path), file), file) for each in found for file in _files_of(each)]
    return Published(
        source="HELM (Stanford CRFM), its own runs",
        sha256=content_hash(files),
        files=tuple(name for name, _ in files),
        scores=tuple(scores),
        table=tuple(tally.count() for tally in counts),
        notes=items.several(models) if any((each.folder / ITEMS).is_file() for each in found) else (),
        items=taken.items(models[0]) if taken else None,
    )


def _of_run(
    path: Path, each: Run, taken: items.Collector | None, used: set[str]
) -> tuple[list[Mapping[str, Any]], list[Tally]]:
    top = _top(path)
    if not (each.folder / STATS).is_file():
        return [], [_broken(path, each.folder, helm_runs.NOT_ENDED)]
    stats = Tally(file=name_in(top, each.folder / STATS))
    figures = helm_runs.figures(each, stats)
    tallies = [stats]
    if (each.folder / ITEMS).is_file():
        tallies.append(Tally(file=name_in(top, each.folder / ITEMS)))
        why = items.OF_SEVERAL if taken is None else TWICE if each.task_name in used else None
        used.add(each.task_name)
        helm_runs.take_items(each, figures, None if why else taken, why, tallies[-1])
    suite, observed = _summary(each.folder, top)
    source = (
        " ".join(part for part in ("HELM", suite) if part)
        + f": {evaluated.name(each.spec.get('name')) or each.folder.name}"
    )
    return list(helm_runs.scores(each, figures, source[:300], observed)), tallies


def _top(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _files_of(each: Run) -> list[Path]:
    return [file for name in (SPEC, STATS, ITEMS) if (file := each.folder / name).is_file()]


def _broken(path: Path, folder: Path, why: str) -> Tally:
    tally = Tally(file=name_in(_top(path), folder / SPEC))
    tally.skip(why)
    return tally


# -------------------------------------------------------------------------------------------------------------- tables


def _of_tables(path: Path) -> Published | None:
    read, scores, counts = [], [], []
    seen: set[Any] = set()
    for file in _table_files(path):
        content = json_file(file)
        if not helm_tables.is_tables(content):
            continue
        suite, observed = _summary(file.parent, _top(path))
        read.append((name_in(path, file), file))
        counts.append(Tally(file=read[-1][0]))
        source = " ".join(part for part in ("HELM", suite) if part) + f": {file.name}"
        scores += list(helm_tables.scores(content, source, observed, seen, counts[-1]))
    if not read:
        return None
    return Published(
        source="HELM (Stanford CRFM), tables of a release",
        sha256=content_hash(read),
        files=tuple(name for name, _ in read),
        scores=tuple(scores),
        table=tuple(tally.count() for tally in counts),
    )
