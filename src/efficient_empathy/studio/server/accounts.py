"""Whether other people have accounts on this machine: they reach what listens on loopback, too."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import PurePath

FIRST_PERSON = 501 if sys.platform == "darwin" else 1000
"""The numbers of people's accounts begin here; those below are the system's."""
NO_LOGIN = ("nologin", "false", "sync", "true")


def others_have_accounts() -> bool:
    """Whether the machine has another person's account: one with a login shell.

    Also where our own account is in no list: then it comes from a directory, such as LDAP, whose people may all be able
    to log in here.
    """
    accounts, own = pwd.getpwall(), os.getuid()
    if any(account.pw_uid not in (own, 0) and _is_persons(account) for account in accounts):
        return True
    try:
        return pwd.getpwuid(own) not in accounts
    except KeyError:  # a number without a name, as containers give
        return False


def _is_persons(account: pwd.struct_passwd) -> bool:
    named = not (sys.platform == "darwin" and account.pw_name.startswith("_"))
    return account.pw_uid >= FIRST_PERSON and named and PurePath(account.pw_shell).name not in NO_LOGIN
