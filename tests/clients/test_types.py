"""Every type, written and read: least, greatest, empty, NULL, and the values where rounding shows."""

import pytest

import clients
from types_table import LITERAL_ONLY, TYPES

AS_PARAMETER = [t for t in TYPES if t[0] not in LITERAL_ONLY]


def every(types):
    return pytest.mark.parametrize("name, declaration, pairs", types, ids=[t[0] for t in types])


def create(connection, table, declaration):
    clients.run(connection, f"CREATE TABLE {table} (id int NOT NULL PRIMARY KEY, v {declaration} NULL)")


def read(connection, table):
    return [value for (value,) in clients.run(connection, f"SELECT v FROM {table} ORDER BY id")]


def same(got, wanted):
    return got == wanted and type(got) is type(wanted)


@every(TYPES)
def test_literals_are_read_as_written(client, connection, table, name, declaration, pairs):
    if name in LITERAL_ONLY and name in client.lacks:
        pytest.skip(f"{client.name} {client.lacks[name]}")
    create(connection, table, declaration)
    for number, (literal, _) in enumerate(pairs):
        clients.run(connection, f"INSERT INTO {table} (id, v) VALUES ({number}, {literal})")
    clients.run(connection, f"INSERT INTO {table} (id, v) VALUES ({len(pairs)}, NULL)")
    got, wanted = read(connection, table), [value for _, value in pairs] + [None]
    assert len(got) == len(wanted)
    for one, other in zip(got, wanted, strict=True):
        assert same(one, other), f"{declaration}: {one!r:.90} is not {other!r:.90}"


@every(AS_PARAMETER)
def test_values_read_can_be_written_back(client, connection, table, name, declaration, pairs):
    if name in client.lacks:
        pytest.skip(f"{client.name} {client.lacks[name]}")
    create(connection, table, declaration)
    insert = f"INSERT INTO {table} (id, v) VALUES ({client.marker}, {client.marker})"
    wanted = [value for _, value in pairs]
    if client.name.startswith("pymssql"):
        # It writes empty bytes as an empty string.
        wanted = [value for value in wanted if value != b""]
    for number, value in enumerate(wanted):
        clients.run(connection, insert, number, client.parameter(value))
    got = read(connection, table)
    for one, other in zip(got, wanted, strict=True):
        assert same(one, other), f"{declaration}: {one!r:.90} is not {other!r:.90}"


def test_a_column_without_null_has_the_fixed_form(client, connection, table):
    kinds = ["bit", "tinyint", "smallint", "int", "bigint", "real", "float", "smallmoney", "money", "smalldatetime", "datetime"]
    columns = ", ".join(f"c{n} {kind} NOT NULL" for n, kind in enumerate(kinds))
    clients.run(connection, f"CREATE TABLE {table} ({columns})")
    ones = "1, 1, 1, 1, 1, 1, 1, 1, 1, '19000102', '19000102'"
    clients.run(connection, f"INSERT INTO {table} VALUES ({ones})")
    ((*numbers, small, large),) = clients.run(connection, f"SELECT * FROM {table}")
    assert numbers == [1] * 9
    assert small == large and small.day == 2


def test_a_rowversion_grows_and_is_eight_bytes(client, connection, table):
    clients.run(connection, f"CREATE TABLE {table} (id int NOT NULL PRIMARY KEY, v rowversion NOT NULL)")
    clients.run(connection, f"INSERT INTO {table} (id) VALUES (1)")
    clients.run(connection, f"INSERT INTO {table} (id) VALUES (2)")
    first, second = read(connection, table)
    assert len(first) == len(second) == 8 and first < second
    clients.run(connection, f"UPDATE {table} SET id = 1 WHERE id = 1")
    assert read(connection, table)[0] > second


def test_a_variant_is_read_as_its_base(client, connection, table):
    create(connection, table, "sql_variant")
    clients.run(connection, f"INSERT INTO {table} (id, v) VALUES (1, 7), (2, N'ž'), (3, NULL)")
    if client.name == "python-tds":
        assert read(connection, table) == [7, "ž", None]
    # The others leave the base type to their caller; the text is enough there.
    rows = clients.run(connection, f"SELECT CAST(v AS nvarchar(20)) FROM {table} ORDER BY id")
    assert rows == [("7",), ("ž",), (None,)]


def test_clr_types_are_read_as_bytes(client, connection, table):
    create(connection, table, "hierarchyid")
    clients.run(connection, f"INSERT INTO {table} (id, v) VALUES (1, 0x5B40), (2, 0x), (3, NULL)")
    rows = clients.run(connection, f"SELECT CAST(v AS varbinary(892)) FROM {table} ORDER BY id")
    assert rows == [(b"\x5b\x40",), (b"",), (None,)]
    point = bytes.fromhex("00000000010C000000000000F03F0000000000000040")
    other = f"{table}G"
    create(connection, other, "geometry")
    clients.run(connection, f"INSERT INTO {other} (id, v) VALUES (1, 0x{point.hex()}), (2, NULL)")
    rows = clients.run(connection, f"SELECT CAST(v AS varbinary(max)) FROM {other} ORDER BY id")
    assert rows == [(point,), (None,)]


def test_an_identity_counts_and_is_told(client, connection, table):
    clients.run(connection, f"CREATE TABLE {table} (id int IDENTITY(10, 5) NOT NULL PRIMARY KEY, v int NULL)")
    clients.run(connection, f"INSERT INTO {table} (v) VALUES (1), (2)")
    assert clients.run(connection, f"SELECT id, v FROM {table} ORDER BY id") == [(10, 1), (15, 2)]


def test_the_sessions_see_each_other_s_rows(server, connection, table):
    create(connection, table, "int")
    clients.run(connection, f"INSERT INTO {table} (id, v) VALUES (1, 1)")
    for other in clients.ALL:
        opened = other.connect(server.port, autocommit=True)
        assert read(opened, table) == [1]
        opened.close()
