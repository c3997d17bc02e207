"""One POST over a kept connection, bounded in time and size; every failure has a name, and no key leaves the client."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
from yarl import URL

from efficient_empathy.foundation.errors import UserError, endpoint_name
from efficient_empathy.llm.errors import Fault, NotTheJudge, Untrusted
from efficient_empathy.llm.keys import Secrets
from efficient_empathy.llm.proxy import Proxy

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

    async def post(self, body: bytes, watch: Callable[[bytes], None] | None = None) -> Response | Fault:
        """Send `body`, read the response. The time limit covers everything from connecting to the last byte.

        `watch` is given each part of a success as it comes; the limit is then the wait for each part.
        """
        return await self.send("POST", self._url, body, self._headers, watch=watch)

    async def send(
        self,
        method: str,
        url: URL,
        body: Any,
        headers: Mapping[str, str],
        *,
        timeout_s: float | None = None,
        file: BinaryIO | None = None,
        watch: Callable[[bytes], None] | None = None,
    ) -> Response | Fault:
        """One request to the same server. `body` is whatever aiohttp sends; a success is written to `file` if given.

        `timeout_s`, by default the endpoint's, covers everything; with `file` or `watch` the wait for each part of a
        success.
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
                    received = await self._take(response, limit, timeout_s, file, watch)
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

    async def _take(
        self,
        response: aiohttp.ClientResponse,
        limit: asyncio.Timeout,
        timeout_s: float,
        file: BinaryIO | None,
        watch: Callable[[bytes], None] | None,
    ) -> bytes | None:
        """The body. Each part of a success that goes to `file`, or that is watched, begins the wait anew."""
        succeeded = 200 <= response.status < 300

        def pass_on(part: bytes) -> None:
            limit.reschedule(asyncio.get_running_loop().time() + timeout_s)
            if watch is not None:
                watch(part)

        if file is None or not succeeded:
            return await self._read_body(response.content, pass_on if watch is not None and succeeded else None)
        async for part in response.content.iter_any():
            pass_on(part)
            file.write(part)
        return b""

    async def _read_body(self, stream: aiohttp.StreamReader, watch: Callable[[bytes], None] | None) -> bytes | None:
        received = await stream.readany()
        if watch:
            watch(received)
        if stream.at_eof():
            return received if len(received) <= self._max_body_bytes else None
        parts, size = [received], len(received)
        while size <= self._max_body_bytes:
            part = await stream.readany()
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
            if watch:
                watch(part)
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
