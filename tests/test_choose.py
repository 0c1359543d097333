"""`bench choose` on a made-up world whose every verdict is known by hand (tests/choice_world.py)."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path

import pytest
from scipy import stats
from typer.testing import CliRunner

from bench import analysis, database
from bench.catalog.files import parse
from bench.catalog.use_case import UseCase
from bench.cli import app
from bench.errors import ConfigError
from tests.choice_world import USD, USE_CASE, build, judged

PLAIN = {"name": "invoices", "tasks": [{"name": "core/ledger"}, {"name": "core/rewrite"}]}


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("world"))


def use(at_least=0.8, **changes) -> UseCase:
    return parse(UseCase, {**PLAIN, "quality": {"at_least": at_least}, **changes}, "test")


def states(answer) -> dict[str, str]:
    return {verdict.candidate.target: verdict.state for verdict in answer.verdicts}


def test_what_suffices_what_does_not_and_the_cheapest_of_each_layer(world):
    answer = analysis.choose(world, use(0.85))
    assert states(answer) == {
        "together:qwen": "suffices",
        "anthropic:mid": "suffices",
        "openai:big": "suffices",
        "vllm@local": "not known",  # 0.90 and 0.80: exactly what is wanted
        "groq:small": "does not",
    }
    assert [v.candidate.target for v in answer.verdicts][:3] == ["together:qwen", "anthropic:mid", "openai:big"]
    cheapest = {layer: v.candidate.target for layer, v in answer.cheapest().items() if v}
    assert cheapest == {"hosted-open": "together:qwen", "hosted-closed": "anthropic:mid"}
    assert answer.sentence().startswith("Yes: together:qwen suffices (99.8% sure), at 0.0002 $/task; it is open")


def test_the_certainty_is_that_of_the_beta_law_where_one_task_is_asked(world):
    answer = analysis.choose(world, use(0.88, tasks=[{"name": "core/ledger"}]))
    found = {v.candidate.target: v.certainty for v in answer.verdicts}
    for target, right in (("openai:big", 190), ("together:qwen", 180), ("groq:small", 140)):
        assert found[target] == pytest.approx(stats.beta.sf(0.88, 1 + right, 201 - right), abs=0.015)


def test_the_reference_models_are_never_recommended_unless_they_are_asked_for(world):
    answer = analysis.choose(world, use(0.8))
    assert "embedded:nano" not in states(answer)
    assert answer.left_out == {"layer reference is not among the use case's": ["embedded:nano"]}
    allowed = analysis.choose(world, use(0.8, layers=["reference", "hosted-open"]))
    assert states(allowed)["embedded:nano"] == "suffices"
    assert "openai:big" not in states(allowed)


def test_weights_count(world):
    """vllm@local: 0.90 and 0.80; 3 to 1 for the first is 0.875, for the second 0.825."""
    for weights, mean in (((3, 1), 0.875), ((1, 3), 0.825)):
        tasks = [{"name": name, "weight": w} for name, w in zip(("core/ledger", "core/rewrite"), weights, strict=True)]
        answer = analysis.choose(world, use(0.85, tasks=tasks))
        (mine,) = [v for v in answer.verdicts if v.candidate.target == "vllm@local"]
        assert mine.criteria[0].value == pytest.approx(mean)
        assert (mine.criteria[0].certainty > 0.5) == (mean > 0.85)


def test_no_worse_than_another_by_more_than_a_margin_is_judged_on_pairs(world):
    """Answers are nested: qwen misses 20 of 400 that openai has right, 0.05 +- 0.011."""
    for within, expected in ((0.09, "suffices"), (0.05, "not known"), (0.02, "does not")):
        answer = analysis.choose(world, use(quality={"within": within, "of": "openai:big"}))
        assert states(answer)["together:qwen"] == expected
        assert states(answer)["openai:big"] == "suffices"
    (mine,) = [v for v in answer.verdicts if v.candidate.target == "together:qwen"]
    assert (mine.criteria[0].name, mine.criteria[0].value) == ("quality difference", pytest.approx(-0.05))
    assert mine.criteria[0].high - mine.criteria[0].low == pytest.approx(2 * 1.96 * 0.0115, rel=0.2)


@pytest.mark.parametrize(
    ("limit", "out"),
    [
        ({"ttft_ms_p95": 90}, {"together:qwen", "anthropic:mid"}),
        ({"e2e_ms_p95": 250}, {"anthropic:mid"}),
        ({"usd_per_task": "0.00015"}, {"together:qwen", "anthropic:mid", "openai:big"}),
        ({"usd_per_month": "4"}, {"anthropic:mid", "openai:big"}),
        ({"usd_per_solved": "0.0006"}, {"openai:big"}),
    ],
)
def test_a_limit_rules_out_whom_it_should(world, limit, out):
    plain = {target for target, state in states(analysis.choose(world, use(0.8))).items() if state == "suffices"}
    answer = analysis.choose(world, use(0.8, limits=limit, tasks_per_month=10_000))
    ruled_out = {target for target in plain if states(answer)[target] == "does not"}
    assert ruled_out == out & plain
    priced = "usd" in next(iter(limit))
    (local,) = [v for v in answer.verdicts if v.candidate.target == "vllm@local"]
    assert ("price unknown" in local.why(0.9)) == priced


def test_money_is_what_was_paid_a_task_and_a_solved_task(world):
    limits = {"usd_per_task": "1", "usd_per_solved": "1", "usd_per_month": "100"}
    answer = analysis.choose(world, use(0.8, limits=limits, tasks_per_month=10_000))
    frame = analysis.criteria(answer).set_index(["target", "criterion"])["value"]
    for target, usd in USD.items():
        assert frame[target, "usd_per_task"] == pytest.approx(usd)
        assert frame[target, "usd_per_month"] == pytest.approx(usd * 10_000)
    assert frame["together:qwen", "usd_per_solved"] == pytest.approx(0.0002 / 0.9)


def test_where_nothing_was_solved_there_is_a_least_for_a_solved_task_and_no_figure(tmp_path):
    judged(tmp_path, "20261101T000000", "lab:no", "hosted-open", "lab", (0, 0), "50", 10, n=50)
    database.build(tmp_path)
    answer = analysis.choose(tmp_path, use(0.5, limits={"usd_per_solved": "0.01"}))
    money = answer.verdicts[0].criteria[1]
    assert (money.value, money.high, money.state(0.9)) == (None, None, "missed")
    assert 0.001 / 0.05 < money.low < 0.001 / 0.02  # with 95%, at most 4% of 100 are right, and at most that is paid
    json.dumps(answer.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("target", "model", "is_open"),
    [
        ("openrouter:anthropic/claude-3-opus", "anthropic/claude-3-opus", False),
        ("together:meta-llama/Llama-3.1-70B-Instruct", "meta-llama/Llama-3.1-70B-Instruct", True),
        ("groq:nobody-knows-it", "nobody-knows-it", True),
    ],
)
def test_a_closed_model_passed_on_by_a_host_of_open_ones_is_closed(tmp_path, target, model, is_open):
    judged(tmp_path, "20261101T000000", target, "hosted-open", "openrouter", (45, 45), "1", 10, n=50, model=model)
    database.build(tmp_path)
    (mine,) = analysis.choose(tmp_path, use(0.5)).verdicts
    assert mine.candidate.is_open == is_open
    assert (mine.candidate.released is None) == (model == "nobody-knows-it")


def test_not_yet_and_not_known_are_told_apart_and_what_would_decide(world):
    none = analysis.choose(world, use(0.99))
    assert none.state == "not yet"
    assert none.sentence().startswith(
        "Not yet: none of 5 suffices; nearest: openai:big (quality 0.950, wanted ≥ 0.990)"
    )
    close = analysis.choose(world, use(0.94, layers=["hosted-closed"]))
    assert close.state == "not known"
    (big,) = [v for v in close.verdicts if v.candidate.target == "openai:big"]
    assert "more would decide" in big.why(0.9)
    assert big.criteria[0].more() == pytest.approx((1.2816 / 0.01) ** 2 * 0.95 * 0.05 - 400, rel=0.25)


def test_a_closed_one_alone_is_a_yes_that_says_what_is_known_of_open_ones(world):
    answer = analysis.choose(world, use(0.91))
    assert answer.best_open is None
    assert "whether an open one does is not known" in answer.sentence()
    assert answer.since.why == "no open target is known to suffice"


def test_failures_keep_a_target_from_sufficing(tmp_path):
    judged(tmp_path, "20261101T000000", "lab:flaky", "hosted-open", "lab", (80, 80), "1", 10, n=100, lost=10)
    database.build(tmp_path)
    answer = analysis.choose(tmp_path, use(0.5, limits={"ttft_ms_p95": 500}))
    (mine,) = answer.verdicts
    assert mine.state == "does not"  # a tenth never came: no latency's P95
    assert [c.state(0.9) for c in mine.criteria] == ["not known", "missed"]
    assert "10.0% of the answers have no score" in mine.criteria[0].why


def test_the_newest_run_speaks_and_versions_of_a_suite_are_never_mixed(tmp_path):
    rows = [("1", "0", 90), ("2", "0", 40), ("3", "1", 95)]
    for day, version, right in rows:
        run_id = f"2026110{day}T000000"
        judged(tmp_path, run_id, "lab:m", "hosted-open", "lab", (right, right), "1", 10, n=100, suite_version=version)
    database.build(tmp_path)

    def value(name):
        return analysis.choose(tmp_path, use(tasks=[{"name": name}])).verdicts[0].criteria[0].value

    assert (value("core/ledger"), value("core@1/ledger"), value("core@0/ledger")) == (0.95, 0.95, 0.4)


def test_a_task_that_a_target_was_not_asked_is_not_known(tmp_path):
    judged(tmp_path, "20261101T000000", "lab:m", "hosted-open", "lab", (95,), "1", 10, n=100, tasks=("core_ledger",))
    database.build(tmp_path)
    answer = analysis.choose(tmp_path, use())
    assert (answer.state, answer.verdicts[0].why(0.9)) == ("not known", "quality: not measured: core/core_rewrite")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tasks": [{"name": "core/ledgr"}]}, "task 'core/ledgr' is unknown; did you mean 'core/ledger'?"),
        ({"tasks": [{"name": "croe/ledger"}]}, "task 'croe/ledger' is unknown; did you mean 'core/ledger'?"),
        ({"tasks": [{"name": "lmarena-text"}]}, "task 'lmarena-text': lmarena-text is counted in points"),
        ({"tasks": [{"name": "core@1/ledger"}, {"name": "core@2/hops"}]}, "suite core is asked for in two versions"),
        ({"quality": {"within": 0.1, "of": "openai:bgi"}}, "quality.of = 'openai:bgi' was not measured on these tasks"),
    ],
)
def test_a_name_that_nobody_knows_is_one_line_with_the_nearest(world, changes, told):
    with pytest.raises(ConfigError) as error:
        analysis.choose(world, use(**changes))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


# ------------------------------------------------------------------------------------------------------------- command


def bench(*arguments: str):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def use_case(tmp_path) -> Path:
    (tmp_path / "use.toml").write_text(USE_CASE)
    return tmp_path / "use.toml"


def test_the_first_line_is_the_answer_and_every_target_has_a_row(world, use_case):
    done = bench("choose", use_case, "--results", world)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Yes: together:qwen suffices (>99.9% sure), at 0.0002 $/task")
    for target in ("openai:big", "vllm@local", "groq:small"):
        assert any(line.startswith(target) for line in lines)


def test_json_is_one_object_with_every_criterion_and_its_evidence(world, use_case):
    done = bench("choose", use_case, "--results", world, "--json", "--certainty", "0.8")
    told = json.loads(done.stdout)
    assert (told["answer"], told["best"], told["best_open"], told["certainty_wanted"]) == (
        "yes", "together:qwen", "together:qwen", 0.8,
    )  # fmt: skip
    first = told["targets"][0]["criteria"][0]
    assert (first["name"], first["wanted"], first["value"], first["n"]) == ("quality", 0.8, 0.9, 400)
    assert first["evidence"] == "measured here"
    assert told["cheapest"]["hosted-closed"] == "anthropic:mid"


def test_what_is_not_known_exits_with_six_and_a_no_does_not(world, use_case):
    for level, code in (("0.94", 6), ("0.99", 0)):
        text = USE_CASE.replace("0.8", level).replace('name = "invoices"', 'name = "x"\nlayers = ["hosted-closed"]')
        use_case.write_text(text)
        assert bench("choose", use_case, "--results", world).exit_code == code


def test_without_any_run_it_is_not_known_and_says_what_to_do(tmp_path, use_case):
    done = bench("choose", use_case, "--results", tmp_path / "nowhere")
    assert done.exit_code == 6
    assert "bench run SUITE -t TARGET" in done.stdout


def test_the_example_is_printed_and_can_be_asked(world, tmp_path):
    done = bench("choose", "--example")
    assert done.exit_code == 0
    (tmp_path / "e.toml").write_text(done.stdout)
    assert bench("choose", tmp_path / "e.toml", "--results", world).exit_code == 0


def test_a_chart_is_written_with_the_names_of_the_targets(world, use_case, tmp_path):
    done = bench("choose", use_case, "--results", world, "--chart", tmp_path / "front.html")
    assert done.exit_code == 0
    page = (tmp_path / "front.html").read_text()
    assert "1 groq:small (open)" in page
    assert "Which quality is to be had for which money?" in page


def test_the_front_of_the_world_is_known_and_so_is_what_is_dominated(world):
    frame = analysis.quality_cost(world, use()).set_index("target")
    assert tuple(frame.reset_index().columns) == analysis.QUALITY_COST_COLUMNS
    assert frame["on_front"].to_dict() == dict.fromkeys(USD, True)
    assert frame.attrs["without_price"] == ["vllm@local"]
    assert frame.loc["groq:small", "p_dominated"] == 0.0
    assert frame.loc["together:qwen", "p_dominated"] < 0.01
    assert 0 < frame.loc["openai:big", "p_dominated"] < 0.02  # mid misses 6 of 400 more and gets none back: 1 in 2^7


# ----------------------------------------------------------------------------------------------------------- published


@pytest.fixture
def others(monkeypatch):
    """Three models that others measured on GPQA diamond; 198 items where no standard error is told."""
    import pandas as pd

    observations = import_module("bench.analysis.observations")  # the package calls its function so, too

    rows = [
        ("old-open", 0.70, float("nan"), "2024-05-01", "2024-05-01"),
        ("new-open", 0.86, 0.02, "2025-05-01", "2025-08-01"),
        ("closed", 0.90, 0.02, "2025-01-01", None),
    ]
    columns = ["model", "score", "stderr", "released", "open_since"]
    frame = pd.DataFrame(rows, columns=columns).assign(
        benchmark="gpqa-diamond",
        benchmark_version=None,
        n_items=float("nan"),
        source="a test",
        label=lambda f: f["model"],
    )
    frame = frame.astype({"released": "datetime64[ns]", "open_since": "datetime64[ns]"})
    monkeypatch.setattr(observations, "observations", lambda *_, **__: frame)
    return frame


def test_published_scores_are_judged_by_their_standard_errors_or_the_binomial_one(others, tmp_path):
    answer = analysis.choose(tmp_path, use(0.8, tasks=[{"name": "GPQA diamond"}]))
    assert states(answer) == {"closed": "suffices", "new-open": "suffices", "old-open": "does not"}
    found = {v.candidate.target: v.criteria[0] for v in answer.verdicts}
    assert found["new-open"].certainty == pytest.approx(stats.norm.sf(0.8, 0.86, 0.02), abs=0.01)
    assert found["new-open"].evidence == "published (a test)"
    reach = 1.96 * (0.7 * 0.3 / 198) ** 0.5
    assert (found["old-open"].low, found["old-open"].n) == (pytest.approx(0.7 - reach, abs=0.005), 198)
    assert "by published scores" in answer.sentence()


def test_since_when_an_open_one_is_enough_is_the_day_its_weights_were_open(others, tmp_path):
    since = analysis.choose(tmp_path, use(0.8, tasks=[{"name": "gpqa-diamond"}])).since
    assert (since.model, since.released) == ("new-open", "2025-08-01")
    none = analysis.choose(tmp_path, use(0.88, tasks=[{"name": "gpqa-diamond"}])).since
    assert none.why == "no open model has 0.88 on gpqa-diamond in what is published"


def test_an_open_model_of_others_may_run_where_any_open_layer_is_allowed(others, tmp_path):
    tasks = [{"name": "gpqa-diamond"}]
    assert set(states(analysis.choose(tmp_path, use(0.8, tasks=tasks, layers=["self-hosted"])))) == {
        "old-open", "new-open",
    }  # fmt: skip
    assert set(states(analysis.choose(tmp_path, use(0.8, tasks=tasks, layers=["hosted-closed"])))) == {"closed"}


def test_own_tasks_and_published_ones_make_one_mean_of_targets_measured_here(others, world):
    tasks = [{"name": "core/ledger"}, {"name": "gpqa-diamond"}]
    answer = analysis.choose(world, use(0.5, tasks=tasks))
    assert {v.why(0.9) for v in answer.verdicts} == {"quality: not measured: gpqa-diamond"}
