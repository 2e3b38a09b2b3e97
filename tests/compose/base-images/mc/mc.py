#!/usr/bin/env python3
"""The commands of MinIO's `mc` that make a bucket and a user for it, against the stand-in of MinIO.

    mc alias set ALIAS URL [ACCESS SECRET]            mc mb [-p | --ignore-existing] ALIAS/BUCKET
    mc admin user add ALIAS [ACCESS SECRET]           mc admin policy create ALIAS POLICY FILE
    mc admin policy attach ALIAS POLICY --user NAME

Keys that are not on the command line are read from standard input, a line each. The answers go to
standard error and the exit status is 1 where the server refuses, as with the real one.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

TIMEOUT_S = 30


def configuration() -> Path:
    """The file that keeps the aliases."""
    folder = os.environ.get("MC_CONFIG_DIR") or Path.home() / ".mc"
    return Path(folder) / "config.json"


def aliases() -> dict[str, dict[str, list[str]]]:
    """Every alias with its `at` (a URL) and `root` (access key, secret)."""
    file = configuration()
    kept: dict[str, dict[str, list[str]]] = json.loads(file.read_text()) if file.exists() else {}
    return kept


def ask(alias: str, action: str, **parameters: object) -> None:
    """Ask the stand-in's server as root; leave with its refusal."""
    known = aliases().get(alias)
    if known is None:
        sys.exit(f"mc: <ERROR> no alias {alias}")
    body = json.dumps({"root": known["root"], **parameters}).encode()
    try:
        urllib.request.urlopen(
            f"{known['at'][0]}/minio/stand-in/{action}", data=body, timeout=TIMEOUT_S
        ).close()
    except urllib.error.HTTPError as refused:
        sys.exit(f"mc: <ERROR> {refused.read().decode()}")
    except OSError as error:
        sys.exit(f"mc: <ERROR> {error}")


def keys(given: list[str]) -> list[str]:
    """Access key and secret, from the arguments or standard input."""
    return given if len(given) == 2 else [sys.stdin.readline().strip() for _ in range(2)]


def set_alias(alias: str, url: str, given: list[str]) -> None:
    """Keep an alias, once the server has taken its keys."""
    file = configuration()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = aliases()
    file.touch(mode=0o600)
    file.write_text(json.dumps({**before, alias: {"at": [url.rstrip("/")], "root": keys(given)}}))
    ask(alias, "info")


def main(arguments: list[str]) -> None:
    """One command."""
    flags = {word for word in arguments if word.startswith("-")}
    match [word for word in arguments if not word.startswith("-")]:
        case ["alias", "set", alias, url, *given]:
            set_alias(alias, url, given)
        case ["mb", target]:
            alias, _, bucket = target.partition("/")
            existing = bool(flags & {"-p", "--ignore-existing"})
            ask(alias, "bucket", bucket=bucket, existing=existing)
        case ["admin", "user", "add", alias, *given]:
            name, secret = keys(given)
            ask(alias, "user", name=name, secret=secret)
        case ["admin", "policy", "create", alias, policy, file]:
            ask(alias, "policy", policy=policy, document=json.loads(Path(file).read_text()))
        case ["admin", "policy", "attach", alias, policy, name] if "--user" in flags:
            ask(alias, "attach", policy=policy, name=name)
        case _:
            sys.exit(f"mc: the stand-in does not know: {' '.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[1:])
