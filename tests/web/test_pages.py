"""The pages without a browser: headers, escaping, assets, and links that exist."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hsis.service.secret_files import SigningKeys
from hsis_web.app import STATIC
from hsis_web.pages import OPENAPI_URLS
from tests.support.platform import service_app
from tests.support.servers import served

NODE_MODULES = Path(__file__).resolve().parents[2] / "services" / "web" / "node_modules"
PAGES = ["/", "/login", "/upload", "/collections/c", "/items/c/i.1", "/docs"]


def web_app(keys: SigningKeys, **settings: Any) -> Any:
    options: dict[str, Any] = {"node_modules_dir": NODE_MODULES} | settings
    return service_app("hsis_web", token_public_key=keys.public_pem, **options)


@pytest.fixture(scope="module")
async def web(keys: SigningKeys) -> AsyncIterator[httpx.AsyncClient]:
    """The service over HTTP."""
    async with (
        served(web_app(keys)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        yield client


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_has_its_headers_and_everything_it_links(
    web: httpx.AsyncClient, page: str
) -> None:
    answer = await web.get(page)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "script-src" not in policy  # no exception for scripts
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"<script>|\son\w+=|style=\"", answer.text)
    linked = re.findall(r'(?:src|href)="(/(?:static|assets)/[^"]+)"', answer.text)
    assert len(linked) >= 4
    for path in linked:
        found = await web.get(path)
        assert found.status_code == 200, path
        assert found.headers["Cache-Control"] == "no-cache"
        assert found.headers["ETag"]


async def test_modules_import_only_what_is_there() -> None:
    modules = sorted(STATIC.glob("*.js"))
    assert modules
    for module in modules:
        text = module.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
        for name, source in re.findall(r'import (\{[^}]*\}) from "([^"]+)"', text):
            exported = (STATIC / source).read_text()
            for wanted in re.findall(r"[\w$]+", name):
                declared = rf"export (?:async )?(?:function|const|class) {re.escape(wanted)}\b"
                assert wanted == "$" or re.search(declared, exported), (module, wanted)


@pytest.mark.parametrize("path", ["/items/c/%3Cscript%3E", "/collections/%22onload", "/items/c/.."])
async def test_a_name_that_is_no_id_is_refused(web: httpx.AsyncClient, path: str) -> None:
    answer = await web.get(path)
    assert answer.status_code in {400, 404}
    assert answer.headers["Content-Type"] == "application/problem+json"  # never read as markup
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_names_are_put_into_the_page(web: httpx.AsyncClient) -> None:
    text = (await web.get("/items/some.collection/an-item_1")).text
    assert 'data-collection="some.collection" data-item="an-item_1"' in text


async def test_the_docs_offer_every_service(web: httpx.AsyncClient) -> None:
    text = (await web.get("/docs")).text
    assert re.findall(r'<option value="([^"]+)"', text) == list(OPENAPI_URLS.values())
    assert len(OPENAPI_URLS) == 5


async def test_nothing_outside_the_folders_is_served(web: httpx.AsyncClient) -> None:
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/assets/bootstrap/../package.json"):
        request = web.build_request("GET", "/")
        request.url = request.url.copy_with(raw_path=path.encode())
        assert (await web.send(request)).status_code == 404


def test_missing_assets_are_told_at_start(keys: SigningKeys, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="npm ci"):
        web_app(keys, node_modules_dir=tmp_path)
