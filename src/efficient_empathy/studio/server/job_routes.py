"""What every page with jobs asks: which there are, what one printed, and that one stops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from efficient_empathy.studio.server.jobs import Jobs


def job_routes(jobs: Jobs, path: str, root_of: Callable[[Request], Path]) -> list[BaseRoute]:
    """Below `path`: `jobs`, `output?job=ID`, and by POST `stop?job=ID`, of the folder that `root_of` names."""

    def listing(request: Request) -> Response:
        return JSONResponse({"jobs": [job.model_dump(mode="json") for job in jobs.of(root_of(request))]})

    def output(request: Request) -> Response:
        return JSONResponse({"output": jobs.output(root_of(request), request.query_params.get("job", ""))})

    def stop(request: Request) -> Response:
        job = jobs.stop(root_of(request), request.query_params.get("job", ""))
        return JSONResponse(job.model_dump(mode="json"))

    return [
        Route(f"{path}/jobs", listing),
        Route(f"{path}/output", output),
        Route(f"{path}/stop", stop, methods=["POST"]),
    ]
