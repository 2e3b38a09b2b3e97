"""The object store itself, as the reference: the same bytes without HSIS."""

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

BUCKET = "hsis"
EXPIRES_S = 3600


@dataclass(frozen=True, slots=True)
class DirectStore:
    """Its S3 interface, with the keys that only storage-proxy has in an installation."""

    api: Any

    async def seconds_to_write(self, parts: Iterable[bytes], name: str) -> float:
        """How long an upload in parts takes, one part after the other, until the object is there.
        It is removed again."""
        began = time.perf_counter()
        where = {"Bucket": BUCKET, "Key": f"bench/direct-{name}"}
        upload = (await self.api.create_multipart_upload(**where))["UploadId"]
        told = []
        for number, part in enumerate(parts, start=1):
            answer = await self.api.upload_part(
                **where, UploadId=upload, PartNumber=number, Body=part
            )
            told.append({"PartNumber": number, "ETag": answer["ETag"]})
        await self.api.complete_multipart_upload(
            **where, UploadId=upload, MultipartUpload={"Parts": told}
        )
        taken = time.perf_counter() - began
        await self.api.delete_object(**where)
        return taken

    async def url_of(self, key: str) -> str:
        """Where the object store answers with the object, without headers of its own."""
        wanted = {"Bucket": BUCKET, "Key": key}
        made = await self.api.generate_presigned_url(
            "get_object", Params=wanted, ExpiresIn=EXPIRES_S
        )
        return str(made)


@asynccontextmanager
async def direct_store(
    endpoint_url: str, access_key: str, secret_key: str
) -> AsyncIterator[DirectStore]:
    """The store behind an endpoint."""
    config = AioConfig(
        signature_version="s3v4",
        s3={"addressing_style": "path", "payload_signing_enabled": False},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        max_pool_connections=64,
    )
    async with get_session().create_client(
        "s3",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=config,
    ) as api:
        yield DirectStore(api)
