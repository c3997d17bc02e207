"""Files that are made to be downloaded: written beside nothing of the run's, and gone once they are sent."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.responses import FileResponse


def written_file(write: Callable[[Path], None], filename: str, media_type: str) -> FileResponse:
    """What `write` writes to the path that it is given, as a download of that name. Raises what `write` raises."""
    descriptor, name = tempfile.mkstemp(suffix=Path(filename).suffix)
    os.close(descriptor)
    target = Path(name)
    try:
        write(target)
    except BaseException:
        target.unlink()
        raise
    return FileResponse(target, media_type=media_type, filename=filename, background=BackgroundTask(target.unlink))
