"""What the server refuses, by its number; and that a refused statement leaves the connection usable."""

import time

import pytest

import clients


@pytest.fixture
def keyed(connection, table):
    clients.run(connection, f"CREATE TABLE {table} (id int NOT NULL PRIMARY KEY, name nvarchar(5) NOT NULL)")
    clients.run(connection, f"CREATE UNIQUE INDEX ux ON {table} (name)")
    clients.run(connection, f"INSERT INTO {table} (id, name) VALUES (1, N'one')")
    return table


@pytest.mark.parametrize(
    "number, sql",
    [
        (102, "SELECT 1 1"),
        (156, "SELECT TOP FROM {table}"),
        (207, "SELECT absent FROM {table}"),
        (208, "SELECT * FROM dbo.absent"),
        (245, "SELECT CAST('x' AS int)"),
        (515, "INSERT INTO {table} (id) VALUES (2)"),
        (2601, "INSERT INTO {table} (id, name) VALUES (2, N'ONE')"),
        (2627, "INSERT INTO {table} (id, name) VALUES (1, N'two')"),
        (2628, "INSERT INTO {table} (id, name) VALUES (2, N'abcdef')"),
        (2812, "EXEC dbo.absent"),
        (8134, "SELECT 1 / 0"),
    ],
)
def test_an_error_has_its_number(client, connection, keyed, number, sql):
    assert clients.refused(client, connection, sql.format(table=keyed)) == number
    assert clients.run(connection, f"SELECT id, name FROM {keyed}") == [(1, "one")]


def test_an_lsn_out_of_range_is_313(server, client, connection, table):
    name = table.partition(".")[2]
    clients.run(connection, f"CREATE TABLE {table} (id int NOT NULL PRIMARY KEY, v int NULL)")
    clients.run(connection, "IF (SELECT is_cdc_enabled FROM sys.databases WHERE name = DB_NAME()) = 0 EXEC sys.sp_cdc_enable_db")
    clients.run(
        connection,
        f"EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'{name}', @role_name = NULL",
    )
    clients.run(connection, f"INSERT INTO {table} (id, v) VALUES (1, 1)")
    changes = f"SELECT __$operation, id, v FROM cdc.fn_cdc_get_all_changes_dbo_{name}"
    minimum = f"sys.fn_cdc_get_min_lsn('dbo_{name}')"
    deadline = time.monotonic() + 20
    rows = []
    while not rows and time.monotonic() < deadline:
        time.sleep(0.1)
        (captured,) = clients.run(connection, f"SELECT COUNT(*) FROM cdc.dbo_{name}_CT")
        if captured == (1,):
            rows = clients.run(connection, f"{changes}({minimum}, sys.fn_cdc_get_max_lsn(), N'all')")
    assert rows == [(2, 1, 1)]
    below = f"{changes}(0x00000000000000000001, sys.fn_cdc_get_max_lsn(), N'all')"
    assert clients.refused(client, connection, below) == 313
    above = f"{changes}({minimum}, 0xFFFFFFFFFFFFFFFFFFFF, N'all')"
    assert clients.refused(client, connection, above) == 313


#: Good SQLite, bad T-SQL.
SQLITE_ONLY = [
    "PRAGMA table_info('x')",
    "ATTACH DATABASE ':memory:' AS other",
    "DETACH DATABASE other",
    "VACUUM",
    "REINDEX",
    "ANALYZE",
    "EXPLAIN SELECT 1",
    "EXPLAIN QUERY PLAN SELECT 1",
    "SELECT * FROM {table} LIMIT 1",
    "SELECT * FROM {table} ORDER BY id LIMIT 1 OFFSET 1",
    "SELECT * FROM {table} ORDER BY id NULLS FIRST",
    "INSERT OR REPLACE INTO {table} (id, name) VALUES (1, 'x')",
    "INSERT OR IGNORE INTO {table} (id, name) VALUES (1, 'x')",
    "REPLACE INTO {table} (id, name) VALUES (1, 'x')",
    "INSERT INTO {table} (id, name) VALUES (1, 'x') ON CONFLICT DO NOTHING",
    "INSERT INTO {table} (id, name) VALUES (9, 'x') RETURNING id",
    "DELETE FROM {table} RETURNING id",
    "UPDATE OR REPLACE {table} SET name = 'x'",
    "CREATE TABLE IF NOT EXISTS dbo.other (id int)",
    "CREATE TABLE dbo.other (id INTEGER PRIMARY KEY AUTOINCREMENT)",
    "CREATE TABLE dbo.other (id int PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE dbo.other (id int) STRICT",
    "CREATE TABLE dbo.other (id blob)",
    "CREATE TEMP TABLE other (id int)",
    "CREATE INDEX IF NOT EXISTS i ON {table} (name)",
    "CREATE VIRTUAL TABLE v USING fts5(x)",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM sqlite_schema",
    "SELECT sqlite_version()",
    "SELECT last_insert_rowid()",
    "SELECT typeof(1)",
    "SELECT ifnull(NULL, 1)",
    "SELECT length('abc')",
    "SELECT substr('abc', 1, 1)",
    "SELECT instr('abc', 'b')",
    "SELECT hex(0x01)",
    "SELECT printf('%d', 1)",
    "SELECT random()",
    "SELECT group_concat(name) FROM {table}",
    "SELECT total(id) FROM {table}",
    "SELECT strftime('%Y', 'now')",
    "SELECT julianday('now')",
    "SELECT date('now')",
    "SELECT json_extract('[1]', '$[0]')",
    "SELECT rowid FROM {table}",
    "SELECT _rowid_ FROM {table}",
    "SELECT * FROM {table} WHERE name GLOB 'o*'",
    "SELECT * FROM {table} WHERE name REGEXP 'o'",
    "SELECT * FROM {table} WHERE id == 1",
    "SELECT * FROM {table} WHERE id IS 1",
    "SELECT * FROM {table} WHERE id ISNULL",
    "SELECT * FROM {table} WHERE id",
    "SELECT * FROM {table} a JOIN {table} b USING (id)",
    "SELECT * FROM {table} a NATURAL JOIN {table} b",
    "SELECT id = 1 AS b, id > 2 AS c FROM {table}",
    "SELECT true",
    "SELECT 1 << 2 AS a, `id` FROM {table}",
    "VALUES (1), (2)",
    "BEGIN IMMEDIATE",
    "BEGIN EXCLUSIVE",
    "SAVEPOINT s",
    "RELEASE s",
    "SELECT count(*) FILTER (WHERE id > 0) FROM {table}",
    "SELECT CAST(1 AS INTEGER) || CAST('x' AS TEXT) COLLATE NOCASE",
    "SELECT * FROM {table} WHERE (id, name) = (1, 'one')",
    "ALTER TABLE {table} RENAME TO other",
    "ALTER TABLE {table} ADD COLUMN more int",
    "ALTER TABLE {table} RENAME COLUMN name TO other",
]


@pytest.mark.parametrize("sql", SQLITE_ONLY)
@pytest.mark.parametrize("client", [clients.ALL[0], clients.ALL[3]], ids=lambda client: client.name, indirect=False)
def test_what_only_sqlite_knows_is_refused(server, client, table, sql):
    connection = client.connect(server.port, autocommit=True)
    clients.run(connection, f"CREATE TABLE {table} (id int NOT NULL PRIMARY KEY, name varchar(5) NULL)")
    clients.run(connection, f"INSERT INTO {table} (id, name) VALUES (1, 'one')")
    assert clients.refused(client, connection, sql.format(table=table)) is not None
    assert clients.run(connection, f"SELECT id, name FROM {table}") == [(1, "one")]
    connection.close()
