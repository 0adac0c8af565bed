"""A shop to be synced: the three ends, what happens in the source, and whether the warehouse is equal to it."""

import os
from contextlib import closing, contextmanager

import pymssql

import servers

# Looked for in all that Airflow stores: they must not be there.
SOURCE_PASSWORD = "Canary-Source-7391"
TARGET_PASSWORD = "canary-target-7392"
ACCESS_KEY = "shop-access-key"
SECRET_KEY = "canary-bucket-7393"
CANARIES = (SOURCE_PASSWORD, TARGET_PASSWORD, SECRET_KEY)

TABLES = {"Sales.Customers": "CustomerID", "Sales.Orders": "OrderID", "Sales.OrderLines": "OrderID, Line"}

SQL = """
CREATE TABLE Sales.Customers (CustomerID int NOT NULL PRIMARY KEY, Name nvarchar(60) NOT NULL,
    Credit decimal(12, 2) NULL);
CREATE TABLE Sales.Orders (OrderID bigint NOT NULL PRIMARY KEY, CustomerID int NOT NULL, Ordered date NULL);
CREATE TABLE Sales.OrderLines (OrderID bigint NOT NULL, Line smallint NOT NULL, Quantity decimal(9, 3) NOT NULL,
    CONSTRAINT PK_OrderLines PRIMARY KEY (OrderID, Line));
INSERT INTO Sales.Customers VALUES (1, N'Ada', 1000.00), (2, N'Grace', NULL), (3, N'Łukasiewicz', -0.01);
INSERT INTO Sales.Orders VALUES (10, 1, '2024-03-01'), (11, 1, NULL), (12, 2, '2024-03-03');
INSERT INTO Sales.OrderLines VALUES (10, 1, 2.000), (10, 2, 0.125), (11, 1, 1.000), (12, 1, 100.500);
"""

CONFIG = """
[sync]
name = "shop"

[source]
engine = "sqlserver"
host = "127.0.0.1"
port = {source_port}
database = "shop"
user = "sa"
password = "${{MSSQL_PASSWORD}}"
encrypt = "required"
trust_server_certificate = true
# A deadlock is for Airflow's retries here.
retries = 0
include = ["Sales.*"]

[bucket]
name = "shop"
region = "us-east-1"
endpoint = "http://127.0.0.1:{bucket_port}"
path_style = true

[target]
engine = "postgres"
host = "127.0.0.1"
port = {target_port}
database = "warehouse"
user = "loader"
password = "${{TARGET_PASSWORD}}"
tls = "disable"
"""


class Shop:
    """A source, a bucket, a warehouse, and a configuration that names them."""

    def __init__(self, folder, postgres):
        self.folder, self.postgres = folder, postgres
        standin = servers.BINARIES / "standin"
        environment = {"PATH": os.environ["PATH"], "TMPDIR": str(folder)}
        source = [standin, "sqlserver", "--listen", "127.0.0.1:0", "--user", "sa", "--password", SOURCE_PASSWORD]
        source += ["--database", "shop", "--capture-interval", "50ms"]
        self.source = servers.Server(folder, "source", source, environment)
        bucket = [standin, "s3", "--listen", "127.0.0.1:0", "--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]
        self.bucket = servers.Server(folder, "bucket", bucket, environment)
        self.source_port = int(self.source.wait_for("ready 127.0.0.1:"))
        bucket_port = int(self.bucket.wait_for("ready 127.0.0.1:"))
        postgres.create("warehouse", "loader", TARGET_PASSWORD)
        self.config = folder / "con_defs.toml"
        self.config.write_text(
            CONFIG.format(source_port=self.source_port, bucket_port=bucket_port, target_port=postgres.port)
        )
        self.sql("CREATE SCHEMA Sales")
        self.sql(SQL)

    def stop(self):
        self.source.stop()
        self.bucket.stop()

    @contextmanager
    def _source(self):
        connection = pymssql.connect(
            server="127.0.0.1",
            port=self.source_port,
            user="sa",
            password=SOURCE_PASSWORD,
            database="shop",
            autocommit=True,
            timeout=120,
            login_timeout=30,
            charset="UTF-8",
            encryption="require",
        )
        with closing(connection), closing(connection.cursor()) as cursor:
            yield cursor

    def sql(self, *statements):
        """Runs statements in the source."""
        with self._source() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def change(self, *statements):
        """Changes the source, and lets the capture job see it."""
        self.sql(*statements)
        self.sql("EXEC sys.sp_cdc_stop_job @job_type = N'capture'", "EXEC sys.sp_cdc_scan")
        self.sql("EXEC sys.sp_cdc_start_job @job_type = N'capture'")

    def warehouse(self, statement):
        """Runs a statement in the warehouse as its owner would by hand."""
        with self.postgres.admin("warehouse") as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else None

    def rows(self, table):
        """A table's rows in the source and in the warehouse, by key."""
        with self._source() as cursor:
            cursor.execute(f"SELECT * FROM {table} ORDER BY {TABLES[table]}")
            source = [tuple(row) for row in cursor.fetchall()]
        return source, self.warehouse(f"SELECT * FROM {table.lower()} ORDER BY {TABLES[table]}")

    def differing(self):
        """The tables in which source and warehouse differ."""
        return [table for table in TABLES if (rows := self.rows(table))[0] != rows[1] or not rows[0]]
