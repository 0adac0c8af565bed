"""Who may log in, and how."""

import subprocess

import pytest

import clients
import conftest


def test_a_good_password_logs_in(connection):
    assert clients.run(connection, "SELECT DB_NAME(), SUSER_SNAME()") == [(clients.DATABASE, clients.USER)]


@pytest.mark.parametrize("user, password", [(clients.USER, "wrong"), ("stranger", clients.PASSWORD)])
def test_a_wrong_password_or_user_is_18456(server, client, user, password):
    with pytest.raises(client.errors) as raised:
        client.connect(server.port, user=user, password=password)
    assert client.number(raised.value) == 18456


def test_an_unknown_database_is_4060(server, client):
    with pytest.raises(client.errors) as raised:
        client.connect(server.port, database="absent")
    # Some clients show the last error of a failed login, which is what the first one led to.
    assert client.number(raised.value) in (4060, 18456)


@pytest.fixture
def locked_down(tmp_path):
    running = conftest.start(tmp_path, "--require-encryption")
    yield running
    conftest.stop(running)


@pytest.fixture
def in_clear(tmp_path):
    running = conftest.start(tmp_path, "--no-encryption")
    yield running
    conftest.stop(running)


def test_required_encryption_lets_in_who_encrypts(locked_down, client):
    if client.name in ("pymssql", "python-tds"):
        with pytest.raises(client.errors):
            client.connect(locked_down.port)
    else:
        client.connect(locked_down.port).close()


def test_without_encryption_who_requires_it_stays_out(in_clear, client):
    if client.name in ("pymssql-tls", "mssql-python-tls"):
        with pytest.raises(client.errors):
            client.connect(in_clear.port)
    else:
        client.connect(in_clear.port).close()


def tsql(server, script, **environment):
    command = ["tsql", "-S", "standin", "-U", clients.USER, "-P", clients.PASSWORD, "-D", clients.DATABASE]
    environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "LC_ALL": "C.UTF-8", **environment}
    return subprocess.run(
        command, input=script, capture_output=True, text=True, timeout=60, env=environment, check=False
    )


def freetds(directory, port, *settings):
    file = directory / "freetds.conf"
    lines = ["[standin]", "host = 127.0.0.1", f"port = {port}", "tds version = 7.4", *settings]
    file.write_text("\n".join(lines) + "\n")
    return str(file)


@pytest.mark.parametrize("encryption", ["off", "request", "require"])
def test_tsql_logs_in_and_queries(server, tmp_path, encryption):
    conf = freetds(tmp_path, server.port, f"encryption = {encryption}")
    done = tsql(server, "SELECT N'ž' + CAST(40 + 2 AS nvarchar(10))\ngo\n", FREETDSCONF=conf)
    assert "ž42" in done.stdout, done


def test_tsql_verifies_the_certificate(server, tmp_path):
    authority = server.directory / "ca.pem"
    settings = ["encryption = require", f"ca file = {authority}", "check certificate hostname = no"]
    conf = freetds(tmp_path, server.port, *settings)
    done = tsql(server, "SELECT 40 + 2 AS answer\ngo\n", FREETDSCONF=conf)
    assert "42" in done.stdout, done
    other = tmp_path / "other"
    other.mkdir()
    stranger = conftest.start(other, "--tls-cert-dir", str(other))
    settings[1] = f"ca file = {other / 'ca.pem'}"
    conf = freetds(tmp_path, server.port, *settings)
    done = tsql(server, "SELECT 40 + 2 AS answer\ngo\n", FREETDSCONF=conf)
    conftest.stop(stranger)
    assert "42" not in done.stdout, "a certificate of another authority was accepted"


def test_tsql_shows_the_server_s_errors(server, tmp_path):
    conf = freetds(tmp_path, server.port)
    done = tsql(server, "SELECT 1 1\ngo\nSELECT * FROM dbo.absent\ngo\nSELECT 7 AS after\ngo\n", FREETDSCONF=conf)
    assert "Msg 102 " in done.stderr + done.stdout
    assert "Msg 208 " in done.stderr + done.stdout
    assert "7" in done.stdout
