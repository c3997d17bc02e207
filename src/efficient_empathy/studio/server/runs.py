"""The runs that a studio was given: found by short names, and nothing outside of them is ever read."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from efficient_empathy.foundation.errors import UserError, error_context, shell
from efficient_empathy.foundation.run.workspace import Workspace

ARCHIVE = "archive"
"""The folder, beside the runs, of those that were put aside."""
RUN_NAME = re.compile(r"[^\W_](?:[\w.-]{0,78}\w)?")
"""What runs, and other things that people name here, can be called."""
_MARKS = ("samples", "ledger", "scores", "manifest_path")
"""The artifacts that make a folder a run; any one will do, since a run is a run as soon as it is being scored."""


class Runs:
    """Runs by name: a folder's own name where that is unique, else as much of its path as tells it apart.

    `home` is a folder of runs: those made in it since are runs too. Raises `UserError` for a folder that is no run, and
    where a name is unknown.
    """

    def __init__(self, folders: Sequence[Path], home: Path | None = None) -> None:
        if not folders and home is None:
            raise UserError("the studio needs a run, or a folder to make runs in: name one")
        self.home = None if home is None else home.resolve()
        self._given = list(dict.fromkeys(_root(folder) for folder in folders))
        self.folder = self.home or self._given[0].parent
        """Where new runs are made."""
        self._begun: set[Path] = set()
        self._roots: dict[str, Path] = {}
        self.look()

    def look(self) -> None:
        """Look again which runs there are in the folder of runs."""
        made = runs_under(self.home) if self.home else []
        begun = sorted(root for root in self._begun if root.is_dir())
        roots = list(dict.fromkeys([*(root for root in self._given if root.is_dir()), *made, *begun]))
        self._roots = dict(zip(_names(roots), roots, strict=True))

    def new_root(self, name: str) -> Path:
        """The folder of a run that is to be made. Raises `UserError` for a name that is none, or is taken."""
        if not RUN_NAME.fullmatch(name) or name == ARCHIVE:
            raise UserError(f"{name[:80]!r} is no name for a run: use letters, digits, and - _ . between them")
        root = self.folder / name
        if root.exists() and not (root.is_dir() and {path.name for path in root.iterdir()} <= {".lock"}):
            raise UserError(f"there is a run or a folder {name} already: choose another name")
        return root

    def make(self, name: str) -> Workspace:
        """A new run's folder, which is a run here from now on, whatever comes of it. Raises as `new_root` does."""
        root = self.new_root(name)
        workspace = Workspace(root).create()
        self._begun.add(root.resolve())
        self.look()
        return workspace

    def rename(self, name: str, new_name: str) -> Path:
        """Give a run's folder another name. Raises `UserError`, also while a process is working on the run."""
        root, target = self._own(name), self.new_root(new_name)
        self._move(name, target)
        if root in self._given:
            self._given[self._given.index(root)] = target
        elif self.home is None or not is_run(target):
            self._begun.add(target)
        self.look()
        return target

    def archive(self, name: str) -> Path:
        """Put a run into the folder `archive` beside the others, where the studio does not look."""
        root = self._own(name)
        target = root.parent / ARCHIVE / name
        if target.exists():
            raise UserError(f"the archive has a run {name} already: rename this one first")
        return self._move(name, target)

    def delete(self, name: str) -> None:
        """Delete a run's folder with all that is in it. Raises `UserError`, also while a process is working on it."""
        root = self._own(name)
        doomed = root.parent / f".{root.name}.deleted"
        shutil.rmtree(doomed, ignore_errors=True)
        self._move(name, doomed)
        with error_context(f"delete {doomed}", "delete the folder yourself"):
            shutil.rmtree(doomed)

    def _own(self, name: str) -> Path:
        """The folder of a run that lies where new ones are made."""
        root = self.workspace(name).root
        if root.parent != self.folder:
            raise UserError(f"{name} does not lie in {self.folder}: move it or delete it yourself")
        return root

    def _move(self, name: str, target: Path) -> Path:
        root = self._own(name)

        def refuse() -> None:
            raise UserError(f"a process is working on {name}: wait for its end, or stop it first")

        with Workspace(root).lock(refuse), error_context(f"move {root} to {target}"):
            target.parent.mkdir(exist_ok=True)
            root.rename(target)
        self._begun.discard(root)
        self.look()
        return target

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
    """The runs right under a folder, by name; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(path.resolve() for path in folder.iterdir() if path.is_dir() and is_run(path))


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
