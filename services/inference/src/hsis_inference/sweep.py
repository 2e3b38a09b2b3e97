"""Removing what jobs without a result have stored, once no worker writes for them any more."""

import asyncio
import logging
import uuid

import asyncpg

from hsis.clients.catalog import CatalogClient
from hsis.clients.storage import StorageClient
from hsis.contracts.blobs import item_prefix
from hsis.errors import NotFound
from hsis.service.postgres import autocommit, transaction
from hsis_inference.jobs import JobState
from hsis_inference.publication import JOB_PROPERTY, holder_of
from hsis_inference.repository import jobs

logger = logging.getLogger(__name__)

TIMEOUT_S = jobs.SWEEP_LEASE_S / 2
"""Well before the lease of a sweep ends: a late removal could meet another job's objects."""


async def sweep_one(
    pool: asyncpg.Pool, catalog: CatalogClient, storage: StorageClient
) -> JobState | None:
    """Clean up after one job; None where there is none to clean up after."""
    token = uuid.uuid4()
    async with autocommit(pool) as connection:
        job = await jobs.claim_sweep(connection, token)
    if job is None:
        return None
    async with asyncio.timeout(TIMEOUT_S):
        await _remove(job, catalog, storage)
    async with transaction(pool) as connection:
        await jobs.finish_sweep(connection, job.id, token)
    return job


async def _remove(job: JobState, catalog: CatalogClient, storage: StorageClient) -> None:
    try:
        item = await catalog.item(job.collection, job.result_item)
    except NotFound:
        item = None
    if item is not None:
        if item["properties"].get(JOB_PROPERTY) != str(job.id):
            logger.warning("the prefix is another item's by now", extra={"job": str(job.id)})
            return
        # The job was dismissed between registering its item and saying that it ended.
        await catalog.delete_item(job.collection, job.result_item)
    removed = await storage.delete_prefix(item_prefix(job.collection, job.result_item))
    await catalog.release(job.collection, job.result_item, holder_of(job.id))
    logger.info("swept", extra={"job": str(job.id), "objects": removed})
