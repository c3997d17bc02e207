"""The runs that a studio was given: found by short names, and nothing outside of them is ever read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from efficient_empathy.foundation.errors import UserError, shell
from efficient_empathy.foundation.run.workspace import Workspace

_MARKS = ("samples", "ledger", "scores", "manifest_path")
"""The artifacts that make a folder a run; any one will do, since a run is a run as soon as it is being scored."""


class Runs:
    """Runs by name: a folder's own name where that is unique, else as much of its path as tells it apart.

    Raises `UserError` for a folder that is no run, and where a name is unknown.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        if not folders:
            raise UserError("the studio needs a run: `efficient-empathy demo` makes one, in runs/demo")
        roots = list(dict.fromkeys(_root(folder) for folder in folders))
        self._roots = dict(zip(_names(roots), roots, strict=True))

    def __iter__(self) -> Iterator[str]:
        return iter(self._roots)

    def __len__(self) -> int:
        return len(self._roots)

    def __contains__(self, name: object) -> bool:
        return name in self._roots

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order that the runs were given in."""
        return tuple(self._roots)

    def name_of(self, root: Path | str) -> str | None:
        """The name of the run in a folder, None if it is not one of these."""
        folder = Path(root).resolve()
        return next((name for name, path in self._roots.items() if path == folder), None)

    def workspace(self, name: str) -> Workspace:
        """The run of that name.

        Raises `UserError` if there is none, or if a symbolic link in it leads out (looked for two levels deep, where
        everything lies that the studio reads).
        """
        if name not in self._roots:
            raise UserError(f"there is no run {name!r} here; there is {', '.join(self._roots)}")
        root = self._roots[name]
        _require_no_way_out(root, root, levels=2)
        return Workspace(root)

    def file(self, name: str, *parts: str) -> Path:
        """A file of a run by the parts of its path, which may come from a request.

        Raises `UserError` if there is none, or if it lies outside the run's folder, symbolic links followed.
        """
        root = self.workspace(name).root
        path = _require_inside(root, root.joinpath(*parts))
        with contextlib.suppress(OSError):  # a name longer than the disk takes
            if path.is_file():
                return path
        raise UserError(f"the run {name} has no file {'/'.join(parts)[:200]}")


def is_run(folder: Path) -> bool:
    """Whether a folder is a run's."""
    workspace = Workspace(folder)
    return any(getattr(workspace, mark).is_file() for mark in _MARKS)


def runs_under(folder: Path) -> list[Path]:
    """The runs right under a folder, by name. Raises `UserError` if there is none."""
    runs = sorted(path for path in folder.iterdir() if path.is_dir() and is_run(path)) if folder.is_dir() else []
    if not runs:
        raise UserError(
            f"there is no run under {folder}: name a run's folder, or make one with `efficient-empathy demo`"
        )
    return runs


def _root(folder: Path) -> Path:
    if not folder.is_dir():
        raise UserError(
            f"{folder} is no folder: `efficient-empathy score SOURCE --run {shell(folder)}` makes a run there"
        )
    if not is_run(folder):
        raise UserError(
            f"{folder} is no run's folder (it has no samples.parquet): name one that `efficient-empathy score` made"
        )
    return folder.resolve()


def _names(roots: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths, of one length for those of one name, that tell the runs apart."""
    names = []
    for root in roots:
        rivals = [other for other in roots if other != root and other.name == root.name]
        length = 1
        while any(other.parts[-length:] == root.parts[-length:] for other in rivals):
            length += 1
        names.append("/".join(root.parts[-length:]).lstrip("/") or "/")
    return names


def _require_no_way_out(root: Path, folder: Path, levels: int) -> None:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink():
                    _require_inside(root, Path(entry.path))
                elif levels > 1 and entry.is_dir():
                    _require_no_way_out(root, Path(entry.path), levels - 1)
    except OSError as error:
        raise UserError(f"the run's folder {folder} cannot be read ({error.strerror})") from error


def _require_inside(root: Path, path: Path) -> Path:
    try:
        target = path.resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError("that is no path inside the run") from error
    if not target.is_relative_to(root):
        raise UserError(
            f"{path.name} leads out of the run {root.name}, and the studio reads nothing outside its runs: "
            "put the file itself there"
        )
    return target
