"""`bench doctor TARGET` against a server with one peculiarity at a time: it must be found, named, and mended."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import trustme
from peculiar import KEY, MODEL, OTHER, PECULIARITIES, peculiar
from replay import replaying

from bench import doctor
from bench.catalog import load, target
from bench.doctor.block import block, toml
from bench.doctor.examine import PROBES
from bench.doctor.findings import BLOCK, Finding

Found = dict[str, Finding]


def examined(spec: str, targets: Path | None = None, *, deep: bool = False) -> Found:
    """The last finding by each name."""
    return {each.what: each for each in doctor.targets([spec], load(targets), deeply=deep)}


@contextmanager
def found_at(
    *oddities: str, deep: bool = False, wire: str = "openai_chat", more: str = "", folder: Path
) -> Iterator[Found]:
    with peculiar(*oddities) as (url, _):
        yield examined("odd", declared(folder, url, wire=wire, more=more), deep=deep)


def declared(folder: Path, url: str, *, wire: str = "openai_chat", more: str = "") -> Path:
    path = folder / "targets.toml"
    path.write_text(f'[[targets]]\nid = "odd"\nbase_url = "{url}"\nmodel = "{MODEL}"\nwire = "{wire}"\n{more}')
    return path


def bads(found: Found) -> list[str]:
    return [f"{each.what}: {each.found}" for each in found.values() if each.bad]


# ------------------------------------------------------------------------------------------- one peculiarity at a time

BROKEN_BUT_MENDED = {
    "ignores_max_tokens": ("cap field", "is ignored: 40 tokens came where 16", {"cap_field": "max_completion_tokens"}),
    "refuses_max_tokens": ("cap field", "max_tokens is refused", {"cap_field": "max_completion_tokens"}),
    "refuses_temperature": ("temperature", "none is sent", {"sampling": "refused"}),
    "refuses_stream_options": ("stream options", "refused", {"stream_options": False}),
    "refuses_stop": ("stop", "refused", {"stop_max": 0}),
    "refuses_system": ("system role", "taken and obeyed", {"system_role": "user"}),
    "positive_logprobs": ("logprobs", "no logarithm of a probability", {"logprobs": False}),
    "fat_logprobs": ("logprobs", "sum to 2.10", {"logprobs": False}),
}
"""Findings that make a run fail or lie as the target is declared, and the quirk after which it doesn't."""

BROKEN = {
    "ignores_every_cap": ("cap field", "max_completion_tokens too: no cap protects"),
    "no_usage": ("usage", "the server counts no tokens"),
    "zero_usage": ("usage counts", "counted as 0 tokens"),
    "constant_usage": ("tokenizer", "usage ignores the prompt"),
    "wrong_tokenize": ("tokenizer", "its own /tokenize counts 2.00"),
    "buffers": ("stream", "not streamed"),
    "renamed": ("model echo", f"{MODEL} was asked and {OTHER} answered"),
    "broken_characters": ("characters", "broken on the way"),
}

NOTED = {
    "ignores_temperature": ("temperature", "it may be ignored", {}),
    "fixed_temperature": ("temperature", "1.5 answers as 0 does", {}),
    "ignores_seed": ("seed", "seed is ignored", {}),
    "refuses_seed": ("seed", "seed is refused", {"seed_field": False}),
    "ignores_stop": ("stop", "ignored: '1, 2, 3, 4, 5", {}),
    "ignores_system": ("system role", "not obeyed", {}),
    "refuses_developer": ("developer role", "refused", {}),
    "refuses_logprobs": ("logprobs", "refused", {"logprobs": False}),
    "ignores_logprobs": ("logprobs", "none came", {"logprobs": False}),
    "one_piece": ("stream", "", {}),
    "any_model": ("wrong model", "any name is taken", {}),
    "late_clock": ("clock", "the server's clock is 360", {}),
    "no_listing": ("listing", "no list of models: HTTP 404", {}),
    "not_listed": ("listing", f"{MODEL} is not among the 1 listed", {}),
    "retires": ("ends", "2027-01-14", {"ends": "2027-01-14"}),
    "refuses_tools": ("tools", "refused", {"tools": False}),
    "ignores_tools": ("tools", "none called", {}),
    "wrong_call": ("tools", "not what was declared", {}),
    "refuses_schema": ("structured", "refused", {"structured": False}),
    "ignores_schema": ("structured", "not followed", {}),
    "says_cost": ("cost, route", "0.00042", {}),
    "says_route": ("cost, route", "node-7", {"route_header": "x-inference-provider"}),
}


@pytest.mark.parametrize("oddity", BROKEN_BUT_MENDED)
def test_what_would_spoil_a_run_is_bad_and_its_quirk_mends_it(oddity: str, tmp_path: Path) -> None:
    what, said, quirks = BROKEN_BUT_MENDED[oddity]
    with peculiar(oddity) as (url, _):
        every = doctor.targets(["odd"], load(declared(tmp_path, url)))
        suggested = {name: value for each in every for name, value in each.quirks.items()}
        assert any(each.what == what and each.bad for each in every), every
        assert any(each.what == what and said in each.found for each in every), [
            e.found for e in every if e.what == what
        ]
        assert suggested == quirks
        mended = tmp_path / "mended.toml"
        mended.write_text(every[-1].found)
        again = examined("odd", mended)
        assert bads(again) == []
        assert load(mended).targets["odd"].quirks == quirks
        assert again[BLOCK].found == every[-1].found


@pytest.mark.parametrize("oddity", BROKEN)
def test_what_no_quirk_mends_is_bad_all_the_same(oddity: str, tmp_path: Path) -> None:
    what, said = BROKEN[oddity]
    with found_at(oddity, folder=tmp_path) as found:
        assert found[what].bad, found[what]
        assert said in found[what].found
        assert len(bads(found)) == 1, bads(found)


@pytest.mark.parametrize("oddity", NOTED)
def test_what_is_to_be_known_is_noted_and_spoils_nothing(oddity: str, tmp_path: Path) -> None:
    what, said, quirks = NOTED[oddity]
    with found_at(oddity, folder=tmp_path) as found:
        assert bads(found) == []
        assert said in found[what].found
        assert found[what].state == "note" or oddity == "one_piece"
        assert dict(found[what].quirks) == quirks
        assert tomllib.loads(found[BLOCK].found)["targets"][0].get("quirks", {}) == quirks


@pytest.mark.parametrize(
    ("oddity", "declares", "quirks"),
    [
        ("ignores_max_completion_tokens", 'cap_field = "max_completion_tokens"', {"cap_field": "max_tokens"}),
        ("refuses_max_completion_tokens", 'cap_field = "max_completion_tokens"', {"cap_field": "max_tokens"}),
        (
            "refuses_obfuscation",
            "stream_options = { include_usage = true, include_obfuscation = false }",
            {"stream_options": {"include_usage": True}},
        ),
    ],
)
def test_what_is_declared_wrongly_is_put_right(
    oddity: str, declares: str, quirks: dict[str, object], tmp_path: Path
) -> None:
    with peculiar(oddity) as (url, _):
        found = examined("odd", declared(tmp_path, url, more=f"quirks = {{ {declares} }}"))
        mended = tmp_path / "mended.toml"
        mended.write_text(found[BLOCK].found)
        again = examined("odd", mended)
    assert load(mended).targets["odd"].quirks == quirks
    assert bads(again) == []


def test_an_honest_server_has_nothing_bad_and_costs_little(tmp_path: Path) -> None:
    with peculiar() as (url, server):
        found = examined("odd", declared(tmp_path, url))
        n_requests, n_out = len(server.bodies), int(found["spent"].found.partition(" tokens in, ")[2].split()[0])
    assert bads(found) == []
    assert [each.what for each in found.values() if each.quirks or each.options] == []
    for what in ("answers", "usage", "cap field", "stream", "reasoning", "repeatable", "temperature", "seed", "stop",
                 "system role", "logprobs", "tokenizer", "characters", "tools", "structured",
                 "wrong model"):  # fmt: skip
        assert found[what].state == "ok", found[what]
    assert n_requests <= sum(probe.requests for probe in PROBES)
    assert n_requests <= 24
    assert n_out < 1000
    assert found["spent"].found.startswith(f"{n_requests} requests")
    assert found["tokenizer"].found.startswith("1.00 tokens for the word 'sea' and a blank, 7 for the template")
    assert "400 tokens" in found["context"].found


def test_limits_are_waited_for(tmp_path: Path) -> None:
    with found_at("limits_rate", folder=tmp_path) as found:
        assert bads(found) == []
        assert found["repeatable"].state == "ok"
        assert "asked to wait" in found["limits"].found


def test_no_more_is_sent_than_was_announced(tmp_path: Path) -> None:
    told: list[str] = []
    with peculiar("reasoning", "refuses_max_tokens", "cannot_force_tools", "json_only", "priced") as (url, server):
        doctor.targets(["odd"], load(declared(tmp_path, url)), say=told.append)
        most = int(told[0].partition("at most ")[2].split()[0])
        refusals = 2  # asking again without what was refused
        assert len(told) == 1
        assert 20 < len(server.bodies) <= most + refusals


# ----------------------------------------------------------------------------------------------------------- reasoning


@pytest.mark.parametrize(
    ("shape", "where"),
    [
        ("think_tags", "<think> inside the text"),
        ("reasoning", "`reasoning`"),
        ("reasoning_content", "`reasoning_content`"),
    ],
)
def test_thoughts_are_found_where_they_are(shape: str, where: str, tmp_path: Path) -> None:
    with found_at(shape, folder=tmp_path) as found:
        assert where in found["reasoning"].found
        assert found["reasoning off"].quirks == {"reasoning": "always"}
        assert "accepted and without effect" in found["switches"].found
        written = tomllib.loads(found[BLOCK].found)["targets"][0]
        assert written["options"] == {"reasoning_budget": 4000}


def test_hidden_thoughts_are_told_by_the_count(tmp_path: Path) -> None:
    with found_at("hidden", folder=tmp_path) as found:
        assert found["reasoning"].found.startswith("hidden: 34 of 35 tokens")


@pytest.mark.parametrize(
    ("switch", "quirks"),
    [
        ("off_by_effort", {"reasoning": "optional"}),
        (
            "off_by_template",
            {"reasoning": "optional", "reasoning_off": {"chat_template_kwargs": {"enable_thinking": False}}},
        ),
        ("off_by_thinking", {"reasoning": "optional", "reasoning_off": {"thinking": {"type": "disabled"}}}),
    ],
)
def test_the_switch_that_works_is_told_from_those_that_are_only_accepted(
    switch: str, quirks: dict[str, object], tmp_path: Path
) -> None:
    with peculiar("reasoning", switch) as (url, server):
        found = examined("odd", declared(tmp_path, url))
        assert found["reasoning off"].quirks == quirks
        quiet = tmp_path / "quiet.toml"
        quiet.write_text(found[BLOCK].found.replace("reasoning_budget = 4000", 'reasoning_effort = "none"'))
        server.bodies.clear()
        again = examined("odd", quiet)
        assert again["reasoning"].found == "none seen"
        assert bads(again) == []


def test_usage_that_leaves_reasoning_out_is_bad(tmp_path: Path) -> None:
    with found_at("hidden", "reasoning_apart", folder=tmp_path) as found:
        assert found["usage"].bad
        assert found["usage"].quirks == {"output_excludes_reasoning": True}


# ------------------------------------------------------------------------------------------------------- plain prompts


def test_echoed_log_probabilities_are_held_against_those_of_the_answer(tmp_path: Path) -> None:
    with found_at(wire="openai_completions", folder=tmp_path) as honest:
        assert honest["echo"].state == "ok", honest["echo"]
        assert "the first null" in honest["echo"].found
        assert honest["stop"].state == "ok"
    with found_at("shifted_echo", wire="openai_completions", folder=tmp_path) as shifted:
        assert shifted["echo"].bad
        assert "was chosen with" in shifted["echo"].found
        assert shifted["echo"].quirks == {"logprobs": False}
    with found_at("refuses_echo", wire="openai_completions", folder=tmp_path) as refusing:
        assert refusing["echo"].state == "note"
        assert not bads(refusing)


def test_an_embedded_model_is_found_to_be_what_it_is() -> None:
    found = examined("embedded:nano")
    assert bads(found) == []
    assert found["echo"].state == "ok"
    assert found["cap field"].state == "ok"
    assert found["repeatable"].found.startswith("5 equal answers")


# -------------------------------------------------------------------------------------------------------- the way there


def test_a_name_without_address_and_a_closed_port_are_one_line_with_the_way_out() -> None:
    for spec, said in (
        ("http://no-such-host.invalid/v1#m", "DNS: the name no-such-host.invalid has no address"),
        ("http://127.0.0.1:9/v1#m", "TCP: 127.0.0.1:9 refuses connections"),
    ):
        found = examined(spec)
        assert found["reachable"].bad
        assert said in found["reachable"].found
        assert "\n" not in found["reachable"].found
        assert BLOCK not in found


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_the_certificate_is_told_and_one_that_nobody_vouches_for_is_refused(
    authority: trustme.CA, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ends = datetime.now(UTC) + timedelta(days=9, hours=12)
    authority.issue_cert("127.0.0.1", not_after=ends).private_key_and_cert_chain_pem.write_to_path(tmp_path / "s.pem")
    with peculiar(cert=tmp_path / "s.pem") as (url, _):
        trusting = examined("odd", declared(tmp_path, url, more=f'options = {{ ca_file = "{tmp_path / "ca.pem"}" }}'))
        wary = examined("odd", declared(tmp_path, url))
    assert trusting["TLS"].state == "note"
    assert "TLSv1.3, certificate by trustme" in trusting["TLS"].found
    assert f"9 days left (until {ends:%Y-%m-%d})" in trusting["TLS"].found
    assert not bads(trusting)
    assert tomllib.loads(trusting[BLOCK].found)["targets"][0]["options"] == {"ca_file": str(tmp_path / "ca.pem")}
    assert wary["reachable"].bad
    assert "TLS: the certificate of 127.0.0.1 is not trusted" in wary["reachable"].found
    assert "options.ca_file" in wary["reachable"].found


def test_https_at_a_port_that_speaks_http_says_so(tmp_path: Path) -> None:
    with peculiar() as (url, _):
        found = examined("odd", declared(tmp_path, url.replace("http:", "https:")))
    assert found["reachable"].bad
    assert "does the server speak http there?" in found["reachable"].found


def test_an_address_without_its_version_part_is_told_the_right_one(tmp_path: Path) -> None:
    with peculiar("below_v1") as (url, _):
        found = examined("odd", declared(tmp_path, url.replace("/v1", "/")))
    assert found["listing"].bad
    assert f"write base_url = {url}" in found["listing"].found


# ----------------------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize("lock", ["needs_key", "needs_key_for_questions"])
def test_a_key_is_missed_refused_or_checked(lock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyed = 'key = "env:ODD_KEY"'
    with peculiar(lock) as (url, _):
        without = examined("odd", declared(tmp_path, url))
        monkeypatch.setenv("ODD_KEY", "a-key-that-is-wrong")
        wrong = examined("odd", declared(tmp_path, url, more=keyed))
        monkeypatch.setenv("ODD_KEY", KEY)
        right = examined("odd", declared(tmp_path, url, more=keyed))
    assert without["key"].bad
    assert 'add key = "env:NAME"' in without["key"].found
    assert wrong["key"].bad
    assert "env:ODD_KEY" in wrong["key"].found
    assert right["key"].state == "ok"
    assert "a wrong one is refused (HTTP 401)" in right["key"].found
    assert tomllib.loads(right[BLOCK].found)["targets"][0]["key"] == "env:ODD_KEY"
    shown = json.dumps([each.as_dict() for found in (without, wrong, right) for each in found.values()])
    assert KEY not in shown
    assert "a-key-that-is-wrong" not in shown
    assert "Authorization: ***" in right["payload headers"].found


def test_a_key_that_nobody_looks_at_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD_KEY", KEY)
    with peculiar() as (url, _):
        found = examined("odd", declared(tmp_path, url, more='key = "env:ODD_KEY"'))
    assert found["key"].state == "note"
    assert "a wrong one is not recognised" in found["key"].found


# --------------------------------------------------------------------------------------------------------- other wires

RECORDED = {
    "anthropic": ("anthropic.plain.sse", "text/event-stream"),
    "gemini": ("gemini.plain.sse", "text/event-stream"),
    "ollama": ("ollama.plain.ndjson", "application/x-ndjson"),
    "openai_responses": ("openai_responses.plain.sse", "text/event-stream"),
    "bedrock": ("bedrock.plain.bin", "application/vnd.amazon.eventstream"),
}


@pytest.mark.parametrize("wire", RECORDED)
def test_every_wire_can_be_examined(wire: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parrot that answers everything alike: nothing is obeyed, yet every probe gets through."""
    name, kind = RECORDED[wire]
    monkeypatch.setenv("ODD_KEY", KEY)
    with replaying() as parrot:
        parrot.say((Path(__file__).parent / "wires" / name).read_bytes(), kind)
        path = declared(tmp_path, parrot.url, wire=wire, more='key = "env:ODD_KEY"')
        found = examined("odd", path)
        written = tmp_path / "written.toml"
        written.write_text(found[BLOCK].found)
        assert load(written).targets["odd"].wire == wire
    for what in ("answers", "usage", "repeatable"):
        assert found[what].state == "ok", found[what]
    for what in ("cap field", "stream", "reasoning", "temperature", "seed", "stop", "tools", "structured", "tokenizer"):
        assert what in found
    assert "usage ignores the prompt" in found["tokenizer"].found
    assert ("binary frames" in found["stream shape"].found) == name.endswith(".bin")
    assert KEY not in json.dumps([each.as_dict() for each in found.values()])


# ----------------------------------------------------------------------------------------------------------------- deep


def test_deep_finds_a_prompt_cut_in_silence(tmp_path: Path) -> None:
    with found_at("truncates", deep=True, folder=tmp_path) as found:
        assert found["overlong prompt"].bad
        assert "cut in silence: of 440 tokens 400 were read" in found["overlong prompt"].found
    with found_at(deep=True, folder=tmp_path) as found:
        assert found["overlong prompt"].state == "ok"
        assert "440 tokens are refused" in found["overlong prompt"].found
        assert found["side by side"].options == {"concurrency": 8}


def test_deep_finds_streams_that_do_not_bear_company(tmp_path: Path) -> None:
    with found_at("serial", deep=True, folder=tmp_path) as found:
        assert "one after another" in found["side by side"].found
        assert found["side by side"].options == {"concurrency": 1}
    with found_at("breaks_under_load", deep=True, folder=tmp_path) as found:
        assert found["side by side"].options == {"concurrency": 1}


def test_deep_finds_a_cache(tmp_path: Path) -> None:
    with found_at("cached", deep=True, folder=tmp_path) as found:
        assert "must not repeat a prompt's head" in found["cache"].found


# ------------------------------------------------------------------------------------------------------------ the block


def test_a_listed_price_goes_into_the_block(tmp_path: Path) -> None:
    with found_at("priced", folder=tmp_path) as found:
        written = tmp_path / "written.toml"
        written.write_text(found[BLOCK].found)
        read = load(written).targets["odd"]
    assert (read.usd_per_mtok_in, read.usd_per_mtok_out) == (Decimal("0.2"), Decimal("0.6"))


def test_a_block_reads_back_as_the_target_it_describes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    path = tmp_path / "targets.toml"
    path.write_text(
        '[[targets]]\nid = "strange"\nbase_url = "https://llm.example.org/v1?api-version=7"\n'
        'model = "a/\\"b\\" \\u00e9"\n'
        'key = "file:/keys/mine"\nlayer = "hosted-open"\nusd_per_mtok_in = 0.05\nusd_per_mtok_out = 0.1\n'
        'headers = { "X-Title" = "a \\\\ b" }\nnote = "two\\nlines"\nquantisation = "q4"\n'
        'quirks = { reasoning_off = { a = [1, 2.5, true, { "b c" = "d" }] }, cap_field = "max_completion_tokens" }\n'
        'options = { temperature = "unset", max_tokens = 100, extra = { top_k = 20 } }\n'
    )
    catalog = load(path)
    specs = ["strange", "openai:gpt-4.1-mini", "openai:gpt-6-luna", "embedded:small", "http://127.0.0.1:1/v1#m"]
    for spec in specs:
        before = target(spec, catalog)
        own = {name: value for name, value in before if name.startswith("usd_") and value is not None}
        text = block(before, catalog, quirks={}, options={}, prices=own, remarks=["a\nremark"])
        copy = tmp_path / "copy.toml"
        copy.write_text(text)
        after = next(iter(load(copy).targets.values()))
        assert {**dict(after), "id": ""} == {**dict(before), "id": ""}, spec
        assert after.fingerprint() == before.fingerprint()


def test_a_block_of_a_provider_says_only_what_the_provider_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    catalog = load()
    text = block(target("openai:gpt-4.1-mini", catalog), catalog, quirks={"stop_max": 2}, options={}, prices={})
    [written] = tomllib.loads(text)["targets"]
    assert written["quirks"] == {"stop_max": 2}
    assert "base_url" not in written


def test_values_become_toml_that_means_the_same() -> None:
    for value in (
        {"a": {"b": [1, 2.5, "x", True]}},
        'tab\t"quoted" \\ \x7f \u0000 é 🙂\nline',
        [],
        {},
        Decimal("0.0000001"),
    ):
        read = tomllib.loads(f"value = {toml(value)}", parse_float=Decimal)["value"]
        assert read == value or json.loads(json.dumps(read, default=float)) == value
    with pytest.raises(TypeError):
        toml(object())


# ------------------------------------------------------------------------------------------------------------ the verb


def test_the_verb_ends_with_5_when_something_is_bad_and_prints_json_alone(tmp_path: Path) -> None:
    with peculiar("ignores_max_tokens") as (url, _):
        done = _bench("doctor", f"{url}#{MODEL}", "--json", cwd=tmp_path)
        table = _bench("doctor", f"{url}#{MODEL}", cwd=tmp_path)
    rows = json.loads(done.stdout)
    assert (done.returncode, table.returncode) == (5, 5)
    assert "at most" in done.stderr
    assert rows[-1]["what"] == BLOCK
    assert (
        next(row["toml"] for row in rows if row["what"] == "cap field") == 'quirks.cap_field = "max_completion_tokens"'
    )
    assert '→ quirks.cap_field = "max_completion_tokens"' in table.stdout
    assert '\nquirks = { cap_field = "max_completion_tokens" }\n' in table.stdout


def _bench(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.argv[0] = 'bench'; from bench.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=cwd, timeout=60, check=False
    )


def test_the_page_about_it_names_every_finding(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "doctor.md").read_text()
    with found_at(deep=True, folder=tmp_path) as found:
        told = {"address", "spent", BLOCK, "overlong prompt", "cache", "side by side", "cancel"}
        assert [name for name in found if name not in told and name not in page] == []


def test_every_peculiarity_is_used_by_a_test() -> None:
    text = Path(__file__).read_text()
    assert [name for name in sorted(PECULIARITIES) if f'"{name}"' not in text and name not in text] == []
