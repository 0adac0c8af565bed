//! Logs on stderr: one line for each event, whatever stands in names and in what servers say.
//!
//! As text a line is `TIME LEVEL TABLE: MESSAGE FIELD=VALUE …`. The time is left out where whoever shows the line sets one of
//! its own before it: Airflow, journald.

use std::fmt::{self, Write};
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;

use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::table::{escape_json, is_unprintable};

/// What is logged where `RUST_LOG` says nothing. The driver tells as errors what is asked and answered here.
const USUAL: &str = "warn,tiberius=off,delsert=info";

/// Whether whoever shows the lines sets a time before each: Airflow, or journald, which names the stream that it reads
/// ("Environment Variables Set or Propagated by the Service Manager": device and inode of stderr).
fn is_timed() -> bool {
    let stderr = std::fs::metadata("/proc/self/fd/2").map(|stream| format!("{}:{}", stream.dev(), stream.ino()));
    let is_journal = |named: String| stderr.is_ok_and(|stderr| stderr == named);
    std::env::var_os("AIRFLOW_CTX_DAG_ID").is_some() || std::env::var("JOURNAL_STREAM").is_ok_and(is_journal)
}

/// How logs are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Starts them.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(USUAL));
    let is_terminal = io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_terminal)
        .log_internal_errors(false)
        .with_target(false);
    let with_time = is_terminal || !is_timed();
    match format {
        LogFormat::Text => builder.with_writer(io::stderr).event_format(Text { with_time }).init(),
        LogFormat::Json => builder.json().with_writer(|| Lines(io::stderr())).init(),
    }
}

/// Writes events as text.
struct Text {
    with_time: bool,
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if self.with_time {
            SystemTime.format_time(&mut writer)?;
            writer.write_char(' ')?;
        }
        let level = *event.metadata().level();
        if writer.has_ansi_escapes() {
            write!(writer, "\u{1b}[{}m{level:<5}\u{1b}[0m ", colour(level))?;
        } else {
            write!(writer, "{level:<5} ")?;
        }
        let mut told = Told::default();
        event.record(&mut told);
        let mut escaped = Escaped(&mut writer);
        // Errors name their table themselves.
        if !told.table.is_empty() && !told.message.starts_with(&format!("{}: ", told.table)) {
            write!(escaped, "{}: ", told.table)?;
        }
        write!(escaped, "{}{}", told.message, told.fields)?;
        writeln!(writer)
    }
}

fn colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    }
}

/// What an event says, by its place in the line.
#[derive(Default)]
struct Told {
    table: String,
    message: String,
    fields: String,
}

impl Visit for Told {
    /// A word stands as it is, as in `kind=Gap`.
    fn record_str(&mut self, field: &Field, value: &str) {
        let is_word = |letter: char| letter.is_alphanumeric() || "_-./:".contains(letter);
        if value.is_empty() || !value.chars().all(is_word) {
            self.record_debug(field, &value);
        } else {
            self.record_debug(field, &format_args!("{value}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "table" => write!(self.table, "{value:?}"),
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

/// Shows what is unprintable as an escape.
struct Escaped<'a, W>(&'a mut W);

impl<W: fmt::Write> fmt::Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            if is_unprintable(letter) {
                write!(self.0, "{}", letter.escape_default())?;
            } else {
                self.0.write_char(letter)?;
            }
        }
        Ok(())
    }
}

/// Writes events in JSON, each given as a whole: what JSON leaves as it is, others may take for the end of a line.
struct Lines<W>(W);

impl<W: io::Write> io::Write for Lines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let Ok(text) = std::str::from_utf8(event) else { return self.0.write(event) };
        // At once, line and end: events of other threads come between two writes.
        let line = escape_json(text.trim_end_matches('\n')) + "\n";
        self.0.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn an_event_in_json_is_one_line() {
        let mut lines = Lines(Vec::new());
        let event = "{\"table\":\"a\u{85}b\u{2028}\u{202e}\",\"message\":\"\\n\u{7f}é\"}\n";
        lines.write_all(event.as_bytes()).unwrap();
        let expected = "{\"table\":\"a\\u0085b\\u2028\\u202e\",\"message\":\"\\n\\u007fé\"}\n";
        assert_eq!(String::from_utf8(lines.0).unwrap(), expected);
    }
}
