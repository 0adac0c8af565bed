//! Parse, Bind, Describe, Execute: statements are kept here, and sent below as a whole when they are executed.

use bytes::{BufMut as _, Bytes, BytesMut};
use postgres_protocol::message::frontend;

use super::{Session, transaction};
use crate::redshift::error::{Outcome, SqlError};
use crate::redshift::statement::control::Control;
use crate::redshift::statement::query::Relayed;
use crate::redshift::statement::{self, Statement};
use crate::redshift::types::Type;
use crate::redshift::wire::{self, Column};

/// A statement that was parsed.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    statement: Statement,
    parameters: Vec<u32>,
    columns: Vec<Column>,
}

/// A statement with its parameters' values.
#[derive(Debug, Clone)]
pub(super) struct Portal {
    statement: Statement,
    columns: Vec<Column>,
    /// The parameters' types below.
    pub(super) parameters: Vec<u32>,
    /// What Bind says after the names.
    pub(super) bound: Bytes,
}

impl Session {
    pub(super) async fn extended(&mut self, tag: u8, mut body: Bytes) -> Outcome<()> {
        match tag {
            b'P' => self.prepare(body).await,
            b'B' => self.bind(body),
            b'D' => {
                let kind = body.split_to(1.min(body.len()));
                let name = wire::take_text(&mut body)?;
                self.describe(kind.first().copied().unwrap_or_default(), &name)
            }
            b'E' => {
                let name = wire::take_text(&mut body)?;
                if wire::take_u32(&mut body)? != 0 {
                    return Err(SqlError::unmodelled("a portal with a limit of rows").into());
                }
                self.execute_portal(&name).await
            }
            b'C' => {
                let kind = body.split_to(1.min(body.len()));
                let name = wire::take_text(&mut body)?;
                match kind.first() {
                    Some(b'S') => drop(self.prepared.remove(&name)),
                    _ => drop(self.portals.remove(&name)),
                }
                wire::put(&mut self.out, b'3', |_| {});
                Ok(())
            }
            b'H' => Ok(self.flush().await?),
            // What is left of a COPY that the client was told about already.
            b'd' | b'c' | b'f' => Ok(()),
            _ => Err(wire::malformed("a kind of message").into()),
        }
    }

    async fn prepare(&mut self, mut body: Bytes) -> Outcome<()> {
        let name = wire::take_text(&mut body)?;
        let text = wire::take_text(&mut body)?;
        let count = wire::take_i16(&mut body)?;
        let given = (0..count).map(|_| wire::take_u32(&mut body)).collect::<Result<Vec<_>, _>>()?;
        let tokens = self.tokens(&text).await?;
        let statements = statement::split(&tokens);
        let statement = match statements.as_slice() {
            [] => Statement::Empty,
            [tokens] => self.parse(tokens)?,
            _ => return Err(SqlError::new("42601", "cannot insert multiple commands into a prepared statement").into()),
        };
        if self.transaction.has_failed() && !transaction::ends_block(&statement) {
            return Err(SqlError::block_failed().into());
        }
        let deadline = self.guard();
        let described = self.described(statement, given).await;
        drop(deadline);
        self.take_late_cancels().await?;
        self.prepared.insert(name, described?);
        wire::put(&mut self.out, b'1', |_| {});
        Ok(())
    }

    /// Asks the server below what parameters and columns a statement has.
    async fn described(&mut self, statement: Statement, given: Vec<u32>) -> Outcome<Prepared> {
        let sql = match &statement {
            Statement::Select(relayed) => &relayed.sql,
            Statement::Write(write) => &write.relayed.sql,
            Statement::Control(Control::Show(name)) => {
                let columns = vec![Column::text(name)];
                return Ok(Prepared { statement, parameters: given, columns });
            }
            _ if given.is_empty() => return Ok(Prepared { statement, parameters: given, columns: Vec::new() }),
            _ => return Err(SqlError::syntax("$1").into()),
        };
        if self.transaction.is_open() {
            self.note_snapshot();
        }
        let given = given.into_iter().map(below);
        let mut out = BytesMut::new();
        frontend::parse("", sql, given, &mut out)?;
        frontend::describe(b'S', "", &mut out)?;
        frontend::sync(&mut out);
        self.below.note(sql);
        self.below.send(&out).await?;
        let (mut parameters, mut columns, mut failed) = (Vec::new(), Vec::new(), None);
        loop {
            let mut frame = self.below.receive().await?;
            match frame.tag {
                b't' => {
                    let count = wire::take_i16(&mut frame.body)?;
                    parameters = (0..count).map(|_| wire::take_u32(&mut frame.body)).collect::<Result<_, _>>()?;
                }
                b'T' => columns = wire::read_columns(frame.body)?,
                b'E' => failed = Some(self.below.error(frame.body)?),
                b'Z' => break,
                _ => {}
            }
        }
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(Prepared { statement, parameters, columns }),
        }
    }

    fn bind(&mut self, mut body: Bytes) -> Outcome<()> {
        let portal = wire::take_text(&mut body)?;
        let name = wire::take_text(&mut body)?;
        let prepared = self.find(&name)?.clone();
        let formats = result_formats(body.clone())?;
        let mut columns = prepared.columns;
        for (place, column) in columns.iter_mut().enumerate() {
            column.format = match formats.as_slice() {
                [] => 0,
                [one] => *one,
                many => many.get(place).copied().unwrap_or_default(),
            };
        }
        let bound = Portal { statement: prepared.statement, columns, parameters: prepared.parameters, bound: body };
        self.portals.insert(portal, bound);
        wire::put(&mut self.out, b'2', |_| {});
        Ok(())
    }

    fn find(&self, name: &str) -> Result<&Prepared, SqlError> {
        let missing = || SqlError::new("26000", format!("prepared statement \"{name}\" does not exist"));
        self.prepared.get(name).ok_or_else(missing)
    }

    fn describe(&mut self, kind: u8, name: &str) -> Outcome<()> {
        let columns = if kind == b'S' {
            let prepared = self.find(name)?;
            let (parameters, columns) = (prepared.parameters.clone(), prepared.columns.clone());
            wire::put(&mut self.out, b't', |out| {
                out.put_u16(u16::try_from(parameters.len()).unwrap_or_default());
                for oid in &parameters {
                    out.put_u32(above(*oid));
                }
            });
            columns
        } else {
            self.portal(name)?.columns.clone()
        };
        if columns.is_empty() {
            wire::put(&mut self.out, b'n', |_| {});
        } else {
            let told: Vec<_> = columns.iter().map(|column| self.told(column)).collect();
            wire::columns(&mut self.out, &told);
        }
        Ok(())
    }

    fn portal(&self, name: &str) -> Result<&Portal, SqlError> {
        let missing = || SqlError::new("34000", format!("portal \"{name}\" does not exist"));
        self.portals.get(name).ok_or_else(missing)
    }

    async fn execute_portal(&mut self, name: &str) -> Outcome<()> {
        let portal = self.portal(name)?.clone();
        if let Statement::Control(Control::Show(name)) = &portal.statement {
            return self.show(name, false);
        }
        self.execute(&portal.statement, false, Some(&portal)).await
    }
}

fn below(oid: u32) -> u32 {
    match oid {
        6551 => 17,
        4000 => 3802,
        other => other,
    }
}

fn above(oid: u32) -> u32 {
    match oid {
        17 => 6551,
        3802 => 4000,
        other => other,
    }
}

/// The formats that Bind wants its columns in.
fn result_formats(mut body: Bytes) -> std::io::Result<Vec<i16>> {
    let formats = wire::take_i16(&mut body)?;
    for _ in 0..formats {
        wire::take_i16(&mut body)?;
    }
    wire::read_row(take_values(&mut body)?)?;
    let count = wire::take_i16(&mut body)?;
    (0..count).map(|_| wire::take_i16(&mut body)).collect()
}

/// Takes the count and values of Bind, which are laid out like a row.
fn take_values(body: &mut Bytes) -> std::io::Result<Bytes> {
    let whole = body.clone();
    let count = wire::take_i16(body)?;
    for _ in 0..count {
        let length = wire::take_u32(body)?;
        if length != u32::MAX {
            if length as usize > body.len() {
                return Err(wire::malformed("a parameter"));
            }
            let _ = body.split_to(length as usize);
        }
    }
    Ok(whole.slice(..whole.len() - body.len()))
}

impl Session {
    /// The columns of a query, with the types that a table made of it has.
    pub(super) async fn columns_of(&mut self, sql: &str) -> Outcome<Vec<(String, Type)>> {
        let statement = Statement::Select(Relayed { sql: sql.to_owned(), ..Relayed::default() });
        let described = self.described(statement, Vec::new()).await?;
        let columns = described.columns.into_iter().map(|column| {
            let size = u32::try_from(column.modifier - 4).ok();
            let column_type = match column.oid {
                16 => Type::Boolean,
                20 => Type::BigInt,
                21 => Type::SmallInt,
                23 | 26 => Type::Integer,
                700 => Type::Real,
                701 => Type::Double,
                1042 => Type::Char(size.unwrap_or(1)),
                19 | 25 | 1043 => Type::Varchar(size.unwrap_or(65535)),
                1082 => Type::Date,
                1083 => Type::Time,
                1114 => Type::Timestamp,
                1184 => Type::TimestampTz,
                1266 => Type::TimeTz,
                1700 => size.map_or(Type::Decimal(38, 10), |size| Type::Decimal(size >> 16, size & 0xffff)),
                17 => Type::Varbyte(64000),
                3802 => Type::Super,
                _ => return Err(SqlError::unmodelled("this type in CREATE TABLE AS").into()),
            };
            Ok((column.name, column_type))
        });
        columns.collect()
    }
}
