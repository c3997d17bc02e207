"""Files of kinds that are not read, told by their first bytes, each with what to do about it."""

from __future__ import annotations

_ARCHIVES = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"\x1f\x9d": "compress (.Z)",
    b"\x04\x22\x4d\x18": "lz4",
}
_ARCHIVES |= {
    b"\x04\x22\x4d\x18": "lz4",
    b"LZIP": "lzip",
    b"\xff\x06\0\0sNaPpY": "snappy",
    b"\x5d\0\0": "lzma",
    b"MSCF": "cab",
}
_BINARY = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Excel file (xls) or one with a password: save it as xlsx or CSV",
    b"ARROW1": "an Arrow file: write it as Parquet or JSON lines (`datasets.load_from_disk(…).to_parquet(…)`)",
    b"SQLite format 3\0": "an SQLite database: export the table as CSV",
    b"Obj\x01": "an Avro file: write it as Parquet or JSON lines",
    b"ORC": "an ORC file: write it as Parquet or JSON lines",
    b"\x89HDF": "an HDF5 file: write it as Parquet or JSON lines",
    b"%PDF": "a PDF: export the dialogues as CSV, JSON lines or xlsx",
    b"{\\rtf": "a rich text document: save it as plain text or CSV",
}
_TEXT = {
    b"version https://git-lfs.github.com": "a pointer of Git LFS and not the file itself: fetch it with `git lfs pull`",
    b"<!doctype html": "a web page: download the data itself",
    b"<html": "a web page: download the data itself",
    b"<?xml": "XML: write the dialogues as JSON lines or CSV",
}
_TAR_MARK = slice(257, 262)


def foreign_kind(head: bytes) -> str | None:
    """What a file is, to follow its name and "is", and the remedy; None if it may be one that is read."""
    archive = next((name for magic, name in _ARCHIVES.items() if head.startswith(magic)), None)
    if archive:
        return f"packed with {archive}: unpack it first, or pack it as zip, gzip, xz, bzip2 or zstd"
    if head[_TAR_MARK] == b"ustar":
        return "a tar archive: unpack it (`tar -xf`), and pass the folder"
    start = head[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    text = next((kind for magic, kind in _TEXT.items() if start.startswith(magic)), None)
    return text or next((kind for magic, kind in _BINARY.items() if head.startswith(magic)), None)
