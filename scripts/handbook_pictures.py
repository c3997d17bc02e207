"""The pictures of the handbook: the studio's pages as the people meet them whom the tutorials are for.

    efficient-empathy demo --run runs/demo
    python scripts/handbook_pictures.py runs/demo

They are written to docs/pictures/, each in light and dark, by headless Chromium (Playwright, extra `dev`). All text in
them is of the bundled dialogues. The run, which must hold what the demo made, is copied and left as it is.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from efficient_empathy.recipe import DIALOGUES
from efficient_empathy.studio.server.app import make_app
from efficient_empathy.web.server import listen, make_server

OUT = Path(__file__).parents[1] / "docs" / "pictures"
CHROMIUM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
QUALITY = 82
WAIT_MS = 40_000
SMALL = (1120, 720)
"""A window whose text can be read in the column of a page."""
QUESTIONS = 4
"""Ratings of the paper's questionnaire."""
SAID = "My brother finally called after three years, and I did not know what to say to him."


@dataclass
class Camera:
    """Takes pictures of pages, the same state in light and dark."""

    browser: Browser

    def open(self, address: str, width: int = 1280, height: int = 800) -> Page:
        """A page of a window of its own."""
        page = self.browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(WAIT_MS)
        page.goto(address)
        page.wait_for_load_state("load")
        return page

    def take(self, page: Page, name: str, of: Locator | None = None, until: Locator | None = None) -> None:
        """What the window shows: of the page's beginning, or from the top of `of` to its end, or that of `until`."""
        page.mouse.move(0, 0)
        clip: Any = None
        if of is None:
            page.evaluate("scrollTo(0, 0)")
        else:
            of.evaluate("(one) => scrollTo(0, scrollY + one.getBoundingClientRect().top - 100)")
            box, size = (until or of).bounding_box(), page.viewport_size
            assert box is not None
            assert size is not None
            height = min(size["height"], box["y"] + box["height"] + 24)
            clip = {"x": 0, "y": 0, "width": size["width"], "height": height}
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.wait_for_timeout(400)
            shot = page.screenshot(clip=clip)
            Image.open(io.BytesIO(shot)).save(OUT / f"{name}-{scheme}.webp", quality=QUALITY, method=6)
        page.emulate_media(color_scheme="light")


@contextmanager
def studio(folder: Path, **options: Any) -> Iterator[str]:
    """A studio on a folder of runs; gives its address."""
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    app = make_app([], port=port, home=folder, folder=folder.parent / "studio-state", **options)
    server = make_server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def support_log(path: Path, dialogues: int = 150) -> Path:
    """Bundled dialogues as a data team may have them: a table with names of its own for its columns."""
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["Customer wrote", "Coach wrote", "Topic"])
    for line in (DIALOGUES / "train.jsonl").read_text("utf-8").splitlines()[:dialogues]:
        talk = json.loads(line)
        said, answer = (turn["content"] for turn in talk["messages"][:2])
        rows.writerow([said, answer, talk["category"]])
    rows.writerow(["and then silence", "", "sad"])
    path.write_text(table.getvalue(), "utf-8")
    return path


def data_team(camera: Camera, folder: Path) -> None:
    """From a file to downloaded subsets, on the pages alone."""
    file = support_log(folder / "support-log.csv")
    with studio(folder / "runs") as home:
        page = camera.open(home, *SMALL)
        page.wait_for_selector("body[data-ready=new]")
        page.locator("#file").set_input_files(file)
        page.locator("#price", has_text="different samples").wait_for()
        page.locator("#columns [name=category]").select_option("Topic")
        page.get_by_role("button", name="Read it so").click()
        page.locator("#price", has_text="free").wait_for()
        page.get_by_label("Leave these rows out").check()
        camera.take(page, "new-file", page.locator("#reading"))
        camera.take(page, "new-judge", page.locator("#judging"), page.locator("#starting"))
        page.get_by_role("button", name="Start").click()
        page.wait_for_url("**/live?run=*")
        page.locator("#next").wait_for()
        camera.take(page, "live")
        page.goto(f"{home}/samples?run=support-log")
        page.locator(".row").nth(1).click()
        page.get_by_text("Nobody has said anything of this sample.").wait_for()
        page.keyboard.press("c")
        dialog = page.locator("dialog[open]")
        dialog.get_by_role("combobox", name="sensibility", exact=True).select_option("8")
        dialog.get_by_role("textbox", name="Why").fill("kind and attentive; the judge missed it")
        dialog.get_by_role("textbox", name="Your name").fill("ann")
        camera.take(page, "correct")
        page.keyboard.press("Enter")
        page.locator(".said .stands").wait_for()
        page.goto(f"{home}/lab?run=support-log")
        page.wait_for_selector("body[data-ready=lab]")
        page.locator("#sliders [data-threshold=alpha]").fill("6")
        camera.take(page, "thresholds")
        page.get_by_role("button", name="Apply").click()
        page.locator("#done a", has_text="Download them").wait_for()
        camera.take(page, "applied", page.locator("section:has(#done)"))
        page.goto(f"{home}/steps?run=support-log")
        page.get_by_role("link", name="Download the selection").wait_for()
        camera.take(page, "download")
        page.close()


def annotators(camera: Camera, folder: Path, run: str) -> None:
    """A study by its owner, a rater's page from the link to the end, the results."""
    with studio(folder / "runs") as home:
        page = camera.open(f"{home}/rate?run={run}", *SMALL)
        page.get_by_label("Name of the study").fill("first look")
        page.get_by_label("Raters: a name").fill("ann, bo, cleo")
        for name in ("average", "rationality", "union"):
            page.get_by_label(name, exact=True).uncheck()
        page.get_by_label("Samples at most").fill("4")
        camera.take(page, "study-new")
        page.get_by_role("button", name="Draw the tasks").click()
        card = page.get_by_role("region", name="Study first look")
        card.get_by_role("button", name="Copy link of cleo").wait_for()
        camera.take(page, "study-links", card)
        studies = page.request.get(f"{home}/api/rate/studies?run={run}").json()["studies"]
        for number, rater in enumerate(studies[0]["raters"]):
            window = camera.open(home + rater["link"], *SMALL)
            window.get_by_role("button", name="Begin").wait_for()
            if number == 0:
                camera.take(window, "rater-welcome")
            window.get_by_role("button", name="Begin").click()
            rate_all(camera, window, number)
            window.close()
        page.reload()
        card.get_by_role("button", name="Finish…").click()
        page.get_by_role("dialog").get_by_role("button", name="Finish").click()
        card.get_by_role("heading", name="Results", exact=True).wait_for()
        camera.take(page, "study-results", card)
        page.close()


def rate_all(camera: Camera, window: Page, number: int) -> None:
    """Answer every task, by keys; the first rater's first task of each kind is in a picture."""
    pictures = {"rater-rating", "rater-comparison"} if number == 0 else set()
    total, place = 1, 0
    while place < total:
        place += 1
        said = window.get_by_text(f"Task {place} of ").inner_text()
        total = int(said.split()[-1])
        compares = window.get_by_role("heading", name="Compare").count() > 0
        length = sum(map(len, window.locator(".said").all_inner_texts()))
        if compares:
            window.keyboard.press(("ArrowLeft", "ArrowRight", "=")[(length + number) % 3])
        else:
            for question in range(QUESTIONS):
                window.keyboard.press(str(2 + (length + question + number % 2) % 4))
        name = "rater-comparison" if compares else "rater-rating"
        if name in pictures:
            pictures.remove(name)
            camera.take(window, name)
        window.keyboard.press("Enter")
    window.get_by_role("heading", name="All done").wait_for()
    if number == 0:
        camera.take(window, "rater-done")


def pages(camera: Camera, folder: Path, run: str) -> None:
    """The pages of a run with experts, a mixture and their responses."""
    with studio(folder / "runs") as home:
        for name, address in (
            ("runs", "runs"), ("lab", "lab"), ("samples", "samples"), ("analytics", "analytics"),
            ("compare", "compare?what=models"), ("steps", "steps"), ("prompts", "prompts"), ("chat", "chat"),
        ):  # fmt: skip
            page = camera.open(f"{home}/{address}{'&' if '?' in address else '?'}run={run}")
            page.wait_for_timeout(1500)
            if name == "analytics":
                page.get_by_text("Scores by category").first.wait_for()
            elif name == "samples":
                page.locator(".row").nth(2).click()
                page.get_by_role("heading", name="Dialogue").wait_for()
            elif name == "chat":
                page.get_by_label("Your turn, as the speaker").fill(SAID)
                page.get_by_role("button", name="Send", exact=True).click()
                page.get_by_role("button", name="Send these replies to rating").wait_for()
            camera.take(page, name)
            page.close()
    report = camera.open((folder / "runs" / run / "report.html").as_uri())
    camera.take(report, "report")
    report.close()


def main() -> None:
    """Take all pictures, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="what `efficient-empathy demo` has made")
    parser.add_argument("--only", choices=["data-team", "annotators", "pages"], nargs="+")
    given = parser.parse_args()
    wanted = given.only or ["data-team", "annotators", "pages"]
    OUT.mkdir(exist_ok=True)
    path = next(filter(None, map(shutil.which, CHROMIUM)))
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(prefix="studio-") as folder:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        camera, run = Camera(browser), given.run.name
        runs = Path(folder) / "runs"
        runs.mkdir()
        if "data-team" in wanted:
            data_team(camera, Path(folder))
        shutil.copytree(given.run, runs / run)
        if "annotators" in wanted:
            annotators(camera, Path(folder), run)
        if "pages" in wanted:
            pages(camera, Path(folder), run)
        browser.close()


if __name__ == "__main__":
    main()
