"""The one way to a model behind an API: wire formats, window, retries, cool-down, budget."""

from typing import TYPE_CHECKING

from efficient_empathy.foundation.exports import exports

if TYPE_CHECKING:
    from efficient_empathy.llm.budget import Budget
    from efficient_empathy.llm.call import Completion, Estimate, Stats
    from efficient_empathy.llm.endpoint import Endpoint
    from efficient_empathy.llm.errors import (
        BudgetExhausted,
        CallFailed,
        Draining,
        EndpointDown,
        EndpointNotFound,
        FailureKind,
        KeyRefused,
        Overbilled,
        QuotaExhausted,
    )
    from efficient_empathy.llm.pacing import Window
    from efficient_empathy.llm.prices import Price, Prices

__all__ = [
    "Budget",
    "BudgetExhausted",
    "CallFailed",
    "Completion",
    "Draining",
    "Endpoint",
    "EndpointDown",
    "EndpointNotFound",
    "Estimate",
    "FailureKind",
    "KeyRefused",
    "Overbilled",
    "Price",
    "Prices",
    "QuotaExhausted",
    "Stats",
    "Window",
]

__getattr__ = exports(
    __name__,
    {
        "Budget": "budget",
        "Completion": "call",
        "Estimate": "call",
        "Stats": "call",
        "Endpoint": "endpoint",
        "BudgetExhausted": "errors",
        "CallFailed": "errors",
        "Draining": "errors",
        "EndpointDown": "errors",
        "EndpointNotFound": "errors",
        "FailureKind": "errors",
        "KeyRefused": "errors",
        "Overbilled": "errors",
        "QuotaExhausted": "errors",
        "Window": "pacing",
        "Price": "prices",
        "Prices": "prices",
    },
)
