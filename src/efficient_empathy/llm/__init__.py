"""The one way to a model behind an API: wire formats, window, retries, cool-down, budget."""

from efficient_empathy.llm.budget import Budget
from efficient_empathy.llm.call import Completion, Estimate, Price, Prices, Stats
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
