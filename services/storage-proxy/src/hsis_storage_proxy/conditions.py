"""Conditional requests (RFC 9110, section 13): entity tags are strong, times are in seconds."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Self

from starlette.datastructures import Headers

from hsis.contracts.blobs import Blob
from hsis.service.entity_tags import names
from hsis_storage_proxy.errors import PreconditionFailed

_FIELDS = {
    b"if-match": "if_match",
    b"if-none-match": "if_none_match",
    b"if-modified-since": "if_modified_since",
    b"if-unmodified-since": "if_unmodified_since",
    b"if-range": "if_range",
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """The headers of a request that depend on what is stored; None where absent."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_unmodified_since: str | None = None
    if_range: str | None = None

    @classmethod
    def of(cls, headers: Headers) -> Self:
        """Those of a request. A list may come in several lines, which count as one."""
        found: dict[str, str] = {}
        for name, value in headers.raw:
            field = _FIELDS.get(name)
            if field is not None:
                text = value.decode("latin-1")
                found[field] = f"{found[field]}, {text}" if field in found else text
        return cls(**found)

    def __bool__(self) -> bool:
        return self != Conditions()

    def not_modified(self, blob: Blob) -> bool:
        """Whether a reader has this blob already (304); PreconditionFailed for 412."""
        self._require_match(blob)
        if self.if_none_match is not None:
            return names(self.if_none_match, blob.etag, weak=True)
        since = _seconds(self.if_modified_since)
        return since is not None and blob.last_modified is not None and _whole(blob) <= since

    def require_for_change(self, blob: Blob | None) -> None:
        """PreconditionFailed where what is stored (None: nothing) may not be changed."""
        if blob is None:
            if self.if_match is not None:
                raise PreconditionFailed("If-Match: there is no such blob.")
            return
        self._require_match(blob)
        if self.if_none_match is not None and names(self.if_none_match, blob.etag, weak=True):
            raise PreconditionFailed(f"If-None-Match: the blob exists with the ETag {blob.etag}.")

    def range_applies(self, blob: Blob) -> bool:
        """Whether a Range is to be obeyed: no If-Range, or one that names what is stored."""
        if self.if_range is None:
            return True
        if self.if_range.startswith(('"', "W/")):
            return self.if_range.strip() == blob.etag
        since = _seconds(self.if_range)
        if since is None or blob.last_modified is None:
            return False
        # A time is a strong validator only when nothing can still change within that second.
        return _whole(blob) == since and (datetime.now(UTC) - since).total_seconds() > 1

    def _require_match(self, blob: Blob) -> None:
        if self.if_match is not None:
            if not names(self.if_match, blob.etag, weak=False):
                raise PreconditionFailed(f"If-Match: the blob's ETag is {blob.etag}.")
            return
        since = _seconds(self.if_unmodified_since)
        if since is not None and blob.last_modified is not None and _whole(blob) > since:
            raise PreconditionFailed(
                f"If-Unmodified-Since: the blob changed at {http_date(blob.last_modified)}."
            )


def http_date(moment: datetime) -> str:
    """A time as HTTP writes it, without fractions of a second."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def _whole(blob: Blob) -> datetime:
    assert blob.last_modified is not None
    return blob.last_modified.astimezone(UTC).replace(microsecond=0)


def _seconds(value: str | None) -> datetime | None:
    """The time in a header; None where absent or not a time, which RFC 9110 ignores."""
    if value is None:
        return None
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # also a time outside of the years 1 to 9999
        return None
