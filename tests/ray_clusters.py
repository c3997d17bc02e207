"""Ray on this machine for tests: one small cluster in this process, or two machines' worth of it."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

OBJECTS = 100 << 20
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason='Ray is not installed: the extra "ray"')
in_make_cluster = pytest.mark.skipif("CLUSTER_TESTS" not in os.environ, reason="a minute or more: `make cluster`")


def _import_ray() -> Any:
    from efficient_empathy.cluster.connection import import_ray

    return import_ray()


@contextmanager
def this_process_on_a_cluster(cpus: int = 2) -> Iterator[str]:
    """Connect this process to a small cluster of its own; gives the folder of its logs.

    What is to happen on SIGTERM is not left to Ray: other tests in this process send it.
    """
    ray, handler = _import_ray(), signal.getsignal(signal.SIGTERM)
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        ray.init(
            "local", num_cpus=cpus, object_store_memory=OBJECTS, include_dashboard=False, log_to_driver=False,
            logging_level=logging.ERROR, _node_ip_address="127.0.0.1", _temp_dir=folder,
        )  # fmt: skip
        signal.signal(signal.SIGTERM, handler)
        try:
            yield folder
        finally:
            ray.shutdown()


class Machines:
    """A cluster of several machines, all of them this one, to which this process does not belong."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self._nodes = [cluster.head_node]
        self.address = f"ray://{cluster.address}"

    def add(self) -> None:
        """One more machine, of one processor."""
        self._nodes.append(self._cluster.add_node(num_cpus=1, object_store_memory=OBJECTS))

    def cut_off(self) -> None:
        """The last machine leaves without a word."""
        self._cluster.remove_node(self._nodes.pop(), allow_graceful=False)


@contextmanager
def machines(count: int = 2) -> Iterator[Machines]:
    """So many machines of one processor each."""
    _import_ray()
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": OBJECTS, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        there = Machines(cluster)
        for _ in range(count - 1):
            there.add()
        yield there
    finally:
        cluster.shutdown()
