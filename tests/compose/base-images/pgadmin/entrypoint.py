"""Does what the official image's entry point does with its variables, then starts gunicorn.

PGADMIN_DEFAULT_EMAIL and PGADMIN_DEFAULT_PASSWORD (or …_FILE) make the first user at the first
start, and PGADMIN_SERVER_JSON_FILE names the servers that it finds there. PGADMIN_CONFIG_NAME=VALUE
variables go to config_distro.py while that file is empty; with a read-only root it stays empty,
and PGADMIN_CUSTOM_CONFIG_DISTRO_FILE names another that is ready-made. Mail and TLS are not in the
stand-in.
"""

import os
import subprocess
import sys
from pathlib import Path

HOME = Path("/pgadmin4")
DATABASE = Path("/var/lib/pgadmin/pgadmin4.db")
PREFIX = "PGADMIN_CONFIG_"
CONFIGURATION = "LOG_FILE = '/dev/null'\nCA_FILE = '/etc/ssl/certs/ca-certificates.crt'\n"


def configure(environment: dict[str, str]) -> None:
    """Say where config_distro.py is, and fill it if it is empty."""
    default = str(HOME / "config_distro.py")
    path = Path(environment.get("PGADMIN_CUSTOM_CONFIG_DISTRO_FILE", default))
    environment["CONFIG_DISTRO_FILE_PATH"] = str(path)
    if not path.exists() or path.stat().st_size:
        return
    settings = {
        name.removeprefix(PREFIX): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
    lines = [f"{name} = {value}\n" for name, value in settings.items()]
    try:
        path.write_text(CONFIGURATION + "".join(lines))
    except OSError as error:
        # The official one goes on too, and without these settings.
        sys.stderr.write(f"{path} stays empty: {error}\n")


def first_start(environment: dict[str, str]) -> None:
    """Make pgAdmin's database with its first user and the servers it is to see."""
    email = environment.get("PGADMIN_DEFAULT_EMAIL")
    password = environment.get("PGADMIN_DEFAULT_PASSWORD")
    file = environment.get("PGADMIN_DEFAULT_PASSWORD_FILE")
    if file and password:
        sys.exit("both PGADMIN_DEFAULT_PASSWORD and PGADMIN_DEFAULT_PASSWORD_FILE are set")
    if file:
        password = Path(file).read_text().strip()
    if not email or not password:
        sys.exit("PGADMIN_DEFAULT_EMAIL and PGADMIN_DEFAULT_PASSWORD (or _FILE) are needed")
    # Not as pgadmin.utils.validation_utils: that would import pgAdmin, which is not set up yet.
    valid = (
        "import sys; from validation_utils import validate_email as v; print(v(sys.argv[1],"
        " {'CHECK_EMAIL_DELIVERABILITY': False, 'ALLOW_SPECIAL_EMAIL_DOMAINS': [],"
        " 'GLOBALLY_DELIVERABLE': True}))"
    )
    answered = subprocess.run(
        [sys.executable, "-c", valid, email],
        cwd=HOME / "pgadmin/utils",
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    if answered.stdout.strip() != "True":
        sys.exit(f"{email!r} does not appear to be a valid email address")
    setup = {**environment, "PGADMIN_SETUP_EMAIL": email, "PGADMIN_SETUP_PASSWORD": password}
    subprocess.run([sys.executable, str(HOME / "run_pgadmin.py")], env=setup, check=True)
    servers = environment.get("PGADMIN_SERVER_JSON_FILE", str(HOME / "servers.json"))
    if Path(servers).exists():
        subprocess.run(
            [sys.executable, str(HOME / "setup.py"), "load-servers", servers, "--user", email],
            env=environment,
            check=True,
        )


def main() -> None:
    """Configure, make the database if there is none, and become gunicorn."""
    environment = dict(os.environ)
    configure(environment)
    if not DATABASE.exists():
        first_start(environment)
    address = environment.get("PGADMIN_LISTEN_ADDRESS", "0.0.0.0")
    port = environment.get("PGADMIN_LISTEN_PORT", "80")
    command = [
        *("/venv/bin/gunicorn", "--bind", f"{address}:{port}", "--workers", "1"),
        *("--threads", environment.get("GUNICORN_THREADS", "25")),
        *("--worker-tmp-dir", "/dev/shm"),
        *("--access-logfile", environment.get("GUNICORN_ACCESS_LOGFILE", "-")),
        "run_pgadmin:app",
    ]
    os.chdir(HOME)
    os.execve(command[0], command, environment)


if __name__ == "__main__":
    main()
