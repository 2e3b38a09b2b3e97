"""The label maps of a cube, on the page of its item."""

from pathlib import Path

import numpy as np
import spectral
from playwright.async_api import Page, expect

from tests.browser.test_main_job import log_in
from tests.support.embedded import Embedded


async def test_label_maps_are_added_shown_and_removed(
    embedded: Embedded, page: Page, tmp_path: Path
) -> None:
    np.save(tmp_path / "field.npy", np.arange(24, dtype=np.uint16).reshape(2, 4, 3))
    spectral.envi.save_classification(
        str(tmp_path / "truth.hdr"), np.array([[0, 1, 2, 2], [1, 1, 0, 2]], np.uint8),
        class_names=["Unclassified", "Corn", "Oats"],
        class_colors=[(0, 0, 0), (255, 0, 0), (0, 0, 255)],
    )  # fmt: skip
    await log_in(page, embedded, "/upload")
    await page.get_by_label("Files of one cube").set_input_files(tmp_path / "field.npy")
    await page.get_by_label("Collection").fill("browser-labels")
    await page.get_by_role("button", name="Upload", exact=True).click()
    await page.get_by_role("link", name="Open the cube").click()

    await page.get_by_text("Add a label map").click()
    form = page.locator("#add-labels")
    await form.get_by_label("Files").set_input_files(tmp_path / "truth.hdr")
    await form.get_by_role("button", name="Add labels").click()
    await expect(form.get_by_role("alert")).to_contain_text("upload its data file")
    both = [tmp_path / "truth.hdr", tmp_path / "truth.img"]
    await form.get_by_label("Files").set_input_files(both)
    await form.get_by_role("button", name="Add labels").click()
    labels = page.locator("#labels")
    await expect(labels).to_contain_text("CornOats")
    await expect(labels.locator(".swatch").first).to_have_css("background-color", "rgb(255, 0, 0)")
    href = await labels.get_by_role("link", name="truth").get_attribute("href")
    answer = await page.request.get(embedded.url + str(href))
    assert (await answer.body())[:4] == b"II*\0"
    page.once("dialog", lambda dialog: dialog.accept())
    await labels.get_by_role("button", name="Remove truth").click()
    await expect(labels).to_be_empty()
