//! Rows into the table, errors into their view.

use std::collections::HashMap;
use std::io::Read as _;

use super::Rejected;
use super::convert::convert;
use super::csv::{Reader, Record};
use super::options::{Compression, Copy};
use super::source::{Files, Source};
use crate::redshift::error::{Outcome, SqlError};
use crate::redshift::name::{cut, literal, quoted};
use crate::redshift::session::{Session, Table};
use crate::redshift::types::Type;

/// Rows are sent below in pieces of about this size.
const PIECE: usize = 1 << 18;

/// A column that is loaded.
#[derive(Debug, Clone)]
struct Target {
    name: String,
    column_type: Type,
    not_null: bool,
    /// What a NULL becomes, where the column takes none and has a default.
    default: Option<String>,
    is_identity: bool,
}

/// What was loaded and what was not.
#[derive(Debug, Default)]
struct Progress {
    rows: u64,
    errors: u64,
    out: Vec<u8>,
}

impl Session {
    /// Loads files; gives the count of rows.
    pub(in crate::redshift) async fn copy(&mut self, copy: &Copy) -> Outcome<u64> {
        self.lock_for_writing(&copy.table).await?;
        let table = self.table(&copy.table).await?;
        let targets = self.targets(&table, copy).await?;
        let files = self.shared.bucket.open(copy)?;
        let sources = files.sources(copy).await?;
        self.last_copy.0 = self.query;
        let columns: Vec<_> = targets.iter().map(|target| quoted(&target.name)).collect();
        let mut progress = Progress::default();
        if copy.no_load {
            self.load(copy, &files, &sources, &table, &targets, &mut progress).await?;
            return Ok(0);
        }
        // Below, rows come by the session's own connection, so that they are in its transaction.
        self.below.copy_in(&format!("COPY {} ({}) FROM STDIN", copy.table.quoted(), columns.join(", "))).await?;
        if let Err(failure) = self.load(copy, &files, &sources, &table, &targets, &mut progress).await {
            self.below.copy_fail().await?;
            return Err(failure);
        }
        self.below.copy_data(&progress.out).await?;
        self.below.copy_end().await?;
        self.last_copy.1 = progress.rows;
        Ok(progress.rows)
    }

    async fn load(
        &mut self,
        copy: &Copy,
        files: &Files,
        sources: &[Source],
        table: &Table,
        targets: &[Target],
        progress: &mut Progress,
    ) -> Outcome<()> {
        for source in sources {
            self.check_time()?;
            let Some(bytes) = files.read(&source.bucket, &source.key).await? else {
                if source.mandatory {
                    let rejected = Rejected::new(1212, "File not found");
                    self.record(table, None, source, &Record::default(), &rejected).await?;
                    return Err(failed(table).with_detail("code: 1212").into());
                }
                continue;
            };
            let text = match decompress(&bytes, copy.compression) {
                Ok(text) => text,
                Err(error) => {
                    let told = format!("{} cannot be decompressed: {error}", source.url());
                    return Err(SqlError::new("XX000", told).with_detail("code: 15001").into());
                }
            };
            self.load_file(copy, source, &text, table, targets, progress).await?;
        }
        Ok(())
    }

    async fn load_file(
        &mut self,
        copy: &Copy,
        source: &Source,
        text: &[u8],
        table: &Table,
        targets: &[Target],
        progress: &mut Progress,
    ) -> Outcome<()> {
        let mut reader = Reader::new(text, copy.delimiter, copy.quote);
        reader.skip_lines(copy.ignore_header);
        while let Some((record, read)) = reader.next() {
            if read.is_ok() && record.is_blank() && copy.ignore_blank_lines {
                continue;
            }
            match read.and_then(|()| line(&record, targets, copy)) {
                Ok(line) => {
                    progress.rows += 1;
                    progress.out.extend(line);
                }
                Err(rejected) => {
                    let target = rejected.field.and_then(|field| targets.get(field));
                    self.record(table, target, source, &record, &rejected).await?;
                    progress.errors += 1;
                    if progress.errors > copy.max_error {
                        return Err(failed(table).into());
                    }
                }
            }
            if progress.out.len() > PIECE {
                self.check_time()?;
                let piece = std::mem::take(&mut progress.out);
                if !copy.no_load {
                    self.below.copy_data(&piece).await?;
                }
            }
        }
        Ok(())
    }

    /// The columns in the order of the fields.
    async fn targets(&mut self, table: &Table, copy: &Copy) -> Outcome<Vec<Target>> {
        let listed = match &copy.columns {
            Some(names) => names.iter().map(|name| table.column(name)).collect::<Result<Vec<_>, _>>()?,
            None => table.columns.iter().collect(),
        };
        let mut defaults: HashMap<String, String> = HashMap::new();
        let mut targets: Vec<Target> = Vec::new();
        for column in listed {
            if targets.iter().any(|target| target.name == column.name) {
                return Err(
                    SqlError::new("42701", format!("column \"{}\" specified more than once", column.name)).into()
                );
            }
            let identity = table.declared.columns.get(&column.number).and_then(|column| column.identity);
            if identity.is_some_and(|identity| !identity.by_default) && !copy.explicit_ids {
                return Err(SqlError::unsupported(format!(
                    "cannot load values into identity column \"{}\" without EXPLICIT_IDS",
                    column.name
                ))
                .into());
            }
            if let Some(default) = column.default.as_ref().filter(|_| column.not_null) {
                let rows = self.below.rows(&format!("SELECT ({default})::text")).await?;
                if let Some(value) = rows.first().and_then(|row| row[0].clone()) {
                    defaults.insert(column.name.clone(), value);
                }
            }
            targets.push(Target {
                name: column.name.clone(),
                column_type: column.column_type,
                not_null: column.not_null,
                default: defaults.remove(&column.name),
                is_identity: column.is_identity,
            });
        }
        Ok(targets)
    }

    /// Notes an error where the client's rollback does not reach.
    async fn record(
        &mut self,
        table: &Table,
        target: Option<&Target>,
        source: &Source,
        record: &Record,
        rejected: &Rejected,
    ) -> Outcome<()> {
        let column_type = target.map(|target| target.column_type.to_string()).unwrap_or_default();
        let (name, length) = column_type.split_once('(').unwrap_or((&column_type, ""));
        let value = rejected.field.and_then(|field| record.fields.get(field));
        let text = |bytes: &[u8]| literal(cut(&String::from_utf8_lossy(bytes).replace('\0', "\u{2400}"), 1024));
        let sql = format!(
            "INSERT INTO redshift_standin.\"$load_errors\" VALUES ({}, {}, {}, {}, now() AT TIME ZONE 'UTC', {}, {}, {}, {}, {}, \
             {}, {}, {}, {}, {})",
            literal(&self.user),
            self.query,
            table.number,
            self.below.pid,
            literal(&source.url()),
            record.line,
            literal(target.map_or("", |target| &target.name)),
            literal(name),
            literal(length.trim_end_matches(')')),
            rejected.position,
            text(&record.raw),
            value.map_or("NULL".to_owned(), |value| text(value)),
            rejected.code,
            literal(&rejected.reason.replace('\0', "\u{2400}")),
        );
        self.shared.own.lock().await.run(&sql).await
    }
}

fn failed(table: &Table) -> SqlError {
    SqlError::new(
        "XX000",
        format!("Load into table '{}' failed.  Check 'sys_load_error_detail' system table for details.", table.place.1),
    )
}

/// A record as a line for the server below.
fn line(record: &Record, targets: &[Target], copy: &Copy) -> Result<Vec<u8>, Rejected> {
    if record.is_blank() {
        return Err(Rejected::new(1211, "Line is empty"));
    }
    if record.fields.len() > targets.len() {
        return Err(Rejected { field: Some(targets.len()), ..Rejected::new(1202, "Extra column(s) found") });
    }
    if record.fields.len() < targets.len() && !copy.fill_record {
        return Err(Rejected {
            field: Some(record.fields.len()),
            ..Rejected::new(1203, "Missing column(s), delimiter not found")
        });
    }
    let mut line = Vec::new();
    for (place, target) in targets.iter().enumerate() {
        let value = match record.fields.get(place) {
            Some(field) => {
                let at = |rejected| Rejected { field: Some(place), ..rejected };
                convert(field, target.column_type, copy).map_err(at)?
            }
            None => None,
        };
        let value = match value {
            None if target.is_identity => {
                return Err(Rejected {
                    field: Some(place),
                    ..Rejected::new(1217, "Missing value of an identity column")
                });
            }
            None if target.not_null => match &target.default {
                Some(default) => Some(default.clone()),
                None => {
                    return Err(Rejected {
                        field: Some(place),
                        ..Rejected::new(1213, "Missing data for not-null field")
                    });
                }
            },
            value => value,
        };
        if place > 0 {
            line.push(b'\t');
        }
        match value {
            None => line.extend(b"\\N"),
            Some(value) => escape(&value, &mut line),
        }
    }
    line.push(b'\n');
    Ok(line)
}

fn escape(value: &str, out: &mut Vec<u8>) {
    for byte in value.bytes() {
        match byte {
            b'\\' => out.extend(b"\\\\"),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            other => out.push(other),
        }
    }
}

fn decompress(bytes: &[u8], compression: Option<Compression>) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    match compression {
        None => text.extend_from_slice(bytes),
        Some(Compression::Gzip) => drop(flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut text)?),
        Some(Compression::Zstd) => drop(zstd::stream::read::Decoder::new(bytes)?.read_to_end(&mut text)?),
    }
    Ok(text)
}
