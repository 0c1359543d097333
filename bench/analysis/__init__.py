"""The questions one asks of the results, as functions that return tidy DataFrames. The one analysis API.

The command line, the dashboard and notebooks use only what stands here. `results` is the results folder; the store in
it is read as it is (`bench.database.build` brings it up to date).
"""

from bench.analysis.choose import CHOICE_COLUMNS, choose, criteria
from bench.analysis.measured import (
    LOAD_COLUMNS,
    LOAD_REQUEST_COLUMNS,
    REPORT_COLUMNS,
    last_e2e_ms,
    latency,
    load,
    load_requests,
    load_steps,
    records,
    report,
    runs,
    token_history,
    tokens_over_time,
    traffic,
    unscored,
)

__all__ = [
    "CHOICE_COLUMNS",
    "LOAD_COLUMNS",
    "LOAD_REQUEST_COLUMNS",
    "REPORT_COLUMNS",
    "choose",
    "criteria",
    "last_e2e_ms",
    "latency",
    "load",
    "load_requests",
    "load_steps",
    "records",
    "report",
    "runs",
    "token_history",
    "tokens_over_time",
    "traffic",
    "unscored",
]
