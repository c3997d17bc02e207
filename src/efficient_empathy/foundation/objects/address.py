"""URLs of objects: which store they mean, what their last part is called, and what may be shown of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeGuard

from efficient_empathy.foundation.errors import UserError, endpoint_name

EXTRAS = {"s3": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az", "hf": "hub"}
EXTRAS |= {"http": "http", "https": "http"}
"""By scheme the extra that installs what reads it."""
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_PASSWORD = re.compile(r"[^/?#@]*:[^/?#@]*@")


def is_url(source: str | Path) -> TypeGuard[str]:
    """Whether `source` is a URL and no path."""
    return isinstance(source, str) and _URL.match(source) is not None


def scheme_of(url: str) -> str:
    """Which kind of store a URL means. Raises `UserError` for one that is not known, and for a URL with a password."""
    match = _URL.match(url)
    scheme = match[1].lower() if match else ""
    if match is None or scheme not in EXTRAS:
        raise UserError(f"{url} is no place that can be reached: pass a path, or a URL of {', '.join(EXTRAS)}")
    if _PASSWORD.match(url[match.end() :]):
        raise UserError(f"{url} holds a password: leave it out, and set the store's own environment variables")
    return scheme


def is_web(url: str) -> bool:
    """Whether a URL is one of a web server, whose query is no part of a name and may hold a key."""
    return url.lower().startswith(("http://", "https://"))


def display_name(url: str) -> str:
    """A URL as messages and records have it."""
    return endpoint_name(url) if is_web(url) else url


def base_name(url: str) -> str:
    """The last part of a URL's path; of a bucket its name."""
    return display_name(url).rstrip("/").rpartition("/")[2]


def within(folder: str, name: str) -> str:
    """The URL of what is called `name` in a folder."""
    return f"{folder.rstrip('/')}/{name}"
