"""Results that take long: worked out in a thread, once for all inputs that they depend on, and kept as JSON."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.run.workspace import atomic, file_hash

Tell = Callable[[float, str], None]
"""Told the share of the work that is done, and what is being done."""
Work = Callable[[Tell], Mapping[str, Any]]
_HELD = 16
"""Results in memory."""
_KEPT = 200
"""Results on disk."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """A result, or how far it is: `value` once it is there, `fault` where it cannot be; else `share` and `doing`."""

    key: str
    value: dict[str, Any] | None = None
    fault: str = ""
    share: float = 0.0
    doing: str = ""

    @property
    def ended(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.value is not None or bool(self.fault)


class Results:
    """Results by key, in `folder`; one is worked out at a time, in a thread that ends with the studio."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: OrderedDict[str, Result] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def get(self, key: str, work: Work) -> Result:
        """The result of that key; if there is none yet, `work` begins. What failed is tried again by `retry`."""
        with self._lock:
            if (known := self._known.get(key)) is not None:
                self._known.move_to_end(key)
                return known
            if (kept := self._read(key)) is not None:
                return self._put(kept)
            begun = self._put(Result(key, doing="waiting"))
            threading.Thread(target=self._work, args=(key, work), name="studio-result", daemon=True).start()
            return begun

    def state(self, key: str) -> Result | None:
        """How far the result of a key is; None where nobody asked for it."""
        with self._lock:
            return self._known.get(key)

    def retry(self, key: str) -> None:
        """Forget that a result failed."""
        with self._lock:
            if (known := self._known.get(key)) is not None and known.fault:
                del self._known[key]

    def _work(self, key: str, work: Work) -> None:
        def tell(share: float, doing: str) -> None:
            with self._lock:
                self._put(Result(key, share=share, doing=doing))

        try:
            with self._turn:
                found = Result(key, dict(work(tell)))
            self._keep(found)
        except UserError as error:
            found = Result(key, fault=str(error))
        except Exception:
            log.exception("a result could not be worked out")
            found = Result(key, fault="this could not be worked out; the studio's terminal says why")
        with self._lock:
            self._put(found)

    def _put(self, result: Result) -> Result:
        self._known[result.key] = result
        self._known.move_to_end(result.key)
        ended = [key for key, one in self._known.items() if one.ended]
        for key in ended[: max(0, len(ended) - _HELD)]:
            del self._known[key]
        return result

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def _read(self, key: str) -> Result | None:
        try:
            loaded = json.loads(self._path(key).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return Result(key, loaded) if isinstance(loaded, dict) else None

    def _keep(self, result: Result) -> None:
        """Write a result; a disk that is full or read-only costs no more than the next start."""
        try:
            with atomic(self._path(result.key)) as path:
                path.write_text(json.dumps(result.value, ensure_ascii=False, default=str), "utf-8")
            for path in sorted(self._folder.glob("*.json"), key=lambda one: one.stat().st_mtime)[:-_KEPT]:
                path.unlink(missing_ok=True)
        except (UserError, OSError) as error:
            log.warning("%s", error)


class Hashes:
    """Hashes of files, worked out anew only where size or time of a file have changed."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int, int], str] = {}

    def of(self, path: Path) -> str:
        """SHA-256 of a file, "absent" where there is none."""
        try:
            told = path.stat()
        except OSError:
            return "absent"
        key = (path, told.st_mtime_ns, told.st_size)
        if key not in self._known:
            self._known[key] = file_hash(path)
        return self._known[key]


def key_of(*parts: object) -> str:
    """The key of what depends on `parts`: any values that JSON has."""
    return hashlib.sha256(json.dumps(parts, default=str).encode("utf-8", "replace")).hexdigest()[:32]
