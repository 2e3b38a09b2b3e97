"""What a line of the log tells, and what it does not."""

import json
import logging
import sys

import pytest

from hsis.service.logs import JsonFormatter, PlainFormatter

URL = (
    "http://store:9000/hsis/raw/a?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=key%2F2026"
    "&X-Amz-Expires=3600&X-Amz-Security-Token=token&X-Amz-Signature=b28a"
)


def failed() -> logging.LogRecord:
    """The record of an error that tells a presigned URL, as aiohttp's do."""
    try:
        raise TimeoutError(f"no answer from {URL}")
    except TimeoutError:
        return logging.LogRecord(
            "a", logging.ERROR, "a.py", 1, "asked for %s", (URL,), sys.exc_info()
        )


@pytest.mark.parametrize("formatter", [JsonFormatter("catalog"), PlainFormatter("catalog")])
def test_no_signature_of_a_url_is_told(formatter: logging.Formatter) -> None:
    line = formatter.format(failed())
    assert line.count("X-Amz-Credential=***&X-Amz-Expires=3600") == 2
    assert line.count("X-Amz-Security-Token=***&X-Amz-Signature=***") == 2
    assert "b28a" not in line
    assert "key%2F2026" not in line


def test_the_line_is_json_with_its_traceback() -> None:
    line = json.loads(JsonFormatter("catalog").format(failed()))
    assert (line["service"], line["level"]) == ("catalog", "ERROR")
    assert line["exception"].endswith("X-Amz-Signature=***")
