from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

from efficient_empathy.foundation.errors import UserError
from efficient_empathy.selection.policies import (
    BUNDLED,
    TopPolicy,
    load_policy,
    make_selector,
    policy_names,
    policy_of_definition,
)

WARM = {"name": "warm", "thresholds": {"least": 3}, "rules": [{"warm": "warmth > least"}]}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with three policies and two mistakes."""
    (tmp_path / "kind_policies.py").write_text(
        "from pathlib import Path\n"
        "from efficient_empathy.selection.policies import policy_of_definition\n"
        f"READY = policy_of_definition({WARM!r})\n"
        "FILE = str(Path(__file__).with_name('kind.yaml'))\n"
        "def made():\n    return READY\n"
        "WRONG = 3\n"
    )
    (tmp_path / "kind.yaml").write_text(yaml.safe_dump({"name": "kind", "top": 0.3}))
    info = tmp_path / "kind_policies-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kind-policies\nVersion: 1.0\n")
    names = {"ready": "READY", "kind": "FILE", "made": "made", "wrong": "WRONG", "broken": "MISSING"}
    lines = "".join(f"{name} = kind_policies:{value}\n" for name, value in names.items())
    (info / "entry_points.txt").write_text(f"[efficient_empathy.policies]\n{lines}")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("kind_policies", None)


@pytest.mark.parametrize("name", BUNDLED)
def test_the_bundled_policies_say_what_they_are_and_are_read_back(name) -> None:
    policy = load_policy(name, **({"top": 0.3} if name == "top" else {}))
    assert policy.name == name
    assert policy.description.endswith(".")
    assert policy.label == f"{policy.title} ({name})" != f" ({name})"
    read_back = policy_of_definition(policy.definition())
    assert read_back == policy.changed(title="")
    assert read_back.label == name


def test_a_file_and_its_thresholds(tmp_path) -> None:
    file = tmp_path / "warm.yaml"
    file.write_text(yaml.safe_dump(WARM))
    assert load_policy(file, {"least": 4.5}).thresholds == {"least": 4.5}
    file.write_text(yaml.safe_dump({**WARM, "rules": [{"warm": "warmth = least"}]}))
    with pytest.raises(UserError, match=r"not valid in the policy .*warm\.yaml: .*rule 1 .*write =="):
        load_policy(file)
    file.write_text(yaml.safe_dump({**WARM, "ruels": []}))
    with pytest.raises(UserError, match=r"warm\.yaml: ruels is no key: did you mean rules"):
        load_policy(file)
    with pytest.raises(UserError, match="cannot read the policy"):
        load_policy(tmp_path / "missing.yaml")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"no policy 'papre': .* paper, exclusive, both, top.*; did you mean paper"):
        load_policy("papre")


def test_options_are_for_policies_that_have_them() -> None:
    policy = load_policy("top", top=3, per_category=True, where=None)
    assert isinstance(policy, TopPolicy)
    assert (policy.top, policy.per_category) == (3, True)
    with pytest.raises(UserError, match=r"the policy paper has rules and takes no top"):
        load_policy("paper", top=3)
    with pytest.raises(UserError, match="has no option tpo: it takes top"):
        load_policy("top", tpo=3)
    with pytest.raises(UserError, match="needs to know how many"):
        load_policy("top")


def test_policies_of_an_installed_package(package) -> None:
    assert set(policy_names()) >= {*BUNDLED, "ready", "kind", "made"}
    assert load_policy("ready").name == "warm"
    assert load_policy("made", {"least": 2}).thresholds == {"least": 2}
    assert load_policy("kind", top=7).top == 7
    with pytest.raises(UserError, match="the policy wrong of the package kind-policies is a int"):
        load_policy("wrong")
    with pytest.raises(UserError, match="the policy broken of the package kind-policies cannot be loaded"):
        load_policy("broken")


def test_the_examples_of_the_handbook_are_policies(care) -> None:
    handbook = Path(__file__).parents[3] / "docs" / "policies.md"
    examples = re.findall(r"```yaml[^\n]*\n(.*?)```", handbook.read_text("utf-8"), re.DOTALL)
    policies = [policy_of_definition(yaml.safe_load(example)) for example in examples]
    assert [policy.name for policy in policies] == ["care", "best"]
    for policy in policies:
        assert make_selector(policy, care).otherwise == "discard"
