"""Small made-up files in the layouts of others' tables: the figures are invented, the traps are real ones."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

HUB: dict[str, str] = {
    "epoch_capabilities_index.csv": (
        "\ufeffModel version,ECI Score,Release date,Organization,Country,Model accessibility,"
        "Training compute (FLOP),Confidence,Model name,Description,Display name\n"
        "ace-1_high,140.5,2025-03-01,Ace Lab,Atlantis,API access,1e25,Likely,Ace 1,,Ace 1 (high)\n"
        "oak-7b,101.25,2024-02-03,Oak,Atlantis,Open weights (non-commercial),,,Oak 7B,,Oak 7B\n"
        'elm-2,,2025-06-01,"Elm, Inc.",Atlantis,Unreleased,,,Elm 2,"two\nlines",Elm 2\n'
        ",99,2024-05-01,,,API access,,,,,\n"
    ),
    "gpqa_diamond.csv": (
        "Model version,mean_score,Best score (across scorers),Release date,Organization,Country,"
        "Training compute (FLOP),Training compute notes,stderr,Log viewer,Logs,Started at,id\n"
        'ace-1_high,0.85,0.86,2025-03-01,Ace Lab,Atlantis,1e25,"a note,\nof two",0.025,,,2025-03-05T10:00:02.998Z,a\n'
        "oak-7b,0.31,0.31,2024-02-03,Oak,Atlantis,,,0.0,,,,b\n"
        "oak-7b,0.29,0.29,2024-02-03,Oak,Atlantis,,,0.00001,,,2025-01-01T00:00:00.000Z,c\n"
        "elm-2,1e308,,2024-05-01,Elm,Atlantis,,,NaN,,,,d\n"
        "elm-2,1.5,,2024-05-01,Elm,Atlantis,,,,,,,e\n"
    ),
    "mmlu_external.csv": (
        "Model version,EM,Release date,Organization,Country,Training compute (FLOP),Training compute notes,Name,Shots,"
        "Source,Source link,Notes,id\n"
        "oak-7b,0.61,2024-02-03,Oak,Atlantis,,,Oak 7B,5,Oak paper,https://oak.example/paper,,r1\n"
        ",0.44,,,,,,Some Model (43B),5-shot,A leaderboard,,,r2\n"
        "elm-2,,2024-05-01,Elm,Atlantis,,,Elm 2,few,,,,r3\n"
    ),
    "aider_polyglot_external.csv": (
        "Model version,Percent correct,Release date,Organization,Country,Training compute (FLOP),"
        "Training compute notes,Notes,id\nace-1_high,88,2025-03-01,Ace Lab,Atlantis,,,,x\n"
    ),
    "lech_mazur_writing_external.csv": (
        "Model version,Mean score,Release date,Organization,Country,Training compute (FLOP),"
        "Training compute notes,ID\nace-1_high,8.73,2025-03-01,Ace Lab,Atlantis,,,x\n"
    ),
    "metr_time_horizons_external.csv": (
        "Model version,Time horizon,Release date,Organization,Country,Training compute (FLOP),Training compute notes,"
        "CI_high,CI_low,Source,Source link,average_score,Notes,Time Horizon (80%),METR version,id\n"
        "ace-1_high,718.5,2025-03-01,Ace Lab,Atlantis,,,3949.7,319.3,,,0.79,,69.9,METR-Horizon-v1.1,x\n"
        "ace-1_high,600.5,2025-03-01,Ace Lab,Atlantis,,,,,,,0.77,,,,y\n"
    ),
    "webdev_arena_external.csv": (
        "Model version,Arena Score,Release date,Organization,Country,Training compute (FLOP),Training compute notes,"
        "Score 95% CI,Votes,Last updated,Source,Source link (site from table),Notes,95% CI High,95% CI Low,id\n"
        "ace-1_high,1400,2025-03-01,Ace Lab,Atlantis,,,=+9/-11,2553,2026-01-05,,,,,,x\n"
        "oak-7b,1300,2024-02-03,Oak,Atlantis,,,,2553,,,,,1310.5,1289.5,x\n"
    ),
    "terminalbench_external.csv": (
        "Model version,Agent,Accuracy mean,Release date,Organization,Country,Training compute (FLOP),"
        "Training compute notes,Accuracy SE,Agent Org,Model Org,Run date,Notes,id\n"
        "ace-1_high, Terminus 2 ,0.5,2025-03-01,Ace Lab,Atlantis,,,0.02,,,2025-11-03,,x\n"
        "ace-1_high,Goose,0.4,2025-03-01,Ace Lab,Atlantis,,,0.02,,,2025-11-03,,y\n"
    ),
    "puddle_jump_external.csv": (
        "Model version,Coach,Jumped,Release date,Organization,Country,Training compute (FLOP),Training compute notes\n"
        "ace-1_high,Bo,0.5,2025-03-01,Ace Lab,Atlantis,,\n"
    ),
    "shell_money_external.csv": (
        "Model version,Score,Release date,Organization,Country,Training compute (FLOP),Training compute notes\n"
        "ace-1_high,11181.87,2025-03-01,Ace Lab,Atlantis,,\n"
    ),
    "additional_eci_data/eci_scaling.csv": "a,b,scaling_anchor1,scaling_anchor1_eci\n1,2,Ace 1,130\n",
    "additional_eci_data/eci_benchmark_difficulties_and_slopes.csv": (
        "benchmark_name,is_anchor,benchmark_release_date,edi,estimated_slope_scaled\nMMLU,False,2020-09-07,1,1\n"
    ),
}
"""The zip of April 2026."""

AIRTABLE: dict[str, str] = {
    "model_versions.csv": (
        "\ufeffid,Model,Version release date,Hugging Face developer id,Link,Notes,benchmarks/runs,Display name,"
        'Unique display name\nace-1_high,Ace 1,2025-03-01,,,"was\n\nretired",,Ace 1 (high),\n'
        "oak-7b,Oak,2024-02-03,,,,,,\n"
    ),
    "benchmarks_runs.csv": (
        "\ufeffid,task,model,Best score (across scorers),Scores,log viewer,logs,job,started_at,Status,"
        "Manual evaluation,task version\n"
        "r1,GPQA diamond,ace-1_high,0.850,choice:0.85±0.02,,,,17 November 2025 4:28pm,Success,,1.0.1\n"
        'r2,OTIS Mock AIME 2024-2025,ace-1_high,0.978,"a_match:0.89±0.01,b_graded:0.98±0",,,,,Success,,1.0.0\n'
        'r3,MATH level 5,oak-7b,0.36,"a_match:0.30±0.01,b_graded:0.36±0.06",,,,1 July 2025 1:05pm,Success,,1.0.0\n'
        "r4,A new task,oak-7b,0.5,choice:0.50±0.02,,,,1 July 2025 1:05pm,Success,,1.0.0\n"
        "r5,GPQA diamond,oak-7b,0.3,choice:0.30±0.02,,,,1 July 2025 1:05pm,Error,,1.0.0\n"
    ),
    "external_benchmark_arc_agi.csv": (
        "\ufeffid,Name,Model version,Score,Source,Source link,Notes\nx,Ace,ace-1_high,42%,ARC Prize Leaderboard,,\n"
        "y,Oak,oak-7b,33.9%,,https://arc.example,\nz,Nobody,,21%,,,\n"
    ),
    "external_benchmark_balrog.csv": (
        "\ufeffid,Model version,Average progress,Average Standard error,Date added,Source,Source link,Notes\n"
        "x,ace-1_high,43.6%,2.2%,23/7/2024,,,\n"
    ),
    "external_benchmark_livebench.csv": (
        "\ufeffid,UUID,Model version,Global average,Reasoning average,LiveBench Version,Source,Source link,Notes\n"
        "x,u,ace-1_high,82.35,80.1,LiveBench-2024-11-25,,,\n"
    ),
    "external_benchmark_deepresearch.csv": (
        "\ufeffid,Average score,Model version,Agent,Notes,Source,Source link\nx,53.6%,ace-1_high,checked,,,\n"
    ),
    "external_benchmark_terminal_bench.csv": (
        "\ufeffid,Agent,Model version,Accuracy mean,Accuracy SE,Notes,Source,Source link\n"
        "x,Goose,ace-1_high,60.3%,1.1%,,,\n"
    ),
    "external_benchmark_metr.csv": (
        "\ufeffid,Model version,CI_high,CI_low,Time horizon,Source,Source link,average_score,Notes\n"
        "x,ace-1_high,900.5,300.5,600.5,,,0.77,\n"
    ),
    "benchmark_optim.csv": (
        "benchmark,optimized_for,is_coding,is_math,benchmark_release_date,source\nMMLU,TRUE,FALSE,FALSE,2020/09/07,\n"
    ),
    "distilled_models.csv": "model,distilled,confidence,notes\nace-1,FALSE,low,\n",
}
"""The export of 2025."""

HUB_2026_08: dict[str, str] = {
    "benchmark_metadata.csv": (
        "benchmark,in_eci,source_file,score_column,scale,random_baseline,score_ceiling,release_date,superseded_by\n"
        "MMLU,True,mmlu_external.csv,EM,1.0,0.25,1.0,2020-09-07,\n"
        "Aider polyglot,True,aider_polyglot_external.csv,Percent correct,0.01,0.0,1.0,2024-12-21,\n"
        "Puddle Jump 2,True,puddle_jump_external.csv,Jumps,0.1,0.0,1.0,2026-05-01,\n"
        "GPQA diamond,True,gpqa_diamond.csv,mean_score,0.01,0.25,1.0,2023-11-20,\n"
    ),
    "model_metadata.csv": (
        "model_version,model_group,date,display_name,organization,country,accessibility,training_compute_flop\n"
        'ace-1_high,Ace 1,2025-03-01,Ace 1 (high),"Ace Lab,Oak",Atlantis,API access,1e25\n'
        "zai-org/oak-7b,Oak 7B,2024-02-03,Oak 7B (Novita),Oak,Atlantis,Open weights (unrestricted),\n"
        ",,Stub,2025-01-21,,,,\n"
        ",,,,,,,\n"
    ),
    "mmlu_external.csv": HUB["mmlu_external.csv"],
    "aider_polyglot_external.csv": HUB["aider_polyglot_external.csv"],
    "puddle_jump_external.csv": (
        "Model version,Coach,Jumps,Release date,Organization,Country,Training compute (FLOP),Training compute notes,"
        "Jumps SE\nzai-org/oak-7b,Bo,7.5,2024-02-03,Oak,Atlantis,,,0.3\n"
    ),
    "gpqa_diamond.csv": (
        "Model version,mean_score,Best score (across scorers),Release date,Organization,Country,"
        "Training compute (FLOP),Training compute notes,stderr,Log viewer,Logs,Started at,id\n"
        "ace-1_high,85,86,2025-03-01,Ace Lab,Atlantis,,,2.5,,,2025-03-05T10:00:02.998Z,a\n"
    ),
    "epoch_capabilities_index/eci_scores.csv": (
        "Model,Display name,eci,eci_ci_low,eci_ci_high,date,Organization,Country (of organization),"
        "Model accessibility,Accessibility group,model_versions\n"
        "Ace 1,Ace 1,140.5,138.0,144.0,2025-03-01,Ace Lab,Atlantis,API access,Closed weights,\n"
        "GPT-5,GPT-5,150.0,,,2025-08-07,OpenAI,United States of America,API access,Closed weights,\n"
        "Elm 2,Elm 2,120,120,120,2024-05-01,Elm,Atlantis,Unknown,Other,\n"
    ),
    "epoch_capabilities_index/edi_scores.csv": (
        "benchmark_name,is_anchor,benchmark_release_date,edi,estimated_slope_scaled\nMMLU,False,2020-09-07,1,1\n"
    ),
    "epoch_capabilities_index/processed_data_for_eci.csv": (
        "model_id,benchmark_id,performance,benchmark,benchmark_release_date,model,model_version,Model,date,source\n"
        "m1,b1,0.48,MMLU,2020-09-07,Oak 7B,oak-7b,Oak 7B,2024-02-03,\n"
    ),
    "epoch_capabilities_index/eci_bootstraps.json": json.dumps({"num_samples": 2, "model": {"names": ["Ace 1"]}}),
}
"""The zip since August 2026."""

HISTORY = (
    "commit_date,commit,style_control,category,model,rating,q025,q975\n"
    "2025-02-12,aaa,no,full,ace-1,1400.0,1390.0,1410.0\n"
    "2025-02-12,aaa,no,full,oak-7b,1300.0,1290.0,1305.0\n"
    "2025-02-12,aaa,no,coding,ace-1,1420.5,1400.0,1441.0\n"
    "2025-12-11,bbb,no,full,ace-1,1460.12,1450.0,1470.0\n"
    "2025-12-17,ccc,yes,full,ace-1,1450.0,1440.0,1460.0\n"
    "2025-12-17,ccc,yes,hard_6,ace-1,,,\n"
)
BOARD: dict[str, Any] = {
    "full": {"ace-1": {"rating": 1460.1234, "rating_q025": 1450.01, "rating_q975": 1470.02}},
    "hard_6": {"ace-1": {"rating": "1440.5", "rating_q025": None, "rating_q975": 1450.0}},
    "knitting": {"ace-1": {"rating": 1410.0, "rating_q025": 1400.0, "rating_q975": 1420.0}, "oak-7b": {}},
}
LICENCES = (
    "model,weights_class,license,class_from\nace-1,closed,Proprietary,leaderboard_table 2024-10-07\n"
    "oak-7b,open,Apache 2.0,leaderboard_table 2024-10-07\nelm-2,closed,,name rule\nfir-1,open,,name rule\n"
    "yew-max,closed,Apache 2.0,an override\n,open,MIT,name rule\nash,,Nobody knows,\n"
)
SCATTER = [
    {
        "name": "Ace 1",
        "model_api_name": "ace-1",
        "input_token_price": "2.50",
        "output_token_price": 10,
        "organization": "Ace Lab",
        "license": "Propretary",
        "price_source": "https://ace.example/pricing",
        "model_source": "",
    },
    {"name": "Oak", "model_api_name": "oak-7b", "input_token_price": "", "organization": "Oak", "license": "Other"},
    {"name": "", "license": "MIT"},
]
TABLE = (
    "key,Model,MT-bench (score),MMLU,Knowledge cutoff date,License,Organization,Link\n"
    "oak-7b,Oak-7B,7.85,0.611,2023/4,Apache-2.0,Oak,https://oak.example\nfir-1,Fir-1,-,-,Unknown,Other,Fir,\n"
)


def lmarena() -> dict[str, str]:
    """The folder of the arena-catalog, with a history beside it."""
    return {
        "arena_history.csv": HISTORY,
        "arena_model_license.csv": LICENCES,
        "leaderboard-text.json": json.dumps(BOARD),
        "leaderboard_table_20240109.csv": TABLE,
        "scatterplot-data.json": json.dumps(SCATTER),
        "visibility-data.json": json.dumps({"full": {"left": [], "right": ["ace-1"]}}),
    }


def folder(place: Path, files: dict[str, str]) -> Path:
    """The files in a folder."""
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8", newline="")
    return place


def zipped(path: Path, files: dict[str, str], *, within: str = "") -> Path:
    """The files in a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in files.items():
            packed.writestr(within + name, text)
    return path
