"""Signing: over the very bytes that go out, with the date they go out, in both lanes; nothing of it is ever shown."""

import asyncio
import datetime as dt
import hashlib
import hmac
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from replay import Replay, replaying
from test_wires_bedrock import recorded

from bench.client import Client, Lane
from bench.client.auth import GoogleToken, SigV4, signer_of
from bench.client.keys import Secrets
from bench.errors import ConfigError
from bench.records import Endpoint, Measurement, Request

ACCESS, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SESSION = "IQoJb3JpZ2luX2VjEH0aCXVzLWVhc3QtMSJ/" * 4
WHEN = dt.datetime(2015, 8, 30, 12, 36)
HOST = "https://bedrock-runtime.eu-west-1.amazonaws.com"
LANES: list[Lane] = ["httpx", "raw"]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "AWS_BEARER_TOKEN_BEDROCK", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION",
        "GOOGLE_APPLICATION_CREDENTIALS", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("botocore")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    with replaying() as running:
        yield running


def endpoint(
    url: str = "https://bedrock-runtime.eu-west-1.amazonaws.com", auth: str = "sigv4", **more: Any
) -> Endpoint:
    defaults: dict[str, Any] = {"wire": "bedrock", "model": "anthropic.m-v1:0", "quirks": {"auth": auth}}
    return Endpoint(target_id="acme", base_url=url, total_timeout_s=20.0, **{**defaults, **more})


def ask(prompt: str = "2+2=") -> Request:
    return Request(request_id="r1", request_key="k", prompt=prompt)


def sent(target: Endpoint, *, lane: Lane = "httpx", prompt: str = "2+2=") -> tuple[Measurement, Client]:
    async def main() -> tuple[Measurement, Client]:
        async with Client(target, lane=lane) as client:
            return await client.send(ask(prompt)), client

    return asyncio.run(main())


# ── AWS ──


def by_hand(method: str, path: str, headers: dict[str, str], body: bytes, secret: str, scope: str) -> str:
    """The signature as the documentation of Signature Version 4 describes it, step by step."""
    url = urlsplit(path)
    query = "&".join(sorted(url.query.split("&"))) if url.query else ""
    names = sorted(headers)
    canonical = "\n".join(
        [method, quote(url.path or "/", safe="/~"), query, *(f"{name}:{headers[name].strip()}" for name in names), "",
         ";".join(names), hashlib.sha256(body).hexdigest()]
    )  # fmt: skip
    told = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, told.encode(), "sha256").hexdigest()


def test_our_reading_of_the_algorithm_gives_the_published_signature() -> None:
    # The worked example of the AWS documentation: ListUsers of IAM on 2015-08-30.
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "host": "iam.amazonaws.com",
        "x-amz-date": "20150830T123600Z",
    }
    path, scope = "/?Action=ListUsers&Version=2010-05-08", "20150830/us-east-1/iam/aws4_request"
    assert by_hand("GET", path, headers, b"", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", scope) == (
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def signed_parts(authorization: str) -> tuple[str, list[str], str]:
    """(scope, names of the headers covered, signature)."""
    head, names, signature = authorization.removeprefix("AWS4-HMAC-SHA256 ").split(", ")
    key, _, scope = head.removeprefix("Credential=").partition("/")
    assert key == ACCESS
    return scope, names.removeprefix("SignedHeaders=").split(";"), signature.removeprefix("Signature=")


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("session", [None, SESSION])
@pytest.mark.usefixtures("aws")
def test_what_arrives_is_signed_as_it_arrived(
    server: Replay, lane: Lane, session: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if session:
        monkeypatch.setenv("AWS_SESSION_TOKEN", session)
    server.say(recorded("plain"), "application/vnd.amazon.eventstream")
    arn = "arn:aws:bedrock:us-east-1:123:inference-profile/us.m-v1:0"
    target = endpoint(server.url, model=arn, headers={"x-amzn-bedrock-trace": "ENABLED", "x-other": "1"})
    m, client = sent(target, lane=lane, prompt="naïve 🙂 日本語 \ud800")
    assert (m.status, m.answer, m.error) == ("ok", "Grüße aus 東京 🙂.", None)
    path, headers, body = server.asked[-1]
    scope, names, signature = signed_parts(headers["authorization"])
    assert scope == f"{headers['x-amz-date'][:8]}/us-east-1/bedrock/aws4_request"
    assert {"host", "content-type", "x-amz-date", "x-amzn-bedrock-trace"} <= set(names)
    assert "x-other" not in names
    assert ("x-amz-security-token" in names) is bool(session)
    covered = {name: headers[name] for name in names}
    assert signature == by_hand("POST", path, covered, body, SECRET, scope)
    assert headers["content-length"] == str(len(body))
    assert path.startswith("/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123%3Ainference-profile%2Fus.m-v1%3A0/")
    assert {ACCESS, SECRET, *([session] if session else [])} <= set(client.secrets.values)
    assert signature in client.secrets.signatures


@pytest.mark.usefixtures("aws")
def test_the_signature_is_the_one_of_botocores_own_client(server: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    session = pytest.importorskip("botocore.session").Session()
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_: WHEN)
    server.say(recorded("plain"), "application/vnd.amazon.eventstream")
    theirs = session.create_client("bedrock-runtime", region_name="us-east-1", endpoint_url=server.url)
    list(theirs.converse_stream(modelId="m-v1:0", messages=[{"role": "user", "content": [{"text": "é"}]}])["stream"])
    path, headers, body = server.asked[-1]
    secrets = Secrets(headers={}, values=())
    signer = SigV4(endpoint(server.url), secrets)
    covered = {*signed_parts(headers["authorization"])[1]} - {"host", "x-amz-date"}
    ours = httpx.Request(
        "POST",
        server.url + path,
        headers={
            name: value for name, value in headers.items() if name in covered and name not in ("host", "x-amz-date")
        },
        content=body,
    )
    signer.sign(ours)
    assert ours.headers["x-amz-date"] == headers["x-amz-date"] == "20150830T123600Z"
    assert ours.headers["authorization"] == headers["authorization"]


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.usefixtures("aws")
def test_a_request_built_long_before_is_signed_when_it_goes(
    server: Replay, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.say(recorded("plain"), "application/vnd.amazon.eventstream")
    now = [WHEN]
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_: now[0])

    async def main() -> None:
        async with Client(endpoint(server.url), lane=lane) as client:
            prepared = client.prepare(ask())
            for hours in (1, 2):
                now[0] = WHEN + dt.timedelta(hours=hours)
                await client.send(prepared)

    asyncio.run(main())
    dates = [headers["x-amz-date"] for _, headers, _ in server.asked[-2:]]
    assert dates == ["20150830T133600Z", "20150830T143600Z"]
    assert len({headers["authorization"] for _, headers, _ in server.asked[-2:]}) == 2


@pytest.mark.parametrize(
    ("host", "region", "service"),
    [
        ("bedrock-runtime.eu-west-1.amazonaws.com", "eu-west-1", "bedrock"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1", "bedrock"),
        ("vpce-1-abc.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com", "ap-southeast-2", "bedrock"),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1", "bedrock"),
        ("bedrock-mantle.us-west-2.api.aws", "us-west-2", "bedrock-mantle"),
        ("gateway.example.org", "us-east-1", "bedrock"),
    ],
)
@pytest.mark.usefixtures("aws")
def test_region_and_service_are_told_by_the_host(host: str, region: str, service: str) -> None:
    request = httpx.Request("POST", f"https://{host}/x", content=b"{}")
    SigV4(endpoint(f"https://{host}"), Secrets(headers={}, values=())).sign(request)
    assert signed_parts(request.headers["authorization"])[0].split("/")[1:3] == [region, service]


def test_a_profile_serves_where_the_environment_has_no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("botocore")
    (tmp_path / "credentials").write_text(f"[work]\naws_access_key_id={ACCESS}\naws_secret_access_key={SECRET}\n")
    (tmp_path / "config").write_text("[profile work]\nregion = ca-central-1\n")
    monkeypatch.setenv("AWS_PROFILE", "work")
    secrets = Secrets(headers={}, values=())
    request = httpx.Request("POST", "https://gateway.example.org/x", content=b"{}")
    SigV4(endpoint("https://gateway.example.org"), secrets).sign(request)
    assert "/ca-central-1/bedrock/" in request.headers["authorization"]
    assert SECRET in secrets.values
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match=r"acme.*nobody"):
        SigV4(endpoint(), secrets)


def test_credentials_that_end_are_renewed_outside_the_loop(server: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = pytest.importorskip("botocore.credentials")
    server.say(recorded("plain"), "application/vnd.amazon.eventstream")
    threads: list[bool] = []

    def renewed() -> dict[str, str]:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            threads.append(True)
        number = len(threads)
        # Renewed for two hours first, then for too short a time: each request after that renews them again.
        until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=7200 if number < 2 else 60)
        return {"access_key": ACCESS, "secret_key": f"{SECRET}{number}", "token": f"{SESSION}{number}",
                "expiry_time": until.isoformat()}  # fmt: skip

    chain = credentials.DeferredRefreshableCredentials(refresh_using=renewed, method="test")
    monkeypatch.setattr("botocore.session.Session.get_credentials", lambda _: chain)
    monkeypatch.setenv("AWS_REGION", "us-east-1")

    async def main() -> Client:
        async with Client(endpoint(server.url)) as client:
            for _ in range(3):
                await client.send(ask())
            assert threads == [True]
            chain._expiry_time = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=5)
            await client.send(ask())
            return client

    client = asyncio.run(main())
    assert threads == [True, True]
    assert server.asked[-1][1]["x-amz-security-token"] == f"{SESSION}2"
    assert {f"{SECRET}1", f"{SECRET}2", f"{SESSION}1", f"{SESSION}2"} <= set(client.secrets.values)


def test_credentials_that_cannot_be_renewed_fail_the_request_and_not_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = pytest.importorskip("botocore.credentials")
    exceptions = pytest.importorskip("botocore.exceptions")

    def failing() -> dict[str, str]:
        raise exceptions.EndpointConnectionError(endpoint_url="https://sts.example.org")

    chain = credentials.DeferredRefreshableCredentials(refresh_using=failing, method="test")
    monkeypatch.setattr("botocore.session.Session.get_credentials", lambda _: chain)
    m, _ = sent(endpoint())
    assert (m.status, m.retryable) == ("connect_error", True)
    assert "could not be renewed" in (m.error or "")


@pytest.mark.parametrize("given", ["key_ref", "environment"])
@pytest.mark.usefixtures("aws")
def test_a_bearer_key_wins_over_signing(server: Replay, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server.say(recorded("plain"), "application/vnd.amazon.eventstream")
    name = "MY_KEY" if given == "key_ref" else "AWS_BEARER_TOKEN_BEDROCK"
    monkeypatch.setenv(name, "bedrock-api-key-0123")
    m, _ = sent(endpoint(server.url, key_ref="env:MY_KEY" if given == "key_ref" else None))
    assert m.status == "ok"
    headers = server.asked[-1][1]
    assert headers["authorization"] == "Bearer bedrock-api-key-0123"
    assert "x-amz-date" not in headers


def test_what_is_missing_is_said_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"acme needs AWS credentials.*AWS_ACCESS_KEY_ID"):
        Client(endpoint())
    with pytest.raises(ConfigError, match=r"acme needs the file.*GOOGLE_APPLICATION_CREDENTIALS"):
        Client(endpoint(auth="google"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with pytest.raises(ConfigError, match="names no AWS region"):
        Client(endpoint("https://gateway.example.org"))
    assert signer_of(endpoint(auth="bearer"), Secrets(headers={}, values=())) is None


@pytest.mark.parametrize(("auth", "extra"), [("sigv4", "bedrock"), ("google", "vertex")])
def test_a_library_that_is_missing_is_named_with_its_extra(
    auth: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("botocore", "botocore.session", "google.auth"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf"acme.*pip install 'gapbench\[{extra}\]'"):
        Client(endpoint(auth=auth))


# ── Google ──


@pytest.fixture
def account(server: Replay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A service account whose tokens are minted by the replaying server."""
    pytest.importorskip("google.auth")
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    pem = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    info = {
        "type": "service_account", "project_id": "p", "private_key_id": "1", "private_key": pem.decode(),
        "client_email": "a@p.iam.gserviceaccount.com", "client_id": "1", "token_uri": f"{server.url}/token",
    }  # fmt: skip
    (tmp_path / "account.json").write_text(json.dumps(info))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
    return info


def minted(token: str, seconds: int) -> bytes:
    return json.dumps({"access_token": token, "expires_in": seconds, "token_type": "Bearer"}).encode()


@pytest.mark.usefixtures("account")
def test_a_token_is_minted_once_and_again_before_it_ends(server: Replay) -> None:
    secrets = Secrets(headers={}, values=())
    signer = GoogleToken(endpoint(auth="google"), secrets)

    def token() -> str:
        request = httpx.Request("POST", "http://x/")
        signer.sign(request)
        return str(request.headers["authorization"])

    async def main() -> None:
        before = len(server.asked)
        server.say(minted("ya29.first", 3600), "application/json")
        await asyncio.gather(*(signer.fresh() for _ in range(20)))
        assert (token(), len(server.asked) - before) == ("Bearer ya29.first", 1)
        await signer.fresh()
        assert len(server.asked) - before == 1
        # It still holds for five minutes: requests go on with it while another is minted.
        server.say(minted("ya29.second", 3600), "application/json")
        signer._ends = signer._ends and signer._ends - dt.timedelta(minutes=55)
        await signer.fresh()
        assert token() == "Bearer ya29.first"
        renewal = signer._renewal
        assert renewal is not None
        await signer.fresh()
        assert signer._renewal is renewal
        await renewal
        assert (token(), len(server.asked) - before) == ("Bearer ya29.second", 2)
        # It ends now: the next request waits for a new one.
        server.say(minted("ya29.third", 3600), "application/json")
        signer._ends = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        await signer.fresh()
        assert token() == "Bearer ya29.third"

    asyncio.run(main())
    assert {"ya29.first", "ya29.second", "ya29.third"} <= set(secrets.values)
    asked = parse_qs(server.asked[-1][2].decode())
    assert asked["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.usefixtures("account")
def test_the_token_goes_along_and_never_comes_back(server: Replay, lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    token = "ya29.a0AfH6SMBx-canary_0123456789"
    real = GoogleToken._mint

    def mint_and_then_answer(self: GoogleToken) -> None:
        server.say(minted(token, 3600), "application/json")
        real(self)
        server.say(json.dumps({"error": {"message": f"no access for Bearer {token}"}}).encode(), "application/json",
                   status=403)  # fmt: skip

    monkeypatch.setattr(GoogleToken, "_mint", mint_and_then_answer)
    m, client = sent(endpoint(server.url, auth="google", wire="openai_chat"), lane=lane)
    assert server.asked[-1][1]["authorization"] == f"Bearer {token}"
    assert (m.http_status, m.error) == (403, "HTTP 403: no access for Bearer ***")
    assert token in client.secrets.values


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [(400, {"error": "invalid_grant", "error_description": "Invalid JWT"}, "http_error"), (503, {}, "connect_error")],
)
@pytest.mark.usefixtures("account")
def test_a_token_that_is_refused_fails_the_request_without_showing_what_was_sent(
    server: Replay, status: int, body: dict[str, str], outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda _: None)
    server.say(json.dumps({**body, "echo": "eyJhbGciOi.J9eyJpc3Mi.c2ln"}).encode(), "application/json", status=status)
    m, _ = sent(endpoint(server.url, auth="google"))
    assert m.status == outcome
    assert "no token from Google" in (m.error or "")
    assert "eyJ" not in (m.error or "")
    assert m.retryable is (status == 503)


def test_a_static_token_wins_over_the_account(server: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERTEX_TOKEN", "ya29.static-token")
    secrets = Secrets.of(static := endpoint(auth="google", key_ref="env:VERTEX_TOKEN"))
    assert secrets.headers == {"Authorization": "Bearer ya29.static-token"}
    assert signer_of(static, secrets) is None


def test_a_file_that_is_no_account_is_named_and_not_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("google.auth")
    file = tmp_path / "wrong.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    for content in (
        "no JSON: s3cr3t-value",
        '{"type": "s3cr3t-value"}',
        '{"type":"service_account","private_key":"s3cr3t"}',
    ):
        file.write_text(content)
        with pytest.raises(ConfigError, match=r"acme.*wrong\.json") as caught:
            Client(endpoint(auth="google"))
        assert "s3cr3t" not in str(caught.value)
        assert "\n" not in str(caught.value)


# ── nothing is shown ──


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.usefixtures("aws")
def test_a_server_that_echoes_all_it_got_shows_nothing_of_it(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", SESSION)
    echoes: list[Callable[[str], str]] = [str, lambda text: quote(text, safe=""), lambda text: json.dumps(text)[1:-1]]
    seen: list[dict[str, str]] = []
    with replaying() as server:
        answer = server.pieces

        def echoing() -> list[bytes]:
            seen.append(server.asked[-1][1])
            told = " | ".join(echo(f"{k}: {v}") for k, v in seen[-1].items() for echo in echoes)
            server.say(json.dumps({"message": f"{told} {SECRET}"}).encode(), "application/json", status=403)
            return answer()

        monkeypatch.setattr(server, "pieces", echoing)
        server.say(b"x", "application/json", status=403)
        m, client = sent(endpoint(server.url), lane=lane)
    assert m.http_status == 403
    shown = repr(m) + repr(client.secrets) + (m.error or "")
    authorization = seen[0]["authorization"]
    for secret in (SECRET, ACCESS, SESSION, authorization, signed_parts(authorization)[2]):
        for echo in echoes:
            assert echo(secret) not in shown
    redacted = client.secrets.redact(f"x {authorization} {authorization.encode().hex()}")
    assert "Signature=***" in redacted
