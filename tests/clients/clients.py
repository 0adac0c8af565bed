"""The clients, behind one face: connect, run a statement, the number of the error it raised."""

import re

import mssql_python
import pymssql
import pytds

USER = "sa"
PASSWORD = "Clients-Secret-1{}"
DATABASE = "shop"


class Client:
    """One client program, one way to log in."""

    #: The word that stands for a parameter.
    marker = "%s"
    #: Types that this client itself cannot write as a parameter or read, and why.
    lacks = {}

    def parameter(self, value):
        """A value as this client wants to be given it."""
        return value

    def __init__(self, name, **options):
        self.name = name
        self.options = options

    def number(self, error):
        """The server's number of an error."""
        raise NotImplementedError


class Pymssql(Client):
    errors = (pymssql.Error,)
    lacks = {
        "datetime2": "writes milliseconds",
        "datetimeoffset": "writes no offsets",
        "datetimeoffset-0": "writes no offsets",
    }

    def connect(self, port, user=USER, password=PASSWORD, database=DATABASE, autocommit=False, timeout=60):
        return pymssql.connect(
            server="127.0.0.1", port=port, user=user, password=password, database=database, autocommit=autocommit,
            timeout=timeout, login_timeout=15, charset="UTF-8", **self.options,
        )

    def number(self, error):
        first = error.args[0]
        return first[0] if isinstance(first, tuple) else first


class MssqlPython(Client):
    marker = "?"
    lacks = {"date": "refuses years before 1753"}
    errors = (mssql_python.Error, RuntimeError)
    #: Microsoft's driver raises classes and texts, not numbers: what the texts begin with.
    texts = {
        102: "Incorrect syntax near",
        156: "Incorrect syntax near the keyword",
        207: "Invalid column name",
        208: "Invalid object name",
        245: "Conversion failed when converting",
        313: "An insufficient number of arguments were supplied",
        515: "Cannot insert the value NULL into column",
        2601: "Cannot insert duplicate key row",
        2627: "Violation of PRIMARY KEY constraint",
        2628: "String or binary data would be truncated in table",
        2812: "Could not find stored procedure",
        4060: "Cannot open database",
        8134: "Divide by zero error encountered",
        18456: "Login failed for user",
    }

    def connect(self, port, user=USER, password=PASSWORD, database=DATABASE, autocommit=False, timeout=60):
        escaped = password.replace("}", "}}")
        connection = mssql_python.connect(
            f"Server=127.0.0.1,{port};Database={database};UID={user};PWD={{{escaped}}};"
            f"TrustServerCertificate=yes;Encrypt={self.options['encrypt']}",
            autocommit=autocommit,
        )
        connection.timeout = timeout
        return connection

    def number(self, error):
        text = re.sub(r"^.*\[SQL Server\]", "", str(error), flags=re.S)
        matches = [number for number, start in self.texts.items() if text.startswith(start)]
        return max(matches, key=lambda number: len(self.texts[number]), default=text)


class Pytds(Client):
    errors = (pytds.Error,)
    lacks = {"varchar-utf8": "reads UTF-8 columns as code page 1252"}

    def parameter(self, value):
        # It takes bytes for text unless told otherwise.
        return pytds.Binary(value) if isinstance(value, bytes) else value

    def connect(self, port, user=USER, password=PASSWORD, database=DATABASE, autocommit=False, timeout=60):
        return pytds.connect(
            "127.0.0.1", port=port, user=user, password=password, database=database, autocommit=autocommit,
            timeout=timeout, login_timeout=15,
        )

    def number(self, error):
        return getattr(error, "number", str(error))


ALL = [
    Pymssql("pymssql", encryption="off"),
    Pymssql("pymssql-tls", encryption="require"),
    MssqlPython("mssql-python", encrypt="no"),
    MssqlPython("mssql-python-tls", encrypt="yes"),
    Pytds("python-tds"),
]


def run(connection, sql, *parameters):
    """Runs a statement; gives its rows, or none."""
    cursor = connection.cursor()
    try:
        cursor.execute(sql, tuple(parameters)) if parameters else cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
    finally:
        cursor.close()


def refused(client, connection, sql):
    """The number of the error a statement raises; None if it raises none."""
    try:
        run(connection, sql)
    except client.errors as error:
        return client.number(error)
    return None
