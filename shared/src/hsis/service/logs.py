"""One JSON object a log line, each with the request id that travels through every hop."""

import json
import logging
import re
import sys
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

REQUEST_ID_HEADER = "X-Request-ID"
_SIGNATURE = re.compile(r"(X-Amz-(?:Credential|Signature|Security-Token)=)[^&\s'\"\\]+")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def without_signatures(text: str) -> str:
    """The text without what signs an S3 URL: HTTP clients tell of errors with the whole URL, which
    anyone could use as long as it is valid."""
    return _SIGNATURE.sub(r"\1***", text)


def new_request_id() -> str:
    """A fresh id, for a request or a job step that came with none."""
    return uuid.uuid4().hex


class PlainFormatter(logging.Formatter):
    """The level, the service, the logger and the message, for people."""

    def __init__(self, service: str) -> None:
        super().__init__(f"%(levelname)s {service} %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The lines for one record."""
        return without_signatures(super().format(record))


class JsonFormatter(logging.Formatter):
    """Renders a record as one line of JSON; `extra=` fields become members."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The line for one record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return without_signatures(json.dumps(line, default=str))


def configure_logging(service: str, level: str, log_format: str = "json") -> None:
    """Send every logger of the process to stderr in one form."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(JsonFormatter(service))
    else:
        handler.setFormatter(PlainFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("botocore").setLevel(logging.WARNING)
