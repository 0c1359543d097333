"""Refits kept on disk under a hash of everything that makes them, so that the same question is answered at once."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.frontier.index.nouns import Rules

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)
"""What reading a cut or foreign file may raise; it is then made anew."""


def key(rows: pd.DataFrame, rules: Rules, *, n: int, seed: int) -> str:
    """Of the rows (sorted), the rules, the number of draws, the seed and the code that fits."""
    import pandas as pd

    told = hashlib.sha256(f"{asdict(rules)} {n} {seed} {code()}".encode())
    told.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
    return told.hexdigest()[:32]


@cache
def code() -> str:
    """Hash of the files that decide what a refit is."""
    here = Path(__file__).parent
    text = b"".join(
        (here / name).read_bytes() for name in ("nouns.py", "connected.py", "solve.py", "fit.py", "refits.py")
    )
    return hashlib.sha256(text).hexdigest()


def read(folder: Path, name: str, models: list[str], n: int) -> np.ndarray | None:
    """The draws under that name; None where there are none, or the file is damaged or of other models."""
    import numpy as np

    try:
        with np.load(io.BytesIO((folder / f"{name}.npz").read_bytes()), allow_pickle=False) as kept:
            draws, of = kept["draws"], kept["models"].tolist()
    except DAMAGED:
        return None
    return draws if of == models and draws.shape == (n, len(models)) else None


def write(folder: Path, name: str, models: list[str], draws: np.ndarray) -> None:
    """Whole or not at all: written beside and renamed."""
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{name}.{os.getpid()}.partial"
    with partial.open("wb") as file:
        np.savez_compressed(file, draws=draws, models=np.array(models))
    partial.replace(folder / f"{name}.npz")
