"""The numbered migrations of each service."""

from pathlib import Path

import pytest
from tests.support import databases

from hsis.service.postgres import migrate
from hsis.service.provision import SCHEMAS
from hsis.service.settings import DatabaseSettings
from hsis_embedded.postgres import Postgres

SERVICES = Path(__file__).resolve().parents[2] / "services"


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_all_are_applied_in_order_and_once(postgres: Postgres, schema: str) -> None:
    made = await databases.create(postgres, f"empty_{schema}", schema)
    settings = DatabaseSettings(token_public_key="", **made)
    package = f"hsis_{schema}"
    scripts = (SERVICES / schema / "src" / package / "migrations").glob("*.sql")
    names = sorted(script.name for script in scripts)
    assert names[0].startswith("0001_")
    assert await migrate(settings, schema, package) == names
    assert await migrate(settings, schema, package) == []
