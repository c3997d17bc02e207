"""What installed packages add (formats, judges, policies, metrics …), by entry points, one group for each kind."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from efficient_empathy.foundation.errors import UserError


def plugins(group: str) -> Mapping[str, EntryPoint]:
    """What the installed packages name under `group`, by name; nothing is imported."""
    return _plugins(group, tuple(sys.path))


@lru_cache(maxsize=32)
def _plugins(group: str, _path: tuple[str, ...]) -> Mapping[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def load_plugin(point: EntryPoint, kind: str) -> Any:
    """What an entry point names, or what that makes if it is a class or a function without parameters.

    Raises `UserError` that names the package if it cannot be imported or made.
    """
    try:
        value = point.load()
        return value() if callable(value) else value
    except Exception as error:
        raise plugin_error(point, kind, f"cannot be loaded: {error or type(error).__name__}") from error


def plugin_error(point: EntryPoint, kind: str, fault: str) -> UserError:
    """The error of a plug-in (`kind`: what it adds) that is not as its contract has it; `fault` follows its name."""
    owner = point.dist.name if point.dist else point.value
    return UserError(f"the {kind} {point.name} of the package {owner} {fault}")
