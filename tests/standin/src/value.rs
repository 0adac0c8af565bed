//! T-SQL types and values, shared by the protocol and the engine.

use std::fmt;

/// A T-SQL type with its facets, as a column of a result or of a table has it.
///
/// `Option` lengths: `None` is `(max)`. Character lengths of `n` types are in UTF-16 units, others in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the T-SQL type of its name")]
pub enum SqlType {
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Decimal { precision: u8, scale: u8 },
    Numeric { precision: u8, scale: u8 },
    SmallMoney,
    Money,
    Real,
    Float,
    Date,
    Time(u8),
    SmallDateTime,
    DateTime,
    DateTime2(u8),
    DateTimeOffset(u8),
    Char(u16),
    VarChar(Option<u16>),
    Text,
    NChar(u16),
    NVarChar(Option<u16>),
    NText,
    Binary(u16),
    VarBinary(Option<u16>),
    Image,
    RowVersion,
    UniqueIdentifier,
    Xml,
    SqlVariant,
    HierarchyId,
    Geometry,
    Geography,
}

/// One cell. The variant must fit the column's [`SqlType`]; `Null` fits all.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL of any type.
    Null,
    /// bit.
    Bit(bool),
    /// tinyint, smallint, int, bigint.
    Int(i64),
    /// decimal and numeric: the unscaled integer and its scale.
    Decimal(i128, u8),
    /// money and smallmoney, in ten-thousandths.
    Money(i64),
    /// real.
    Real(f32),
    /// float.
    Float(f64),
    /// date: days since 0001-01-01.
    Date(i32),
    /// time: 100 ns ticks since midnight.
    Time(i64),
    /// smalldatetime, datetime, datetime2: days since 0001-01-01, 100 ns ticks since midnight
    /// (datetime already rounded to its 1/300 s steps).
    DateTime(i32, i64),
    /// datetimeoffset: UTC days since 0001-01-01, UTC ticks since midnight, offset in minutes.
    DateTimeOffset(i32, i64, i16),
    /// char, varchar, text, nchar, nvarchar, ntext, xml.
    Text(String),
    /// binary, varbinary, image, rowversion, and hierarchyid, geometry, geography in their CLR serialisation.
    Bytes(Vec<u8>),
    /// uniqueidentifier, in the order of its text form (RFC 4122, big-endian groups).
    Guid([u8; 16]),
    /// `sql_variant`: the base type and the value.
    Variant(Box<(SqlType, Value)>),
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Name; empty for an unnamed expression.
    pub name: String,
    /// Type.
    pub sql_type: SqlType,
    /// Whether NULL may come.
    pub nullable: bool,
    /// Whether it is an identity column.
    pub identity: bool,
    /// The collation's name for character types, else `None`.
    pub collation: Option<&'static str>,
}

/// A server error or message: number, severity (class), state, text, line in the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// Message number, such as 208.
    pub number: i32,
    /// Severity: 0 to 10 informational, 11 to 16 the user's, 20 and above ends the connection.
    pub severity: u8,
    /// State.
    pub state: u8,
    /// Text, as SQL Server words it.
    pub message: String,
    /// Procedure in which it was raised; empty for none.
    pub procedure: String,
    /// Line in the batch, from 1.
    pub line: u32,
}

impl SqlError {
    /// An error of severity 16, state 1, line 1.
    pub fn new(number: i32, message: impl Into<String>) -> Self {
        Self { number, severity: 16, state: 1, message: message.into(), procedure: String::new(), line: 1 }
    }

    /// The same with another severity.
    #[must_use]
    pub fn severity(mut self, severity: u8) -> Self {
        self.severity = severity;
        self
    }

    /// The same with another state.
    #[must_use]
    pub fn state(mut self, state: u8) -> Self {
        self.state = state;
        self
    }

    /// The same, raised in a procedure.
    #[must_use]
    pub fn procedure(mut self, name: impl Into<String>) -> Self {
        self.procedure = name.into();
        self
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Msg {}, Level {}, State {}: {}", self.number, self.severity, self.state, self.message)
    }
}

impl std::error::Error for SqlError {}
