"""Plug-ins: a table of what the package brings, one line each, and the entry points of installed packages."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

from efficient_empathy.foundation.errors import UserError

Kind = TypeVar("Kind")


class Plugins(Generic[Kind]):
    """The plug-ins of one kind by name: `built_in` as `module:attribute`, and those of the entry points `group`.

    Nothing is imported before it is asked for. `what` is what errors call one of them.
    """

    def __init__(self, what: str, group: str, built_in: Mapping[str, str]) -> None:
        self.what, self.group, self._built_in = what, group, built_in

    @cached_property
    def _installed(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group) if point.name not in self._built_in}

    def names(self) -> tuple[str, ...]:
        """All names, the package's own first."""
        return (*self._built_in, *sorted(self._installed))

    def __contains__(self, name: object) -> bool:
        return name in self._built_in or name in self._installed

    def loadable(self) -> dict[str, Kind]:
        """All that load, by name. One that does not is an error only for whoever names it."""
        found: dict[str, Kind] = {}
        for name in self.names():
            with suppress(UserError):
                found[name] = self.load(name)
        return found

    def load(self, name: str) -> Kind:
        """The plug-in of that name. Raises `UserError` where there is none, or where its package does not load."""
        if name in self._built_in:
            module, _, attribute = self._built_in[name].partition(":")
            return cast(Kind, getattr(import_module(module), attribute))
        if name not in self._installed:
            raise UserError(f"there is no {self.what} {name!r}: choose one of {', '.join(self.names())}")
        point = self._installed[name]
        try:
            loaded: Any = point.load()
        except Exception as error:
            owner = point.dist.name if point.dist else point.value
            raise UserError(f"the {self.what} {name} of the package {owner} cannot be loaded: {error}") from error
        return cast(Kind, loaded)
