"""YAML as anybody may have written it: bounded in size, in depth, and in what its aliases grow to."""

from __future__ import annotations

import copy
from functools import lru_cache
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import Node, ScalarNode

MOST_BYTES = 16 * 2**20
MOST_DEPTH = 100
MOST_GROWTH = 10
"""Aliases may repeat so many times what a text has of its own, and `_FREE` values besides."""
_FREE = 10_000
_LONGEST_NUMBER = 400
_KEPT = 2**15
"""Characters of a text whose content is kept: a command reads the same rubric and policy again and again."""
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class YAMLFaultError(ValueError):
    """What is wrong with a YAML text, in a few words."""


def read_yaml(file: Path | Traversable) -> Any:
    """The content of a YAML file. Raises `YAMLFaultError`, and `OSError` where it cannot be read."""
    if isinstance(file, Path) and file.exists() and not file.is_file():
        raise YAMLFaultError("it is no file")
    with file.open("rb") as stream:
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise YAMLFaultError(f"it is larger than {MOST_BYTES // 2**20} MB")
    try:
        return parse_yaml(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise YAMLFaultError(f"it is not UTF-8: {error.reason} at byte {error.start:,}") from error


def parse_yaml(text: str) -> Any:
    """The content of a YAML text: plain values alone, as of `yaml.safe_load`. Raises `YAMLFaultError`."""
    return copy.deepcopy(_parse_once(text)) if len(text) <= _KEPT else _parse(text)


@lru_cache(maxsize=64)
def _parse_once(text: str) -> Any:
    return _parse(text)


def _parse(text: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise YAMLFaultError(" ".join(str(error).split()) or type(error).__name__) from error


class _Loader(yaml.SafeLoader):
    """Counts values as they are composed, an alias as all that it stands for."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._own = self._all = 0
        self._sizes: dict[Node, int] = {}

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """The next value, with what is in it."""
        if self.check_event(yaml.AliasEvent):
            line = self.line + 1
            node: Node | None = super().compose_node(parent, index)
            if node is None or node not in self._sizes:
                raise YAMLFaultError(f"a value holds itself (line {line})")
            self._all += self._sizes[node]
            if self._all > MOST_GROWTH * self._own + _FREE:
                raise YAMLFaultError(f"its aliases grow to more than {self._all:,} values (line {line})")
            return node
        self._depth, self._own, self._all = self._depth + 1, self._own + 1, self._all + 1
        before = self._all
        if self._depth > MOST_DEPTH:
            raise YAMLFaultError(f"it is nested more than {MOST_DEPTH} deep (line {self.line + 1})")
        node = super().compose_node(parent, index)
        if isinstance(node, ScalarNode) and node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            raise YAMLFaultError(f"a number has {len(node.value):,} digits (line {node.start_mark.line + 1})")
        if node is not None:
            self._sizes[node] = self._all - before + 1
        self._depth -= 1
        return node
