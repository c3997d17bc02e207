"""Results that take long: computed in a thread, once for the same inputs, and stored as JSON."""

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
from efficient_empathy.foundation.run.files import atomic, file_hash

Tell = Callable[[float, str], None]
"""Takes the share of the work that is done, and what is being done."""
Work = Callable[[Tell], Mapping[str, Any]]
_MOST_IN_MEMORY = 16
"""Results in memory."""
_MOST_ON_DISK = 200
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
        self._results: OrderedDict[str, Result] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def get(self, key: str, work: Work) -> Result:
        """The result of that key; if there is none yet, `work` begins. What failed is tried again by `retry`."""
        with self._lock:
            result = self._results.get(key) or self._read(key)
            if result is None:
                result = Result(key, doing="waiting")
                threading.Thread(target=self._work, args=(key, work), name="studio-result", daemon=True).start()
            return self._put(result)

    def state(self, key: str) -> Result | None:
        """How far the result of a key is; None where nobody asked for it."""
        with self._lock:
            return self._results.get(key)

    def retry(self, key: str) -> None:
        """Forget that a result failed."""
        with self._lock:
            if (result := self._results.get(key)) is not None and result.fault:
                del self._results[key]

    def _work(self, key: str, work: Work) -> None:
        def tell(share: float, doing: str) -> None:
            with self._lock:
                self._put(Result(key, share=share, doing=doing))

        try:
            with self._turn:
                result = Result(key, dict(work(tell)))
            self._keep(result)
        except UserError as error:
            result = Result(key, fault=str(error))
        except Exception:
            log.exception("a result could not be worked out")
            result = Result(key, fault="this could not be worked out; the studio's terminal says why")
        with self._lock:
            self._put(result)

    def _put(self, result: Result) -> Result:
        self._results[result.key] = result
        self._results.move_to_end(result.key)
        finished = [key for key, one in self._results.items() if one.ended]
        for key in finished[: max(0, len(finished) - _MOST_IN_MEMORY)]:
            del self._results[key]
        return result

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def _read(self, key: str) -> Result | None:
        try:
            value = json.loads(self._path(key).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return Result(key, value) if isinstance(value, dict) else None

    def _keep(self, result: Result) -> None:
        """Write a result; a disk that is full or read-only costs no more than the next start."""
        try:
            with atomic(self._path(result.key)) as path:
                path.write_text(json.dumps(result.value, ensure_ascii=False, default=str), "utf-8")
            for path in sorted(self._folder.glob("*.json"), key=lambda one: one.stat().st_mtime)[:-_MOST_ON_DISK]:
                path.unlink(missing_ok=True)
        except (UserError, OSError) as error:
            log.warning("%s", error)


class Hashes:
    """Hashes of files, worked out anew only where size or time of a file have changed."""

    def __init__(self) -> None:
        self._hashes: dict[tuple[Path, int, int], str] = {}

    def of(self, path: Path) -> str:
        """SHA-256 of a file, "absent" where there is none."""
        try:
            stat = path.stat()
        except OSError:
            return "absent"
        key = (path, stat.st_mtime_ns, stat.st_size)
        if key not in self._hashes:
            self._hashes[key] = file_hash(path)
        return self._hashes[key]


def key_of(*parts: object) -> str:
    """The key of what depends on `parts`: any values that JSON has."""
    return hashlib.sha256(json.dumps(parts, default=str).encode("utf-8", "replace")).hexdigest()[:32]
