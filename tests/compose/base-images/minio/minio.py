#!/usr/bin/env python3
"""MinIO's command line over `rclone serve s3`: `minio server FOLDER --console-address :9001`.

Caddy answers on port 9000: what begins with `/minio/` goes to this process (health, and what the
stand-in of `mc` asks for), all else to rclone. Users are kept in the folder. As with MinIO a user
may do nothing until a policy is attached to it; what the policy says is not looked at.
"""

import argparse
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

S3_PORT, RCLONE_PORT, ADMIN_PORT = 9000, 9002, 9003
UNFINISHED = ".rclone_temp_*"  # objects that a killed rclone was writing
CADDYFILE = f"""
{{
	admin off
	persist_config off
	auto_https off
	skip_install_trust
	log {{
		level ERROR
	}}
}}
http://:{S3_PORT} {{
	reverse_proxy /minio/* 127.0.0.1:{ADMIN_PORT}
	reverse_proxy 127.0.0.1:{RCLONE_PORT} {{
		flush_interval -1
		lb_try_duration 5s
		lb_try_interval 50ms
		transport http {{
			compression off
		}}
	}}
}}
http://CONSOLE {{
	respond "The console of the object store's stand-in: it has none."
}}
"""


class RefusedError(Exception):
    """What was asked for cannot be done; its text is the answer."""


class Store:
    """rclone over the folder, with the keys of root and of every user that has a policy."""

    def __init__(self, folder: Path, root: tuple[str, str]) -> None:
        self.folder = folder
        self.root = root
        self.lock = threading.Lock()
        self.users_file = folder / ".minio.sys.json"
        self.rclone: subprocess.Popen[bytes] | None = None

    def state(self) -> dict[str, Any]:
        """The users (name to secret and policies) and the policies, as they were kept."""
        if not self.users_file.exists():
            return {"users": {}, "policies": {}}
        kept: dict[str, Any] = json.loads(self.users_file.read_text())
        return kept

    def keep(self, state: dict[str, Any]) -> None:
        """Keep it whole or not at all."""
        fresh = self.users_file.with_suffix(".new")
        fresh.write_text(json.dumps(state))
        fresh.replace(self.users_file)

    def start(self) -> None:
        """Start rclone, again if it runs, since it reads its keys at the start."""
        self.stop()
        keys = [self.root] + [
            (name, user["secret"])
            for name, user in self.state()["users"].items()
            if user["policies"]
        ]
        self.rclone = subprocess.Popen(
            [
                "rclone",
                "serve",
                "s3",
                f"--addr=127.0.0.1:{RCLONE_PORT}",
                "--vfs-cache-mode=off",
                "--vfs-read-wait=0s",
                "--buffer-size=0",  # it would read on where one range was asked for
                "--exclude=/.minio.sys.*",
                str(self.folder),
            ],
            env={
                "PATH": os.environ["PATH"],
                "HOME": "/tmp",
                "RCLONE_CONFIG": "/dev/null",
                "RCLONE_LOG_LEVEL": "NOTICE",
                # A list in CSV form.
                "RCLONE_AUTH_KEY": ",".join(f'"{name},{secret}"' for name, secret in keys),
            },
        )

    def stop(self) -> None:
        """End rclone and wait for it."""
        if self.rclone is not None:
            self.rclone.terminate()
            self.rclone.wait()

    def is_live(self) -> bool:
        """Whether rclone takes connections."""
        try:
            socket.create_connection(("127.0.0.1", RCLONE_PORT), timeout=1).close()
        except OSError:
            return False
        return True

    def administer(self, action: str, asked: dict[str, Any]) -> None:
        """Do one of mc's actions; RefusedError says why not."""
        with self.lock:
            state = self.state()
            users, policies = state["users"], state["policies"]
            match action:
                case "info":
                    return
                case "bucket":
                    (self.folder / asked["bucket"]).mkdir(exist_ok=bool(asked["existing"]))
                    return
                case "policy":
                    policies[asked["policy"]] = asked["document"]
                case "user":
                    known = users.setdefault(asked["name"], {"policies": []})
                    if known.get("secret") == asked["secret"]:
                        return
                    known["secret"] = asked["secret"]
                case "attach":
                    if asked["name"] not in users or asked["policy"] not in policies:
                        raise RefusedError("The specified user or policy does not exist.")
                    attached = users[asked["name"]]["policies"]
                    if asked["policy"] in attached:
                        raise RefusedError("The specified policy change is already in effect.")
                    attached.append(asked["policy"])
                case _:
                    raise RefusedError(f"The stand-in does not know {action}.")
            self.keep(state)
            if action in {"user", "attach"}:
                self.start()


def handler(store: Store) -> type[BaseHTTPRequestHandler]:
    """The HTTP side: health, and administration by who knows root's keys."""

    class Administration(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """`/minio/health/live`, `ready` and `cluster`."""
            found = self.path.startswith("/minio/health/")
            self.answer((200 if store.is_live() else 503) if found else 404)

        def do_HEAD(self) -> None:
            """The same without a body: none of the answers to GET has one."""
            self.do_GET()

        def do_POST(self) -> None:
            """`/minio/stand-in/ACTION` with root's keys and the action's parameters, as JSON."""
            length = int(self.headers.get("Content-Length", 0))
            asked = json.loads(self.rfile.read(length))
            if not hmac.compare_digest("\n".join(store.root), "\n".join(asked["root"])):
                self.answer(403, "The access key ID or the secret is wrong.")
                return
            try:
                store.administer(self.path.rpartition("/")[2], asked)
            except RefusedError as refused:
                self.answer(409, str(refused))
            except FileExistsError:
                self.answer(409, "Your previous request to create the bucket succeeded already.")
            else:
                self.answer(200)

        def answer(self, status: int, text: str = "") -> None:
            """Answer with a short text."""
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Health checks come every few seconds and are not worth a line."""

    return Administration


def secret(name: str, default: str) -> str:
    """A variable's value, or that of the file that it names."""
    file = os.environ.get(f"{name}_FILE")
    return Path(file).read_text().strip() if file else os.environ.get(name, default)


def main() -> int:
    """Serve until told to end; 1 if one of the parts ends by itself."""
    parser = argparse.ArgumentParser(prog="minio")
    parser.add_argument("command", choices=["server"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--console-address", default=":9001")
    arguments = parser.parse_args()
    root = (
        secret("MINIO_ROOT_USER", "minioadmin"),
        secret("MINIO_ROOT_PASSWORD", "minioadmin"),
    )
    for leftover in arguments.folder.rglob(UNFINISHED):
        leftover.unlink()

    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    store = Store(arguments.folder, root)
    store.start()
    server = ThreadingHTTPServer(("127.0.0.1", ADMIN_PORT), handler(store))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    caddyfile = Path("/tmp/Caddyfile")
    caddyfile.write_text(CADDYFILE.replace("CONSOLE", arguments.console_address))
    edge = subprocess.Popen(
        ["caddy", "run", "--config", str(caddyfile), "--adapter", "caddyfile"],
        env={"PATH": os.environ["PATH"], "HOME": "/tmp"},
    )
    failed = False
    while not ending.wait(0.5) and not failed:
        with store.lock:
            failed = edge.poll() is not None or (
                store.rclone is not None and store.rclone.poll() is not None
            )
    edge.terminate()
    edge.wait()
    store.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
