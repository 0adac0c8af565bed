"""Prints the connections for `airflow connections import`: the tasks take only logins and passwords from them."""

import json
import os

env = os.environ
print(
    json.dumps(
        {
            "delsert_source": {
                "conn_type": "generic",
                "host": "sqlserver",
                "port": 1433,
                "schema": "shop",
                "login": "delsert_reader",
                "password": env["MSSQL_PASSWORD"],
            },
            "delsert_target": {
                "conn_type": "generic",
                "host": "warehouse",
                "port": 5432,
                "schema": "warehouse",
                "login": "delsert_loader",
                "password": env["TARGET_PASSWORD"],
            },
            "delsert_bucket": {
                "conn_type": "generic",
                "host": "rustfs",
                "port": 9000,
                "login": env["AWS_ACCESS_KEY_ID"],
                "password": env["AWS_SECRET_ACCESS_KEY"],
            },
        }
    )
)
