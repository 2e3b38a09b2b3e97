"""Applies a service's migrations and ends: `python -m hsis.service.migrate catalog`.

For installations where a job does it once before the service starts (HSIS_MIGRATE_AT_START=false).
"""

import asyncio
import sys

from hsis.service.logs import configure_logging
from hsis.service.postgres import migrate
from hsis.service.settings import DatabaseSettings


class MigrationSettings(DatabaseSettings):
    """What reaching the database takes, and no more."""

    token_public_key: str = ""


def main(schema: str) -> None:
    """Migrate the schema of that name, which its service's package describes."""
    settings = MigrationSettings(database_user=f"hsis_{schema}")
    configure_logging(f"migrate-{schema}", settings.log_level, settings.log_format)
    applied = asyncio.run(migrate(settings, schema, f"hsis_{schema}"))
    print(f"{schema}: {len(applied)} migrations applied")


if __name__ == "__main__":
    main(sys.argv[1])
