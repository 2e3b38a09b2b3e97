"""What the files do not say: given on the page of uploads, corrected on the item's."""

from pathlib import Path

import numpy as np
import spectral
from playwright.async_api import Page, expect

from tests.browser.test_main_job import log_in
from tests.support.embedded import Embedded


async def test_metadata_are_given_and_corrected(
    embedded: Embedded, page: Page, tmp_path: Path
) -> None:
    np.save(tmp_path / "leaf.npy", np.arange(24, dtype=np.uint16).reshape(2, 4, 3))
    (tmp_path / "bands.csv").write_text("wavelength_nm\n450\n550\n650\n")
    await log_in(page, embedded, "/upload")
    await page.get_by_label("Files of one cube").set_input_files(tmp_path / "leaf.npy")
    await page.get_by_label("Collection").fill("browser-metadata")
    await page.get_by_text("What the files do not say").click()
    await page.get_by_label("File of wavelengths").set_input_files(tmp_path / "bands.csv")
    await page.get_by_label("Unit").fill("DN")
    await page.get_by_label("Scale").fill("not a number")
    await page.get_by_label("Further properties").fill("lab:operator = Ada\nlab:lamps = 2")
    await page.get_by_role("button", name="Upload", exact=True).click()
    await expect(page.locator("#upload-error")).to_contain_text("Scale: not a number")
    await page.get_by_label("Scale").fill("0.5")
    await page.get_by_role("button", name="Upload", exact=True).click()
    await page.get_by_role("link", name="Open the cube").click()
    metadata = page.locator("#metadata")
    await expect(metadata).to_contain_text("lab:operatorAda")
    await expect(metadata).to_contain_text("UnitDN")
    await expect(metadata).to_contain_text("Last wavelength (µm)0.65")

    await page.get_by_role("button", name="Edit metadata").click()
    await expect(page.get_by_label("Unit")).to_have_value("DN")
    wavelengths = page.get_by_label("Wavelengths (nm)")
    await expect(wavelengths).to_have_value("450, 550, 650")
    await wavelengths.fill("500, 600")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("#correct-error")).to_contain_text("the cube has 3 bands")
    await wavelengths.fill("500, 600, 700")
    await page.get_by_label("Unit").fill("")
    await page.get_by_label("Further properties").fill("lab:lamps = 3")
    await page.get_by_role("button", name="Save").click()
    await expect(metadata).to_contain_text("Last wavelength (µm)0.7")
    await expect(metadata).to_contain_text("lab:lamps3")
    await expect(metadata).not_to_contain_text("UnitDN")
    await expect(metadata).not_to_contain_text("lab:operator")
    await page.get_by_role("button", name="Edit metadata").click()
    await expect(page.get_by_label("Last corrections")).to_contain_text("admin: ")


async def test_what_did_not_fit_is_corrected_without_sending_the_files_again(
    embedded: Embedded, page: Page, tmp_path: Path
) -> None:
    np.save(tmp_path / "stone.npy", np.arange(24, dtype=np.uint16).reshape(2, 4, 3))
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
    await log_in(page, embedded, "/upload")
    await page.get_by_label("Files of one cube").set_input_files(tmp_path / "stone.npy")
    await page.get_by_label("Collection").fill("browser-metadata")
    await page.get_by_text("What the files do not say").click()
    await page.get_by_label("Unit").fill("DN")
    await page.get_by_label("No data").fill("-1")
    await page.get_by_role("button", name="Upload", exact=True).click()
    again = page.get_by_role("form", name="Other metadata")
    await expect(page.locator("#upload-error")).to_contain_text("`nodata`")
    # What the message names comes first, filled with what was said.
    await expect(again.get_by_label("No data")).to_have_value("-1")
    await expect(again.get_by_label("Unit")).to_be_hidden()
    await again.get_by_label("No data").fill("0")
    await again.get_by_text("Everything else that is said").click()
    await expect(again.get_by_label("Unit")).to_have_value("DN")
    await again.get_by_label("Wavelengths (nm)").fill("500, 600")
    await again.get_by_role("button", name="Convert again").click()
    await expect(page.locator("#upload-error")).to_contain_text("`wavelengths`")
    await expect(again.get_by_label("No data")).to_have_value("0")
    await again.get_by_label("Wavelengths (nm)").fill("500, 600, none")
    await again.get_by_role("button", name="Convert again").click()
    await expect(again).to_contain_text("500, 600, none cannot be read")
    await again.get_by_label("Wavelengths (nm)").fill("500, 600, 700")
    before = len(sent)
    await again.get_by_role("button", name="Convert again").click()
    await page.get_by_role("link", name="Open the cube").click()
    metadata = page.locator("#metadata")
    await expect(metadata).to_contain_text("UnitDN")
    await expect(metadata).to_contain_text("Last wavelength (µm)0.7")
    changing = [call for call in sent[before:] if not call.startswith("GET ")]
    assert [call.rpartition("/")[2] for call in changing] == ["retry"]


async def test_another_panel_is_said_without_sending_the_files_again(
    embedded: Embedded, page: Page, tmp_path: Path
) -> None:
    for name, value in (("DARKREF_rock", 100), ("WHITEREF_rock", 1100), ("rock", 600)):
        spectral.envi.save_image(
            str(tmp_path / f"{name}.hdr"), np.full((4, 3, 2), value, np.uint16), ext=".raw",
            interleave="bil", metadata={"wavelength": [500, 600], "wavelength units": "nm"},
        )  # fmt: skip
    certificate = tmp_path / "certificate.csv"
    certificate.write_text("400,0.5\n550,0.5\n")
    await log_in(page, embedded, "/upload")
    raw = [path for path in tmp_path.iterdir() if path != certificate]
    await page.get_by_label("Files of one cube").set_input_files(raw)
    await page.get_by_label("Collection").fill("browser-metadata")
    await page.get_by_label("Calibration").select_option("reflectance")
    await page.get_by_label("or its certificate").set_input_files(certificate)
    await page.get_by_role("button", name="Upload", exact=True).click()
    await expect(page.locator("#upload-error")).to_contain_text("band 2 is at 600 nm")
    again = page.get_by_role("form", name="Other metadata")
    panel = again.get_by_label("White panel reflects")
    await expect(panel).to_have_value("certificate.csv")
    # The page was left meanwhile: that of the collection leads back.
    await page.goto(f"{embedded.url}/collections/browser-metadata")
    failed = page.locator("#upload-entries li").filter(has_text="rock")
    await expect(failed).to_contain_text("band 2 is at 600 nm")
    await failed.get_by_role("link", name="Convert again").click()
    await expect(panel).to_have_value("certificate.csv")
    await panel.fill("99")
    await again.get_by_role("button", name="Convert again").click()
    await expect(again).to_contain_text("0.99 for 99 %")
    await panel.fill("0.5")
    await again.get_by_role("button", name="Convert again").click()
    await page.get_by_role("link", name="Open the cube").click()
    await expect(page.locator("#metadata")).to_contain_text("white_reflectance0.5")
    await page.goto(f"{embedded.url}/collections/browser-metadata")
    await expect(page.locator("#items")).to_contain_text("rock")
    await expect(failed).to_have_count(0)


async def test_what_a_program_said_is_corrected_on_the_page(
    embedded: Embedded, page: Page, tmp_path: Path
) -> None:
    """In the fields' units and forms, whatever it said them in."""
    await log_in(page, embedded, "/upload")
    np.save(tmp_path / "leaf.npy", np.ones((2, 4, 3), np.uint8))
    said = {
        "wavelengths": [0.5, 0.6123], "fwhm": [0.01, 0.02, 0.03], "place": [8.4, 49],
        "properties": {"lab:batch": "007", "lab:number": "7", "lab:note": "two\nlines"},
    }  # fmt: skip
    url, own = f"{embedded.url}/uploads", {"X-Requested-With": "hsis-web"}
    asked = {"collection": "browser-said", "files": [{"name": "leaf.npy"}], "metadata": said}
    made = await (await page.request.post(url, data=asked, headers=own)).json()
    content = (tmp_path / "leaf.npy").read_bytes()
    await page.request.put(f"{url}/{made['id']}/leaf.npy", data=content, headers=own)
    await page.goto(f"{embedded.url}/upload?upload={made['id']}")
    again = page.get_by_role("form", name="Other metadata")
    wavelengths = again.get_by_label("Wavelengths (nm)")
    await expect(wavelengths).to_have_value("500, 612.3")
    await wavelengths.fill("500, 612.3, 700")
    await again.get_by_text("Everything else that is said").click()
    await expect(again.get_by_label("Widths (nm)")).to_have_value("10, 20, 30")
    await expect(again.get_by_label("Place")).to_have_value("[8.4,49]")
    await again.get_by_label("Place").fill("[8.5, 49]")
    properties = again.get_by_label("Further properties")
    await properties.fill(await properties.input_value() + "\nlab:more = 1")
    await again.get_by_role("button", name="Convert again").click()
    await expect(page.get_by_role("link", name="Open the cube")).to_be_visible()
    told = (await (await page.request.get(f"{url}/{made['id']}")).json())["metadata"]
    assert (told["wavelengths"], told["wavelength_unit"]) == ([500, 612.3, 700], "nm")
    assert (told["fwhm"], told["place"]) == ([10, 20, 30], [8.5, 49])
    assert told["properties"] == said["properties"] | {"lab:more": 1}
    # One that is there no more is told, and not an empty page.
    await page.goto(f"{embedded.url}/upload?upload={'0' * 8}-0000-4000-8000-{'0' * 12}")
    await expect(page.locator("#upload-error")).to_contain_text("There is no upload")
