"""A run's files in an object store: `push` puts there what has changed, and a record of it last."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.foundation.push.record import PushRecord, PushResult
    from efficient_empathy.foundation.push.settings import PushSettings
    from efficient_empathy.foundation.push.stage import push, summary

__all__ = ["PushRecord", "PushResult", "PushSettings", "push", "summary"]

__getattr__ = exports(
    __name__,
    {"PushRecord": "record", "PushResult": "record", "PushSettings": "settings", "push": "stage", "summary": "stage"},
)
