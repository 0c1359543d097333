"""Small tables of models for the tests of the frontier, and real ones in the form that `measure` reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd

from tests.real_data import real


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A benchmark as the frontier must know it."""

    id: str = "made-up"
    name: str = "Made-up"
    unit: str = "points"
    scale: Literal["proportion", "points"] = "points"
    chance: float = 0.0
    ceiling: float = 1.0
    n_items: int | None = None


POINTS = Bench()
SHARE = Bench(scale="proportion", unit="proportion", n_items=200)


def table(*models: tuple[str, str, float] | tuple[str, str, float, float]) -> pd.DataFrame:
    """Rows from `("c" or "o", date, value[, stderr])`; version = class and position: c0, o1."""
    told = [
        {
            "version": f"{model[0]}{i}",
            "model": f"model {model[0]}{i}",
            "vendor": f"lab {model[0].upper()}",
            "cls": {"c": "closed", "o": "open"}[model[0]],
            "since": model[1],
            "value": float(model[2]),
            "stderr": float(model[3]) if len(model) > 3 else np.nan,
        }
        for i, model in enumerate(models)
    ]
    columns = ["version", "model", "vendor", "cls", "since", "value", "stderr"]
    return pd.DataFrame(told, columns=columns).astype({"since": "datetime64[us]", "value": float, "stderr": float})


def months(first: str, last: str) -> float:
    """From one date to another in months of 30.4375 days."""
    return (date.fromisoformat(last) - date.fromisoformat(first)).days / 30.4375


def observed(file: str, column: str, *, divisor: float = 1.0, stderr: str | None = None) -> pd.DataFrame:
    """Observations of one file of Epoch's hub, with the access classes of the accessibility table."""
    scores = pd.read_csv(real("epoch_hub_2026-04") / f"{file}.csv", encoding="utf-8-sig")
    access = pd.read_csv(real("accessibility") / "open_closed_by_model_version.csv")
    scores = scores[scores["Model version"].notna()]
    released = pd.to_datetime(scores["Release date"])
    cls = scores["Model version"].map(access.set_index("model_version")["weights_class"])
    return pd.DataFrame(
        {
            "model": scores["Model version"],
            "version": scores["Model version"],
            "vendor": scores["Organization"],
            "effort": None,
            "score": scores[column] / divisor,
            "stderr": scores[stderr] if stderr else np.nan,
            "released": released,
            "open_since": released.where(cls == "open"),
            "closed_since": released.where(cls == "closed"),
            "provenance": "published",
        }
    )
