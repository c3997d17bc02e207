from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from efficient_empathy.foundation import permissions
from efficient_empathy.foundation.errors import UserError
from efficient_empathy.foundation.permissions import Permission, allow, host_of, is_loopback, remember, require

pytestmark = pytest.mark.usefixtures("nothing_allowed")


def allowed(need: str) -> bool:
    try:
        require("a file", [Permission.parse(need)])
    except UserError:
        return False
    return True


def test_the_error_says_what_is_asked_for_and_the_flags_to_add() -> None:
    needs = [Permission.parse("key:AWS_SECRET@evil.example"), Permission("code"), Permission("read", "/my notes")]
    with pytest.raises(UserError) as raised:
        require("the recipe x.yaml", [*needs, needs[0]])
    assert str(raised.value) == (
        "the recipe x.yaml asks to send the environment variable AWS_SECRET to evil.example, run Python code that "
        "comes with a model or from a cluster and read /my notes, which is for you to decide: if you want that, add "
        "--allow key:AWS_SECRET@evil.example --allow code --allow 'read:/my notes'"
    )


@pytest.mark.parametrize(
    ("given", "covers", "not_more"),
    [
        ("key:K@h.example", ["key:K@h.example", "host:h.example"], ["key:L@h.example", "key:K@h.example:8000"]),
        ("host:h.example", ["host:h.example"], ["key:K@h.example", "host:x.h.example"]),
        ("read:/data", ["read:/data", "read:/data/a/b.csv"], ["write:/data", "read:/data2", "read:/"]),
        ("write:/out", ["write:/out/x", "read:/out/x"], ["write:/outer"]),
        ("hub:org/name", ["hub:org/name"], ["hub:org/name2"]),
        ("code", ["code"], ["pickle"]),
    ],
)  # fmt: skip
def test_a_permission_is_for_what_it_names_and_nothing_else(given: str, covers: list[str], not_more: list[str]) -> None:
    with allow([given]):
        assert all(map(allowed, covers))
        assert not any(map(allowed, not_more))
    assert not any(map(allowed, covers)), "it ends with its block"


def test_a_folder_counts_wherever_links_and_dots_lead(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with allow([f"read:{tmp_path}/link/../link"]):
        assert allowed(f"read:{tmp_path}/data/x.csv")
        assert not allowed(f"read:{tmp_path}/data/../secret.csv")


@pytest.mark.parametrize("text", ["", "codes", "code:x", "key", "key:K", "key:@h", "key:K@", "read:", "hub", "all"])
def test_what_is_no_permission_is_refused_with_the_forms_that_there_are(text: str) -> None:
    with (
        pytest.raises(UserError, match=r"--allow takes key:VARIABLE@HOST, .*, write:PATH or hub:ORG/NAME, not"),
        allow([text]),
    ):
        pass


def test_processes_that_are_started_inherit_what_is_allowed() -> None:
    code = (
        "from efficient_empathy.foundation.permissions import *; require('it', [Permission.parse('read:/my notes/x')])"
    )
    with allow(["read:/my notes"]):
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert permissions.VARIABLE not in os.environ


def test_what_the_user_asked_for_is_remembered_and_what_a_flag_allowed_is_not(tmp_path: Path) -> None:
    with allow(["key:FLAG@h.example"]):
        remember([Permission.parse("key:FLAG@h.example"), Permission.parse("key:OWN@h.example")])
    memory = tmp_path / "state" / "efficient-empathy" / "allowed"
    assert memory.read_text("utf-8") == "key:OWN@h.example\n"
    remember([Permission.parse("key:OWN@h.example")])
    assert memory.read_text("utf-8") == "key:OWN@h.example\n", "once"
    memory.write_text("key:OTHER@h.example\nno permission\n", "utf-8")
    assert allowed("key:OTHER@h.example")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.openai.com/v1", "api.openai.com"),
        ("https://API.openai.com:443/v1", "api.openai.com"),
        ("http://api.openai.com/v1", "api.openai.com:80"),
        ("https://api.openai.com@evil.example/v1", "evil.example"),
        ("https://user:secret@evil.example:8443", "evil.example:8443"),
        ("http://[::1]:8000/v1", "[::1]:8000"),
    ],
)
def test_a_host_is_where_a_request_really_goes(url: str, host: str) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize("url", ["https://api.openai.com\\@evil.example", "https://a b", "nothing", "https://h:99999"])
def test_an_address_that_two_readers_could_read_differently_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="is not a URL with a host"):
        host_of(url)


def test_this_machine_is_told_from_others() -> None:
    assert all(map(is_loopback, ["localhost:8000", "127.0.0.1:80", "127.1.2.3:9", "[::1]:80"]))
    assert not any(map(is_loopback, ["localhost.evil.example", "10.0.0.1:80", "0.0.0.0:80", "127.0.0.1.evil.example"]))


def test_what_is_remembered_lies_in_the_users_own_folder_of_states(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    remember([Permission("code")])
    assert (tmp_path / ".local" / "state" / "efficient-empathy" / "allowed").read_text("utf-8") == "code\n"
