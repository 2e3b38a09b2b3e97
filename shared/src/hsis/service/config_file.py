"""Settings from the YAML file that HSIS_CONFIG names.

Its sections are `all`, for what every service has, and one a service; a key is a setting's name in
lower case without its prefix:

    all:
      log_level: DEBUG
    ingest:
      conversion_threads: 4
"""

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

SERVICES = ("catalog", "ingest", "storage-proxy", "tiles", "inference", "web")
COMMON = "all"


class ConfigError(ValueError):
    """The file cannot be used; says which file and which key."""


class ConfigFileSource(PydanticBaseSettingsSource):
    """The part of the file that is for one service: `all`, overridden by the service's section.

    `common` are the names allowed in `all`. Raises ConfigError for a section or a key that does
    not exist, in whichever section that this service can judge.
    """

    def __init__(
        self, settings_cls: type[BaseSettings], service: str, common: frozenset[str]
    ) -> None:
        super().__init__(settings_cls)
        self._service = service
        self._common = common

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value of one field (None where the file has none), its key, and that it is whole."""
        return self().get(field_name), field_name, field.annotation is None

    def __call__(self) -> dict[str, Any]:
        """The values by field name; none where no file is named."""
        named = os.environ.get("HSIS_CONFIG")
        if not named:
            return {}
        sections = _sections(Path(named))
        common = _section(named, sections, COMMON, self._common)
        own = _section(named, sections, self._service, frozenset(self.settings_cls.model_fields))
        known = self.settings_cls.model_fields
        return {key: value for key, value in (common | own).items() if key in known}


def _sections(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"HSIS_CONFIG: {path} cannot be read ({error.strerror}).") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if document is None:
        return {}
    sections = (COMMON, *SERVICES)
    if not isinstance(document, dict):
        raise ConfigError(f"{path} must hold sections ({', '.join(sections)}).")
    for name in document:
        if name not in sections:
            raise ConfigError(
                f"{path} has no use for the section {name!r}{_hint(name, sections)}; "
                f"the sections are {', '.join(sections)}."
            )
    return document


def _section(
    path: str, sections: dict[str, Any], name: str, known: frozenset[str]
) -> dict[str, Any]:
    section = sections.get(name)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise ConfigError(f"{path}: the section {name} must hold `setting: value` lines.")
    for key in section:
        if key not in known:
            raise ConfigError(
                f"{path}: {name}.{key} is not a setting{_hint(key, sorted(known))}. "
                "The README lists them all."
            )
    return section


def _hint(word: object, known: list[str] | tuple[str, ...]) -> str:
    close = get_close_matches(str(word), known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
