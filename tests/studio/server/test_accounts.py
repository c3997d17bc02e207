"""Who has an account, by lists of accounts as machines have them."""

import os
import pwd

import pytest

from efficient_empathy.studio.server.accounts import others_have_accounts

ME, ROOT = os.getuid(), "root:x:0:0:root:/root:/bin/bash"
SYSTEM = [ROOT, "daemon:x:1:1::/:/usr/sbin/nologin", "postgres:x:105:110::/var/lib/postgresql:/bin/bash",
          "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin"]  # fmt: skip


@pytest.fixture
def machine(monkeypatch):
    """Makes a machine of lines as /etc/passwd has them; we are among them unless it is told otherwise."""

    def machine(*lines, listed=True, uid=4321):
        own = f"ann:x:{uid}:{uid}:Ann:/home/ann:/bin/zsh"
        entries = []
        for line in (*lines, own):
            name, password, number, group, *rest = line.split(":")
            entries.append(pwd.struct_passwd((name, password, int(number), int(group), *rest)))
        monkeypatch.setattr(os, "getuid", lambda: uid)
        monkeypatch.setattr(pwd, "getpwall", lambda: entries if listed else entries[:-1])
        monkeypatch.setattr(pwd, "getpwuid", lambda number: {one.pw_uid: one for one in entries}[number])
        return entries

    return machine


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("bo:x:1000:1000::/home/bo:/bin/bash", True),
        ("bo:x:1000:1000::/home/bo:", True),
        ("bo:x:70001:1000::/home/bo:/usr/bin/fish", True),
        ("bo:x:1000:1000::/home/bo:/usr/sbin/nologin", False),
        ("bo:x:1000:1000::/home/bo:/bin/false", False),
        ("backup:x:34:34::/var/backups:/bin/sh", False),
    ],
)
def test_a_person_is_who_can_log_in(machine, line, expected) -> None:
    machine(*SYSTEM, line)
    assert others_have_accounts() is expected


def test_root_alone_is_alone_and_root_among_people_is_not(machine) -> None:
    machine(*SYSTEM, uid=0)
    assert not others_have_accounts()
    machine(*SYSTEM, "bo:x:1000:1000::/home/bo:/bin/bash", uid=0)
    assert others_have_accounts()


def test_who_comes_from_a_directory_is_not_the_only_one(machine) -> None:
    machine(*SYSTEM, listed=False)
    assert others_have_accounts()


def test_a_number_without_a_name_is_a_containers(machine, monkeypatch) -> None:
    machine(*SYSTEM, listed=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda number: {}[number])
    assert not others_have_accounts()
