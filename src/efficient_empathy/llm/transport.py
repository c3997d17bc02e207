"""One POST over a kept connection, bounded in time and size; every failure has a name, and no key leaves the client."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import os
import re
import ssl
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
from yarl import URL

from efficient_empathy.foundation.errors import HIDDEN, PUBLIC_PARAMETERS, Mask, UserError, endpoint_name, mask, redact
from efficient_empathy.llm.errors import Fault, NotTheJudge, Untrusted

_LEAST = 8
_LEAST_WORD = 3
_SHORT = 300
_KEY_LIKE = re.compile(r"\bsk-[\w*.-]+")
_SECRET_HEADER = re.compile(r"key|auth|token|secret|cookie", re.I)
_PLACEHOLDERS = frozenset(
    {"empty", "none", "null", "test", "dummy", "local", "lm-studio", "not-needed", "no-key-required", "placeholder"}
    | {"bearer", "basic", "token"}
)


class Secrets:
    """What no server may bring into a reply, a record or a message.

    The key, the `headers` that carry secrets and other `credentials` (of a proxy, or in a URL) say who asks: they are
    hidden wherever this process writes. `values` are those of further headers, hidden in replies and messages. A value
    under eight characters stays in a reply, since it may be a word or a number of the reply's own, and goes from a
    message where it stands alone. Placeholders (EMPTY, none) are no secrets.
    """

    def __init__(
        self,
        key: str | None,
        headers: Mapping[str, str],
        credentials: Iterable[str] = (),
        values: Iterable[str] = (),
    ) -> None:
        words = {word for name, value in headers.items() if _SECRET_HEADER.search(name) for word in value.split()}
        own = {key or "", *credentials, *map(_password, words)}
        others = {word for value in values for word in (value, *value.split())}
        mask.add(_long(own | words))
        self._mask = Mask(_long(own | words | others))
        short = (word for word in own | others if _LEAST_WORD <= len(word) < _LEAST and not _is_placeholder(word))
        alone = "|".join(map(re.escape, sorted(short, key=len, reverse=True)))
        self._alone = re.compile(rf"(?<!\w)(?:{alone})(?!\w)") if alone else None

    def scrub(self, text: str) -> str:
        """`text` without them."""
        return self._mask(text)

    def tell(self, message: str) -> str:
        """A message for one line of a log: without secrets and control characters, shortened."""
        scrubbed = _KEY_LIKE.sub(HIDDEN, redact(self.scrub(message)))
        if self._alone is not None:
            scrubbed = self._alone.sub(HIDDEN, scrubbed)
        line = " ".join("".join(c if c.isprintable() else " " for c in scrubbed[: 4 * _SHORT]).split())
        return line if len(line) <= _SHORT else line[: _SHORT - 1] + "…"


def _long(words: Iterable[str]) -> Iterator[str]:
    return (word for word in words if len(word) >= _LEAST and not _is_placeholder(word))


def _password(word: str) -> str:
    """The password that Basic authentication has encoded in `word`; empty where there is none."""
    try:
        return base64.b64decode(word, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def query_secrets(url: URL) -> tuple[str, ...]:
    """The values in a URL's query that may be keys, as they are sent and as they read."""
    secret = [(name, value) for name, value in url.query.items() if name.lower() not in PUBLIC_PARAMETERS]
    plain = {value or name for name, value in secret}
    raw = {value for part in url.raw_query_string.split("&") for value in [part.rpartition("=")[2]]}
    encoded = {value for value in raw if URL.build(query_string=f"x={value}", encoded=True).query.get("x") in plain}
    return tuple(plain | encoded)


def check_key(key: str | None, key_name: str) -> str | None:
    """The key, fit for a header; None for no key. Raises `UserError` for what cannot be one."""
    key = (key or "").strip()
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise UserError(f"{key_name} holds spaces or characters that no key has: set it again")
    return key or None


def _is_placeholder(word: str) -> bool:
    return word.lower() in _PLACEHOLDERS


_CONNECT_S = 15.0
_KEEP_ALIVE_S = 4.0  # uvicorn, and with it vLLM, closes after 5 s: a connection that it is about to close is not used


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Posts JSON to one URL. Redirects are not followed, cookies not kept: the key goes to this host alone.

    A `proxy` gets its own headers and none of the request's: aiohttp would send it a session's headers with CONNECT.
    """

    def __init__(
        self,
        url: URL,
        headers: Mapping[str, str],
        *,
        connections: int,
        timeout_s: float,
        max_body_bytes: int,
        secrets: Secrets,
        proxy: Proxy | None = None,
    ) -> None:
        self._url = url
        self._headers = {**headers, "Content-Type": "application/json", "Accept-Encoding": "identity"}
        if proxy is not None and url.scheme == "http":
            self._headers |= proxy.headers  # without a tunnel it is the request itself that the proxy reads
        self._connections = connections
        self._timeout_s = timeout_s
        self._max_body_bytes = max_body_bytes
        self._secrets = secrets
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes) -> Response | Fault:
        """Send `body`, read the response. The time limit covers everything from connecting to the last byte."""
        return await self.send("POST", self._url, body, self._headers)

    async def send(
        self,
        method: str,
        url: URL,
        body: Any,
        headers: Mapping[str, str],
        *,
        timeout_s: float | None = None,
        file: BinaryIO | None = None,
    ) -> Response | Fault:
        """One request to the same server. `body` is whatever aiohttp sends; a success is written to `file` if given.

        `timeout_s`, by default the endpoint's, covers everything; with `file` the wait for each part of the response.
        """
        session = self._session or self._open()
        timeout_s = timeout_s or self._timeout_s
        try:
            async with asyncio.timeout(timeout_s) as limit:
                response = await session.request(
                    method,
                    url,
                    data=body,
                    allow_redirects=False,
                    headers=headers,
                    proxy=self._proxy.url if self._proxy else None,
                    proxy_headers=self._proxy.headers if self._proxy else None,
                )
                try:
                    if file is not None and 200 <= response.status < 300:
                        received: bytes | None = b""
                        async for part in response.content.iter_any():
                            limit.reschedule(asyncio.get_running_loop().time() + timeout_s)
                            file.write(part)
                    else:
                        received = await self._read_body(response.content)
                finally:
                    response.close()  # does nothing to a connection whose response was read to its end
        except aiohttp.ClientHttpProxyError as error:
            return self._blocked(f"does not let it through (HTTP {error.status}: {self._secrets.tell(error.message)})")
        except aiohttp.ClientProxyConnectionError as error:
            return self._blocked(f"cannot be reached ({self._words(error)})")
        except aiohttp.ClientConnectorCertificateError as error:
            return self._untrusted(self._words(error.certificate_error))
        except aiohttp.ClientConnectorSSLError as error:
            return self._untrusted(self._words(error), proven=False)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Fault("connection", self._words(error), unanswered=True, refused=True)
        except TimeoutError:
            reason = f"no complete reply in {timeout_s:g} s"
            return Fault("timeout", reason, overload=True, billed=True, unanswered=True)
        except aiohttp.ClientPayloadError as error:
            return Fault("bad_body", f"the reply broke off: {self._words(error)}", overload=True, billed=True)
        except (aiohttp.ClientError, OSError) as error:
            reason = f"the connection broke: {self._words(error)}"
            return Fault("connection", reason, overload=True, billed=True, unanswered=True)
        if received is None:
            return Fault("bad_body", f"the reply is longer than {self._max_body_bytes:,} bytes", billed=True)
        return Response(response.status, response.headers, received)

    @property
    def url(self) -> URL:
        """Where `post` sends to."""
        return self._url

    @property
    def headers(self) -> Mapping[str, str]:
        """What every request carries."""
        return self._headers

    async def close(self) -> None:
        """Close the connections. A later `post` opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _read_body(self, stream: aiohttp.StreamReader) -> bytes | None:
        received = await stream.readany()
        if stream.at_eof():
            return received if len(received) <= self._max_body_bytes else None
        parts, size = [received], len(received)
        while size <= self._max_body_bytes:
            part = await stream.readany()
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
        return None

    def _open(self) -> aiohttp.ClientSession:
        secure = "https" in (self._url.scheme, self._proxy.url.scheme if self._proxy else "")
        connector = aiohttp.TCPConnector(
            limit=self._connections,
            keepalive_timeout=_KEEP_ALIVE_S,
            ttl_dns_cache=300,
            ssl=_tls() if secure else True,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            skip_auto_headers=("Accept",),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session

    def _blocked(self, how: str) -> Fault:
        """A request that the proxy did not pass on."""
        proxy = self._proxy or Proxy(self._url, self._url.scheme)
        reason = f"the proxy {proxy.url.host}:{proxy.url.port} of {proxy.variable} {how}"
        remedy = f"set {proxy.variable} right, with user and password where it wants a login, or put {self._url.host} "
        remedy += "into NO_PROXY where it can be reached without"
        fatal = NotTheJudge(f"{endpoint_name(str(self._url))} is not reached, {reason}: {remedy}")
        return Fault("connection", reason, unanswered=True, refused=True, fatal=fatal, only_at_first=True)

    def _untrusted(self, reason: str, *, proven: bool = True) -> Fault:
        """A connection that came to no TLS; `proven` that the certificate is at fault."""
        if "WRONG_VERSION_NUMBER" in reason or "record layer" in reason:
            fatal: UserError = NotTheJudge(f"{endpoint_name(str(self._url))} does not speak TLS: give http:// instead")
            return Fault("connection", reason, retry=False, fatal=fatal)
        file = os.environ.get("SSL_CERT_FILE")
        now = ""
        if file:
            now = f" (it names {file}" + (")" if Path(file).is_file() else ", which is not there)")
        fatal = Untrusted(
            f"the certificate of {self._url.host} cannot be verified ({reason}), so nothing is sent to it: where an "
            f"authority of your own or a company's proxy has signed it, set SSL_CERT_FILE{now} to the file of that "
            "authority's certificate"
        )
        return Fault("connection", f"TLS failed: {reason}", retry=not proven, unanswered=True, refused=True,
                     fatal=fatal, only_at_first=not proven)  # fmt: skip

    def _words(self, error: BaseException) -> str:
        if isinstance(error, aiohttp.ClientResponseError) and error.message:
            return self._secrets.tell(f"no HTTP that can be read: {error.message}")
        return self._secrets.tell(str(error)) or type(error).__name__


def _tls() -> ssl.SSLContext:
    """TLS by the authorities that SSL_CERT_FILE names now; aiohttp's own context is as old as its import."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(("http/1.1",))
    return context


def check_url(base_url: str) -> URL:
    """A base URL without its fragment. Raises `UserError` for what is no http(s) URL."""
    try:
        url = URL(base_url.strip())
        valid = url.scheme in ("http", "https") and bool(url.host)
    except (ValueError, TypeError):
        valid = False
    if not valid or url.user or url.password:
        name = "the base URL" if "@" in base_url else f'the base URL "{endpoint_name(base_url)}"'
        raise UserError(f"{name} is not of the form https://HOST/v1: give one with http:// or https:// and no password")
    return url.with_fragment(None)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy's URL without user and password, and the header that carries them to it."""

    url: URL
    variable: str
    """The environment variable that names it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """Its password in every form that a message could repeat."""


def is_this_machine(host: str) -> bool:
    """Whether what is sent to a host stays on this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def warn_of_plain_text(url: URL, secrets: Iterable[str]) -> str:
    """What to say before any of `secrets` goes through a network where others can read it; empty where none does."""
    sent = any(secret and not _is_placeholder(secret) for secret in secrets)
    if url.scheme == "https" or is_this_machine(url.host or "") or not sent:
        return ""
    name = endpoint_name(str(url))
    return f"Warning: the key goes to {name} unencrypted, readable for everybody on the way: use https:// if it can."


def find_proxy(url: URL) -> Proxy | None:
    """The proxy that the environment names for `url`, None for this machine. Raises `UserError` where it is none."""
    host = url.host or ""
    address = (
        None
        if is_this_machine(host) or urllib.request.proxy_bypass(host)
        else urllib.request.getproxies().get(url.scheme)
    )
    return _proxy(address, f"{url.scheme.upper()}_PROXY") if address else None


def _proxy(address: str, variable: str) -> Proxy:
    try:
        url = URL(address if "://" in address else f"http://{address}")
        valid = url.scheme in ("http", "https") and bool(url.host)
    except ValueError:
        valid = False
    if not valid:
        raise UserError(f"{variable} is not of the form http://HOST:PORT: name an HTTP proxy there, or unset it")
    place = url.with_user(None).with_path("/").with_query(None).with_fragment(None)
    if url.user is None and url.password is None:
        return Proxy(place, variable)
    login = f"{url.user or ''}:{url.password or ''}"
    encoded = base64.b64encode(login.encode()).decode()
    raw = (url.raw_password, url.password, encoded, *(() if url.password else (url.raw_user, url.user)))
    return Proxy(place, variable, {"Proxy-Authorization": f"Basic {encoded}"}, tuple(one for one in raw if one))
