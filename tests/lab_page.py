"""The page of thresholds as a reader sees it: opened, counted, and its tables as numbers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from browser import open_page
from studio_server import Served


def address(run: str, policy: str = "paper", decide: str = "auto", **thresholds: float) -> str:
    values = {f"t.{name}": value for name, value in thresholds.items()}
    return urlencode({"run": run, "policy": policy, **values, **({} if decide == "auto" else {"decide": decide})})


def lab(browser: Any, served: Served, query: str = "run=whole", **options: Any) -> Any:
    """The page, counted and drawn."""
    seen = open_page(browser, f"{served.url}/lab?{query}", **options)
    seen.page.wait_for_selector("body[data-ready=lab]")
    return seen


def go(page: Any, served: Served, query: str) -> None:
    """The same page at another address, counted and drawn."""
    page.goto(f"{served.url}/lab?{query}")
    page.wait_for_selector("body[data-ready=lab]")


def sizes(page: Any) -> dict[str, int]:
    """The table of subsets as it stands."""
    shown = page.eval_on_selector_all(
        "#sizes tbody tr", "rows => rows.map((r) => [r.cells[0].innerText, r.cells[1].innerText])"
    )
    return {name.split()[-1]: int(n.replace(",", "")) for name, n in shown if not n.startswith("≈")}


def by_category(page: Any) -> dict[str, dict[str, int]]:
    """Counts by category and subset, from the titles of the rows."""
    titles = page.eval_on_selector_all(
        "#categories tbody tr", "rows => rows.map((r) => [r.cells[0].innerText, r.title])"
    )
    parts = {name: [part.rsplit(" (", 1)[0].rsplit(" ", 1) for part in title.split("), ")] for name, title in titles}
    return {name: {subset: int(n.replace(",", "")) for subset, n in found} for name, found in parts.items()}


def flips(page: Any) -> list[int]:
    page.locator("#flips[aria-busy=false]").wait_for()
    return [int(n.replace(",", "")) for n in page.locator("#flips tbody td:nth-child(2)").all_inner_texts()]
