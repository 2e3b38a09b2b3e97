"""A real browser."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, async_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MS = 30_000


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium as the system has it; skipped where it has none."""
    program = os.environ.get("HSIS_CHROMIUM") or shutil.which("chromium")
    if not program and os.environ.get("CI"):
        pytest.fail("no Chromium: .ci/run installs it, and no skip may hide that it did not")
    if not program:
        pytest.skip("no Chromium: install it or let HSIS_CHROMIUM name it")
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=program, args=FLAGS, headless=True
        )
        yield started
        await started.close()


@asynccontextmanager
async def new_page(browser: Browser) -> AsyncIterator[Page]:
    """A page with no session; AssertionError at its end where a script of it failed."""
    context = await browser.new_context(viewport={"width": 1280, "height": 1000})
    opened = await context.new_page()
    opened.set_default_timeout(TIMEOUT_MS)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    await context.close()
    assert errors == []


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page of the test's own, with no session."""
    async with new_page(browser) as opened:
        yield opened
