"""Keys: found by reference, put on the wire, and never shown."""

import base64
import html
import json
import random
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from bench.client.keys import Secrets, key_of
from bench.errors import ConfigError
from bench.records import Endpoint

KEY = "sk-live-0123456789abcdef"
ODD = 'aB3/+=&<k>"\\~%z9:qW'


def endpoint(key_ref: str | None = None, **more: Any) -> Endpoint:
    return Endpoint(target_id="acme", base_url="http://x/v1", wire="openai_chat", model="m", key_ref=key_ref, **more)


def test_a_key_comes_from_the_environment_or_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ACME_KEY", f" {KEY}\n")
    (tmp_path / "key").write_text(f"{KEY}\n")
    assert key_of(endpoint("env:ACME_KEY")) == key_of(endpoint(f"file:{tmp_path / 'key'}")) == KEY
    assert key_of(endpoint()) is None


@pytest.mark.parametrize("reference", ["env:NO_SUCH_KEY_HERE", "file:/no/such/file"])
def test_a_missing_key_is_a_config_error_that_names_target_and_place(reference: str) -> None:
    with pytest.raises(ConfigError, match=rf"acme.*{reference.partition(':')[2]}") as caught:
        key_of(endpoint(reference))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "a\nb", "kéy"])
def test_a_key_no_header_can_carry_is_refused_without_being_shown(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(ConfigError) as caught:
        key_of(endpoint(f"file:{tmp_path / 'key'}"))
    assert not content or content not in str(caught.value)


def test_a_key_written_instead_of_a_reference_is_not_repeated() -> None:
    with pytest.raises(ConfigError, match="by reference") as caught:
        key_of(endpoint(KEY))
    assert KEY not in str(caught.value)


def test_the_key_goes_where_the_provider_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", KEY)
    monkeypatch.setenv("ACME_TOKEN", "tok-0123456789")
    bearer = Secrets.of(endpoint("env:ACME_KEY", headers={"x-org": "o", "x-token": "env:ACME_TOKEN"}))
    assert bearer.headers == {"x-org": "o", "x-token": "tok-0123456789", "Authorization": f"Bearer {KEY}"}
    assert Secrets.of(endpoint("env:ACME_KEY", quirks={"auth": "api-key"})).headers == {"api-key": KEY}
    assert bearer.redact(f"{KEY} and tok-0123456789") == "*** and ***"
    assert KEY not in repr(bearer)


def test_a_placeholder_key_is_cut_out_as_a_credential_and_left_in_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", "none")
    secrets = Secrets.of(endpoint("env:ACME_KEY"))
    assert secrets.redact("none of them; Bearer none; api_key: none") == "none of them; Bearer ***; api_key: ***"


@pytest.mark.parametrize("auth", ["sigv4", "google"])
def test_a_key_that_is_given_needs_no_signing(auth: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", KEY)
    assert Secrets.of(endpoint("env:ACME_KEY", quirks={"auth": auth})).headers == {"Authorization": f"Bearer {KEY}"}


def test_bedrocks_key_is_found_where_aws_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    signed = endpoint(quirks={"auth": "sigv4"})
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    assert Secrets.of(signed).headers == {}
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", KEY)
    assert Secrets.of(signed).headers == {"Authorization": f"Bearer {KEY}"}
    assert Secrets.of(signed).redact(f"denied: {KEY}") == "denied: ***"
    assert Secrets.of(endpoint()).headers == {}


def all_percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


ECHOES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "json": lambda key: json.dumps(key)[1:-1],
    "json in json": lambda key: json.dumps(json.dumps(key))[3:-3],
    "json, all escaped": lambda key: "".join(f"\\u{ord(c):04X}" for c in key),
    "slashes escaped": lambda key: key.replace("\\", "\\\\").replace("/", "\\/"),
    "repr": lambda key: repr(key)[1:-1],
    "source code": lambda key: "".join(f"\\x{ord(c):02x}" for c in key),
    "url": lambda key: quote(key, safe=""),
    "form": quote_plus,
    "url, lower case": lambda key: quote(key, safe="").replace("%2F", "%2f"),
    "url twice": lambda key: quote(quote(key, safe=""), safe=""),
    "url, all escaped": all_percent,
    "html": html.escape,
    "html, all escaped": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "html, hexadecimal": lambda key: "".join(f"&#x{ord(c):X};" for c in key),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 for urls": lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
    "base64 without its end": lambda key: base64.b64encode(key.encode()).decode().rstrip("="),
    "base64 of a header": lambda key: base64.b64encode(f"Bearer {key}\r\n".encode()).decode(),
    "base64 of headers": lambda key: base64.b64encode(f"x: 1\nkey: {key}, é".encode()).decode(),
}


def left_of(key: str, shown: str) -> bool:
    """Whether half of a key, or more, can be read out of a text by undoing any coding of `ECHOES`."""
    half = len(key) // 2
    parts = [key[i : i + half] for i in range(len(key) - half + 1)]
    return any(echo(part).strip("=") in shown for part in parts for echo in ECHOES.values())


@pytest.mark.parametrize("coding", ECHOES)
def test_a_key_is_cut_out_in_whatever_coding_it_is_echoed(coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(1)
    letters = string.ascii_letters + string.digits + "-_+/=.~%&"
    keys = [KEY, ODD, *("".join(dice.choices(letters, k=dice.randint(8, 60))) for _ in range(50))]
    for key in keys:
        monkeypatch.setenv("ACME_KEY", key)
        echoed = ECHOES[coding](key)
        shown = Secrets.of(endpoint("env:ACME_KEY")).redact(f'invalid key "{echoed}" & 5% off')
        assert "***" in shown
        assert echoed not in shown
        assert not left_of(key, shown), (key, shown)
        assert shown.startswith('invalid key "')
        assert shown.endswith('" & 5% off')


def test_a_long_token_is_cut_out_to_its_end() -> None:
    token = "".join(random.Random(2).choices(string.ascii_letters + "/+=", k=1500))
    secrets = Secrets(headers={}, values=(token,))
    assert secrets.redact(f"<t>{quote(token, safe='')}</t>") == "<t>***</t>"
    assert secrets.redact(f"<t>{token}</t>") == "<t>***</t>"


def test_text_that_only_looks_like_a_coding_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", KEY)
    redact = Secrets.of(endpoint("env:ACME_KEY")).redact
    for text in ("\\" * 100_000, "%" * 100_000, "100% of $\\frac{1}{2}$ &amp; more", "c2stbGl2ZQ== sk-live-0123456789"):
        assert redact(text) == text


def test_what_is_minted_later_is_hidden_from_those_who_hold_redact_already() -> None:
    secrets = Secrets(headers={}, values=())
    redact = secrets.redact
    secrets.hide("ya29.minted-token", None, "")
    secrets.hide_signature("ab" * 32)
    assert redact(f"ya29.minted-token Signature={'ab' * 32} {'cd' * 32}") == f"*** Signature=*** {'cd' * 32}"
    assert secrets.values == ("ya29.minted-token",)
    for number in range(10_000):
        secrets.hide_signature(f"{number:064x}")
    assert len(secrets.signatures) < 5000
    assert redact(f"{9_999:064x}") == "***"
