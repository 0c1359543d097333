"""One model from every side: the match told, grades with dates, layers, scores, prices; by any name it goes by."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import analysis
from bench.errors import ConfigError

NOWHERE = Path("no-results-here")


def bench(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from bench.cli import main; main()", "models", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_every_model_that_is_known_has_a_vendor_also_one_that_nobody_scored() -> None:
    listed = analysis.models(NOWHERE).set_index("model")
    assert listed.index[listed["vendor"].isna()].tolist() == []
    unscored = listed[listed["benchmarks"] == 0]
    assert unscored.loc["grok-1", "vendor"] == "xAI"
    assert analysis.model(NOWHERE, "grok-1").facts == {"vendor": "xAI", "released": "2023-11-04"}


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gpt-5-2025-08-07_high", "gpt-5"),
        ("openai:gpt-5", "gpt-5"),
        ("accounts/fireworks/models/deepseek-v3p2", "deepseek-v3.2"),
        ("Claude Opus 4.5", "claude-opus-4.5"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("embedded-nano", "embedded-nano"),
    ],
)
def test_a_model_is_found_by_any_name_it_goes_by(name: str, model: str) -> None:
    shown = analysis.model(NOWHERE, name)
    assert shown.match.model == model
    assert shown.facts


def test_the_steps_of_the_match_are_told() -> None:
    told = analysis.model(NOWHERE, "accounts/fireworks/models/deepseek-v3p2").as_dict()
    assert (told["version"], told["host"]) == ("deepseek-v3.2", "fireworks")
    assert len(told["steps"]) == 2


def test_grades_stand_in_order_with_their_days_and_who_tells_them() -> None:
    grades = analysis.model(NOWHERE, "grok-2").grades
    assert grades["grade"].tolist() == ["closed-hosted", "closed-api", "weights-restricted"]
    assert str(grades["valid_from"].iloc[-1].date()) == "2025-08-23"
    assert set(grades["told_by"]) == {"override"}
    assert grades["source"].notna().all()


def test_the_layers_of_an_open_model_are_shown_and_unknown_is_not_closed() -> None:
    full = analysis.model(NOWHERE, "olmo-3").layers.iloc[0]
    assert [full[layer] for layer in ("weights", "training_code", "training_data")] == ["open"] * 3
    partly = analysis.model(NOWHERE, "deepseek-v3.2").layers.iloc[0]
    assert (partly["weights"], partly["training_data"]) == ("open", None)


def test_scores_carry_their_unit_and_source() -> None:
    scores = analysis.model(NOWHERE, "gpt-5").scores.set_index("benchmark")
    assert scores.loc["gpqa-diamond", "unit"] == "proportion"
    assert set(scores.loc[["eci"], "unit"]) == {"index points"}
    assert scores["source"].notna().all()


def test_a_name_of_which_nothing_is_known_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"which the rules read as model 'gpt-5\.44'; did you mean 'gpt-5\.4'"):
        analysis.model(NOWHERE, "gpt-5.44-2026-01-01")


def test_the_list_holds_every_model_of_the_catalogue_and_of_the_facts() -> None:
    frame = analysis.models(NOWHERE)
    assert tuple(frame.columns) == analysis.MODELS_COLUMNS
    assert frame["model"].is_unique
    assert len(frame) >= 200
    assert {"gpt-5", "kimi-k2.6", "embedded-nano", "opt-175b"} <= set(frame["model"])
    held = frame.set_index("model")["grade"]
    assert (held["grok-2"], held["qwen3-max"], held["phi-4"]) == (
        "weights-restricted",
        "closed-api",
        "weights-unrestricted",
    )


@pytest.mark.parametrize("words", [["gpt-5"], ["show", "gpt-5"]], ids=" ".join)
def test_the_verb_shows_one_model_with_or_without_the_word_show(words: list[str], tmp_path: Path) -> None:
    done = bench(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for said in ("model gpt-5", "who may use it", "openness", "published scores", "prices", "gpqa-diamond"):
        assert said in done.stdout
    assert "nan" not in done.stdout.split()


def test_json_is_one_object_with_everything(tmp_path: Path) -> None:
    told = json.loads(bench("show", "phi-4", "--json", cwd=tmp_path).stdout)
    assert set(told) == {
        *("name", "model", "version", "effort", "host", "steps", "facts", "grades", "layers", "scores", "prices"),
    }
    assert [grade["grade"] for grade in told["grades"]] == ["weights-noncommercial", "weights-unrestricted"]


@pytest.mark.parametrize(
    ("words", "said"), [(["show"], "write the NAME"), (["Claude", "Opus", "4.5"], '"Claude Opus 4.5"')]
)
def test_a_verb_half_typed_says_how_to_go_on(words: list[str], said: str, tmp_path: Path) -> None:
    done = bench(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_users_override_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "overrides.toml").write_text(
        '[[alias]]\nname = "house-llama"\nmodel = "llama-3.1-8b"\nsource = "our wiki"\n', encoding="utf-8"
    )
    done = bench("house-llama", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "our wiki" in done.stdout
