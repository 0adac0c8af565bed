//! COPY's statement.

use std::collections::HashSet;

use crate::redshift::error::SqlError;
use crate::redshift::lexer::{Kind, unescape};
use crate::redshift::name::Name;
use crate::redshift::statement::cursor::Cursor;

/// Who COPY is in S3.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    /// Roles, each assumed by the one before it.
    Roles(Vec<String>),
    /// The cluster's default role.
    DefaultRole,
    /// Keys.
    Keys { access: String, secret: String, token: Option<String> },
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Roles(roles) => write!(out, "Roles({roles:?})"),
            Self::DefaultRole => out.write_str("DefaultRole"),
            Self::Keys { .. } => out.write_str("Keys"),
        }
    }
}

/// How files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Gzip,
    Zstd,
}

/// The forms that times may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeFormat {
    /// `YYYY-MM-DD HH:MI:SS`, without a zone.
    #[default]
    Default,
    /// Any form that is recognised, with a zone, too.
    Auto,
    EpochSeconds,
    EpochMilliseconds,
}

/// The statement.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of the statement")]
pub struct Copy {
    pub table: Name,
    pub columns: Option<Vec<String>>,
    /// Bucket, and prefix or manifest.
    pub bucket: String,
    pub key: String,
    pub authorization: Authorization,
    pub region: Option<String>,
    pub manifest: bool,
    pub compression: Option<Compression>,
    pub delimiter: u8,
    pub quote: u8,
    pub null: String,
    pub empty_as_null: bool,
    pub blanks_as_null: bool,
    pub ignore_header: u64,
    pub ignore_blank_lines: bool,
    pub fill_record: bool,
    pub invalid_character: Option<char>,
    pub truncate_columns: bool,
    pub round_decimals: bool,
    pub max_error: u64,
    pub explicit_ids: bool,
    pub no_load: bool,
    pub time_format: TimeFormat,
}

/// Options that a COPY of CSV does not take.
const NOT_WITH_CSV: &[&str] = &["fixedwidth", "removequotes", "escape"];
/// Options that Redshift has and the stand-in has not.
const UNMODELLED: &[&str] = &[
    "bzip2",
    "lzop",
    "credentials",
    "ssh",
    "encrypted",
    "master_symmetric_key",
    "readratio",
    "parquet",
    "orc",
    "avro",
    "json",
    "shapefile",
    "iceberg",
];

#[derive(Default)]
struct Found {
    seen: HashSet<String>,
    authorization: Option<Authorization>,
    csv: bool,
    copy: Option<Copy>,
}

impl Copy {
    /// Reads what follows COPY.
    pub fn parse(cursor: &mut Cursor) -> Result<Self, SqlError> {
        let table = cursor.name()?;
        let columns = if cursor.is("(") { Some(cursor.list(Cursor::identifier)?) } else { None };
        if cursor.is("to") {
            return Err(SqlError::syntax("to"));
        }
        cursor.expect("from")?;
        if cursor.is("stdin") {
            return Err(SqlError::unsupported("COPY from STDIN is not supported"));
        }
        let from = cursor.text()?;
        let place =
            from.strip_prefix("s3://").ok_or_else(|| SqlError::unmodelled("COPY from a source other than s3://"))?;
        let (bucket, key) = place.split_once('/').unwrap_or((place, ""));
        if bucket.is_empty() || key.is_empty() {
            return Err(SqlError::new("XX000", format!("The S3 path {from} names no bucket or no prefix")));
        }
        let copy = Self {
            table,
            columns,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            authorization: Authorization::DefaultRole,
            region: None,
            manifest: false,
            compression: None,
            delimiter: b',',
            quote: b'"',
            null: "\\N".to_owned(),
            empty_as_null: false,
            blanks_as_null: false,
            ignore_header: 0,
            ignore_blank_lines: false,
            fill_record: false,
            invalid_character: None,
            truncate_columns: false,
            round_decimals: false,
            max_error: 0,
            explicit_ids: false,
            no_load: false,
            time_format: TimeFormat::Default,
        };
        let mut found = Found { copy: Some(copy), ..Found::default() };
        while !cursor.is_at_end() {
            found.option(cursor)?;
        }
        found.finish()
    }
}

fn as_text(cursor: &mut Cursor) -> Result<String, SqlError> {
    cursor.accept("as");
    cursor.raw_text().map(|raw| unescape(&raw, true))
}

fn as_character(cursor: &mut Cursor, what: &str) -> Result<u8, SqlError> {
    let text = as_text(cursor)?;
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\r' | b'\n') => Ok(*byte),
        _ => Err(SqlError::new("22023", format!("COPY {what} must be a single ASCII character"))),
    }
}

fn as_count(cursor: &mut Cursor, what: &str, most: i64) -> Result<u64, SqlError> {
    cursor.accept("as");
    let count = cursor.integer()?;
    let wrong = || SqlError::new("22023", format!("{what} must be between 0 and {most}"));
    u64::try_from(count).ok().filter(|_| count <= most).ok_or_else(wrong)
}

fn as_switch(cursor: &mut Cursor, words: &[&str]) {
    words.iter().any(|word| cursor.accept(word));
}

impl Found {
    fn option(&mut self, cursor: &mut Cursor) -> Result<(), SqlError> {
        let at = cursor.clone();
        let word = cursor.bare_word()?;
        let group = match word.as_str() {
            "gzip" | "zstd" | "bzip2" | "lzop" => "compression",
            "csv" | "format" => "format",
            "iam_role" | "access_key_id" | "credentials" => "authorization",
            other => other,
        };
        if !self.seen.insert(group.to_owned()) {
            return Err(SqlError::new("42601", format!("conflicting or redundant options: {group}")));
        }
        if UNMODELLED.contains(&word.as_str()) {
            return Err(SqlError::unmodelled(&format!("COPY with {}", word.to_ascii_uppercase())));
        }
        let Some(copy) = &mut self.copy else { return Err(at.unexpected()) };
        match word.as_str() {
            "csv" => self.csv = true,
            "format" => {
                cursor.accept("as");
                let format = cursor.bare_word()?;
                if UNMODELLED.contains(&format.as_str()) {
                    return Err(SqlError::unmodelled(&format!("FORMAT {}", format.to_ascii_uppercase())));
                }
                if format != "csv" {
                    return Err(SqlError::syntax(&format));
                }
                self.csv = true;
            }
            "iam_role" | "access_key_id" => self.authorization = Some(authorization(&word, cursor)?),
            "quote" => copy.quote = as_character(cursor, "quote")?,
            "delimiter" => copy.delimiter = as_character(cursor, "delimiter")?,
            "null" => {
                copy.null = as_text(cursor)?;
                if copy.null.contains(['\n', '\r']) {
                    return Err(SqlError::new("22023", "COPY null string cannot be a newline"));
                }
            }
            "region" => copy.region = Some(as_text(cursor)?),
            "encoding" => {
                let encoding = cursor.bare_word().or_else(|_| as_text(cursor))?;
                if !["utf8", "utf-8"].contains(&encoding.to_ascii_lowercase().as_str()) {
                    return Err(SqlError::unmodelled("an ENCODING other than UTF8"));
                }
            }
            "dateformat" => match as_text(cursor)?.to_ascii_lowercase().as_str() {
                "auto" | "yyyy-mm-dd" => {}
                _ => return Err(SqlError::unmodelled("this DATEFORMAT")),
            },
            "timeformat" => {
                copy.time_format = match as_text(cursor)?.to_ascii_lowercase().as_str() {
                    "auto" => TimeFormat::Auto,
                    "yyyy-mm-dd hh:mi:ss" => TimeFormat::Default,
                    "epochsecs" => TimeFormat::EpochSeconds,
                    "epochmillisecs" => TimeFormat::EpochMilliseconds,
                    _ => return Err(SqlError::unmodelled("this TIMEFORMAT")),
                }
            }
            "acceptinvchars" => {
                cursor.accept("as");
                let given = cursor.peek().is_some_and(|token| token.kind == Kind::Text);
                let replacement = if given { char::from(as_character(cursor, "replacement")?) } else { '?' };
                copy.invalid_character = Some(replacement);
            }
            "ignoreheader" => copy.ignore_header = as_count(cursor, "IGNOREHEADER", i64::MAX)?,
            "maxerror" => copy.max_error = as_count(cursor, "MAXERROR", 100_000)?,
            "compupdate" => as_switch(cursor, &["preset", "on", "off", "true", "false"]),
            "statupdate" => as_switch(cursor, &["on", "off", "true", "false"]),
            "comprows" => drop(as_count(cursor, "COMPROWS", 1_000_000_000)?),
            "manifest" => copy.manifest = true,
            "gzip" => copy.compression = Some(Compression::Gzip),
            "zstd" => copy.compression = Some(Compression::Zstd),
            "emptyasnull" => copy.empty_as_null = true,
            "blanksasnull" => copy.blanks_as_null = true,
            "ignoreblanklines" => copy.ignore_blank_lines = true,
            "fillrecord" => copy.fill_record = true,
            "truncatecolumns" => copy.truncate_columns = true,
            "roundec" => copy.round_decimals = true,
            "explicit_ids" => copy.explicit_ids = true,
            "noload" => copy.no_load = true,
            "trimblanks" => return Err(SqlError::unmodelled("COPY with TRIMBLANKS")),
            word if NOT_WITH_CSV.contains(&word) => {}
            _ => return Err(at.unexpected()),
        }
        Ok(())
    }

    fn finish(self) -> Result<Copy, SqlError> {
        let Some(mut copy) = self.copy else { return Err(SqlError::syntax("copy")) };
        copy.authorization = self.authorization.ok_or_else(|| {
            SqlError::new(
                "42601",
                "COPY from S3 needs an authorization: IAM_ROLE, or ACCESS_KEY_ID and SECRET_ACCESS_KEY",
            )
        })?;
        if let Some(option) = NOT_WITH_CSV.iter().find(|option| self.seen.contains(**option)) {
            let option = option.to_ascii_uppercase();
            if self.csv {
                return Err(SqlError::new("42601", format!("{option} option is not supported with CSV")));
            }
            return Err(SqlError::unmodelled(&format!("COPY with {option}")));
        }
        if !self.csv {
            return Err(SqlError::unmodelled("COPY of a format other than CSV"));
        }
        if copy.delimiter == copy.quote {
            return Err(SqlError::new("22023", "COPY delimiter and quote must be different"));
        }
        Ok(copy)
    }
}

fn authorization(word: &str, cursor: &mut Cursor) -> Result<Authorization, SqlError> {
    if word == "iam_role" {
        if cursor.accept("default") {
            return Ok(Authorization::DefaultRole);
        }
        let chain = cursor.text()?;
        let roles: Vec<_> = chain.split(',').map(str::to_owned).collect();
        if let Some(role) = roles.iter().find(|role| !role.starts_with("arn:") || role.contains(char::is_whitespace)) {
            return Err(SqlError::new("XX000", format!("Invalid IAM role: {role}")));
        }
        return Ok(Authorization::Roles(roles));
    }
    let access = as_text(cursor)?;
    cursor.expect("secret_access_key")?;
    let secret = as_text(cursor)?;
    let has_token = cursor.accept("session_token") || cursor.accept("token");
    let token = if has_token { Some(as_text(cursor)?) } else { None };
    Ok(Authorization::Keys { access, secret, token })
}
