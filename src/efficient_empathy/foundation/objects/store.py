"""One object store through fsspec: what is there, its bytes, and new objects, with retries and errors in plain words.

Credentials are those of the store's own environment variables and files. None is ever an option of ours, so that no
recipe and no run can hold one.
"""

from __future__ import annotations

import errno
import os
import random
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from efficient_empathy.foundation.errors import UserError, mask, missing_extra, write_context
from efficient_empathy.foundation.objects.address import EXTRAS, base_name, display_name, is_web, scheme_of, within

Result = TypeVar("Result")

TRIES = 6
PAUSE_S = 0.5
"""Before the second try; twice as long before each further one."""
TIMEOUT_S = 60.0
"""How long a store may send nothing."""
PIECE = 16 * 2**20
"""Bytes of one request."""
_PARTS_AT_ONCE = 4
_SECRETS = re.compile(
    r"AWS_(SECRET_ACCESS_KEY|SESSION_TOKEN)|AZURE_\w*(KEY|TOKEN|SECRET|STRING)|HF_TOKEN|HUGGING_FACE_HUB_TOKEN"
    r"|FSSPEC_\w*(KEY|SECRET|TOKEN|PASSWORD)\w*"
)
_SETTINGS = re.compile("AWS_|AZURE_|GOOGLE_|GCS|STORAGE_|HF_|HUGGING_|FSSPEC_|HTTPS?_PROXY", re.IGNORECASE)
"""Environment variables that say how a store is reached."""
_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; FSSPEC_S3_ANON=true for a public bucket",
    "gs": "sign in with `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or AZURE_STORAGE_CONNECTION_STRING",
    "hub": "sign in with `hf auth login`, or set HF_TOKEN",
    "http": "check the address and its signature",
}
_VERSIONS = (
    "ETag",
    "etag",
    "blob_id",
    "md5Hash",
    "Content-MD5",
    "Last-Modified",
    "LastModified",
    "last_modified",
    "mtime",
)
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, ImportError, NotImplementedError)
_FINAL_NUMBERS = {errno.EINVAL, errno.EPERM, errno.ENAMETOOLONG, errno.ENOSPC, errno.EDQUOT}
_FINAL_NAMES = re.compile("Credential|Profile|NoRegion|ParamValidation|Authentication")


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as a listing has it: `version` changes with its bytes; None where there is nothing of the kind."""

    url: str
    size: int | None
    version: str | None

    def __str__(self) -> str:
        return display_name(self.url)

    @property
    def name(self) -> str:
        """The last part of its URL."""
        return base_name(self.url)


class Store:
    """The store of one URL. Several threads may use it; it can be pickled."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._scheme = scheme_of(url)

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return Store, (self._url,)

    def find(self, url: str) -> Entry | None:
        """The object of this URL; None where there is none, be there a folder or not."""

        def entry(files: Any) -> Entry | None:
            files.invalidate_cache()
            return _entry(url, files.info(url))

        return self._ask("read", url, entry, missing=None)

    def listing(self, folder: str) -> list[Entry]:
        """The objects in a folder by name, those in folders of it left out; none where there is no such folder."""

        def entries(files: Any) -> list[Entry]:
            files.invalidate_cache()
            infos = [one for one in files.ls(folder, detail=True) if not str(one["name"]).endswith("/")]
            found = (_entry(within(folder, str(one["name"]).rpartition("/")[2]), one) for one in infos)
            return sorted((one for one in found if one is not None), key=lambda one: one.url)

        if is_web(folder):
            if folder.endswith("/"):
                raise UserError(f"{display_name(folder)} is a page and no folder: pass the URL of one file")
            return []
        return self._ask("list", folder, entries, missing=[])

    def read(self, url: str, size: int | None = None) -> bytes | None:
        """An object's bytes, the first `size` of them; None where there is none. For objects that are small."""
        return self._ask("read", url, lambda files: bytes(files.cat_file(url, start=0, end=size)), missing=None)

    def fetch(self, one: Entry, path: Path, size: int | None = None) -> None:
        """Write an object's bytes to a file, or its first `size` of them.

        Raises `UserError` where it is not the one that was listed any more.
        """
        size = one.size if size is None else size
        with write_context(path):
            if is_web(one.url) or size is None:
                self._ask("read", one.url, lambda files: files.get_file(one.url, str(path)))
            else:
                self._fetch_pieces(one, size, path)
        asks_for_version = self._scheme == "s3" and one.version is not None and size
        if (size is not None and path.stat().st_size < size) or (not asks_for_version and self.find(one.url) != one):
            raise _changed(one)

    def _fetch_pieces(self, one: Entry, size: int, path: Path) -> None:
        with path.open("wb") as file:
            while (start := file.tell()) < size:
                end = min(start + PIECE, size)
                piece = self._ask("read", one.url, lambda files: self._piece(files, one, start, end))  # noqa: B023
                if not piece:
                    return
                file.write(piece)

    def _piece(self, files: Any, one: Entry, start: int, end: int) -> bytes:
        """Some of an object's bytes; of S3's, only as long as it is the one that was listed."""
        if self._scheme != "s3" or one.version is None:
            return bytes(files.cat_file(one.url, start=start, end=end))
        from fsspec.asyn import sync

        bucket, _, key = one.url.split("://", 1)[1].partition("/")
        condition = {"Range": f"bytes={start}-{end - 1}", "IfMatch": f'"{one.version}"'}

        async def get() -> bytes:
            response = await files._call_s3("get_object", Bucket=bucket, Key=key, **condition)
            async with response["Body"] as body:
                return bytes(await body.read())

        try:
            content: bytes = sync(files.loop, get)
        except OSError as error:
            if isinstance(error, FileNotFoundError) or "PreconditionFailed" in str(error.__cause__):
                raise _changed(one) from error
            raise
        return content

    def write(self, url: str, content: bytes) -> None:
        """Make or replace a small object."""
        self._ask("write", url, lambda files: files.pipe_file(url, content))

    def put(self, path: Path, url: str) -> Entry:
        """Make or replace an object from a file: it is whole or as it was before. Raises `UserError`.

        A large file goes in parts, which a store shows once all are there.
        """
        parts = {"chunksize": PIECE, "max_concurrency": _PARTS_AT_ONCE} if self._scheme == "s3" else {}
        self._ask("write", url, lambda files: files.put_file(str(path), url, **parts))
        entry = self.find(url)
        if entry is None or entry.size != path.stat().st_size:
            raise UserError(f"{display_name(url)} is not what was written: somebody else writes there, or deletes")
        return entry

    def delete(self, url: str) -> None:
        """Delete an object, if it is there."""
        self._ask("delete", url, lambda files: files.rm_file(url), missing=None)

    def abandon(self, url: str) -> None:
        """Give up what killed processes have begun to write to an object of ours in parts: a store bills for it."""
        if self._scheme == "s3":
            bucket, _, key = url.split("://", 1)[1].partition("/")

            def abort(files: Any) -> None:
                found = files.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=key).get("Uploads", [])
                for upload in (one["UploadId"] for one in found if one["Key"] == key):
                    files.call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload)

            self._ask("write", url, abort)

    def _ask(self, verb: str, url: str, request: Callable[[Any], Result], **missing: Result) -> Result:
        """What `request` gives; tried again where that may help. `missing` is the result where nothing is there."""
        for attempt in range(1, TRIES + 1):
            try:
                return request(self._connected())
            except UserError:
                raise
            except Exception as error:
                if isinstance(error, FileNotFoundError) and "missing" in missing and not _no_bucket(error):
                    return missing["missing"]
                if attempt == TRIES or _is_final(error):
                    raise self._fault(verb, url, error, attempt) from error
                time.sleep(PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))
        raise AssertionError

    def _connected(self) -> Any:
        place = "/".join(self._url.split("/")[:3])
        environment = tuple(sorted((n, value) for n, value in os.environ.items() if value and _SETTINGS.match(n)))
        try:
            return _connect(place, environment, TIMEOUT_S, os.getpid())
        except ImportError as error:
            raise missing_extra(f"reaching {display_name(self._url)}", EXTRAS[self._scheme]) from error

    def _fault(self, verb: str, url: str, error: Exception, attempts: int) -> UserError:
        name, extra = display_name(url), EXTRAS[self._scheme]
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        if isinstance(error, FileNotFoundError):
            return UserError(f"{name} is not found: check the name" + _endpoint(extra))
        if isinstance(error, PermissionError) or "Credential" in type(error).__name__ or _status(error) in (401, 403):
            return UserError(f"cannot {verb} {name} ({reason}): {_CREDENTIALS[extra]}")
        tries = f", {attempts} times" if attempts > 1 else ""
        return UserError(
            f"cannot {verb} {name} ({reason}{tries}): check the name{_endpoint(extra)} and the network, then run the "
            "same command again"
        )


def _changed(one: Entry) -> UserError:
    return UserError(f"{one} was changed or deleted while it was read: run the same command again")


@lru_cache(maxsize=8)
def _connect(place: str, environment: tuple[tuple[str, str], ...], _timeout: float, _process: int) -> Any:
    """fsspec's view of a store, one for each that the environment says how to reach."""
    from fsspec.core import url_to_fs

    mask.add(value for name, value in environment if _SECRETS.fullmatch(name))
    files = url_to_fs(place, **_options(scheme_of(place)))[0]
    files.retries = 1
    if EXTRAS[scheme_of(place)] == "az":
        files.service_client._config.retry_policy.total_retries = 0  # nor of Azure's own, which begin with 15 s
    return files


def _entry(url: str, info: dict[str, Any]) -> Entry | None:
    """What fsspec says of an object; None for a folder."""
    if info.get("type", "file") != "file":
        return None
    version = next((str(info[key]) for key in _VERSIONS if info.get(key)), None)
    size = info.get("size")
    return Entry(url, int(size) if size is not None else None, version.strip('"') if version else None)


def _options(scheme: str) -> dict[str, Any]:
    """What connects without lists that are kept and retries of its own: ours say what is tried, and when."""
    options: dict[str, Any] = {"skip_instance_cache": True}
    if scheme == "s3":
        config = {"connect_timeout": TIMEOUT_S, "read_timeout": TIMEOUT_S, "retries": {"total_max_attempts": 1}}
        options |= {"use_listings_cache": False, "config_kwargs": config}
    elif EXTRAS[scheme] == "http":
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, connect=TIMEOUT_S, sock_read=TIMEOUT_S)
        options |= {"client_kwargs": {"trust_env": True, "timeout": timeout}}
    return options


def _is_final(error: Exception) -> bool:
    """Whether another try would end in the same way."""
    status = _status(error)
    if status is not None:
        return 400 <= status < 500 and status not in (408, 429)
    return (
        isinstance(error, _FINAL)
        or getattr(error, "errno", None) in _FINAL_NUMBERS
        or _FINAL_NAMES.search(type(error).__name__) is not None
    )


def _status(error: Exception) -> int | None:
    with suppress(AttributeError, TypeError, ValueError):
        return int(error.status)  # type: ignore[attr-defined]
    return None


def _no_bucket(error: Exception) -> bool:
    return "bucket does not exist" in str(error)


def _endpoint(extra: str) -> str:
    return " and AWS_ENDPOINT_URL" if extra == "s3" and os.environ.get("AWS_ENDPOINT_URL") else ""
