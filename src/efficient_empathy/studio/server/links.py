"""Links for annotators: signed, with an end, and revocable; each opens the rating of one run to one person."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.files import sweep, temporary_beside

DAYS = 30
_DAY_S = 86_400
_KEY_BYTES = 32
_SCHEMA = """
CREATE TABLE IF NOT EXISTS links (
    id TEXT PRIMARY KEY, root TEXT NOT NULL, annotator TEXT NOT NULL,
    created_at REAL NOT NULL, expires_at INTEGER NOT NULL, revoked_at REAL);
"""


@dataclass(frozen=True, slots=True)
class Annotator:
    """Someone who came by a link: may rate `run`, under `name`, and do nothing else. `link` is the link's id."""

    name: str
    run: str
    link: str


@dataclass(frozen=True, slots=True)
class Link:
    """A link that was issued. `key` is what its URL carries: `/rate?link=KEY`."""

    id: str
    root: Path
    annotator: str
    created_at: float
    expires_at: int
    revoked_at: float | None
    key: str

    @property
    def path(self) -> str:
        """What comes after the studio's address."""
        return f"/rate?link={self.key}"

    @property
    def works(self) -> bool:
        """Whether it opens anything now."""
        return self.revoked_at is None and time.time() < self.expires_at


class Links:
    """The links that this user's studios have issued, in `folder`, with the key that signs them (HMAC-SHA256).

    The folder is the user's own (mode 700), so that neither the key nor a list of annotators travels with a run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._database, self._key_path = folder / "links.sqlite", folder / "links.key"
        self._key = b""

    def issue(self, root: Path, annotator: str, *, days: float = DAYS) -> Link:
        """A new link to the run in `root` for `annotator`, good for `days`."""
        if not annotator.strip():
            raise UserError("an annotator's link needs a name: it tells whose ratings they are")
        now = time.time()
        id_, expires = secrets.token_urlsafe(12), int(now + days * _DAY_S)
        with self._open() as db:
            row = (id_, str(root.resolve()), annotator.strip(), now, expires)
            db.execute("INSERT INTO links (id, root, annotator, created_at, expires_at) VALUES (?, ?, ?, ?, ?)", row)
        return self._link(*row, None)

    def of(self, root: Path) -> list[Link]:
        """All links to a run, oldest first, those that work no more included."""
        return self._select("root = ? ORDER BY created_at", str(root.resolve()))

    def revoke(self, id_: str) -> None:
        """End a link, and with it every session that it opened."""
        with self._open() as db:
            db.execute("UPDATE links SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (time.time(), id_))

    def move(self, root: Path, target: Path) -> None:
        """Let the links to a run open it in the folder that it has been moved to."""
        if self._database.exists():
            with self._open() as db:
                db.execute("UPDATE links SET root = ? WHERE root = ?", (str(target.resolve()), str(root)))

    def check(self, key: str) -> Link | None:
        """The link that `key` is of, if it was signed here, has not ended and was not revoked."""
        id_, _, rest = key.partition(".")
        expires, _, _ = rest.partition(".")
        if not (expires.isascii() and expires.isdigit() and len(expires) < 15) or not self._database.exists():
            return None
        if not hmac.compare_digest(self._sign(id_, int(expires)).encode(), key.encode()):
            return None
        return next((link for link in self._select("id = ?", id_) if link.works), None)

    def _select(self, where: str, value: str) -> list[Link]:
        if not self._database.exists():
            return []
        columns = "id, root, annotator, created_at, expires_at, revoked_at"
        with _explain_errors(self._folder), contextlib.closing(sqlite3.connect(self._database, timeout=30)) as db:
            rows = db.execute(f"SELECT {columns} FROM links WHERE {where}", (value,)).fetchall()
        return [self._link(*row) for row in rows]

    def _link(
        self, id_: str, root: str, annotator: str, created_at: float, expires_at: int, revoked_at: float | None
    ) -> Link:
        return Link(id_, Path(root), annotator, created_at, expires_at, revoked_at, self._sign(id_, expires_at))

    def sign(self, message: str) -> str:
        """The signature of a message by the studios of this user; a link's message has no blank in it."""
        return hmac.digest(self._secret(), message.encode(), "sha256").hex()

    def _sign(self, id_: str, expires_at: int) -> str:
        message = f"{id_}.{expires_at}"
        return f"{message}.{self.sign(message)}"

    def _secret(self) -> bytes:
        """The key, made on first use: readable by its owner alone, and never half written."""
        if self._key:
            return self._key
        with _explain_errors(self._folder):
            if not self._key_path.exists():
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                sweep(self._folder)
                with temporary_beside(self._key_path) as temporary:
                    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                        file.write(secrets.token_bytes(_KEY_BYTES))
                        file.flush()
                        os.fsync(file.fileno())  # a key that a power cut empties would sign anybody's links
                    with contextlib.suppress(FileExistsError):
                        self._key_path.hardlink_to(temporary)  # whoever came first has made the key
            key = self._key_path.read_bytes()
        if len(key) < _KEY_BYTES:
            raise UserError(f"{self._key_path} is cut, so it cannot sign links: delete it, and issue the links again")
        self._key = key
        return self._key

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self._secret()
        with _explain_errors(self._folder), contextlib.closing(sqlite3.connect(self._database, timeout=30)) as db, db:
            db.execute(_SCHEMA)
            yield db


@contextlib.contextmanager
def _explain_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise UserError(f"the studio cannot keep its links in {folder} ({error}): see to its permissions") from error
