"""How a command ends on a signal: a hang-up and a request to terminate are what Ctrl-C is."""

from __future__ import annotations

import os
import signal
import stat
import threading
from contextlib import suppress
from types import FrameType

ENDING = tuple(signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that end a process unless it says otherwise: of `kill`, of a closed terminal or a lost connection."""


def end_in_order() -> None:
    """From now on these signals raise `KeyboardInterrupt`, so that what is half done is cleared away.

    A second one ends the process at once. What somebody has set is left, as `nohup` ignores a hang-up.
    """
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _end)


def is_ours(number: signal.Signals) -> bool:
    """Whether nobody but this program handles the signal."""
    default = signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL
    return signal.getsignal(number) in (default, _end)


def leave_terminal() -> None:
    """Write to nowhere from now on, where the terminal is gone: writing to it would be an error."""
    null = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(handle).st_mode) and not os.isatty(handle):
                os.dup2(null, handle)
    os.close(null)


def _end(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    leave_terminal()
    raise KeyboardInterrupt
