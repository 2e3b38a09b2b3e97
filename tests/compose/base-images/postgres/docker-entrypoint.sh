#!/bin/bash
# Does what the official image's entry point does at the first start: the cluster, its superuser and
# database from the variables POSTGRES_…, then the files of /docker-entrypoint-initdb.d.
set -Eeuo pipefail

# The value of a variable, or of the file that VARIABLE_FILE names.
setting() {
  local file="${1}_FILE"
  if [ -n "${!1:-}" ] && [ -n "${!file:-}" ]; then
    echo "error: both $1 and $file are set" >&2
    exit 1
  fi
  if [ -n "${!file:-}" ]; then cat "${!file}"; else printf '%s' "${!1:-${2:-}}"; fi
}

initialise() {
  local user password database arguments
  user=$(setting POSTGRES_USER postgres)
  password=$(setting POSTGRES_PASSWORD)
  database=$(setting POSTGRES_DB "$user")
  arguments=$(setting POSTGRES_INITDB_ARGS)
  if [ -z "$password" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
    echo "error: the superuser has no password; set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE" >&2
    exit 1
  fi
  # Clients look for the socket where the wheel was built to put it, others where Debian does.
  # $arguments are words of a command line.
  # shellcheck disable=SC2086
  initdb --username="$user" --pwfile=<(printf '%s\n' "$password") --encoding=UTF8 \
    --set=unix_socket_directories='/var/run/postgresql, /tmp' \
    --locale-provider=builtin --locale=C.UTF-8 $arguments
  printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" \
    >> "$PGDATA/pg_hba.conf"

  export PGUSER="$user" PGPASSWORD="$password" PGHOST=/var/run/postgresql
  pg_ctl --wait --options "-c listen_addresses=''" start
  if [ "$database" != postgres ]; then createdb --maintenance-db=postgres "$database"; fi
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) echo "running $file"; if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
      *.sql) echo "running $file"
        psql --set=ON_ERROR_STOP=1 --no-password --no-psqlrc --dbname="$database" --file="$file" ;;
    esac
  done
  pg_ctl --wait --mode=fast stop
  unset PGUSER PGPASSWORD PGHOST
}

if [ "${1:0:1}" = "-" ]; then set -- postgres "$@"; fi
if [ "$1" = postgres ]; then
  if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /var/run/postgresql
    chown -R postgres "$PGDATA" /var/run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
  fi
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA"
  if [ ! -s "$PGDATA/PG_VERSION" ]; then initialise; fi
fi
exec "$@"
