"""How what comes in is cut into parts, and the hash of it."""

import asyncio
import threading
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsis_ingest import receiving
from hsis_ingest.digests import Digests
from hsis_ingest.transfer_rows import TransferKind, TransferRow

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("total", "least"),
    [(0, 5 * MIB), (64 * 1024 * MIB, 5 * MIB), (10**12, 5 * MIB), (10_000 * 5 * MIB + 1, 5 * MIB)],
)
def test_what_is_to_come_fits_in_ten_thousand_parts(total: int, least: int):
    stored_bytes = parts = 0
    while total - stored_bytes > (size := receiving.part_size(total, stored_bytes, parts, least)):
        assert size >= least
        stored_bytes, parts = stored_bytes + size, parts + 1
    assert parts + 1 <= 10_000


@given(st.lists(st.binary(max_size=9)), st.data())
def test_pieces_are_taken_in_order(pieces: list[bytes], data: st.DataObject):
    here, left = receiving.Pieces(), b"".join(pieces)
    for piece in pieces:
        here.add(piece)
    while left:
        size = data.draw(st.integers(1, len(left)))
        assert (here.size, here.all()) == (len(left), left)
        assert b"".join(here.take(size)) == left[:size]
        left = left[size:]
    assert (here.size, here.all()) == (0, b"")


async def test_a_hash_is_not_kept_that_a_given_up_part_is_in():
    began, go_on = threading.Event(), threading.Event()

    class SlowHash:
        def update(self, _: bytes) -> None:
            began.set()
            go_on.wait(60)

    class Storage:
        async def put_part(self, *_: Any) -> str:
            await asyncio.Event().wait()
            raise AssertionError("it is cancelled before")

    transfer, digests = uuid.uuid4(), Digests()
    row = TransferRow(
        id=transfer, owner="u", kind=TransferKind.PARTIAL, done=False, upload=None, file=None,
        key="k", length=30 * MIB, received=8 * MIB, parts_upload="p", tail=None, metadata=None,
        concat=None, expires_at=datetime.now(UTC), leased=True, etags=("e",), stored=8 * MIB,
    )  # fmt: skip
    digests.keep(transfer, 8 * MIB, SlowHash())
    receiver = receiving.Receiver(None, Storage(), None, digests, row, uuid.uuid4(), 30 * MIB)
    sending = asyncio.create_task(receiver._put("p", 2, [b"x"], 1, None))
    assert await asyncio.to_thread(began.wait, 5)
    sending.cancel()
    go_on.set()
    await asyncio.gather(sending, return_exceptions=True)
    await receiver.close()
    assert digests.take(transfer, 8 * MIB) is None
