"""Connections that keep a server waiting are ended, and nobody's connections shut out those of others.

uvicorn waits for ever for a header, a body or a reader, and counts connections without asking whose they are. Here
each part has its time; and where an address has its share of connections, or the server all that it can have, the one
that has been waiting longest for a request makes room for the next.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from efficient_empathy.web.rates import is_among, sources_of

BACKLOG = 100
"""Connections that the system keeps until they are taken, and that are taken at once."""
_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_PARTING_S = 1.0
_NO_ROOM = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True)
class Limits:
    """How long a client may keep the server waiting, and how many connections there may be."""

    header_s: float = 10.0
    """From the start of a connection, or the end of an answer, to the end of the next request's header."""
    idle_s: float | None = None
    """From the end of an answer to the start of the next request's header, where that may take longer."""
    body_s: float = 60.0
    """From there to the end of its body."""
    reading_s: float = 60.0
    """For a client to read on, when it has not taken what was sent."""
    grace_s: float = 0.0
    """For a connection that has asked nothing yet, before it may have to make room for another."""
    from_one: int = 100
    """Connections of one IPv4 address, or of one IPv6 network (/64)."""
    in_all: int = 1000
    parting: int = 1000
    """Connections for which there was no room, and that are open still to be told so."""
    proxies: Sequence[str] = ()
    """Addresses and networks whose word is taken for where a request comes from; all connections may be theirs."""

    @classmethod
    def of_system(cls, proxies: Sequence[str] = ()) -> Limits:
        """No more connections than half of the files that this process may have open."""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        in_all = cls.in_all if files == resource.RLIM_INFINITY else min(cls.in_all, files // 2)
        return cls(in_all=in_all, parting=in_all, from_one=min(cls.from_one, in_all // 2), proxies=proxies)


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 under `limits`."""

    limits: ClassVar[Limits] = Limits()
    refused: ClassVar[int] = 0
    """Connections that were told that there is no room, and are not closed yet."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.source = ""
        self.since = self.loop.time()
        """When the present wait began."""
        self._awaited: object = None
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._refused = False

    @property
    def waits(self) -> bool:
        """Whether nothing is under way: no request has come as yet, or no further one."""
        return self.conn.their_state is h11.IDLE

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self.source = sources_of(self.client[0])[0] if self.client else ""
        if self._has_room():
            self._watch()
        else:
            self._refuse()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if not self._refused:
            super().data_received(data)
            self._watch()

    def on_response_complete(self) -> None:
        """See `H11Protocol`."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        super().connection_lost(exc)
        type(self).refused -= self._refused
        for timer in (self._timer, self._reading):
            if timer is not None:
                timer.cancel()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().pause_writing()
        self._reading = self.loop.call_later(self.limits.reading_s, self.transport.abort)

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()

    def _watch(self) -> None:
        """Set the clock where another part of a request is awaited than before."""
        state: object = self.conn.their_state
        if state is h11.IDLE and self.cycle is not None and not self.conn.trailing_data[0]:
            state = "rest"
        if state is self._awaited or self.transport.is_closing():
            return
        self._awaited, self.since = state, self.loop.time()
        if self._timer is not None:
            self._timer.cancel()
        limits = self.limits
        rest = limits.header_s if limits.idle_s is None else limits.idle_s
        seconds = {"rest": rest, h11.IDLE: limits.header_s, h11.SEND_BODY: limits.body_s}.get(state)
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._end)

    def _end(self) -> None:
        """End a connection that was too slow; what was answered may still be read, for a while."""
        if self.cycle is None or self.cycle.response_complete:
            if self.conn.trailing_data[0]:
                self.transport.write(_TOO_LATE)
            self.transport.close()
            self._timer = self.loop.call_later(self.limits.reading_s, self.transport.abort)
        else:
            self.transport.abort()

    def _refuse(self) -> None:
        """Say that there is no room. What the client sends all the same is read for a moment: closed over unread bytes,
        a connection is reset, and the client may never see the answer."""
        self.connections.discard(self)
        if type(self).refused >= self.limits.parting:
            self.transport.abort()
            return
        self._refused = True
        type(self).refused += 1
        self.transport.write(_NO_ROOM)
        self.transport.write_eof()
        self._timer = self.loop.call_later(_PARTING_S, self.transport.abort)

    def _has_room(self) -> bool:
        """Whether this connection may stay; another that waits may have to go for it."""
        others = [
            one
            for one in self.connections
            if isinstance(one, BoundedProtocol) and one is not self and not one.transport.is_closing()
        ]
        crowd = [one for one in others if one.source == self.source]
        if len(crowd) < self.limits.from_one or is_among(self.client[0] if self.client else "", self.limits.proxies):
            if len(others) < self.limits.in_all:
                return True
            most = Counter(one.source for one in others).most_common(1)[0][0]
            crowd = [one for one in others if one.source == most]
        now = self.loop.time()
        waiting = [one for one in crowd if one.waits and now - one.since >= self.limits.grace_s]
        if waiting:
            min(waiting, key=lambda one: one.since).transport.abort()
        return bool(waiting)
