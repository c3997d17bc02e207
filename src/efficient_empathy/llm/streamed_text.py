"""The text of a reply while it comes."""

from __future__ import annotations

from collections.abc import Callable

from efficient_empathy.llm.keys import Secrets
from efficient_empathy.llm.wire import Wire
from efficient_empathy.llm.wire.stream import EventReader


class StreamedText:
    """Reads a stream's parts, and tells the text so far whenever there is more: without secrets, nor half of one."""

    def __init__(self, wire: Wire, secrets: Secrets, tell: Callable[[str], None]) -> None:
        self._wire, self._secrets, self._tell = wire, secrets, tell
        self._reader = EventReader()
        self._text = ""

    def feed(self, part: bytes) -> None:
        """The next part of the response's body."""
        if added := "".join(map(self._wire.piece, self._reader.feed(part))):
            self._text += added
            if so_far := self._secrets.scrub_so_far(self._text):
                self._tell(so_far)
