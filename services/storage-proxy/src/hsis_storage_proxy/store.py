"""Blobs in the bucket: single requests to S3 and what they mean."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from hsis.contracts.blobs import Blob, BlobPage
from hsis.errors import Conflict, DomainError, NotFound, Unavailable
from hsis_storage_proxy.changes import Changes
from hsis_storage_proxy.errors import RangeNotSatisfiable
from hsis_storage_proxy.hot import HotRead, HotReads
from hsis_storage_proxy.objects import (
    PIECE_BYTES,
    BodyInMemory,
    OpenBlob,
    blob_of,
    metadata_of,
)
from hsis_storage_proxy.ranges import Span, WantedRange, parse_content_range
from hsis_storage_proxy.s3 import S3, error_code, error_status, parts_translated, translated
from hsis_storage_proxy.tags import EntityTags, KeptTags

LIST_LIMIT = 1000
"""S3's own limit of keys in one listing and in one removal."""
LAST = "\U0010ffff"


class BlobStore:
    """The bucket, by key. Every method raises Unavailable when S3 does not answer.

    `hot` keeps small reads for `open_hot`; none by default. `tags` are the store's own by default.
    """

    def __init__(
        self, s3: S3, bucket: str, hot: HotReads | None = None, tags: EntityTags | None = None
    ) -> None:
        self._client = s3.api
        self._reads = s3.reads
        self._writes = s3.writes
        self._outward = s3.outward
        self._bucket = bucket
        self._hot = HotReads(0, 0) if hot is None else hot
        self._tags = KeptTags() if tags is None else tags
        self._changes = Changes()

    async def make_bucket(self) -> None:
        """Make the bucket where there is none; harmless when others do so at the same time."""
        if await self._has_bucket():
            return
        with translated(self._bucket):
            try:
                await self._client.create_bucket(Bucket=self._bucket)
            except ClientError as error:
                if error_status(error) != 409:
                    raise
        await self.ping()

    async def ping(self) -> None:
        """Return when the bucket is there and may be used."""
        if not await self._has_bucket():
            raise Unavailable(f"The object store has no bucket {self._bucket!r}.")

    async def _has_bucket(self) -> bool:
        try:
            with translated(self._bucket):
                await self._client.head_bucket(Bucket=self._bucket)
        except NotFound:
            return False
        return True

    async def head(self, key: str) -> Blob:
        """What is known of a blob; NotFound when there is none."""
        blob, _ = await self.looked_at(key)
        return blob

    async def looked_at(self, key: str) -> tuple[Blob, bool]:
        """The same, and whether that is settled: it is not while this process changes the blob."""
        with self._changes.reading(key) as reading, translated(key):
            answer = await self._reads.head(self._bucket, key)
            if answer is None:
                answer = await self._client.head_object(Bucket=self._bucket, Key=key)
        blob = blob_of(key, answer, int(answer["ContentLength"]), self._tags)
        return blob, not reading.disturbed

    async def find(self, key: str) -> Blob | None:
        """The same; None when there is none."""
        try:
            return await self.head(key)
        except NotFound:
            return None

    async def open(self, key: str, wanted: WantedRange | None = None) -> OpenBlob:
        """Begin to read a blob, or a range of it that has a `first`, in one request if it is there.

        RangeNotSatisfiable when the range begins after the end. Right whether S3 answers a range
        with 206, with 200 and a Content-Range, or with 200 and everything.
        """
        with self._changes.reading(key) as reading:
            answer = await self._begun(key, wanted)
        settled = not reading.disturbed
        try:
            told = parse_content_range(answer.get("ContentRange"))
            if told is not None:
                span, size = told
                blob = blob_of(key, answer, size, self._tags)
                return OpenBlob(blob, span, 0, answer["Body"], settled=settled)
            size = int(answer["ContentLength"])
            span_or_none = wanted.within(size) if wanted else Span(0, size)
            if span_or_none is None:
                raise _unsatisfiable(key, size)
            blob = blob_of(key, answer, size, self._tags)
            skip = span_or_none.start
            return OpenBlob(blob, span_or_none, skip, answer["Body"], settled=settled)
        except DomainError:
            answer["Body"].close()
            raise

    async def _begun(self, key: str, wanted: WantedRange | None) -> dict[str, Any]:
        more = {"Range": _range_header(wanted)} if wanted else {}
        with translated(key):
            answer = await self._reads.get(self._bucket, key, more)
            try:
                if answer is None:
                    answer = await self._client.get_object(Bucket=self._bucket, Key=key, **more)
            except ClientError as error:
                if wanted is None or error_status(error) != 416:
                    raise
                raise _unsatisfiable(key, (await self.head(key)).size) from error
        return answer

    async def open_hot(self, key: str, wanted: WantedRange | None = None) -> OpenBlob:
        """The same, or what a small read of the same bytes brought a moment ago."""
        found = self._hot.find(key, wanted)
        if found is None:
            begun = self._hot.begin(key)
            opened = await self.open(key, wanted)
            size = opened.span.length
            if size > PIECE_BYTES or not self._hot.fits(size) or not opened.settled:
                return opened
            found = HotRead(opened.blob, opened.span, await opened.whole())
            self._hot.keep(wanted, found, begun)
        return OpenBlob(found.blob, found.span, 0, BodyInMemory(found.content))

    @contextmanager
    def _changed(self, key: str) -> Iterator[None]:
        """Forgets what was read of a blob once it is changed, or may be."""
        try:
            with self._changes.changing(key), translated(key):
                yield
        finally:
            self._hot.forget(key)

    @property
    def redirects(self) -> bool:
        """Whether the object store has an address for readers."""
        return self._outward is not None

    async def outward_url(self, key: str, lifetime_s: int) -> str:
        """Where anybody may read the blob for a while. Browsers are told to save it, not to show
        it: what users upload must not run on the object store's origin either."""
        assert self._outward is not None
        wanted = {"Bucket": self._bucket, "Key": key, "ResponseContentDisposition": "attachment"}
        url: str = await self._outward.generate_presigned_url(
            "get_object", Params=wanted, ExpiresIn=lifetime_s
        )
        return url

    async def put(
        self,
        key: str,
        content: Sequence[bytes],
        content_type: str,
        sha256: str | None = None,
    ) -> Blob:
        """Store a blob, given in pieces, in one request, replacing any before. `sha256` is kept
        with it."""
        metadata = metadata_of(sha256) | self._tags.metadata(key)
        params = {
            "Bucket": self._bucket,
            "Key": key,
            "ContentType": content_type,
            "Metadata": metadata,
        }
        with self._changed(key):
            etag = await self._writes.put_object(params, content)
            if etag is None:
                answer = await self._client.put_object(**params, Body=b"".join(content))
                etag = answer.get("ETag", "")
        told = {"ETag": etag, "ContentType": content_type, "Metadata": metadata}
        return blob_of(key, told, sum(map(len, content)), self._tags)

    async def require_place(self, key: str) -> None:
        """Conflict where an object's key is a folder of this one, or this key is a folder.

        An object store over a file system cannot hold both, and some do not even refuse.
        """
        segments = key.split("/")
        for count in range(1, len(segments)):
            folder = "/".join(segments[:count])
            if await self.find(folder) is not None:
                raise Conflict(f"{folder!r} is a blob; there can be none under it.")
        if (await self.page(key + "/", None, 1)).blobs:
            raise Conflict(f"There are blobs under {key!r}/; it cannot be one itself.")

    async def delete(self, key: str) -> None:
        """Remove a blob; no error when there is none."""
        try:
            with self._changed(key):
                await self._client.delete_object(Bucket=self._bucket, Key=key)
        except NotFound:
            return
        except Unavailable:
            # A key that is a folder of others is refused by stores over a file system.
            if await self.find(key) is not None:
                raise

    async def page(
        self, prefix: str, after: str | None, limit: int, *, folders: bool = False
    ) -> BlobPage:
        """Up to `limit` (at most 1000) blobs whose key begins with `prefix`, after a key.

        With `folders` what lies under a `/` after `prefix` is one entry, the prefix up to there.
        """
        more = {"Delimiter": "/"} if folders else {}
        if after:
            # No key ends in "/": this is a folder told before, and all in it comes before this.
            more["StartAfter"] = after + LAST if folders and after.endswith("/") else after
        with translated(prefix):
            answer = await self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=prefix, MaxKeys=limit, **more
            )
        blobs = [
            blob_of(entry["Key"], entry, entry["Size"], self._tags)
            for entry in answer.get("Contents", [])
        ]
        prefixes = [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])]
        told = [blob.key for blob in blobs[-1:]] + prefixes[-1:]
        return BlobPage(
            blobs=blobs,
            prefixes=prefixes,
            next=max(told) if told and answer["IsTruncated"] else None,
        )

    async def delete_prefix(self, prefix: str) -> int:
        """Remove every blob whose key begins with `prefix`; the number removed."""
        removed, after = 0, None
        while True:
            page = await self.page(prefix, after, LIST_LIMIT)
            if page.blobs:
                await self._delete_all([blob.key for blob in page.blobs])
            removed += len(page.blobs)
            if page.next is None:
                return removed
            after = page.next

    async def _delete_all(self, keys: list[str]) -> None:
        try:
            with translated(keys[0]):
                answer = await self._client.delete_objects(
                    Bucket=self._bucket,
                    Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
                )
        finally:
            for key in keys:
                self._hot.forget(key)
        failed = answer.get("Errors", [])
        if failed:
            raise Unavailable(
                f"The object store did not remove {len(failed)} of {len(keys)} blobs, "
                f"the first {failed[0].get('Key')!r} ({failed[0].get('Code')})."
            )

    async def begin_parts(self, key: str, content_type: str, sha256: str | None = None) -> str:
        """Begin an upload in parts; its id. `sha256` is kept with the blob."""
        with translated(key):
            answer = await self._client.create_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                ContentType=content_type,
                Metadata=metadata_of(sha256) | self._tags.metadata(key),
            )
        return str(answer["UploadId"])

    async def put_part(self, key: str, upload: str, number: int, content: Sequence[bytes]) -> str:
        """Send part `number`, from 1, in ascending order, given in pieces; its entity tag.

        NotFound where the upload is gone; Conflict where the part is there with other bytes and
        the store cannot replace it.
        """
        place = {"Bucket": self._bucket, "Key": key, "UploadId": upload, "PartNumber": number}
        with translated(key), parts_translated(key):
            etag = await self._writes.put_part(place, content)
            if not etag:
                answer = await self._client.upload_part(**place, Body=b"".join(content))
                etag = str(answer["ETag"])
        return etag

    async def stream_part(
        self, key: str, upload: str, number: int, pieces: AsyncIterator[bytes], length: int
    ) -> str:
        """The same of `length` bytes that are still coming. Raises what `pieces` raises, and then
        nothing was stored."""
        place = {"Bucket": self._bucket, "Key": key, "UploadId": upload, "PartNumber": number}
        with translated(key), parts_translated(key):
            return await self._writes.stream_part(place, pieces, length)

    async def complete_parts(self, key: str, upload: str, etags: list[str]) -> None:
        """Make the blob of the parts; only now is it visible. NotFound where the upload is gone,
        Conflict where the parts are others than these, or too small."""
        parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, start=1)]
        with self._changed(key), parts_translated(key):
            await self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
            )

    async def abort_parts(self, key: str, upload: str) -> None:
        """Give an upload in parts up; no error when it is gone."""
        with translated(key):
            try:
                await self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload
                )
            except ClientError as error:
                if error_code(error) != "NoSuchUpload":
                    raise

    async def abort_all_parts(self, key: str) -> int:
        """Give every upload in parts of this key up; how many there were."""
        with translated(key):
            try:
                answer = await self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=key)
            except ClientError as error:
                # So rclone says that the bucket never had one.
                if error_code(error) == "NoSuchUpload":
                    return 0
                raise
        found = [entry for entry in answer.get("Uploads", []) if entry["Key"] == key]
        for entry in found:
            await self.abort_parts(key, entry["UploadId"])
        return len(found)


def _range_header(wanted: WantedRange) -> str:
    # A suffix range is answered wrongly by some servers: `first` is always known here.
    assert wanted.first is not None
    return f"bytes={wanted.first}-{'' if wanted.last is None else wanted.last}"


def _unsatisfiable(key: str, size: int) -> RangeNotSatisfiable:
    return RangeNotSatisfiable(f"The range is not within the {size} bytes of {key!r}.", size)
