"""`make bench`: start the embedded default in a folder of its own, measure, and stop it."""

import asyncio
import tempfile
from pathlib import Path

from bench import ingest, spectrum, storage, upload
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
            store = stack.objects
            for part in (storage, upload):
                await part.measure(
                    stack.url, PASSWORD, store.endpoint_url, store.access_key, store.secret_key
                )


if __name__ == "__main__":
    asyncio.run(main())
