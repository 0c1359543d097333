"""Names of models: each rule, the exceptions, the user's file, and how far the groups agree with Epoch's."""

from __future__ import annotations

import csv
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.catalog.names import match
from bench.catalog.overrides import load_overrides, packaged
from bench.errors import ConfigError
from tests.real_data import real


@pytest.mark.parametrize(
    ("name", "model", "version", "effort", "host"),
    [
        ("gpt-5-2025-08-07_high", "gpt-5", "gpt-5-2025-08-07", "high", None),
        ("claude-sonnet-4-20250514_32K", "claude-sonnet-4", "claude-sonnet-4-20250514", "32K", None),
        ("claude-opus-4-5-20251101-thinking-32k", "claude-opus-4.5", "claude-opus-4-5-20251101", "32K", None),
        ("gpt-5.1-2025-11-13_none", "gpt-5.1", "gpt-5.1-2025-11-13", "none", None),
        ("gpt-5-2025-08-07_unknown", "gpt-5", "gpt-5-2025-08-07", "unknown", None),
        ("Claude Opus 4.7 (xhigh)", "claude-opus-4.7", "claude-opus-4.7", "xhigh", None),
        ("GPT-5.2 (unknown thinking)", "gpt-5.2", "gpt-5.2", "unknown", None),
        ("QwQ-32B (16K thinking)", "qwq-32b", "qwq-32b", "16K", None),
        ("o3-mini-high", "o3-mini", "o3-mini", "high", None),
        ("mistral-medium", "mistral-medium", "mistral-medium", None, None),
        ("gpt-5.1-codex-max", "gpt-5.1-codex-max", "gpt-5.1-codex-max", None, None),
        ("deepseek-v3.1-thinking", "deepseek-v3.1", "deepseek-v3.1", "thinking", None),
        ("qwen3-235b-a22b-no-thinking", "qwen3-235b-a22b", "qwen3-235b-a22b", "none", None),
        ("kimi-k2-thinking", "kimi-k2-thinking", "kimi-k2-thinking", None, None),
        ("grok-4-1-fast-non-reasoning", "grok-4.1-fast", "grok-4-1-fast", "none", None),
        ("fireworks/kimi-k2p5", "kimi-k2.5", "kimi-k2.5", None, "fireworks"),
        ("accounts/fireworks/models/deepseek-v3p2", "deepseek-v3.2", "deepseek-v3.2", None, "fireworks"),
        ("openai/gpt-oss-120b_high", "gpt-oss-120b", "gpt-oss-120b", "high", None),
        ("chutes/gpt-oss-120b", "gpt-oss-120b", "gpt-oss-120b", None, "chutes"),
        ("DeepSeek-V3.2 (Thinking; Fireworks)", "deepseek-v3.2", "deepseek-v3.2", "thinking", "fireworks"),
        ("global.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4.5", "claude-opus-4-5-20251101", None,
         "bedrock"),
        ("z-ai/glm-4.5-air:free", "glm-4.5-air", "glm-4.5-air", None, None),
        ("llama3.1:8b-instruct-q8_0", "llama-3.1-8b", "llama-3.1-8b-instruct-q8-0", None, None),
        ("gpt-5.4-pro-2026-03-05-web-app", "gpt-5.4-pro", "gpt-5.4-pro-2026-03-05", None, "web app"),
        ("Meta-Llama-3-70B-Instruct", "llama-3-70b", "llama-3-70b-instruct", None, None),
        ("Meta-Llama-3-70B", "llama-3-70b", "llama-3-70b", None, None),
        ("Llama-4-Maverick-17B-128E-Instruct-FP8", "llama-4-maverick", "llama-4-maverick-17b-128e-instruct-fp8", None,
         None),
        ("mistral-large-2411", "mistral-large-2", "mistral-large-2411", None, None),
        ("Command R+", "command-r-plus", "command-r-plus", None, None),
        ("GPT\u20115-Codex", "gpt-5-codex", "gpt-5-codex", None, None),
        (" Llama-2-70b-hf ", "llama-2-70b", "llama-2-70b-hf", None, None),
    ],
)  # fmt: skip
def test_a_name_is_read_by_the_rules(name: str, model: str, version: str, effort: str | None, host: str | None) -> None:
    found = match(name)
    assert (found.model, found.version, found.effort, found.host) == (model, version, effort, host)


@pytest.mark.parametrize(
    "names",
    [
        ("gpt-4-0314", "gpt-4-0613", "gpt-4-1106-preview", "gpt-4-turbo-2024-04-09", "gpt-4o-2024-05-13"),
        ("claude-3-5-sonnet-20240620", "claude-3-5-sonnet-20241022", "claude-3-7-sonnet-20250219"),
        ("deepseek-r1", "deepseek-r1-0528"),
        ("o1-preview-2024-09-12", "o1-2024-12-17", "o1-mini-2024-09-12", "o1-pro-2025-03-19"),
        ("gemini-2.5-pro-exp-03-25", "gemini-2.5-pro-preview-05-06", "gemini-2.5-pro"),
        ("kimi-k2-0905", "kimi-k2-thinking"),
        ("llama-4-maverick-17b-128e-instruct", "llama-4-maverick-03-26-experimental"),
        ("qwen3-235b-a22b", "qwen3-235b-a22b-thinking-2507", "qwen3-vl-235b-a22b-thinking"),
        ("deepseek-v3.2", "deepseek-v3.2-exp"),
    ],
)
def test_different_releases_are_never_one_model(names: tuple[str, ...]) -> None:
    assert len({match(name).model for name in names}) == len(names)


def test_dated_versions_of_one_release_are_one_model_and_stay_apart_as_versions() -> None:
    found = [match(name) for name in ("gpt-4o-2024-05-13", "gpt-4o-2024-11-20", "chatgpt-4o-latest-20250326")]
    assert {item.model for item in found} == {"gpt-4o"}
    assert len({item.version for item in found}) == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fireworks/deepseek-v3p2", "deepseek/deepseek-v3.2"),
        ("deepseek-reasoner", "DeepSeek-V3.2"),
        ("Meta-Llama-3-70B-Instruct", "llama-3-70b-instruct"),
        ("c4ai-command-a-03-2025", "command-a-03-2025"),
        ("gemini-3.1-pro-preview-customtools", "gemini-3.1-pro-preview"),
        ("Qwen3-235B-A22B", "qwen3-235b-a22b"),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5-20251101"),
    ],
)
def test_one_version_under_two_spellings_is_one_version(one: str, other: str) -> None:
    assert match(one).version == match(other).version


def test_every_step_is_told_in_words() -> None:
    steps = match("accounts/fireworks/models/deepseek-v3p2").steps
    assert steps == ("prefix 'fireworks' dropped: who served it", "p between digits is a dot: deepseek-v3.2")
    assert "Epoch" in match("claude-3-5-sonnet-20241022").steps[0]
    assert match("gpt-oss-120b").steps == ()


@given(st.text(max_size=60))
def test_every_text_has_a_match_and_the_model_it_finds_means_itself(name: str) -> None:
    found = match(name)
    assert found.model == match(found.model).model or not found.model


def test_twenty_thousand_names_take_under_a_second_or_little_more() -> None:
    names = [f"claude-opus-4-{n % 9}-2025{n % 12 + 1:02d}14_{n}K" for n in range(20_000)]
    began = time.process_time()
    for name in names:
        match(name)
    assert time.process_time() - began < 2.0  # about 0.6 s on a quiet core


def test_a_users_alias_and_grade_win_over_the_packaged_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[[alias]]\nname = "our-llama"\nmodel = "llama-3.1-8b"\nsource = "our wiki"\n'
        '[[access]]\nmodel = "grok-2"\ngrade = "closed-api"\nvalid_from = 2024-10-21\nsource = "our reading"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("BENCH_OVERRIDES", str(path))
    mine = load_overrides()
    assert match("Our_Llama", mine).model == "llama-3.1-8b"
    assert [fact.grade for fact in mine.access["grok-2"]] == ["closed-api"]
    assert mine.access["phi-4"] == packaged().access["phi-4"]
    assert match("our-llama").model == "our-llama"


def test_without_a_users_file_the_packaged_exceptions_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_OVERRIDES", raising=False)
    monkeypatch.chdir(tmp_path)
    assert load_overrides() is packaged()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[alia]]\nname = "a"\n', "section 'alia' is unknown; did you mean 'alias'?"),
        ('[[alias]]\nname = "a"\nmodel = "b"\n', "key 'source' is missing"),
        ('[alias]\nname = "a"\n', "write [[alias]] with two brackets"),
        (
            '[[alias]]\nname = "a b"\nmodel = "x"\nsource = "s"\n[[alias]]\nname = "A-B"\nmodel = "y"\nsource = "s"\n',
            "'A-B' is declared twice",
        ),
        (
            '[[access]]\nmodel = "m"\ngrade = "open"\nvalid_from = 2025-01-01\nsource = "s"\n',
            "grade = 'open' is unknown",
        ),
        (
            '[[access]]\nmodel = "m"\ngrade = "closed-api"\nvalid_from = 2025-01-01\nsource = "s"\n'
            '[[access]]\nmodel = "m"\ngrade = "fully-open"\nvalid_from = 2025-06-01\nsource = "s"\n',
            "write valid_to = 2025-06-01",
        ),
    ],
)
def test_a_mistake_in_the_users_file_is_one_line_that_names_it(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "overrides.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_overrides(path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_variable_that_names_no_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_OVERRIDES", "/nowhere/overrides.toml")
    with pytest.raises(ConfigError, match="there is no such file"):
        load_overrides()


DELIBERATE = {
    "gemini-exp-1206": "a preview of 2.0 Pro, so no Flash",
    "QwQ-32B-Preview": "weights of their own, of November 2024",
    "Qwen2.5-VL-72B-Instruct": "a vision model with weights of its own",
}
"""Where our groups are not Epoch's, and why; 487 of the 490 grouped rows agree."""


def test_our_models_are_epochs_groups_but_for_three_named_rows() -> None:
    with (real("epoch_hub_2026-04") / "epoch_capabilities_index.csv").open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["Model name"]]
    groups: dict[str, list[str]] = defaultdict(list)
    owners: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        groups[row["Model name"]].append(row["Model version"])
        owners[match(row["Model version"]).model].add(row["Model name"])
    differ = set()
    for versions in groups.values():
        most, _ = Counter(match(version).model for version in versions).most_common(1)[0]
        differ |= {v for v in versions if match(v).model != most or len(owners[match(v).model]) > 1}
    assert len(rows) == 490
    assert differ == set(DELIBERATE)
