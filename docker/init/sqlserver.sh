#!/bin/bash
# Fills SQL Server: the sample shop, then the two logins with the rights of ../rights, and no more. Runs in the server's own
# image, beside the server; again does no harm.
set -euo pipefail
init=${INIT:-/init} rights=${RIGHTS:-/rights}
umask 077
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Runs a script of ../rights with its placeholders filled; a ' in quotes is doubled. Unquoted, a & of the password would be
# what it replaces.
grant() {
    local text password=${3//\'/\'\'}
    text=$(<"$rights/$1")
    text=${text//<database>/shop}
    text=${text//<schema>/$2}
    text=${text//<admin>/delsert_admin}
    text=${text//<reader>/delsert_reader}
    text=${text//<password>/"$password"}
    printf '%s\nGO\n' "$text" >"$folder/$1"
    "$init/sql.sh" "$folder/$1"
}

"$init/sql.sh" "$init/shop.sql"
grant sqlserver-admin.sql - "$MSSQL_ADMIN_PASSWORD"
for schema in Sales Catalog; do
    grant sqlserver-reader.sql "$schema" "$MSSQL_PASSWORD"
done
echo "The shop is filled; delsert_admin and delsert_reader may log in."
