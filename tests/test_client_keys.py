"""Keys: found by reference, put on the wire, and never shown."""

from pathlib import Path
from typing import Any

import pytest

from bench.client.keys import Secrets, key_of
from bench.errors import ConfigError
from bench.records import Endpoint

KEY = "sk-live-0123456789abcdef"


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
