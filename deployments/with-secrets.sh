#!/bin/sh
# Runs a command with secrets from files: for each NAME_FILE=path in the environment, NAME is set to what the file holds.
# Secrets then stand neither in docker-compose.yml nor in `docker inspect`.
set -eu
for entry in $(env | grep -E "^[A-Z_]+_FILE=${SECRETS:-/run/secrets}/" || true); do
    name=${entry%%=*}
    export "${name%_FILE}=$(cat "${entry#*=}")"
    unset "$name"
done
exec "$@"
