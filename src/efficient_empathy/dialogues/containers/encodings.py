"""How bytes are text: byte-order marks, other encodings as UTF-8, and what bytes that are not UTF-8 look like."""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MARK = codecs.BOM_UTF8
_BOMS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}
_BOMS |= {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_UNMARKED = {"utf-32-le": (1, 4), "utf-32-be": (-2, 4), "utf-16-le": (1, 2), "utf-16-be": (0, 2)}
"""Where encodings of wide units have a zero byte in Latin text."""
_SAMPLE = 800
_WIDE = re.compile(rb"[\x80-\xff]")
_WORD = re.compile(rb"[A-Za-z\x80-\xff]+")
_SHIFTS = {b"\x1b$B": "iso2022_jp", b"\x1b$@": "iso2022_jp", b"\x1b$)C": "iso2022_kr"}
_CHUNK = 2**15
_ERRORS = "efficient_empathy.undecodable"


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\udcff", error.end


codecs.register_error(_ERRORS, _mark)

_WESTERN = "àâäáãåæçéèêëíìîïñóòôöõøœúùûüýßÀÂÄÁÅÆÇÉÈÊËÍÎÏÑÓÔÖØŒÚÛÜ’‘“”„–—…€£§°«»¿¡·•´ºª ™®©"
_CENTRAL = "ąćęłńśźżěščřžýůťďňőűĄĆĘŁŃŚŹŻĚŠČŘŽáéíóúöüäôŐŰ„”–…"
_TURKISH = "ğışçöüĞİŞÇÖÜâî’“”…"
_SINGLE = {"cp1252": _WESTERN, "cp1250": _CENTRAL, "cp1254": _TURKISH, "mac_roman": _WESTERN, "cp850": _WESTERN}
_CYRILLIC = ("CYRILLIC SMALL", "оеаинтсрвл")
_SCRIPTS = {"cp1251": _CYRILLIC, "koi8-r": _CYRILLIC, "cp866": _CYRILLIC}
_SCRIPTS |= {"cp1253": ("GREEK SMALL", "αοιετσνηυρ"), "cp1255": ("HEBREW LETTER", "יוהלארתבמש")}
_SCRIPTS |= {"cp1256": ("ARABIC LETTER", "اليمونرتبة"), "cp874": ("THAI", "านรกอเง่มย")}
"""The beginning of its letters' names, and its commonest letters."""
_PAIRS = {
    "cp932": re.compile(rb"[\x82\x83][\x40-\xf1]"),
    "euc-jp": re.compile(rb"[\xa4\xa5][\xa1-\xf6]"),
    "cp949": re.compile(rb"[\xb0-\xc8][\xa1-\xfe]"),
    "gb18030": re.compile(rb"[\xb0-\xd7\xa3][\xa1-\xfe]"),
    "big5": re.compile(rb"[\xa4-\xc6\xa1][\x40-\x7e\xa1-\xfe]"),
}
"""The pairs of bytes that most of a text consists of: kana, Hangul, the common Chinese characters."""


def marked_encoding(head: bytes) -> str | None:
    """The encoding that a byte-order mark at the start says, but for UTF-8's."""
    return next((name for bom, name in _BOMS.items() if head.startswith(bom)), None)


def unmarked_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark, told by where the zero bytes of its first characters stand; or ISO 2022."""
    if shift := next((name for shift, name in _SHIFTS.items() if shift in head), None):
        return shift
    head = head[: min(len(head), 256) // 4 * 4]
    if len(head) < 8 or head.count(0) < len(head) // 4:
        return None
    for name, (first, width) in _UNMARKED.items():
        zeros = head[first % width :: width] if first >= 0 else head[0::4]
        try:
            text = head.decode(name)
        except UnicodeDecodeError:
            continue
        if zeros.count(0) >= 0.9 * len(zeros) and all(char.isprintable() or char in "\r\n\t" for char in text):
            return name
    return None


def undecodable(line: bytes, encoding: str | None) -> str:
    """Why a line's bytes are no text, and what to do; `encoding` is the one that was named, if any."""
    if encoding:
        return f"holds bytes that are not {encoding}: mend the line, or pass the --encoding that the file has"
    likely = likely_encoding(line)
    if likely is None:
        return "not UTF-8, though its other characters are: mend the line"
    return f"not UTF-8; it looks like {likely}: pass --encoding {likely}, or the encoding that the file has"


def likely_encoding(data: bytes) -> str | None:
    """What bytes that are not UTF-8 look like; None where they are UTF-8 with a few broken ones."""
    sample = data[: 2**16]
    mended = sample.decode(errors="ignore").encode()
    if len(_WIDE.findall(mended)) > 2 * (len(_WIDE.findall(sample)) - len(_WIDE.findall(mended))):
        return None
    sample = _sample(data)
    scores = {name: _score(sample, name) for name in (*_PAIRS, *_SCRIPTS, *_SINGLE)}
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] > 0 else "latin-1"


def _sample(data: bytes) -> bytes:
    """Some bytes around the first that are not UTF-8, from the beginning of a word on."""
    try:
        data[: 2**20].decode()
    except UnicodeDecodeError as error:
        start = max(data.rfind(mark, 0, error.start) for mark in (b" ", b'"', b",", b"\n"))
        return data[start + 1 : start + 1 + _SAMPLE]
    return data[:_SAMPLE]


def _score(sample: bytes, encoding: str) -> float:
    """The share of the characters beyond ASCII that texts in an encoding consist of; 0 if it is another."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return 0.0
    wide = [char for char in text if not char.isascii()]
    if not wide:
        return 0.0
    if encoding in _PAIRS:
        return 1.1 * len(_PAIRS[encoding].findall(sample)) / len(wide)
    if encoding in _SCRIPTS:
        name, common = _SCRIPTS[encoding]
        letters = [1 if char in common else 0.7 for char in wide if unicodedata.name(char, "").startswith(name)]
        return sum(letters) / len(wide) if _has_runs(sample) else 0.0
    own = [0.5 if char.isupper() else 1.0 for char in wide if char in _SINGLE[encoding]]
    return sum(own) / len(wide) * (0.5 if _has_runs(sample) else 0.99)


def _has_runs(sample: bytes) -> bool:
    """Whether words with bytes beyond ASCII have few ASCII letters, as in scripts that are not Latin."""
    words = b"".join(word for word in _WORD.findall(sample) if not word.isascii())
    return len(_WIDE.findall(words)) > 0.8 * len(words)


class Transcoder(io.RawIOBase):
    """A text stream's bytes as UTF-8 with the line ends of Unix where the source has other ones than they are.

    With `strict`, what cannot be decoded raises; else it becomes bytes that are no UTF-8, so that its line is bad.
    """

    def __init__(self, stream: BinaryIO, encoding: str | None, *, strict: bool, mend_line_ends: bool) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("strict" if strict else _ERRORS) if encoding else None
        self._mend_line_ends = mend_line_ends
        self._ready = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer with the next bytes."""
        view = memoryview(buffer)
        while not self._ready:
            chunk = self._stream.read(_CHUNK)
            self._ready = chunk
            if self._decoder:
                self._ready = self._decoder.decode(chunk, final=not chunk).encode(errors="surrogateescape")
            if self._mend_line_ends:
                self._ready = self._ready.replace(b"\r", b"\n")
            if not chunk:
                break
        part, self._ready = self._ready[: len(view)], self._ready[len(view) :]
        view[: len(part)] = part
        return len(part)


def has_old_line_ends(head: bytes) -> bool:
    """Whether lines end in a carriage return alone, as classic Mac OS and some exports have it."""
    return b"\n" not in head and b"\r" in head.rstrip(b"\r")
