"""What a newcomer does, in a real browser against the embedded default."""

import asyncio
import csv
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Page, Route, expect

from tests.browser.conftest import as_new
from tests.support.embedded import Embedded

BANDS, ROWS, COLUMNS = 30, 60, 80
WAVELENGTHS_NM = np.linspace(450, 1030, BANDS)
BAD_BAND = 20


def scene() -> NDArray[np.int16]:
    """Two materials side by side, with noise: shape (band, y, x), reflectance times 10 000."""
    left = 500 + 100 * np.arange(BANDS)
    right = 4000 - 110 * np.arange(BANDS)
    values = np.empty((BANDS, ROWS, COLUMNS))
    values[:, :, :40] = left[:, None, None]
    values[:, :, 40:] = right[:, None, None]
    noise = np.random.default_rng(5).normal(0, 20, values.shape)
    return (values + noise).astype(np.int16)


def write_envi(folder: Path, values: NDArray[np.int16]) -> list[Path]:
    """The scene as a band-sequential ENVI cube: data file and header."""
    data, header = folder / "two-materials.dat", folder / "two-materials.hdr"
    values.astype("<i2").tofile(data)
    good = ["0" if band == BAD_BAND else "1" for band in range(BANDS)]
    header.write_text(
        "ENVI\n"
        f"samples = {COLUMNS}\nlines = {ROWS}\nbands = {BANDS}\n"
        "header offset = 0\nfile type = ENVI Standard\ndata type = 2\n"
        "interleave = bsq\nbyte order = 0\nwavelength units = Nanometers\n"
        "reflectance scale factor = 10000\n"
        f"wavelength = {{{', '.join(f'{value:.2f}' for value in WAVELENGTHS_NM)}}}\n"
        f"bbl = {{{', '.join(good)}}}\n"
    )
    return [data, header]


async def log_in(page: Page, installation: Embedded, then: str) -> None:
    await page.goto(f"{installation.url}/login?next={then}")
    await page.get_by_label("User name").fill("admin")
    await page.get_by_label("Password").fill(installation.admin_password)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url(installation.url + then)


async def click_pixel(page: Page, x: int, y: int) -> None:
    box = await page.locator("#preview").bounding_box()
    assert box is not None
    position = {
        "x": (x + 0.5) / COLUMNS * box["width"],
        "y": (y + 0.5) / ROWS * box["height"],
    }
    await page.locator("#preview").click(position=position)
    await expect(page.locator("#legend li", has_text=f"({x}, {y})")).to_be_visible()


async def download_csv(page: Page) -> list[dict[str, str]]:
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="CSV").click()
    path = await (await waiting.value).path()
    return list(csv.DictReader(path.read_text().splitlines()))


async def test_upload_look_click_run_and_see_the_result(
    embedded: Embedded, page: Page, tmp_path: Path
) -> None:
    values = scene()
    await log_in(page, embedded, "/upload")
    await page.get_by_label("Files of one cube").set_input_files(write_envi(tmp_path, values))
    await page.get_by_label("Collection").fill("browser")
    await page.get_by_role("button", name="Upload", exact=True).click()
    await page.get_by_role("link", name="Open the cube").click()
    await page.wait_for_url("**/items/browser/two-materials")
    await expect(page.locator("#picture-busy")).to_be_hidden()
    assert await page.locator("#preview").evaluate("image => image.naturalWidth") == COLUMNS
    await page.route("**/preview.png?*", lambda route: route.abort(), times=1)
    async with page.expect_response("**/preview.png?*stretch=minmax"):
        await page.get_by_label("Stretch").select_option("minmax")
    await expect(page.locator("#preview")).to_have_js_property("naturalWidth", COLUMNS)
    await expect(page.locator("#picture-busy")).to_be_hidden()

    await click_pixel(page, 10, 20)
    await click_pixel(page, 60, 30)
    await expect(page.locator("#plot path.spectrum")).to_have_count(2)
    await expect(page.locator("#plot .bad-band")).to_have_count(1)
    await expect(page.locator("#plot")).to_contain_text("Wavelength (nm)")
    rows = await download_csv(page)
    told = [float(row["x10_y20"]) for row in rows]
    assert told == pytest.approx(values[:, 20, 10] / 10_000, rel=1e-9)
    told = [float(row["x60_y30"]) for row in rows]
    assert told == pytest.approx(values[:, 30, 60] / 10_000, rel=1e-9)
    assert [row["good_band"] for row in rows].count("0") == 1

    await page.get_by_label("Format").select_option("npy")
    await page.get_by_label("Bands", exact=True).fill("31")
    await page.get_by_role("button", name="Download", exact=True).click()
    refused = page.locator("#export-error")
    await expect(refused).to_contain_text("bands are numbered 1 to 30")
    await expect(refused).to_be_in_viewport()
    await page.get_by_label("Bands", exact=True).fill("3:5,30")
    await page.get_by_label("Window", exact=True).fill("10,20,50,60")
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="Download", exact=True).click()
    download = await waiting.value
    assert download.suggested_filename == "two-materials.npy"
    found = np.load(await download.path()).transpose(2, 0, 1)
    assert np.array_equal(found, values[[2, 3, 4, 29], 20:60, 10:50])

    told = asyncio.Event()

    async def hold_until_told(route: Route) -> None:
        await told.wait()
        await route.continue_()

    await page.route("**/processing/processes/sam", hold_until_told)
    run = page.get_by_role("button", name="Run")
    await expect(run).to_be_enabled()
    await page.get_by_label("Process", exact=True).select_option("sam")
    await expect(run).to_be_disabled()  # the inputs are still those of another process
    told.set()
    # No events, and the first two times that it is asked how the job stands nothing answers.
    await page.route("**/processing/jobs/*/events", lambda route: route.abort())
    await page.route("**/processing/jobs/*", lambda route: route.abort(), times=2)
    await expect(page.locator("#inputs")).to_contain_text("Clicked pixels (10, 20), (60, 30)")
    await run.click()
    await page.get_by_role("link", name="Open the result").click()
    await page.wait_for_url(lambda url: "/items/browser/" in url and url[-13:] != "two-materials")
    await expect(page.locator("#metadata")).to_contain_text("browser / two-materials")
    await expect(page.locator("#picture-busy")).to_be_hidden()
    await page.get_by_label("x", exact=True).fill("10")
    await page.get_by_label("y", exact=True).fill("20")
    await page.get_by_role("button", name="Read pixel").click()
    await expect(page.locator("#legend li")).to_have_count(1)
    await click_pixel(page, 60, 30)
    first = (await download_csv(page))[0]
    assert first["x10_y20"] != first["x60_y30"]  # the two materials are two classes

    await page.goto(embedded.url + "/collections/browser")
    pictures = page.locator("img.thumbnail")
    await expect(pictures).to_have_count(2)
    for picture in await pictures.all():
        await expect(picture).to_have_js_property("complete", True)
        assert await picture.evaluate("image => image.naturalWidth") > 0


async def test_an_upload_goes_on_after_the_page_was_left(
    embedded: Embedded, page: Page, tmp_path: Path
) -> None:
    files = write_envi(tmp_path, scene())
    asked: list[tuple[str, str]] = []
    page.on("request", lambda request: asked.append((request.method, urlsplit(request.url).path)))
    cut = False

    async def cut_off(route: Route) -> None:
        nonlocal cut
        if route.request.method != "PATCH":
            await route.continue_()
            return
        cut = True
        await route.abort()

    async def choose() -> None:
        await page.get_by_label("Files of one cube").set_input_files(files)
        await page.get_by_label("Collection").fill("browser-resumed")
        await page.get_by_role("button", name="Upload", exact=True).click()

    await log_in(page, embedded, "/upload")
    await page.route("**/uploads/files/*", cut_off)
    await choose()
    async with asyncio.timeout(60):
        while not cut:
            await asyncio.sleep(0.05)
    await page.reload()
    await page.unroute("**/uploads/files/*")
    before = len(asked)
    await choose()
    await page.get_by_role("link", name="Open the cube").click()
    await page.wait_for_url("**/items/browser-resumed/two-materials")
    transfers = [one for one in asked[before:] if one[1].startswith("/uploads")]
    # The second time it is not announced, and the first file's transfer is asked how far it is.
    assert transfers[0][0] == "GET"
    assert transfers[1][0] == "HEAD"
    assert [method for method, _ in transfers].count("POST") == 1


async def test_the_last_upload_is_followed_over_an_outage(
    embedded: Embedded, page: Page, tmp_path: Path
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))

    async def upload(name: str) -> None:
        np.save(tmp_path / f"{name}.npy", np.arange(24, dtype=np.uint16).reshape(2, 4, 3))
        await page.get_by_label("Files of one cube").set_input_files(tmp_path / f"{name}.npy")
        await page.get_by_label("Collection").fill("browser-followed")
        await page.get_by_role("button", name="Upload", exact=True).click()

    await log_in(page, embedded, "/upload")
    opened = page.get_by_role("link", name="Open the cube")
    await upload("first")
    await expect(opened).to_be_visible()
    first = next(path for path in reversed(asked) if path.startswith("/uploads/"))
    following, followed = asyncio.Event(), asyncio.Event()

    async def hold_the_second_answer(route: Route) -> None:
        answer = await route.fetch()
        if asked.count(first) > before + 1:
            following.set()
            await followed.wait()
        await route.fulfill(response=answer)

    before = asked.count(first)
    await page.route("**" + first, hold_the_second_answer)
    await page.goto(f"{embedded.url}/upload?upload={first.rpartition('/')[2]}")
    await following.wait()
    other = f"{embedded.url}/uploads/(?!files|{first.rpartition('/')[2]})"
    await page.route(re.compile(other), lambda route: route.abort(), times=2)
    await upload("second")
    await expect(opened).to_have_attribute("href", "/items/browser-followed/second")
    async with page.expect_response("**" + first):
        followed.set()
    await page.evaluate("fetch('/static/icon.svg').then((answer) => answer.text())")
    await expect(opened).to_have_attribute("href", "/items/browser-followed/second")
    await expect(page.locator("#upload-error")).to_be_hidden()


async def test_a_plot_of_numbers_of_any_size_tells_its_ticks_apart(
    embedded: Embedded, page: Page
) -> None:
    await page.goto(embedded.url + "/login")
    draw = """async ([values]) => {
        const { drawPlot } = await import("/static/plot.js");
        const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
        const spectrum = { values, good_bands: values.map(() => true), unit: "" };
        drawPlot(svg, [{ spectrum, colour: "#000", label: "" }]);
        return [...svg.querySelectorAll("text[text-anchor=end]")].map((text) => text.textContent);
    }"""
    # The last two are fills that nothing declares: no step of 1 can be added to them.
    for values in ([1e6, 1.001e6], [1.2e-4, 1.3e-4], [3.0, 3.0], [-1.23e34] * 2, [9.97e36] * 2):
        ticks = [float(text) for text in await page.evaluate(draw, [values])]
        assert 4 <= len(set(ticks)) == len(ticks)
        steps = np.diff(ticks)
        assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-3)
        assert ticks[0] - steps[0] <= min(values) <= max(values) <= ticks[-1] + steps[0]


async def test_a_broken_upload_says_what_is_wrong(
    embedded: Embedded, page: Page, tmp_path: Path
) -> None:
    data, header = write_envi(tmp_path, scene())
    data.write_bytes(data.read_bytes()[:-1000])
    await log_in(page, embedded, "/upload")
    await page.get_by_label("Files of one cube").set_input_files([data, header])
    await page.get_by_label("Collection").fill("browser-broken")
    await page.get_by_role("button", name="Upload", exact=True).click()
    problem = page.locator("#upload-error")
    await expect(problem).to_contain_text(str(BANDS * ROWS * COLUMNS * 2 - 1000))


async def test_a_page_that_needs_a_login_comes_back_after_it(
    embedded: Embedded, page: Page
) -> None:
    await page.goto(embedded.url + "/upload?collection=wanted")
    await page.wait_for_url("**/login?next=**")
    await page.get_by_label("User name").fill("admin")
    await page.get_by_label("Password").fill(embedded.admin_password)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url("**/upload?collection=wanted")
    await expect(page.get_by_label("Collection")).to_have_value("wanted")


async def test_a_wrong_password_is_refused(embedded: Embedded, page: Page) -> None:
    await page.goto(embedded.url + "/login")
    await page.get_by_label("User name").fill("admin")
    await page.get_by_label("Password").fill("not the password")
    await page.get_by_role("button", name="Log in").click()
    await expect(page.locator("#login-error")).to_be_visible()
    assert await page.context.cookies() == []


async def test_a_page_gone_back_to_is_not_the_last_users(embedded: Embedded, page: Page) -> None:
    await page.goto(embedded.url + "/login")
    await page.evaluate("""() => addEventListener("pagehide", () =>
        localStorage.setItem("kept", document.getElementById("password").value))""")
    await page.get_by_label("User name").fill("admin")
    await page.get_by_label("Password").fill(embedded.admin_password)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url(embedded.url + "/")
    assert await page.evaluate("localStorage.getItem('kept')") == ""
    await expect(page.locator("#who")).to_contain_text("admin")
    await page.context.clear_cookies()
    await page.get_by_role("button", name="New collection").click()
    await page.get_by_label("Id", exact=True).fill("lost")
    await page.get_by_role("button", name="Create").click()
    await expect(page.locator("#messages")).to_contain_text("Log in again, in another tab")
    # As a browser does with a page that it kept whole.
    await page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    await expect(page.locator("#who").get_by_role("link", name="Log in")).to_be_visible()


async def test_what_is_typed_is_sent_as_it_was_meant(embedded: Embedded, page: Page) -> None:
    await page.goto(embedded.url + "/login")
    sent = await page.evaluate("""async () => {
        const { inputValues } = await import("/static/inputs.js");
        const { changedMetadata, metadataFields } = await import("/static/fields.js");
        const form = document.createElement("form");
        form.innerHTML = "<input data-input=classes data-kind=list value='10, corn,'>";
        const kept = { "lab:lamps": 2, "lab:lens": "a", "lab:gone": 1 };
        form.append(...metadataFields(true, { properties: kept }));
        const lines = "lab:lamps = 2\\nlab:lens = b\\nlab:sample = 12345678901234567891";
        form.querySelector("[data-field=properties]").value = lines;
        return [inputValues(form), changedMetadata(form)];
    }""")
    assert sent[0] == {"classes": [10, "corn"]}
    # What another person may have changed meanwhile is not sent.
    changed = {"lab:gone": None, "lab:lens": "b", "lab:sample": "12345678901234567891"}
    assert sent[1] == {"properties": changed}


async def test_names_that_look_like_markup_stay_text(embedded: Embedded, page: Page) -> None:
    await log_in(page, embedded, "/")
    await page.get_by_role("button", name="New collection").click()
    await page.get_by_label("Id", exact=True).fill("markup")
    await page.get_by_label("Title").fill("<img src=x onerror=alert(1)>")
    await page.get_by_role("button", name="Create").click()
    await page.wait_for_url("**/collections/markup")
    await expect(page.locator("#title")).to_have_text("<img src=x onerror=alert(1)>")
    assert await page.locator("main img").count() == 0


async def test_an_item_from_elsewhere_shows_its_files(embedded: Embedded, page: Page) -> None:
    """An item that another program registered, with no cube stored here."""
    document = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "foreign",
        "geometry": None,
        "properties": {"datetime": "2024-06-01T10:30:00Z", "platform": "aircraft"},
        "links": [{"rel": "derived_from", "href": "/stac/collections/a/items/100%"}],
        "assets": {
            "web": {"href": "https://data.example/scene.tif?part=1"},
            "bucket": {"href": "s3://elsewhere/scene.tif"},
            "share": {"href": "ftp://elsewhere/blobs/scene.tif"},
            "thumbnail": {"href": "https://[no-address/", "type": 7, "roles": "labels"},
        },
    }
    await log_in(page, embedded, "/")
    headers = {"X-Requested-With": "test"}
    for path, body in (
        ("/stac/collections", {"id": "elsewhere"}),
        ("/stac/collections/elsewhere/items", document),
    ):
        answer = await page.request.post(embedded.url + path, data=body, headers=headers)
        assert answer.status == 201, await answer.text()
    await page.goto(embedded.url + "/items/elsewhere/foreign")
    link = page.locator("[data-asset=web] a")
    await expect(link).to_have_attribute("href", "https://data.example/scene.tif?part=1")
    for name in ("bucket", "share", "thumbnail"):
        asset = page.locator(f"[data-asset={name}]")
        await expect(asset.locator("code")).to_have_text(document["assets"][name]["href"])
        await expect(asset.locator("a")).to_have_count(0)
    await expect(page.locator("#metadata")).to_contain_text("aircraft")
    await expect(page.locator("#cube")).to_be_hidden()
    await expect(page.locator("#messages")).to_be_empty()
    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Delete").click()
    await page.wait_for_url("**/collections/elsewhere")
    await expect(page.locator("#trash-entries li")).to_contain_text("foreign, deleted by admin")
    await page.get_by_role("button", name="Restore").click()
    await expect(page.locator("#items")).to_contain_text("foreign")
    await expect(page.locator("#trash")).to_be_hidden()


async def test_a_collection_made_public_is_seen_by_anyone(embedded: Embedded, page: Page) -> None:
    await log_in(page, embedded, "/")
    await page.get_by_role("button", name="New collection").click()
    await page.get_by_label("Id", exact=True).fill("shown")
    pressed = asyncio.Event()

    async def hold_until_pressed(route: Route) -> None:
        await pressed.wait()
        await route.continue_()

    await page.route("**/uploads?*", hold_until_pressed)  # the page is never slow to hear
    await page.get_by_role("button", name="Create").click()
    await page.wait_for_url("**/collections/shown")
    await page.get_by_label("Public: anyone may see it").check()
    pressed.set()
    await expect(page.locator("#visibility")).to_have_text("public")
    async with httpx.AsyncClient(base_url=embedded.url, trust_env=False) as anyone:
        assert (await anyone.get("/stac/collections/shown")).status_code == 200
        assert (await anyone.get("/stac/collections/markup")).status_code in {401, 404}
    await page.route("**/auth/session", lambda route: route.abort(), times=1)
    await page.get_by_role("button", name="Log out").click()
    await expect(page.locator("#messages")).to_contain_text("still logged in")
    await page.get_by_role("button", name="Log out").click()
    await page.wait_for_url("**/login")
    await page.goto(embedded.url + "/")
    await expect(page.locator("[data-collection=shown]")).to_be_visible()
    await expect(page.locator("[data-collection=browser]")).to_have_count(0)


@pytest.mark.parametrize(
    ("path", "button", "waits_for"),
    [("/login", "Log in", "**/static/dom.js"), ("/upload", "Upload", "**/auth/me")],
)
async def test_a_form_cannot_be_sent_before_its_script_is_there(
    embedded: Embedded, page: Page, path: str, button: str, waits_for: str
) -> None:
    await log_in(page, embedded, "/")
    looked = asyncio.Event()

    async def hold_until_looked(route: Route) -> None:
        await looked.wait()
        await route.continue_()

    await page.route(waits_for, hold_until_looked)
    await page.goto(embedded.url + path, wait_until="commit")
    send = page.get_by_role("button", name=button, exact=True)
    await expect(send).to_be_disabled()
    looked.set()
    await expect(send).to_be_enabled()


@pytest.fixture(scope="module")
async def described(embedded: Embedded, window: Page) -> AsyncIterator[Page]:
    """The page of the interfaces: what draws them is large, and is loaded once."""
    async with as_new(window, embedded.url) as page:
        await page.goto(embedded.url + "/docs")
        yield page


@pytest.mark.parametrize(
    ("service", "title"),
    [
        ("ingest", "HSIS ingest"),
        ("blobs", "HSIS blobs"),
        ("cubes", "HSIS cubes"),
        ("processing", "HSIS processing"),
        ("stac", "HSIS catalog"),
    ],
)
async def test_the_interfaces_are_described(described: Page, service: str, title: str) -> None:
    await described.get_by_label("Service").select_option(f"/{service}/openapi.json")
    await expect(described.locator("#swagger .title")).to_contain_text(title)
    await expect(described.locator("#swagger .opblock").first).to_be_visible()
