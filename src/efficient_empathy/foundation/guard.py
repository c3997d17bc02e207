"""What a settings file asks for beyond itself: paths outside its folder, and options that run what others wrote.

An option says on its field what it may do (`Reads`, `Needs`); a field that holds a `Path` is read. All of it is found
in a file's content before any of it is validated, since validation itself reads rubrics, policies and the like.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic.fields import FieldInfo

from efficient_empathy.foundation.objects.address import is_url
from efficient_empathy.foundation.permissions import Kind, Permission, read_from, require
from efficient_empathy.foundation.settings import fields_of, load, parts, section

Model = TypeVar("Model")

_MOST_ENTRIES = 10_000
"""Of a folder, so many entries are looked at for links that lead out."""


@dataclass(frozen=True)
class Reads:
    """Stands in the `Annotated` of a field whose text may be a path, and may be a name instead."""


@dataclass(frozen=True)
class Needs:
    """Stands in the `Annotated` of a switch that takes a permission."""

    kind: Kind


@dataclass(frozen=True)
class Bounds:
    """Where a file's content comes from: the folders that it may read, and the keys that its user has set instead."""

    folders: tuple[Path, ...]
    changed: Collection[str] = field(default_factory=frozenset)
    """Dotted; a section stands for all of its keys."""

    def is_users(self, key: str) -> bool:
        """Whether a key's value is the user's own word."""
        return any(key == one or key.startswith(f"{one}.") for one in self.changed)

    def reading(self, value: Any) -> Iterator[Permission]:
        """What reading `value` takes, be it a path, a URL or a name: nothing, or a permission for each place outside.

        A URL is always outside: to ask a store takes the user's keys. A name is none that exists here as a file or
        folder. Links count as what they lead to.
        """
        if not isinstance(value, str | Path) or not str(value):
            return
        if is_url(value):
            yield read_from(value)
            return
        text = str(value).removeprefix("hub:")
        path = Path(text).expanduser()
        try:
            exists = path.exists()
        except (OSError, ValueError):
            return
        if not exists and "@" in path.name:  # FOLDER@LAYER
            yield from self.reading(text.rpartition("@")[0])
            return
        if not exists and not path.is_absolute() and ".." not in path.parts:
            return
        if not self._holds(path.resolve()):
            yield read_from(path)
        elif path.is_dir():
            yield from (read_from(link) for link in links_out(path.resolve(), self.folders))

    def _holds(self, path: Path) -> bool:
        """Whether a path lies in one of the folders, and is not hidden in it."""
        for folder in self.folders:
            if path.is_relative_to(folder) and not any(p.startswith(".") for p in path.relative_to(folder).parts):
                return True
        return False


def needs_of(model: Any, content: Mapping[str, Any], bounds: Bounds, place: str = "") -> Iterator[Permission]:
    """What the content of a file asks for, by the fields of the model that it is for; unknown keys ask for nothing."""
    for name, value in content.items():
        key, found = f"{place}{name}", fields_of(model).get(str(name))
        if found is None or bounds.is_users(key):
            continue
        if isinstance(value, Mapping) and (inner := section(model, name)) is not None:
            yield from needs_of(inner, value, bounds, f"{key}.")
            continue
        marks = list(_marks(found))
        yield from (Permission(mark.kind) for mark in marks if isinstance(mark, Needs) and value is not False)
        if any(isinstance(mark, Reads) for mark in marks) or _is_path(found):
            for one in value if isinstance(value, Sequence) and not isinstance(value, str) else [value]:
                yield from bounds.reading(one)


def load_settings(
    model: type[Model],
    file: Path | None,
    what: str,
    changes: Mapping[str, Any] | None = None,
    flags: Mapping[str, tuple[str, Any]] | None = None,
) -> Model:
    """`settings.load` for a file that others may have written: it reads its own folder, and may no more than a recipe.

    `changes` and `flags` are the user's word. Raises `UserError` with the permissions that are missing.
    """

    def check(content: Mapping[str, Any]) -> None:
        if file is not None:
            bounds = Bounds((file.resolve().parent,), {*(changes or ()), *(flags or ())})
            require(f"{what} {file}", needs_of(model, content, bounds))

    return load(model, file, what, changes, flags, check)


def links_out(folder: Path, homes: Sequence[Path] = ()) -> Iterator[Path]:
    """The links below a folder that lead out of it, and out of `homes`."""
    entries = 0
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            entries += 1
            path = Path(root) / name
            if path.is_symlink() and leads_out(path, (folder, *homes)):
                yield path
        if entries > _MOST_ENTRIES:
            return


def leads_out(path: Path, homes: Sequence[Path]) -> bool:
    """Whether a path, followed through its links, lies in none of these folders; so it is for one in a circle."""
    try:
        target = path.resolve(strict=False)
    except (OSError, RuntimeError):
        return True
    return not any(target.is_relative_to(home.resolve()) for home in homes)


def _marks(found: FieldInfo) -> Iterator[Any]:
    yield from found.metadata
    for part in get_args(found.annotation):
        yield from getattr(part, "__metadata__", ())


def _is_path(found: FieldInfo) -> bool:
    return any(kind is Path for kind in parts(found.annotation))
