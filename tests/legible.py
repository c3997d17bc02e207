"""What a page says first, and what of it cannot be read: letters that are too small, and texts that are cut off."""

from __future__ import annotations

from typing import Any

SMALLEST = 9
"""Pixels of the smallest letters."""
OPENING = """() => {
    const title = document.querySelector("main h1");
    const { DOCUMENT_POSITION_FOLLOWING: after } = Node;
    const shown = [...document.querySelectorAll("main p:not(.notice)")].filter((one) => one.getClientRects().length);
    return shown.find((one) => title.compareDocumentPosition(one) & after)?.innerText ?? "";
}"""
UNREADABLE = """(smallest) => [...document.querySelectorAll("main *")].flatMap((one) => {
    const text = [...one.childNodes].find((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!text || !one.getClientRects().length || one.closest(".unseen")) return [];
    const style = getComputedStyle(one);
    const drawing = one.ownerSVGElement;
    const wide = drawing?.viewBox.baseVal?.width;
    const size = Number.parseFloat(style.fontSize) * (wide ? drawing.getBoundingClientRect().width / wide : 1);
    const box = one.parentElement;
    const hides = ["hidden", "clip"].includes(getComputedStyle(box).overflowX) && style.textOverflow !== "ellipsis";
    if (size < smallest) return [`${size.toFixed(1)} px: ${text.data.trim()}`];
    return hides && box.scrollWidth > box.clientWidth + 1 ? [`cut off: ${text.data.trim()}`] : [];
})"""


def opening(page: Any) -> str:
    """The first paragraph below the page's title that is no warning."""
    text: str = page.evaluate(OPENING)
    return text


def unreadable(page: Any) -> list[str]:
    """What cannot be read, and whether the page is wider than its window; empty when all is well."""
    found: list[str] = page.evaluate(UNREADABLE, SMALLEST)
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append("the page is wider than its window")
    return found
