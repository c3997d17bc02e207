"""Puts the recipes into the wheel. In the repository they are a link, which a source archive does not keep."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class RecipesHook(BuildHookInterface):
    """For hatchling, which calls it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folder; an editable installation reads it where it is."""
        if version != "editable":
            build_data["force_include"]["recipes"] = "efficient_empathy/assets/recipes"
