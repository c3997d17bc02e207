"""A Ray cluster for as long as it is needed, a running one or one on this machine; and whether its machines will do."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from efficient_empathy.cluster.settings import ClusterSettings
from efficient_empathy.foundation.errors import UserError, missing_extra, redact
from efficient_empathy.foundation.run.files import temporary_beside

LOCAL, AUTO = "local", "auto"
_AUTH_MODE, _AUTH_TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"
_OBJECTS = 128 << 20
"""Bytes of shared memory: no text of a dialogue goes through it."""
_PROBE_S, _ANSWER_S = 120.0, 10.0
_LONGEST = 40
"""Letters of a folder for temporary files, of whose sockets' names the system takes some hundred."""
PACKAGE = "efficient-empathy"


@contextmanager
def connect(settings: ClusterSettings) -> Iterator[None]:
    """Be connected for as long as the block lasts. Raises `UserError` where there is no Ray, or no such cluster.

    A cluster of this command's own is gone with it. Where this process is connected already, that is the cluster.
    """
    if settings.address == LOCAL:
        _lock()
    ray = import_ray()
    if ray.is_initialized():
        _quieten()
        yield
        return
    folder: Path | None = None
    options: dict[str, Any] = {}
    if settings.address == LOCAL:
        place = tempfile.gettempdir()
        folder = Path(tempfile.mkdtemp(prefix="ee-ray-", dir=place if len(place) <= _LONGEST else "/tmp"))
        options = {
            "num_cpus": settings.workers or os.cpu_count() or 1,
            "object_store_memory": _OBJECTS,
            "include_dashboard": False,
            "_temp_dir": str(folder),
        }
    elif settings.address != AUTO:
        _require_answer(settings)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        try:
            with _silent():
                ray.init(settings.address, log_to_driver=False, logging_level=logging.ERROR, **options)
        except Exception as error:  # ConnectionError, RuntimeError, ValueError …
            raise _no_cluster(settings, error) from error
        finally:
            _keep_handler(handler)
        _quieten()
        _let_raylets_speak(False)
        yield
    finally:
        ray.shutdown()
        _let_raylets_speak(True)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _lock() -> None:
    """Let a cluster that this process starts take in nobody without its token: Ray listens on all addresses.

    Ray reads this once, on import; whoever has imported it before, or has a token, has chosen.
    """
    if "ray" not in sys.modules and _AUTH_MODE not in os.environ:
        os.environ |= {_AUTH_MODE: "token", _AUTH_TOKEN: secrets.token_hex(32)}


def import_ray() -> Any:
    """The package, which then sends nobody any statistics. Raises `UserError` where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns of its own future
    try:
        import ray
        import ray.data  # which sets the level of its own logger
    except ImportError as error:
        raise missing_extra("--on ray", "ray") from error
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return ray


def _require_answer(settings: ClusterSettings) -> None:
    """Raise `UserError` where nothing listens at an address: Ray itself would try for minutes."""
    host, _, port = settings.address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _no_cluster(settings, error) from error


def _quieten() -> None:
    """This command has progress of its own."""
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False


def _let_raylets_speak(speak: bool) -> None:
    """Whether what they say of machines and workers that are gone is printed: to stdout, which is for the result."""
    from ray._private import worker

    worker._worker_logs_enabled = speak


@contextmanager
def _silent() -> Iterator[None]:
    """What Ray's own code has to say of its log level goes nowhere; what goes wrong is raised."""
    sys.stderr.flush()
    stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _keep_handler(handler: Any) -> None:
    """Ray sets one of its own, with which the calls in flight would be lost."""
    try:
        signal.signal(signal.SIGTERM, handler)
    except (ValueError, TypeError):  # not on the main thread, or none of Python's
        return


def _no_cluster(settings: ClusterSettings, error: Exception) -> UserError:
    reason = redact(str(error)).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if settings.address == LOCAL:
        return UserError(f"cannot start Ray on this machine ({reason}): leave --on out to judge without it")
    return UserError(
        f"no Ray cluster answers at {settings.address} ({reason}): this machine must belong to the cluster (`ray start "
        "--address=HOST:PORT` adds it), and HOST:PORT is its head's address, 6379 by default, not that of Ray Client "
        "or of the dashboard"
    )


def check_machines(run: Path) -> int:
    """The processors of a cluster whose machines all have this package and see the folder of the run.

    Raises `UserError` for the first machine that does not, and where there is no processor. A machine that has left is
    no part of the cluster, though Ray may take a while to see that.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    look = ray.remote(_look)
    with temporary_beside(run / "probe") as probe:
        probe.write_text(probe.name, "utf-8")
        there = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
        asked = [
            look.options(num_cpus=0, max_retries=0, scheduling_strategy=where).remote(str(probe)) for where in there
        ]
        cpus = [
            int(node["Resources"]["CPU"])
            for node, answer in zip(nodes, asked, strict=True)
            if _is_there(node["NodeManagerHostname"] or node["NodeManagerAddress"], answer, run)
        ]
    if not sum(cpus):
        raise UserError("the cluster has no processor for workers: start it with --num-cpus above 0, or add machines")
    return sum(cpus)


def count_gpus() -> list[int]:
    """The GPUs of each machine of the cluster."""
    import ray

    return [int(node["Resources"].get("GPU", 0)) for node in ray.nodes() if node["Alive"]]


def _is_there(name: str, answer: Any, run: Path) -> bool:
    """Whether a machine that was asked is still there; raises `UserError` where it will not do."""
    import ray

    ours = version(PACKAGE)
    try:
        fault, theirs = ray.get(answer, timeout=_PROBE_S)
    except (ray.exceptions.TaskUnschedulableError, ray.exceptions.NodeDiedError):
        return False
    except ray.exceptions.GetTimeoutError as error:
        raise UserError(f"the machine {name} of the cluster does not answer: take it out of the cluster") from error
    except ray.exceptions.RayError as error:
        raise UserError(
            f'the machine {name} of the cluster cannot run this program: pip install "{PACKAGE}[ray]=={ours}" there '
            f"({redact(str(error)).strip().splitlines()[-1]})"
        ) from error
    if theirs != ours:
        raise UserError(f"the machine {name} of the cluster has {PACKAGE} {theirs}, this one {ours}: install the same")
    if fault:
        raise UserError(
            f"the machine {name} of the cluster cannot use the run's folder {run} ({fault}): put the run on a disk "
            "that all machines of the cluster have under the same path, such as a mount of NFS"
        )
    return True


def _look(probe: str) -> tuple[str, str]:
    """On a machine of the cluster: what is wrong with the folder of a file, if anything is, and the version there."""
    path = Path(probe)
    answer = path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}")
    fault = ""
    try:
        if path.read_text("utf-8") != path.name:
            fault = "another folder has this name there"
        answer.write_text("", "utf-8")
        answer.unlink()
    except OSError as error:
        fault = error.strerror or str(error)
    return fault, version(PACKAGE)
