"""A browser for these tests, and the reports that it opens: of a real run, and of many cases."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import bench
from tests.many_cases import keep_many

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chromium-headless-shell")
READY_MS = 60_000


@dataclass(frozen=True)
class Opened:
    """A page, and what went wrong while it was open: console errors, exceptions, dialogs, requests to elsewhere."""

    page: Any
    trouble: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    def watch(self) -> None:
        def request(asked: Any) -> None:
            if not asked.url.startswith(("file:", "data:", "blob:")):
                self.trouble.append(f"request: {asked.url}")

        def console(message: Any) -> None:
            if message.type == "error":
                self.trouble.append(f"console: {message.text}")
            if message.type == "warning":
                self.warned.append(message.text)

        def dialog(opened: Any) -> None:
            self.trouble.append(f"dialog: {opened.message}")
            opened.dismiss()

        self.page.on("request", request)
        self.page.on("console", console)
        self.page.on("pageerror", lambda error: self.trouble.append(f"exception: {error}"))
        self.page.on("dialog", dialog)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium or Chrome as it is installed here, without a window; BENCH_CHROMIUM may name another.

    Not for the whole session: while it runs, this thread has an event loop, and other tests start their own.
    """
    driving = pytest.importorskip("playwright.sync_api")
    path = os.environ.get("BENCH_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium is installed: `apt-get install chromium`, or name one in BENCH_CHROMIUM")
    with driving.sync_playwright() as driver, driver.chromium.launch(executable_path=path) as started:
        yield started


Open = Callable[..., AbstractContextManager[Opened]]


@pytest.fixture(scope="module")
def opened(browser: Any) -> Open:
    """Opens a report until it says that it is ready: `with opened(path, width=390, scheme="dark") as seen`."""

    @contextmanager
    def open_it(report: Path, width: int = 1280, scheme: str = "light", reduced: bool = True) -> Iterator[Opened]:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            reduced_motion="reduce" if reduced else "no-preference",
            offline=True,
        )
        seen = Opened(context.new_page())
        seen.watch()
        try:
            seen.page.goto(report.as_uri())
            seen.page.wait_for_selector("html[data-ready]", state="attached", timeout=READY_MS)
            yield seen
        finally:
            context.close()

    return open_it


def reported(folder: Path, out: Path) -> Path:
    """The report of a run folder, as the command makes it."""
    done = bench("report", str(folder), "-o", str(out), cwd=out.parent)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def real_run(request: pytest.FixtureRequest) -> Path:
    """The folder of the run that this session made; BENCH_REPORT_RUN may name another, for pictures of it."""
    if given := os.environ.get("BENCH_REPORT_RUN"):
        return Path(given)
    made = request.getfixturevalue("quick_run")
    return Path(made["cwd"], made["folder"])


@pytest.fixture(scope="session")
def real_report(real_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reported(real_run, tmp_path_factory.mktemp("real") / "report.html")


@pytest.fixture(scope="session")
def many_run(real_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five hundred cases, with names that break what does not escape them."""
    return keep_many(tmp_path_factory.mktemp("many"), real_run, 500)


@pytest.fixture(scope="session")
def many_report(many_run: Path) -> Path:
    return reported(many_run, many_run.parent / "report.html")
