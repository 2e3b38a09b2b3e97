"""Client of inference's processing API (OGC API Processes)."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from urllib.parse import quote

from hsis.clients.base import OUTAGE_S, BaseClient, patiently
from hsis.contracts.jobs import JobInfo

POLL_S = 0.5


class ProcessingClient(BaseClient):
    """Runs processes and follows their jobs."""

    async def processes(self, *, token: str | None = None) -> list[dict[str, Any]]:
        """Summaries of the processes on offer."""
        response = await self._request("GET", "/processing/processes", token=token)
        found: list[dict[str, Any]] = response.json()["processes"]
        return found

    async def execute(
        self, process: str, inputs: dict[str, Any], *, token: str | None = None
    ) -> JobInfo:
        """Start a job; InvalidInput says which input is wrong and what would be right."""
        response = await self._request(
            "POST",
            f"/processing/processes/{quote(process, safe='')}/execution",
            json={"inputs": inputs},
            headers={"Prefer": "respond-async"},
            token=token,
        )
        return JobInfo.model_validate_json(response.content)

    async def job(self, job: str, *, token: str | None = None) -> JobInfo:
        """Where a job stands."""
        response = await self._request("GET", f"/processing/jobs/{job}", token=token)
        return JobInfo.model_validate_json(response.content)

    async def results(self, job: str, *, token: str | None = None) -> dict[str, Any]:
        """The outputs of a successful job by name."""
        response = await self._request("GET", f"/processing/jobs/{job}/results", token=token)
        return dict(response.json())

    async def dismiss(self, job: str, *, token: str | None = None) -> JobInfo:
        """Cancel a job that runs, or forget one that ended."""
        response = await self._request("DELETE", f"/processing/jobs/{job}", token=token)
        return JobInfo.model_validate_json(response.content)

    async def wait(self, job: str, *, token: str | None = None) -> AsyncIterator[JobInfo]:
        """The job's states, about two a second, until it ended (the last one).

        Unavailable only where nothing answers for OUTAGE_S: it goes on without being watched.
        """
        while True:
            current = await patiently(partial(self.job, job, token=token), OUTAGE_S)
            yield current
            if current.status.final:
                return
            await asyncio.sleep(POLL_S)
