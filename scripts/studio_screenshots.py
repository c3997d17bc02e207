"""Pictures of the studio's pages for the handbook, from a run of our own dialogues.

    python scripts/studio_screenshots.py runs/demo docs/studio

Every page at 1280 px in light and dark, by headless Chromium (Playwright, extra `dev`); the chat after one turn, the
samples with one opened.
"""

from __future__ import annotations

import argparse
import shutil
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

from efficient_empathy.studio.server.app import make_app
from efficient_empathy.web.server import listen, make_server

SAID = "My brother finally called after three years, and I did not know what to say to him."
PAGES = ("lab", "samples", "live", "analytics", "compare", "rate", "chat")
WAIT_MS = 60_000


def ready(page: Page, name: str) -> None:
    """Bring a page into the state that its picture shows."""
    if name == "samples":
        page.locator("[role=option]").nth(2).click()
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Dialogue").wait_for(timeout=WAIT_MS)
    elif name == "analytics":
        page.get_by_text("Scores by category").first.wait_for(timeout=WAIT_MS)
    elif name == "chat":
        page.get_by_label("Your turn, as the speaker").fill(SAID)
        page.get_by_role("button", name="Send", exact=True).click()
        page.get_by_role("button", name="Send these replies to rating").wait_for(timeout=WAIT_MS)


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--beside", type=Path, help="another run, to compare with")
    given = parser.parse_args()
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    runs = [given.run, *([given.beside] if given.beside else [])]
    server = make_server(make_app(runs, port=port))
    threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True).start()
    given.output.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium-headless-shell") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser: Any = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
            for name in PAGES:
                page.goto(f"http://127.0.0.1:{port}/{name}?run={quote(given.run.name)}")
                page.wait_for_load_state("load")
                page.wait_for_timeout(1500)
                ready(page, name)
                page.screenshot(path=given.output / f"{name}-{scheme}.png")
            page.close()
        browser.close()
    server.should_exit = True


if __name__ == "__main__":
    main()
