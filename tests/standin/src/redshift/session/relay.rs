//! Rows from below to the client.

use bytes::{BufMut as _, Bytes, BytesMut};
use postgres_protocol::message::frontend;

use super::extended::Portal;
use super::{PIECE, Session};
use crate::redshift::error::Outcome;
use crate::redshift::wire::{self, Column};

/// Types below, and the numbers of Redshift's own.
const BYTEA: u32 = 17;
const JSONB: u32 = 3802;

impl Session {
    /// Runs a statement below and passes on what it answers.
    pub(super) async fn relay(&mut self, sql: &str, portal: Option<&Portal>, silent: bool) -> Outcome<()> {
        if sql.contains("redshift_standin.last_") {
            let (id, count) = self.last_copy;
            let query = self.query - 1;
            self.below
                .run(&format!(
                    "SET redshift_standin.copy_id = {id}; SET redshift_standin.copy_count = {count}; \
                     SET redshift_standin.query_id = {query}"
                ))
                .await?;
        }
        match portal {
            None => self.below.start(sql).await?,
            Some(portal) => {
                self.below.note(sql);
                let messages = bound(sql, portal)?;
                self.below.send(&messages).await?;
            }
        }
        let mut columns: Vec<Column> = Vec::new();
        let mut failed = None;
        loop {
            let frame = self.below.receive().await?;
            match frame.tag {
                b'T' => {
                    columns = wire::read_columns(frame.body)?;
                    let told: Vec<_> = columns.iter().map(|column| self.told(column)).collect();
                    // Whoever uses the extended protocol was told by Describe.
                    if portal.is_none() && !silent {
                        wire::columns(&mut self.out, &told);
                    }
                }
                b'D' if !silent => self.pass_row(&columns, frame.body)?,
                b'C' if !silent => {
                    let mut body = frame.body;
                    let tag = wire::take_text(&mut body)?;
                    self.complete(&tag);
                }
                b'E' => failed = Some(self.below.error(frame.body)?),
                b'Z' => break,
                _ => {}
            }
            if self.out.len() > PIECE {
                self.flush().await?;
            }
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// A column as the client is told of it.
    pub(super) fn told(&self, column: &Column) -> Column {
        let mut told = column.clone();
        if let Some(full) = self.shared.names.full(&column.name) {
            told.name = full;
        }
        match column.oid {
            BYTEA => told.oid = 6551,
            JSONB => told.oid = 4000,
            _ => {}
        }
        (told.table, told.place) = (0, 0);
        told
    }

    fn pass_row(&mut self, columns: &[Column], body: Bytes) -> std::io::Result<()> {
        let is_hex = |column: &Column| column.oid == BYTEA && column.format == 0;
        if !columns.iter().any(is_hex) {
            wire::put(&mut self.out, b'D', |out| out.put_slice(&body));
            return Ok(());
        }
        let mut cells = wire::read_row(body)?;
        for (cell, _) in cells.iter_mut().zip(columns).filter(|(_, column)| is_hex(column)) {
            if let Some(text) = cell
                && text.starts_with(b"\\x")
            {
                // VARBYTE's text is the digits alone.
                *text = text.slice(2..);
            }
        }
        wire::row(&mut self.out, &cells);
        Ok(())
    }
}

/// All messages of a statement with its parameters.
fn bound(sql: &str, portal: &Portal) -> std::io::Result<BytesMut> {
    let mut out = BytesMut::new();
    frontend::parse("", sql, portal.parameters.iter().copied(), &mut out)?;
    wire::put(&mut out, b'B', |out| {
        wire::put_text(out, "");
        wire::put_text(out, "");
        out.put_slice(&portal.bound);
    });
    frontend::describe(b'P', "", &mut out)?;
    frontend::execute("", 0, &mut out)?;
    frontend::sync(&mut out);
    Ok(out)
}
