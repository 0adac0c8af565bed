"""Transactions, large results, cancelling."""

import threading
import time

import pytest

import clients

SLOW = "WAITFOR DELAY '00:00:30'"


@pytest.fixture
def manual(server, client, table):
    """A connection that commits when told to, and an empty table."""
    opened = client.connect(server.port)
    clients.run(opened, f"CREATE TABLE {table} (id int NOT NULL PRIMARY KEY, v nvarchar(20) NULL)")
    opened.commit()
    yield opened
    opened.close()


def count(server, client, table):
    opened = client.connect(server.port, autocommit=True)
    ((rows,),) = clients.run(opened, f"SELECT COUNT(*) FROM {table}")
    opened.close()
    return rows


def test_what_is_committed_stays_and_what_is_rolled_back_goes(server, client, manual, table):
    clients.run(manual, f"INSERT INTO {table} (id) VALUES (1)")
    manual.commit()
    clients.run(manual, f"INSERT INTO {table} (id) VALUES (2)")
    clients.run(manual, f"UPDATE {table} SET v = N'x' WHERE id = 1")
    manual.rollback()
    assert clients.run(manual, f"SELECT id, v FROM {table}") == [(1, None)]
    manual.rollback()
    assert count(server, client, table) == 1


def test_a_connection_closed_in_a_transaction_rolls_back(server, client, table):
    opened = client.connect(server.port)
    clients.run(opened, f"CREATE TABLE {table} (id int NOT NULL PRIMARY KEY)")
    opened.commit()
    clients.run(opened, f"INSERT INTO {table} (id) VALUES (1)")
    opened.close()
    assert count(server, client, table) == 0


def test_transactions_are_also_made_by_statement(client, connection, table):
    clients.run(connection, f"CREATE TABLE {table} (id int NOT NULL PRIMARY KEY)")
    clients.run(connection, f"BEGIN TRANSACTION; INSERT INTO {table} VALUES (1); COMMIT")
    clients.run(connection, f"BEGIN TRAN; INSERT INTO {table} VALUES (2); SAVE TRAN s; INSERT INTO {table} VALUES (3); ROLLBACK TRAN s; COMMIT TRAN")
    clients.run(connection, f"BEGIN TRAN; INSERT INTO {table} VALUES (4); ROLLBACK")
    assert clients.run(connection, f"SELECT id FROM {table} ORDER BY id") == [(1,), (2,)]
    assert clients.run(connection, "SELECT @@TRANCOUNT") == [(0,)]
    assert clients.refused(client, connection, "COMMIT") is not None


def test_a_large_result_arrives_whole(connection, table):
    clients.run(connection, f"CREATE TABLE {table}D (d int NOT NULL PRIMARY KEY)")
    clients.run(connection, f"INSERT INTO {table}D VALUES {', '.join(f'({n})' for n in range(400))}")
    clients.run(connection, f"CREATE TABLE {table} (id bigint NOT NULL PRIMARY KEY, v nvarchar(40) NULL)")
    clients.run(
        connection,
        f"INSERT INTO {table} (id, v) SELECT a.d * 400 + b.d, CONCAT(N'row ž ', a.d) FROM {table}D a CROSS JOIN {table}D b",
    )
    cursor = connection.cursor()
    cursor.execute(f"SELECT id, v FROM {table}")
    seen, total = 0, 0
    while rows := cursor.fetchmany(5000):
        seen += len(rows)
        total += sum(row[0] for row in rows)
        assert all(row[1] == f"row ž {row[0] // 400}" for row in rows)
    assert (seen, total) == (160_000, sum(range(160_000)))
    cursor.close()


def test_a_result_left_half_read_does_not_hurt_the_next(connection, table):
    clients.run(connection, f"CREATE TABLE {table} (d int NOT NULL PRIMARY KEY)")
    clients.run(connection, f"INSERT INTO {table} VALUES {', '.join(f'({n})' for n in range(900))}")
    for _ in range(3):
        cursor = connection.cursor()
        cursor.execute(f"SELECT a.d, b.d FROM {table} a CROSS JOIN {table} b")
        assert cursor.fetchone() is not None
        cursor.close()
        assert clients.run(connection, "SELECT 40 + 2") == [(42,)]


def test_a_timeout_ends_a_statement(server, client):
    opened = client.connect(server.port, autocommit=True, timeout=1)
    started = time.monotonic()
    with pytest.raises(client.errors + (TimeoutError,)):
        clients.run(opened, SLOW)
    assert time.monotonic() - started < 10
    opened.close()


def test_a_cancel_ends_a_statement_and_the_connection_goes_on(server):
    client = clients.ALL[3]
    opened = client.connect(server.port, autocommit=True, timeout=0)
    cursor = opened.cursor()
    threading.Timer(1.0, cursor.cancel).start() if hasattr(cursor, "cancel") else setattr(opened, "timeout", 1)
    if not hasattr(cursor, "cancel"):
        cursor = opened.cursor()
    started = time.monotonic()
    with pytest.raises(client.errors):
        cursor.execute(SLOW)
    assert time.monotonic() - started < 10
    cursor.close()
    assert clients.run(opened, "SELECT 40 + 2") == [(42,)]
    opened.close()


def test_many_connections_work_at_once(server, client, table):
    opened = client.connect(server.port, autocommit=True)
    clients.run(opened, f"CREATE TABLE {table} (id int NOT NULL PRIMARY KEY)")
    failures = []

    def insert(worker):
        try:
            mine = client.connect(server.port, autocommit=True)
            for n in range(25):
                clients.run(mine, f"INSERT INTO {table} VALUES ({worker * 100 + n})")
            mine.close()
        except Exception as error:  # noqa: BLE001: whatever it is, the test must see it.
            failures.append(error)

    threads = [threading.Thread(target=insert, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert clients.run(opened, f"SELECT COUNT(*) FROM {table}") == [(150,)]
    opened.close()
