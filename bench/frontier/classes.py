"""Which models are open, which are closed, and since when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pandas import DataFrame

Class = Literal["open", "closed"]


def classed(observations: DataFrame) -> DataFrame:
    """Each observation once per class its model is in, with `cls` and `since`.

    A model whose weights came a year after its API is closed from its release and stays in the closed frontier; it
    is open from the day its grade began. `open_since` NaT = never open, `closed_since` NaT = open from its first day.
    A row that is in neither class (no date, or access unknown) is in no frontier and is left out.
    """
    import pandas as pd

    sides = [observations.assign(cls=cls, since=observations[f"{cls}_since"]) for cls in ("closed", "open")]
    both = pd.concat([side[side["since"].notna()] for side in sides], ignore_index=True)
    return both.sort_values("since", kind="stable", ignore_index=True)
