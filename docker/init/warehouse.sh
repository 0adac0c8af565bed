#!/bin/bash
# Makes the warehouse's login with the rights of ../rights, and no more. The PostgreSQL image runs it once, when its volume
# is empty. The password comes from the environment, and goes to psql by its input.
set -euo pipefail
text=$(<"${RIGHTS:-/rights}/postgres-loader.sql")
text=${text//<database>/warehouse}
text=${text//<loader>/delsert_loader}
password=${TARGET_PASSWORD//\'/\'\'}
# Unquoted, a & of the password would be what it replaces.
text=${text//<password>/"$password"}
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname warehouse <<<"$text"
