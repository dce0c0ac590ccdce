#!/bin/sh
# Run once by the PostgreSQL image on an empty volume: a role and a database for Prefect, and one for Nightloom's runs.
set -eu
for name in prefect nightloom; do
    psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --set name="$name" --set password="$(cat "/run/secrets/${name}_db_password")" <<'SQL'
create role :"name" login password :'password';
create database :"name" owner :"name";
SQL
done
