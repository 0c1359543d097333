"""The notebooks run from top to bottom, in a real kernel (whose event loop is running)."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))

SHOWS = {"first_look": "embedded:large", "the_gap": "On Epoch Capabilities Index"}
"""What stands under the first cell of code."""
MEASURES = ("first_look",)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(path.parent.parent))
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "outputs are stripped before a commit"
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    assert SHOWS[path.stem] in str(notebook.cells[1].outputs)
    assert all(cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    assert (tmp_path / "results" / "bench.duckdb").exists() == (path.stem in MEASURES)
