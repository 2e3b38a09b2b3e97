"""Real Postgres and a real S3 server for every test that needs them."""

import asyncio
import gc
import os
import shutil
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import uvloop
from aiobotocore.httpsession import AIOHTTPSession
from httpx._config import DEFAULT_TIMEOUT_CONFIG

from hsis.service.postgres import migrate
from hsis.service.provision import SCHEMAS
from hsis.service.secret_files import SigningKeys
from hsis.service.settings import DatabaseSettings
from hsis_embedded.object_store import ObjectStore
from hsis_embedded.postgres import Postgres
from hsis_embedded.readiness import accepts, answers_sql, free_port
from hsis_embedded.supervisor import Program, Supervisor
from tests.support import databases, tokens
from tests.support.embedded import Embedded
from tests.support.platform import Platform, fresh_bucket, running_platform
from tests.support.scheduling import SharedInstallation, longest_first
from tests.support.servers import served

# What is set for the tests themselves.
KEPT = {"HSIS_CHROMIUM", "HSIS_TEST_DATA", "HSIS_ENGINE_DIR", "HSIS_STAND_INS"}
NOTHING_TO_LOSE = (
    "fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal",
    "max_wal_senders=0", "autovacuum=off", "jit=off", "scram_iterations=1",
    "file_copy_method=clone",
)  # fmt: skip
"""What a cluster need not do that ends with the tests."""
DatabaseFactory = Callable[[str], Awaitable[dict[str, Any]]]
PlatformFactory = Callable[..., AbstractAsyncContextManager[Platform]]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedInstallation:
    """How tests are given to processes."""
    return SharedInstallation(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In which order they are given to processes."""
    longest_first(items)


def pytest_collection_finish() -> None:
    """Let the garbage collector leave the tests and modules themselves alone, and look less often
    at what they make: it took a twentieth of the time."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


def pytest_configure() -> None:
    """Run on the event loop that the services run on. Not by pytest-asyncio's own hook: that makes
    a parameter of the loop, by which tests are put into another order."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    # A machine that is busy makes examples slow, and that is no fault of what they try.
    too_slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("hsis", deadline=None, suppress_health_check=too_slow)
    hypothesis.settings.load_profile("hsis")
    gc.disable()  # while modules are imported and tests collected, which all stay


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_this_machine() -> None:
    for name in [name for name in os.environ if name.startswith("HSIS_")]:
        if name not in KEPT:
            del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def _certificates_are_read_once() -> Iterator[None]:
    """httpx and aiobotocore read them anew for each client, which takes 20 ms; the tests make some
    thousand."""
    with pytest.MonkeyPatch.context() as patch:
        once = cache(httpx.create_ssl_context)
        patch.setattr("httpx._transports.default.create_ssl_context", once)
        made = AIOHTTPSession()._build_verify_context()
        patch.setattr(AIOHTTPSession, "_build_verify_context", lambda _: made)
        yield


@pytest.fixture(scope="session", autouse=True)
def _answers_may_take_a_minute() -> Iterator[None]:
    """Where a client of the tests' own says nothing else, httpx gives it five seconds."""
    with pytest.MonkeyPatch.context() as patch:
        for what in ("connect", "read", "write", "pool"):
            patch.setattr(DEFAULT_TIMEOUT_CONFIG, what, 60.0)
        yield


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The real files, kept beside the project and not in it."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("HSIS_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"the real test data is not at {folder} (HSIS_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def keys() -> SigningKeys:
    """The key pair that signs the tests' tokens."""
    return SigningKeys.generate()


@pytest.fixture(scope="session")
def make_token(keys: SigningKeys) -> Callable[..., str]:
    """Signs a token: see tests.support.tokens.sign."""
    return partial(tokens.sign, keys)


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    """A cluster of the session's own; its tens of thousands of files go with it."""
    home = tmp_path_factory.mktemp("postgres")
    server = Postgres(home / "data", free_port(), "superuser-of-the-tests")
    server.initialise()
    command = server.command()
    for setting in NOTHING_TO_LOSE:
        command += ["-c", setting]
    with Supervisor(home) as supervisor:
        await supervisor.start(
            Program("postgres", command, {}, partial(answers_sql, server), signal.SIGINT)
        )
        yield server
    shutil.rmtree(home / "data")  # the logs stay


@pytest.fixture(scope="session")
async def database(postgres: Postgres) -> DatabaseFactory:
    """Makes a database of one service's migrated schema, a clone of the session's template;
    answers the connection's settings."""
    templates: set[str] = set()

    async def create(schema: str) -> dict[str, Any]:
        template = f"template_{schema}"
        if schema not in templates:
            made = await databases.create(postgres, template, schema)
            settings = DatabaseSettings(token_public_key="", **made)
            await migrate(settings, schema, f"hsis_{schema}")
            templates.add(schema)
        name = f"{schema}_{uuid.uuid4().hex[:12]}"
        await databases.clone(postgres, template, name, schema)
        return databases.connection_settings(postgres, name, schema)

    return create


@pytest.fixture(scope="session")
async def object_store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ObjectStore]:
    """An S3 server of the session's own."""
    home = tmp_path_factory.mktemp("objects")
    store = ObjectStore(home / "data", free_port(), "access-key", "secret-key-of-the-tests")
    store.initialise()
    program = Program("rclone", store.command(), store.environment(), partial(accepts, store.port))
    with Supervisor(home) as supervisor:
        await supervisor.start(program)
        yield store
    shutil.rmtree(home / "data")


@pytest.fixture
def bucket() -> str:
    """The name of a bucket that does not exist yet."""
    return fresh_bucket()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Any], Awaitable[str]]]:
    """Serves ASGI applications until the test ends; answers the base URL."""
    async with AsyncExitStack() as exits:

        async def start(app: Any) -> str:
            return await exits.enter_async_context(served(app))

        yield start


@pytest.fixture(scope="session")
def platform_of(
    keys: SigningKeys, object_store: ObjectStore, database: DatabaseFactory
) -> PlatformFactory:
    """Runs the named services, over databases and a bucket of their own."""

    @asynccontextmanager
    async def run(*services: str) -> AsyncIterator[Platform]:
        databases = {schema: await database(schema) for schema in SCHEMAS if schema in services}
        bucket = fresh_bucket()
        async with running_platform(keys, object_store, bucket, databases, services) as platform:
            yield platform

    return run


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """The whole embedded default in processes of its own, with the demo's scene, shared by the
    session's tests."""
    installation = Embedded.at(tmp_path_factory.mktemp("hsis"))
    installation.start("demo")
    yield installation
    assert installation.stop() == 0, installation.logs()
