"""Folders and archives on the page of uploads: each scene becomes an item."""

import asyncio
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from playwright.async_api import Page, Route, expect

from tests.browser.test_main_job import log_in
from tests.support.embedded import Embedded


def write_scenes(folder: Path, *names: str) -> None:
    for place, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.full((4, 5, 3), place))


async def test_each_scene_of_a_folder_becomes_an_item(
    embedded: Embedded, page: Page, tmp_path: Path
) -> None:
    folder = tmp_path / "campaign"
    write_scenes(folder, "monday/scan.npy", "tuesday/scan.npy")
    (folder / "bad.npy").write_bytes(b"no array")
    (folder / "notes.txt").write_text("beside")
    await log_in(page, embedded, "/upload")
    await page.get_by_label("Or a folder of scenes").set_input_files(folder)
    await page.get_by_label("Collection").fill("browser-folder")
    await page.get_by_role("button", name="Upload", exact=True).click()
    scenes = page.locator("#scenes li")
    await expect(scenes).to_have_count(3)
    await expect(scenes.filter(has_text="Done")).to_have_count(2)
    await expect(scenes.filter(has_text="bad: bad.npy")).to_have_count(1)
    await page.get_by_role("link", name="tuesday-scan").click()
    await page.wait_for_url("**/items/browser-folder/tuesday-scan")


async def test_what_was_sent_of_a_folder_stays_where_the_rest_is_cancelled(
    embedded: Embedded, page: Page, tmp_path: Path
) -> None:
    write_scenes(tmp_path / "half", "a.npy", "b.npy")
    given_up: list[str] = []
    page.on(
        "request", lambda request: given_up.append(request.url) if request.method == "DELETE" else 0
    )
    announced = asyncio.Queue[str]()

    async def hold_the_second(route: Route) -> None:
        answer = await route.fetch()
        await announced.put((await answer.json())["id"])
        if announced.qsize() == 1:
            await route.fulfill(response=answer)
        else:
            await page.get_by_role("button", name="Cancel").click()
            await route.fulfill(response=answer)

    await log_in(page, embedded, "/upload")
    await page.route(
        lambda url: urlsplit(url).path == "/uploads",
        lambda route: (
            hold_the_second(route)
            if "json" in route.request.headers.get("content-type", "")
            else route.continue_()
        ),
    )
    await page.get_by_label("Or a folder of scenes").set_input_files(tmp_path / "half")
    await page.get_by_label("Collection").fill("browser-half")
    await page.get_by_role("button", name="Upload", exact=True).click()
    await expect(page.locator("#upload-error")).to_have_text("Cancelled.")
    second = [await announced.get(), await announced.get()][1]
    await expect(page.get_by_role("button", name="Upload", exact=True)).to_be_enabled()
    assert [url.rpartition("/")[2] for url in given_up] == [second]


async def test_each_scene_of_an_archive_becomes_an_item(
    embedded: Embedded, page: Page, tmp_path: Path
) -> None:
    write_scenes(tmp_path / "scenes", "one.npy", "two.npy")
    (tmp_path / "scenes" / "bad.npy").write_bytes(b"no array")
    archive = shutil.make_archive(str(tmp_path / "both"), "zip", tmp_path / "scenes")
    await log_in(page, embedded, "/upload")
    await page.get_by_label("Files of one cube").set_input_files(archive)
    await page.get_by_label("Collection").fill("browser-archive")
    await page.get_by_role("button", name="Upload", exact=True).click()
    scenes = page.locator("#scenes li")
    await expect(scenes.filter(has_text="bad: bad.npy")).to_have_count(1)
    await expect(scenes.filter(has_text="Done")).to_have_count(2)
    await page.get_by_role("link", name="one").click()
    await page.wait_for_url("**/items/browser-archive/one")
    # What has failed of it can be forgotten, though the others are items.
    await page.goto(f"{embedded.url}/collections/browser-archive")
    failed = page.locator("#upload-entries li").filter(has_text="bad")
    page.on("dialog", lambda dialog: dialog.accept())
    await failed.get_by_role("button", name="Dismiss").click()
    await expect(failed).to_have_count(0)
    await expect(page.locator("#items")).to_contain_text("two")
