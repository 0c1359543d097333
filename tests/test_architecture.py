"""The directions of DESIGN hold: who may import what, and that nothing happens at import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "bench").rglob("*.py"))

ONLY_IN = {
    "lm_eval": {"judge"},
    "httpx": {"client"},
    "socket": {"client", "engines"},
    "duckdb": {"database", "scoring.sql"},
    "plotly": {"charts"},
    "streamlit": {"dashboard"},
    "subprocess": {"engines", "load.crew", "machine", "scoring.code"},
    "torch": {"engines.embedded.train"},
}
MAKING = {
    "judge", "quality", "traffic", "throttle", "announced", "limits", "batch", "client", "engines", "wires", "load",
    "canary", "machine",
}  # fmt: skip
READING = {"analysis", "database", "charts", "page", "frontier", "cost"}
NOUNS = {"records", "errors", "catalog"}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "bench").with_suffix("").parts
    return ".".join(p for p in parts if p != "__init__")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("bench.")}


def within(module: str, allowed: set[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in allowed)


@pytest.mark.parametrize("package", sorted(ONLY_IN))
def test_a_dependency_is_imported_only_where_the_design_says(package: str) -> None:
    users = {module_of(path) for path in FILES if any(n.split(".")[0] == package for n in imports(path))}
    assert {user for user in users if not within(user, ONLY_IN[package])} == set()


def test_the_two_halves_never_import_each_other() -> None:
    for path in FILES:
        top = module_of(path).split(".")[0]
        if top in MAKING:
            assert not ours(path) & READING, path
        if top in READING:
            assert not ours(path) & MAKING, path


def test_nouns_import_nothing_but_nouns() -> None:
    for path in FILES:
        top = module_of(path).split(".")[0]
        if top in {"records", "errors"}:
            assert ours(path) <= {"records"}, path
        if top == "catalog":
            assert ours(path) <= NOUNS | {"engines", "items", "wires"}, path


def test_there_is_no_import_cycle_among_our_modules_at_the_top_level() -> None:
    graph = {module_of(path): set() for path in FILES}
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("bench."):
                for name in (f"{node.module}.{alias.name}".removeprefix("bench.") for alias in node.names):
                    graph[module_of(path)] |= {name if name in graph else node.module.removeprefix("bench.")}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail[trail.index(module) :], module))
        if module not in done:
            for other in graph[module] - {module}:
                visit(other, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_starting_the_command_imports_nothing_heavy() -> None:
    code = (
        "import sys, bench.cli; heavy = {'pandas','numpy','lm_eval','duckdb','plotly','scipy','pyarrow','httpx','rich',"
        "'pydantic','datasets'}; sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
