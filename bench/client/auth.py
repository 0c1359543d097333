"""What a request is signed with as it leaves: AWS's Signature Version 4, or a token that Google mints for an account.

Both hold for a while only, so headers are made at the last moment, over the very bytes that go out, and what they were
made of is renewed in a thread. Only where the quirk `auth` says so and no key is given: a key goes as it is.
"""

from __future__ import annotations

import asyncio
import os
import re
import warnings
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import httpx

from bench.client.failures import one_line
from bench.client.keys import SIGNED, Secrets
from bench.errors import ConfigError, Refused, RequestError, Unreachable
from bench.records import Endpoint

_REGION = re.compile(r"(?:^|\.)bedrock(?:-[a-z]+)*\.([a-z]{2,}(?:-[a-z]+)+-\d+)\.")
_GOOGLE_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TOKEN = re.compile(r"(?:eyJ[\w-]+\.[\w.-]+|ya29\.[\w.-]+)")
_AHEAD = timedelta(minutes=10)
"""A token is renewed while it still holds for so long: requests go on with the old one meanwhile."""
_MARGIN = timedelta(minutes=1)
"""One that holds no longer than this is not sent: requests wait for the new one."""
_MINT_TIMEOUT_S = 30.0


class Signer(Protocol):
    """One per client."""

    async def fresh(self) -> None:
        """Renews what the next signature is made of, if it is due; RequestError if that fails."""
        ...

    def sign(self, request: httpx.Request) -> None:
        """Puts the headers of this moment onto a request that is complete otherwise."""
        ...


def signer_of(endpoint: Endpoint, secrets: Secrets) -> Signer | None:
    """None where a key, or nothing, goes along; ConfigError, before anything is sent, if there is nothing to sign with.

    AWS's credentials are the environment's, else what botocore's chain finds (profiles, SSO, the machine's role).
    """
    auth = endpoint.quirks.get("auth")
    if auth not in SIGNED or "Authorization" in secrets.headers:
        return None
    return SigV4(endpoint, secrets) if auth == "sigv4" else GoogleToken(endpoint, secrets)


class SigV4:
    """AWS Signature Version 4 by botocore; service and region are told by the host's name."""

    def __init__(self, endpoint: Endpoint, secrets: Secrets) -> None:
        try:
            import botocore.session
            from botocore.exceptions import BotoCoreError
        except ImportError as error:
            raise _missing(endpoint, "AWS's signature", "botocore", "bedrock") from error
        self._owner = f"target {endpoint.target_id}"
        self._secrets = secrets
        self._lock = asyncio.Lock()
        host = httpx.URL(endpoint.base_url).host
        try:
            session = botocore.session.Session()
            self._credentials = session.get_credentials()
            region = _region_of(host) or session.get_config_variable("region")
        except BotoCoreError as error:
            raise ConfigError(f"{self._owner}: AWS's configuration cannot be read: {one_line(str(error))}") from error
        if self._credentials is None:
            raise ConfigError(
                f"{self._owner} needs AWS credentials: export AWS_BEARER_TOKEN_BEDROCK=…, or AWS_ACCESS_KEY_ID=… and "
                "AWS_SECRET_ACCESS_KEY=…, or name a profile: AWS_PROFILE=…"
            )
        if not region:
            raise ConfigError(f"{self._owner}: the host {host} names no AWS region; export AWS_REGION=…")
        self._service = "bedrock-mantle" if host.startswith("bedrock-mantle") else "bedrock"
        self._region = str(region)
        self._frozen: Any = None
        if not hasattr(self._credentials, "refresh_needed"):
            self._take()

    async def fresh(self) -> None:
        if self._frozen is not None and not self._stale():
            return
        async with self._lock:
            # One at a time: who waited finds them renewed.
            if self._frozen is None or self._stale():
                await asyncio.to_thread(self._take)

    def sign(self, request: httpx.Request) -> None:
        """Covers host, type, date, the `x-amz-…` headers and the body: what a proxy on the way does not change."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        covered = {
            name: value for name, value in request.headers.items() if name == "content-type" or name.startswith("x-amz")
        }
        signed = AWSRequest(request.method, str(request.url), headers=covered, data=request.content)
        SigV4Auth(self._frozen, self._service, self._region).add_auth(signed)
        for name in ("X-Amz-Date", "X-Amz-Security-Token", "Authorization"):
            if name in signed.headers:
                request.headers[name] = signed.headers[name]
        self._secrets.hide_signature(signed.headers["Authorization"].rpartition("Signature=")[2])

    def _stale(self) -> bool:
        needed = getattr(self._credentials, "refresh_needed", None)
        return needed is not None and bool(needed())

    def _take(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

        try:
            frozen = self._credentials.get_frozen_credentials()
        except (HTTPClientError, ConnectionError) as error:
            raise Unreachable(f"AWS's credentials could not be renewed: {self._said(error)}") from error
        except (BotoCoreError, ClientError) as error:
            raise Refused(f"AWS's credentials could not be renewed: {self._said(error)}") from error
        self._secrets.hide(frozen.access_key, frozen.secret_key, frozen.token)
        self._frozen = frozen

    def _said(self, error: Exception) -> str:
        return one_line(self._secrets.redact(str(error)))


def _region_of(host: str) -> str | None:
    found = _REGION.search(host)
    return found[1] if found else os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


class GoogleToken:
    """An OAuth token for the account in GOOGLE_APPLICATION_CREDENTIALS, or in gcloud's own file; by google-auth."""

    def __init__(self, endpoint: Endpoint, secrets: Secrets) -> None:
        try:
            import google.auth
            from google.auth.exceptions import GoogleAuthError
        except ImportError as error:
            raise _missing(endpoint, "a token of Google", "google-auth", "vertex") from error
        owner = f"target {endpoint.target_id}"
        file = _google_file()
        if not file.is_file():
            raise ConfigError(
                f"{owner} needs the file of a Google account, and there is none at {file}; export {_GOOGLE_FILE}=…, "
                "run gcloud auth application-default login, or give a token as key"
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about quotas of gcloud's own project
                load: Any = google.auth.load_credentials_from_file
                self._credentials, _ = load(str(file), scopes=[_SCOPE])
        except (GoogleAuthError, OSError, ValueError) as error:
            # What is wrong with it may quote it.
            reason = type(error).__name__
            raise ConfigError(f"{owner}: {file} is no file of a Google account ({reason})") from error
        self._secrets = secrets
        self._lock = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None
        self._token: str | None = None
        self._ends: datetime | None = None

    async def fresh(self) -> None:
        left = timedelta(0) if self._token is None else (self._ends or datetime.max) - _now()
        if left > _AHEAD:
            return
        if left <= _MARGIN:
            await self._renew()
        elif self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew_quietly())

    def sign(self, request: httpx.Request) -> None:
        request.headers["Authorization"] = f"Bearer {self._token}"
        project = getattr(self._credentials, "quota_project_id", None)
        if project:
            request.headers["x-goog-user-project"] = project

    async def _renew(self) -> None:
        seen = self._token
        async with self._lock:
            # One at a time: who waited finds it renewed.
            if self._token == seen:
                await asyncio.to_thread(self._mint)

    async def _renew_quietly(self) -> None:
        """While the old token holds a failure costs nothing: the next request tries again."""
        try:
            await self._renew()
        except RequestError:
            return

    def _mint(self) -> None:
        from google.auth.exceptions import GoogleAuthError, TransportError
        from google.auth.transport.requests import Request

        try:
            self._credentials.refresh(partial(Request(), timeout=_MINT_TIMEOUT_S))
        except TransportError as error:
            raise Unreachable(f"no token from Google: {self._said(error)}") from error
        except GoogleAuthError as error:
            problem = Unreachable if getattr(error, "retryable", False) else Refused
            raise problem(f"no token from Google: {self._said(error)}") from error
        self._secrets.hide(self._credentials.token)
        self._token, self._ends = self._credentials.token, self._credentials.expiry

    def _said(self, error: Exception) -> str:
        """The first thing an error says; the answer it may quote can hold what we sent for a token."""
        said = str(error.args[0]) if error.args else type(error).__name__
        return _TOKEN.sub("***", one_line(self._secrets.redact(said)))


def _google_file() -> Path:
    named = os.environ.get(_GOOGLE_FILE)
    if named:
        return Path(named).expanduser()
    folder = os.environ.get("CLOUDSDK_CONFIG")
    return (Path(folder) if folder else Path.home() / ".config" / "gcloud") / "application_default_credentials.json"


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)  # as google-auth counts


def _missing(endpoint: Endpoint, what: str, package: str, extra: str) -> ConfigError:
    return ConfigError(
        f"target {endpoint.target_id} asks for {what}, which needs {package}; pip install 'gapbench[{extra}]'"
    )
