"""Keeps a server no longer than the process that wants it, however that one ends.

It is started by its path, without the package, in a session of its own: with the server's command line as arguments, a
pipe as standard input, which the owner holds open as long as it wants the server, and a pipe as standard output, which
is open as long as there is one. It is nobody's child, since Ray kills the children of a worker that ends, and would
leave theirs. Once the owner is gone, or the server is, the whole session is ended: a server that dies may leave
processes of its own, which hold a GPU's memory.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

GRACE_S = 10.0


def main() -> None:
    """Start the server, and wait for the first of both to end."""
    if os.fork():
        os._exit(0)
    server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr)
    over = threading.Event()

    def wait_for_owner() -> None:
        while os.read(0, 1):
            pass
        over.set()

    def wait_for_server() -> None:
        server.wait()
        over.set()

    for wait in (wait_for_owner, wait_for_server):
        threading.Thread(target=wait, daemon=True).start()
    over.wait()
    if server.poll() is None:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(GRACE_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
