"""Plug-ins: a table of what the package brings, one line each, and the entry points of installed packages."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

from efficient_empathy.foundation.errors import UserError

Kind = TypeVar("Kind")


class Plugins(Generic[Kind]):
    """The plug-ins of one kind by name: `built_in` as `module:attribute`, and those of the entry points `group`.

    Nothing is imported before it is asked for. `what` is what errors call one of them. A package cannot take a name
    that is built in.
    """

    def __init__(self, what: str, group: str, built_in: Mapping[str, str]) -> None:
        self.what, self.group, self.built_in = what, group, built_in

    def find_installed(self) -> dict[str, EntryPoint]:
        """The entry points of installed packages by name, in the order of their names."""
        points = _entry_points(self.group, tuple(sys.path))
        return {name: points[name] for name in sorted(points.keys() - self.built_in.keys())}

    def names(self) -> tuple[str, ...]:
        """All names, the package's own first."""
        return (*self.built_in, *self.find_installed())

    def __contains__(self, name: object) -> bool:
        return name in self.built_in or name in self.find_installed()

    def loadable(self) -> dict[str, Kind]:
        """All that load, by name. One that does not is an error only for whoever names it."""
        plugins: dict[str, Kind] = {}
        for name in self.names():
            with suppress(UserError):
                plugins[name] = self.load(name)
        return plugins

    def load(self, name: str) -> Kind:
        """The plug-in of that name. Raises `UserError` where there is none, or where its package does not load."""
        if name in self.built_in:
            module, _, attribute = self.built_in[name].partition(":")
            return cast(Kind, getattr(import_module(module), attribute))
        self.require(name)
        try:
            plugin: Any = self.find_installed()[name].load()
        except Exception as error:
            raise self.error(name, f"cannot be loaded: {error or type(error).__name__}") from error
        return cast(Kind, plugin)

    def require(self, name: str) -> None:
        """Raise `UserError` where there is none of that name; nothing is loaded."""
        if name not in self:
            raise UserError(f"there is no {self.what} {name!r}: choose one of {', '.join(self.names())}")

    def error(self, name: str, fault: str) -> UserError:
        """The error of a package's plug-in that is not as its contract has it; `fault` follows its name."""
        point = self.find_installed()[name]
        owner = point.dist.name if point.dist else point.value
        return UserError(f"the {self.what} {name} of the package {owner} {fault}")


@lru_cache(maxsize=32)
def _entry_points(group: str, _path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """What the packages on the path name under `group`; the path is looked through once."""
    return {point.name: point for point in entry_points(group=group)}
