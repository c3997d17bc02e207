"""Judges on the machines of a Ray cluster: the same run, the same judgements, more hands."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.cluster.engine import open_engine
    from efficient_empathy.cluster.settings import ClusterSettings

__all__ = ["ClusterSettings", "open_engine"]

__getattr__ = exports(__name__, {"open_engine": "engine", "ClusterSettings": "settings"})
