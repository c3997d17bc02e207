"""Property tests: no deadline, since machines differ in speed; in CI the same examples every time.

Ctrl-C interrupts, as on a terminal, wherever the tests run: a shell has its background processes ignore it.
"""

import os
import signal

from hypothesis import settings

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
signal.signal(signal.SIGINT, signal.default_int_handler)
