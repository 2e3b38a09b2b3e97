"""A real browser."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Error, Page, async_playwright, expect

from tests.support.embedded import Embedded

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MS = 90_000


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


@pytest.fixture(scope="session")
async def window(browser: Browser) -> AsyncIterator[Page]:
    """The page that all tests use, one after the other: each new one takes processes of its own
    and runs every script for the first time, which took three times as long as the tests."""
    context = await browser.new_context(
        viewport={"width": 1280, "height": 1000}, reduced_motion="reduce"
    )
    opened = await context.new_page()
    opened.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    yield opened
    await context.close()


@asynccontextmanager
async def as_new(window: Page, origin: str) -> AsyncIterator[Page]:
    """The page with no session and nothing kept from before; AssertionError at its end where a
    script of it failed."""
    errors: list[str] = []

    def note(error: Error) -> None:
        errors.append(str(error))

    await window.context.clear_cookies()
    devtools = await window.context.new_cdp_session(window)
    kept = {"origin": origin, "storageTypes": "all"}
    await devtools.send("Storage.clearDataForOrigin", kept)
    await devtools.detach()
    window.on("pageerror", note)
    yield window
    await window.unroute_all()
    await window.goto("about:blank")
    window.remove_listener("pageerror", note)
    assert errors == []


@pytest.fixture
async def page(window: Page, embedded: Embedded) -> AsyncIterator[Page]:
    """The page of a test, with no session."""
    async with as_new(window, embedded.url) as opened:
        yield opened
