"""The README states every setting, with its default."""

import importlib
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

README = Path(__file__).resolve().parents[1] / "README.md"
SERVICES = ("catalog", "ingest", "storage_proxy", "tiles", "inference", "web")


def rows() -> dict[str, str]:
    """The default of each setting as the README's table has it."""
    found = {}
    for line in README.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `HSIS_") and len(cells) >= 4:
            found[cells[0].strip("`")] = cells[2].strip("`")
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_is_in_the_table_with_its_default(service: str) -> None:
    settings = importlib.import_module(f"hsis_{service}.settings").Settings
    table = rows()
    for name, field in settings.model_fields.items():
        setting = f"HSIS_{name.upper()}"
        assert setting in table, f"{setting} of {service} is not in the README"
        default = field.default
        if default is PydanticUndefined:
            assert table[setting] in {"required", "secret"}, setting
        elif default is None or isinstance(default, SecretStr):
            assert table[setting] in {"none", "secret"}, setting
        elif name != "database_user":
            assert table[setting] == str(default), setting
