"""The rooms whose mutants are run, each with its files and the tests that are for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """Files below src/efficient_empathy, and test files below tests."""

    files: tuple[str, ...]
    tests: tuple[str, ...]
    slow: tuple[str, ...] = ()
    """Tests that start processes, which mutmut leaves out: each of its mutants would wait for them."""


ROOMS = {
    "ledger": Room(
        ("scoring/ledger.py",),
        ("scoring/test_ledger.py", "scoring/test_ledger_reading.py"),
        ("test_two_processes_write_at_once_and_nothing_is_lost",),
    ),
    "workspace": Room(
        ("foundation/run/workspace.py", "foundation/run/manifest.py"),
        (
            "foundation/run/test_manifest.py", "foundation/run/test_workspace.py",
            "foundation/run/test_workspace_artifacts.py",
        ),
        ("test_what_a_killed_process_left_is_swept", "test_the_lock_is_for_one_process_and_goes_with_it"),
    ),
    "budget": Room(("llm/budget.py",), ("llm/test_budget.py", "llm/test_budget_bounds.py")),
    "security": Room(
        ("studio/server/security.py", "studio/server/links.py"),
        ("studio/server/test_links.py", "studio/server/test_security.py", "studio/server/test_security_rates.py"),
    ),
    "client": Room(
        (
            "llm/call.py", "llm/connection.py", "llm/diagnosis.py", "llm/endpoint.py", "llm/errors.py",
            "llm/pacing.py", "llm/runner.py", "llm/transport.py", "llm/waits.py",
        ),
        (
            "llm/test_call.py", "llm/test_connection.py", "llm/test_diagnosis.py", "llm/test_endpoint.py",
            "llm/test_endpoint_errors.py", "llm/test_endpoint_money.py", "llm/test_pacing_drain.py",
            "llm/test_pacing_retry.py", "llm/test_pacing_window.py", "llm/test_rate_limits.py", "llm/test_runner.py",
            "llm/test_transport.py", "llm/test_transport_http.py", "llm/test_transport_proxy.py", "llm/test_waits.py",
        ),
    ),
}  # fmt: skip
