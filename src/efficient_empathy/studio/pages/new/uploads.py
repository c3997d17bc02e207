"""Files that come by the browser, in pieces as large as a request may be, so that a broken line loses one piece."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from pathlib import Path
from typing import Annotated

from pydantic import Field

from efficient_empathy.foundation.errors import UserError, error_context
from efficient_empathy.foundation.run.files import file_hash
from efficient_empathy.studio.server.bodies import Body

SOURCES = "sources"
"""The folder, beside the runs, of files that came by the browser."""
PIECE_BYTES = 1 << 19
_ID = re.compile(r"[0-9a-f]{16}")
_SPARE = 1 << 28
"""Bytes of the disk that an upload leaves free."""
_ABANDONED_S = 86_400.0
"""An upload that has got nothing for so long is deleted when the next begins."""


class Upload(Body):
    """A file that is to come: its name, and its size in bytes."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    bytes: Annotated[int, Field(ge=1, le=1 << 40)]


class Uploads:
    """The files that come, below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / SOURCES

    def begin(self, upload: Upload) -> str:
        """The id under which its pieces come. Raises `UserError` where the disk has no room for it."""
        with error_context(f"keep {upload.name} in {self.folder}"):
            self.folder.mkdir(0o700, parents=True, exist_ok=True)
            for part in self.folder.glob(".*.part"):
                if time.time() - part.stat().st_mtime > _ABANDONED_S:
                    part.unlink(missing_ok=True)
            free = shutil.disk_usage(self.folder).free
        if upload.bytes + _SPARE > free:
            raise UserError(
                f"the disk has room for {free / 1e9:,.1f} GB, and {upload.name} has {upload.bytes / 1e9:,.1f} GB: make "
                "room, or name the file where it lies"
            )
        upload_id = secrets.token_hex(8)
        self._part(upload_id).touch(0o600)
        return upload_id

    def add(self, upload_id: str, offset: int, content: bytes) -> int:
        """Add a piece; how many bytes there are now. A piece that came before is left as it is.

        Raises `UserError` for an unknown id, and for a piece that does not follow what is there.
        """
        part = self._part(upload_id)
        if not part.is_file():
            raise UserError("that upload is unknown: choose the file again")
        size = part.stat().st_size
        if offset + len(content) <= size:
            return size
        if offset != size:
            raise UserError(f"a piece is missing before byte {offset:,}: choose the file again")
        with error_context("keep the file"), part.open("ab") as stream:
            stream.write(content)
        return size + len(content)

    def finish(self, upload_id: str, upload: Upload) -> Path:
        """The file under its own name, or under that of the same file that came before.

        Raises `UserError` where bytes are missing.
        """
        part = self._part(upload_id)
        size = part.stat().st_size if part.is_file() else 0
        if size != upload.bytes:
            raise UserError(f"{upload.name} came with {size:,} of {upload.bytes:,} bytes: choose it again")
        name = re.sub(r"[^\w.+-]+", "_", Path(upload.name.replace("\\", "/")).name).lstrip(".") or "dialogues"
        stem, dot, ending = name.partition(".")
        digest = file_hash(part)
        target, number = self.folder / name, 1
        while target.exists():
            if file_hash(target) == digest:
                part.unlink()
                return target
            number += 1
            target = self.folder / f"{stem}-{number}{dot}{ending}"
        part.rename(target)
        return target

    def _part(self, upload_id: str) -> Path:
        if not _ID.fullmatch(upload_id):
            raise UserError("that upload is unknown: choose the file again")
        return self.folder / f".{upload_id}.part"
