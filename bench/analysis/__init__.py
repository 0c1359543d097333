"""The questions one asks of the results, as functions that return tidy DataFrames. The one analysis API.

The command line, the dashboard and notebooks use only what stands here. `results` is the results folder; the store in
it is read as it is (`bench.database.build` brings it up to date).
"""

from bench.analysis.choose import CHOICE_COLUMNS, choose, criteria
from bench.analysis.compare import COMPARE_COLUMNS, Comparison, compare
from bench.analysis.compare_words import points
from bench.analysis.composite import COMPOSITE_COLUMNS, composite
from bench.analysis.cost import BREAK_EVEN_COLUMNS, COST_COLUMNS, THROUGHPUT_COLUMNS, break_even, cost, throughput
from bench.analysis.gap import HEADLINE, TABLE_COLUMNS, Asked, View, gap, gap_table
from bench.analysis.gap_lines import gap_sensitivity
from bench.analysis.gap_over_time import gap_caption, gap_rows, gap_series, records_of
from bench.analysis.index_gap import index_fit, index_gap
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
from bench.analysis.models import (
    GRADE_COLUMNS,
    LAYER_COLUMNS,
    MODEL_SCORE_COLUMNS,
    MODELS_COLUMNS,
    Shown,
    model,
    models,
)
from bench.analysis.naming import OBSERVATION_COLUMNS
from bench.analysis.observations import observations
from bench.analysis.openness import ACCESS_COLUMNS, access
from bench.analysis.own_gap import OWN_GAP_COLUMNS, own_frontier_gap
from bench.analysis.prices import (
    DIFFERENCE_COLUMNS,
    PRICE_COLUMNS,
    REACH_COLUMNS,
    price_differences,
    price_history,
    price_to_reach,
    prices,
    reach_declines,
)
from bench.analysis.quality_cost import QUALITY_COST_COLUMNS, quality_cost
from bench.analysis.ranks import RANK_COLUMNS, ranks
from bench.analysis.whatif import MOVE_COLUMNS, SPEND_COLUMNS, moves, spending, whatif

__all__ = [
    "ACCESS_COLUMNS",
    "BREAK_EVEN_COLUMNS",
    "CHOICE_COLUMNS",
    "COMPARE_COLUMNS",
    "COMPOSITE_COLUMNS",
    "COST_COLUMNS",
    "DIFFERENCE_COLUMNS",
    "GRADE_COLUMNS",
    "HEADLINE",
    "LAYER_COLUMNS",
    "LOAD_COLUMNS",
    "LOAD_REQUEST_COLUMNS",
    "MODELS_COLUMNS",
    "MODEL_SCORE_COLUMNS",
    "MOVE_COLUMNS",
    "OBSERVATION_COLUMNS",
    "OWN_GAP_COLUMNS",
    "PRICE_COLUMNS",
    "QUALITY_COST_COLUMNS",
    "RANK_COLUMNS",
    "REACH_COLUMNS",
    "REPORT_COLUMNS",
    "SPEND_COLUMNS",
    "TABLE_COLUMNS",
    "THROUGHPUT_COLUMNS",
    "Asked",
    "Comparison",
    "Shown",
    "View",
    "access",
    "break_even",
    "choose",
    "compare",
    "composite",
    "cost",
    "criteria",
    "gap",
    "gap_caption",
    "gap_rows",
    "gap_sensitivity",
    "gap_series",
    "gap_table",
    "index_fit",
    "index_gap",
    "last_e2e_ms",
    "latency",
    "load",
    "load_requests",
    "load_steps",
    "model",
    "models",
    "moves",
    "observations",
    "own_frontier_gap",
    "points",
    "price_differences",
    "price_history",
    "price_to_reach",
    "prices",
    "quality_cost",
    "ranks",
    "reach_declines",
    "records",
    "records_of",
    "report",
    "runs",
    "spending",
    "throughput",
    "token_history",
    "tokens_over_time",
    "traffic",
    "unscored",
    "whatif",
]
