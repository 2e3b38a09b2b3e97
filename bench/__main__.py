"""`make bench`: start the embedded default in a folder of its own, measure, and stop it."""

import asyncio
import tempfile
from pathlib import Path

from bench import conversion, ingest, spectrum, storage, upload
from bench.store import direct_store
from hsis_embedded.readiness import free_port
from hsis_embedded.settings import EmbeddedSettings
from hsis_embedded.stack import Stack

PROJECT = Path(__file__).resolve().parents[1]
PASSWORD = "password-of-the-bench"  # noqa: S105 - of an installation that ends with the run


async def main() -> None:
    """Run every measurement and print its lines."""
    with tempfile.TemporaryDirectory(prefix="hsis-bench-") as folder:
        settings = EmbeddedSettings(
            home=Path(folder) / "home",
            port=free_port(),
            admin_password=PASSWORD,
            caddyfile=PROJECT / "compose" / "Caddyfile",
            node_modules=PROJECT / "services" / "web" / "node_modules",
        )
        with Stack(settings) as stack:
            await stack.start()
            process = stack.supervisor.pid("ingest")
            cube = await ingest.measure(stack.url, PASSWORD, Path(folder), process)
            await spectrum.measure(stack.url, PASSWORD, cube)
            objects = stack.objects
            async with direct_store(
                objects.endpoint_url, objects.access_key, objects.secret_key
            ) as store:
                await storage.measure(
                    stack.url, PASSWORD, store, stack.service_url("storage-proxy")
                )
                await upload.measure(stack.url, PASSWORD, store)
                await conversion.measure(stack.url, PASSWORD, Path(folder), process, store)


if __name__ == "__main__":
    asyncio.run(main())
