#!/bin/bash
# Runs a file of T-SQL as sa, in the container of SQL Server or beside it: /init/sql.sh /init/change.sql
# The password comes from the environment, so that no argument shows it.
set -euo pipefail
export SQLCMDPASSWORD=$MSSQL_SA_PASSWORD
# -b: an error ends it; -x: $(…) is text; -C: the container's certificate is its own; -f: the file is UTF-8.
exec "${SQLCMD:-/opt/mssql-tools18/bin/sqlcmd}" -S "${MSSQL_HOST:-localhost}" -U sa -C -b -x -f 65001 -i "$1"
