"""A container's health check: ends with 0 when the service in it says that it is ready.

`python -m hsis.service.probe`; HSIS_PROBE_PATH is asked (default `/readyz`; `/livez` where a
restart is the answer to a failed check) at HSIS_PROBE_HOST and HSIS_PROBE_PORT (default 127.0.0.1,
8000). It imports nothing heavy, since it runs every few seconds.
"""

import http.client
import os
import sys

TIMEOUT_S = 4.0


def probe(host: str, port: int, path: str) -> int:
    """0 where the service there answers 200, else 1."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        print(answer.read(2000).decode(errors="replace"))
    except OSError as error:
        print(f"no answer: {error}")
        return 1
    finally:
        connection.close()
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(
        probe(
            os.environ.get("HSIS_PROBE_HOST", "127.0.0.1"),
            int(os.environ.get("HSIS_PROBE_PORT", "8000")),
            os.environ.get("HSIS_PROBE_PATH", "/readyz"),
        )
    )
