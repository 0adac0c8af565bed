"""Every type: how it is declared, literals to write, and the values that must come back."""

import datetime
import struct
import uuid
from decimal import Decimal

date, time, moment = datetime.date, datetime.time, datetime.datetime


def single(value):
    """The double that a real holds."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def zoned(*parts, minutes):
    return moment(*parts, tzinfo=datetime.timezone(datetime.timedelta(minutes=minutes)))


LONG = "žluť" * 20_000
BYTES = bytes(range(256)) * 300

#: Name, declaration, pairs of literal and value. NULL is tried with each.
TYPES = [
    ("bit", "bit", [("0", False), ("1", True), ("7", True), ("'true'", True)]),
    ("tinyint", "tinyint", [("0", 0), ("255", 255)]),
    ("smallint", "smallint", [("-32768", -32768), ("32767", 32767)]),
    ("int", "int", [("-2147483648", -(2**31)), ("2147483647", 2**31 - 1), ("0", 0), ("'42'", 42)]),
    ("bigint", "bigint", [("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1)]),
    ("decimal", "decimal(38,0)", [("9" * 38, Decimal("9" * 38)), ("-" + "9" * 38, Decimal("-" + "9" * 38))]),
    ("decimal-scale-38", "decimal(38,38)", [("0." + "9" * 38, Decimal("0." + "9" * 38)), ("0", Decimal(0))]),
    ("decimal-18-4", "decimal(18,4)", [("-0.0001", Decimal("-0.0001")), ("1.23455", Decimal("1.2346"))]),
    ("numeric", "numeric(9,2)", [("-9999999.99", Decimal("-9999999.99")), ("0.005", Decimal("0.01"))]),
    ("money", "money", [("-922337203685477.5808", Decimal("-922337203685477.5808")),
                        ("922337203685477.5807", Decimal("922337203685477.5807")), ("$1.5", Decimal("1.5"))]),
    ("smallmoney", "smallmoney", [("-214748.3648", Decimal("-214748.3648")), ("214748.3647", Decimal("214748.3647"))]),
    ("real", "real", [("-3.402823E+38", single(-3.402823e38)), ("1.18E-38", single(1.18e-38)), ("0.1", single(0.1))]),
    ("float", "float", [("1.7976931348623157E+308", 1.7976931348623157e308), ("-2.23E-308", -2.23e-308),
                        ("0.1", 0.1), ("0", 0.0)]),
    ("float-24", "float(24)", [("0.1", single(0.1))]),
    ("date", "date", [("'0001-01-01'", date(1, 1, 1)), ("'9999-12-31'", date(9999, 12, 31)),
                      ("'20240229'", date(2024, 2, 29))]),
    ("time", "time", [("'00:00:00'", time(0)), ("'23:59:59.9999999'", time(23, 59, 59, 999999))]),
    ("time-0", "time(0)", [("'12:34:56.4'", time(12, 34, 56)), ("'12:34:56.5'", time(12, 34, 57))]),
    ("time-3", "time(3)", [("'12:34:56.1235'", time(12, 34, 56, 124000))]),
    ("smalldatetime", "smalldatetime", [("'1900-01-01'", moment(1900, 1, 1)), ("'2079-06-06 23:59'", moment(2079, 6, 6, 23, 59)),
                                        ("'2024-02-29 12:34:29.998'", moment(2024, 2, 29, 12, 34)),
                                        ("'2024-02-29 12:34:29.999'", moment(2024, 2, 29, 12, 35))]),
    ("datetime", "datetime", [("'1753-01-01'", moment(1753, 1, 1)),
                              ("'9999-12-31 23:59:59.997'", moment(9999, 12, 31, 23, 59, 59, 997000)),
                              ("'2024-02-29 01:02:03.002'", moment(2024, 2, 29, 1, 2, 3, 3000)),
                              ("'2024-02-29 01:02:03.999'", moment(2024, 2, 29, 1, 2, 4))]),
    ("datetime2", "datetime2", [("'0001-01-01'", moment(1, 1, 1)),
                                ("'9999-12-31 23:59:59.9999999'", moment(9999, 12, 31, 23, 59, 59, 999999)),
                                ("'2024-02-29T01:02:03.4567891'", moment(2024, 2, 29, 1, 2, 3, 456789))]),
    ("datetime2-0", "datetime2(0)", [("'2024-12-31 23:59:59.5'", moment(2025, 1, 1))]),
    ("datetime2-3", "datetime2(3)", [("'2024-12-31 23:59:59.1239'", moment(2024, 12, 31, 23, 59, 59, 124000))]),
    ("datetimeoffset", "datetimeoffset", [
        ("'2024-02-29 01:02:03.4567890 +14:00'", zoned(2024, 2, 29, 1, 2, 3, 456789, minutes=840)),
        ("'2024-02-29 01:02:03 -14:00'", zoned(2024, 2, 29, 1, 2, 3, minutes=-840)),
        ("'2024-02-29 01:02:03'", zoned(2024, 2, 29, 1, 2, 3, minutes=0))]),
    ("datetimeoffset-0", "datetimeoffset(0)", [("'2024-02-29 01:02:03.6 +05:45'", zoned(2024, 2, 29, 1, 2, 4, minutes=345))]),
    ("char", "char(5)", [("'ab'", "ab   "), ("''", "     "), ("N'é€'", "é€   ")]),
    ("varchar", "varchar(10)", [("''", ""), ("' x '", " x "), ("'it''s'", "it's"), ("N'ž中€'", "ž?€")]),
    ("varchar-8000", "varchar(8000)", [("REPLICATE('x', 8000)", "x" * 8000)]),
    ("varchar-max", "varchar(max)", [("''", ""), ("REPLICATE(CAST('xyz' AS varchar(max)), 30000)", "xyz" * 30000)]),
    ("varchar-utf8", "varchar(40) COLLATE Latin1_General_100_CI_AS_SC_UTF8", [("N'ž中𝄞'", "ž中𝄞"), ("''", "")]),
    ("nchar", "nchar(5)", [("N'ž𝄞'", "ž𝄞  "), ("N''", "     ")]),
    ("nvarchar", "nvarchar(10)", [("N''", ""), ("N'ž中𝄞'", "ž中𝄞"), ("N'\r\n\t'", "\r\n\t")]),
    ("nvarchar-4000", "nvarchar(4000)", [("REPLICATE(N'中', 4000)", "中" * 4000)]),
    ("nvarchar-max", "nvarchar(max)", [("N''", ""), ("REPLICATE(CAST(N'žluť' AS nvarchar(max)), 20000)", LONG)]),
    ("text", "text", [("''", ""), ("'old'", "old")]),
    ("ntext", "ntext", [("N''", ""), ("N'ž𝄞'", "ž𝄞")]),
    ("binary", "binary(4)", [("0x01", b"\x01\0\0\0"), ("0xFFFFFFFF", b"\xff" * 4)]),
    ("varbinary", "varbinary(300)", [("0x", b""), ("0x00", b"\0"), ("0x" + bytes(range(256)).hex(), bytes(range(256)))]),
    ("varbinary-max", "varbinary(max)", [("0x", b""), ("0x" + BYTES.hex(), BYTES)]),
    ("image", "image", [("0x", b""), ("0x00FF", b"\x00\xff")]),
    ("uniqueidentifier", "uniqueidentifier", [
        ("'01234567-89AB-CDEF-0123-456789abcdef'", uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")),
        ("'00000000-0000-0000-0000-000000000000'", uuid.UUID(int=0)),
        ("'{FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF}'", uuid.UUID(int=2**128 - 1))]),
    ("xml", "xml", [("N'<a b=\"1\">ž</a>'", '<a b="1">ž</a>'), ("N''", "")]),
]

#: Types with no parameter of their own kind, or that round on the way in: not written as parameters.
LITERAL_ONLY = {"smalldatetime", "xml", "text", "ntext", "image", "varchar-utf8"}
