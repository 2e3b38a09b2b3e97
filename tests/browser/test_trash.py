"""The trash of a collection on the page."""

from playwright.async_api import Page, expect

from tests.browser.test_main_job import log_in
from tests.support.embedded import Embedded


async def test_more_than_a_page_of_the_trash_can_be_seen(embedded: Embedded, page: Page) -> None:
    await log_in(page, embedded, "/")
    headers = {"X-Requested-With": "test"}
    collections = f"{embedded.url}/stac/collections"
    await page.request.post(collections, data={"id": "thrown"}, headers=headers)
    items = f"{collections}/thrown/items"
    for number in range(31):
        document = {
            "type": "Feature",
            "stac_version": "1.1.0",
            "id": f"item-{number}",
            "geometry": None,
            "properties": {"datetime": "2024-06-01T10:30:00Z"},
            "links": [],
            "assets": {},
        }
        answer = await page.request.post(items, data=document, headers=headers)
        assert answer.status == 201, await answer.text()
        answer = await page.request.delete(f"{items}/item-{number}", headers=headers)
        assert answer.ok, await answer.text()
    await page.goto(f"{embedded.url}/collections/thrown")
    entries = page.locator("#trash-entries li")
    await expect(entries).to_have_count(30)
    await expect(entries.first).to_contain_text("item-30, deleted by admin")
    more = page.get_by_role("button", name="More of the trash")
    await more.click()
    await expect(entries).to_have_count(31)
    await expect(entries.last).to_contain_text("item-0, deleted by admin")
    await expect(more).to_be_hidden()
    await entries.last.get_by_role("button", name="Restore").click()
    await expect(page.locator("#items")).to_contain_text("item-0")
    await expect(entries).to_have_count(30)
    await expect(more).to_be_hidden()
