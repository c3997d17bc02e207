"""Policies as data: which subset each scored sample is in, by rules or by rank, over any number of axes.

A policy comes with the package, from an installed package, or from a YAML file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.plugins import Plugins
from efficient_empathy.foundation.settings import load, read
from efficient_empathy.selection.policies.definition import Scales, display_symbol
from efficient_empathy.selection.policies.language import closest
from efficient_empathy.selection.policies.rule_policy import BoundRules, Rule, RulePolicy
from efficient_empathy.selection.policies.selector import RuleSelector, Selector
from efficient_empathy.selection.policies.top_policy import TopPolicy
from efficient_empathy.selection.policies.top_selector import TopSelector
from efficient_empathy.selection.policies.words import flips, policy_words
from efficient_empathy.selection.settings import Decide

Policy = RulePolicy | TopPolicy
BUNDLED = ("paper", "exclusive", "both", "top")
ENTRY_POINTS = "efficient_empathy.policies"
"""The group under which an installed package names its policies: each a policy, the path of a YAML file, or a function
that gives either."""
PLUGINS: Plugins[Any] = Plugins("policy", ENTRY_POINTS, {})
OPTIONS = ("top", "per_category", "quotas", "where")
"""What `load_policy` may set of a policy that takes the top; rules have thresholds alone."""


def policy_names() -> tuple[str, ...]:
    """The names that `load_policy` knows: the package's own, then those of installed packages."""
    return (*BUNDLED, *(name for name in PLUGINS.find_installed() if name not in BUNDLED))


def load_policy(name: str | Path, thresholds: Mapping[str, float] | None = None, **options: Any) -> Policy:
    """The policy of that name or in that YAML file, at these thresholds instead of its own.

    `options` are `OPTIONS` of a policy that takes the top; one that is None changes nothing. Raises `UserError` for a
    name, a file, a threshold or an option that is not allowed.
    """
    options = {key: value for key, value in options.items() if value is not None}
    policy = _load(str(name), options)
    return policy.with_thresholds(**thresholds) if thresholds else policy


def policy_of_definition(definition: Mapping[str, Any]) -> Policy:
    """The policy whose `definition` this is. Raises `UserError` for one that is not valid."""
    try:
        return _kind(definition).model_validate(dict(definition))
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UserError(f"not valid in the definition of a policy: {f'{place}: ' if place else ''}{message}") from error


def _load(name: str, options: Mapping[str, Any]) -> Policy:
    if name in BUNDLED:
        return _bundled(name, options) if options else _bundled_alone(name)
    if name in PLUGINS:
        return _plugin(name, options)
    path = Path(name)
    if path.is_file() or path.suffix in (".yaml", ".yml") or os.sep in name:
        return _read(path, options)
    names = policy_names()
    raise UserError(f"there is no policy {name!r}: give a YAML file or one of {', '.join(names)}{closest(name, names)}")


def _bundled(name: str, options: Mapping[str, Any]) -> Policy:
    return _read(files(__package__) / "bundled" / f"{name}.yaml", options)


@cache
def _bundled_alone(name: str) -> Policy:
    return _bundled(name, {})


def _read(file: Path | Traversable, options: Mapping[str, Any]) -> Policy:
    what = "the policy"
    kind = _kind(read(file, what))
    if kind is RulePolicy:
        _refuse_options(file.name.removesuffix(".yaml"), options)
        return load(RulePolicy, file, what)
    _check_options(file.name, options)
    return load(TopPolicy, file, what, options)


def _kind(definition: Mapping[str, Any]) -> type[Policy]:
    return TopPolicy if "rules" not in definition and {"top", "quotas"} & set(definition) else RulePolicy


def _plugin(name: str, options: Mapping[str, Any]) -> Policy:
    value = PLUGINS.load(name)
    try:
        value = value() if callable(value) else value
    except Exception as error:
        raise PLUGINS.error(name, f"cannot be made: {error}") from error
    if isinstance(value, str | os.PathLike):
        return _read(Path(value), options)
    if not isinstance(value, RulePolicy | TopPolicy):
        kind = type(value).__name__
        raise PLUGINS.error(
            name, f"is a {kind}: it must be a policy, the path of a YAML file, or a function that gives either"
        )
    if isinstance(value, RulePolicy):
        _refuse_options(name, options)
        return value
    _check_options(name, options)
    return value.changed(**options) if options else value


def _refuse_options(policy: str, options: Mapping[str, Any]) -> None:
    if options:
        raise UserError(f"the policy {policy} has rules and takes no {next(iter(options))}: it has thresholds alone")


def _check_options(policy: str, options: Mapping[str, Any]) -> None:
    unknown = [option for option in options if option not in OPTIONS]
    if unknown:
        raise UserError(f"the policy {policy} has no option {unknown[0]}: it takes {', '.join(OPTIONS)}")


def make_selector(policy: Policy, scales: Scales, *, decide: Decide = "auto", seed: int = 0) -> Selector:
    """The policy applied to scores on these axes. Raises `UserError` for what does not fit.

    `scales` are the rubric's axes in its order, each with its lowest and highest score. `decide` is for rules:
    `scores`, `probabilities`, or `auto`, which takes the judge's distributions where there are any.
    """
    if isinstance(policy, RulePolicy):
        return RuleSelector(policy.bind(scales), decide, seed)
    if decide == "probabilities":
        raise UserError(f"the policy {policy.name} ranks scores and cannot decide on probabilities: leave decide out")
    return TopSelector(policy, scales, seed)


__all__ = [
    "BUNDLED",
    "BoundRules",
    "Decide",
    "Policy",
    "Rule",
    "RulePolicy",
    "RuleSelector",
    "Scales",
    "Selector",
    "TopPolicy",
    "TopSelector",
    "display_symbol",
    "flips",
    "load_policy",
    "make_selector",
    "policy_names",
    "policy_of_definition",
    "policy_words",
]
