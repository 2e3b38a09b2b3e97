"""The S3 client, and its errors translated into those of the domain."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import BotoCoreError, ClientError

from hsis.errors import Conflict, NotFound, Unavailable
from hsis_storage_proxy.presigned import PresignedReads, open_connections
from hsis_storage_proxy.settings import Settings
from hsis_storage_proxy.streamed import StreamedWrites

CONNECT_TIMEOUT_S = 5.0
ATTEMPTS = 3
# The last is of stores that write parts one after the other, such as rclone.
_PART_FAULTS = frozenset({"InvalidPart", "InvalidPartOrder", "EntityTooSmall", "NotImplemented"})
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
# botocore gives a body's broken connection as aiohttp's own error.
_TRANSPORT_ERRORS = (BotoCoreError, aiohttp.ClientError, TimeoutError, OSError)


@dataclass(frozen=True, slots=True)
class S3:
    """An S3 server: botocore's client for every operation, quicker ways for reads and bodies, and a
    client that only signs addresses that the server has for others, where it has any."""

    api: Any
    reads: PresignedReads
    writes: StreamedWrites
    outward: Any | None


@cache
def _session() -> AioSession:
    """One a process: each reads the descriptions of all of AWS anew, which takes 0.3 s."""
    return get_session()


@asynccontextmanager
async def open_s3(settings: Settings) -> AsyncIterator[S3]:
    """An S3 server with the settings' credentials and nothing of the environment's."""
    config = AioConfig(
        signature_version="s3v4",
        # The body is not hashed for the signature: that would hold the event loop, and between
        # the services and the object store there is a private network or TLS.
        s3={"addressing_style": "path", "payload_signing_enabled": False},
        # Checksums in trailers are not understood by every S3 server.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=settings.s3_timeout_s,
        max_pool_connections=settings.s3_connections,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        proxies={},
    )

    def client(endpoint_url: str) -> Any:
        return _session().create_client(
            "s3",
            endpoint_url=endpoint_url,
            region_name=settings.s3_region,
            aws_access_key_id=settings.s3_access_key.get_secret_value(),
            aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
            config=config,
        )

    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(client(settings.s3_endpoint_url))
        http = await stack.enter_async_context(open_connections(settings, CONNECT_TIMEOUT_S))
        outward = None
        if settings.redirect_reads and settings.s3_public_endpoint_url is not None:
            outward = await stack.enter_async_context(client(settings.s3_public_endpoint_url))
        writes = StreamedWrites(api, http, settings.s3_timeout_s)
        yield S3(api, PresignedReads(api, http), writes, outward)


@contextmanager
def translated(key: str) -> Iterator[None]:
    """Turns errors of S3 about `key` into NotFound or Unavailable."""
    try:
        yield
    except ClientError as error:
        if error_code(error) in _MISSING:
            raise NotFound(f"There is no blob {key!r}.") from error
        raise Unavailable(f"The object store answered {error_code(error)}.") from error
    except _TRANSPORT_ERRORS as error:
        raise Unavailable(f"The object store does not answer ({type(error).__name__}).") from error


@contextmanager
def parts_translated(key: str) -> Iterator[None]:
    """Tells what is wrong with an upload in parts."""
    try:
        yield
    except ClientError as error:
        if error_code(error) == "NoSuchUpload":
            raise NotFound(f"There is no such upload in parts of {key!r}.") from error
        if error_code(error) in _PART_FAULTS:
            raise Conflict(f"The parts of {key!r} do not fit: {error_code(error)}.") from error
        raise


def error_code(error: ClientError) -> str:
    """S3's own name of an error, or its status where the answer has no body."""
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def error_status(error: ClientError) -> int:
    """The HTTP status that S3 answered; 0 where there is none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
