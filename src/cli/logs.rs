//! Logs on stderr: one line for each event, whatever stands in names and in what servers say.

use std::fmt::{self, Write};
use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::table::{escape_json, is_unprintable};

/// How logs are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Starts them.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,delsert=info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .log_internal_errors(false)
        .with_target(false);
    match format {
        LogFormat::Text => builder.with_writer(io::stderr).fmt_fields(debug_fn(field).delimited(" ")).init(),
        LogFormat::Json => builder.json().with_writer(|| Lines(io::stderr())).init(),
    }
}

/// A field as text, without what would begin a line of its own or move a terminal's cursor.
fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let mut writer = Escaped(writer);
    match field.name() {
        "message" => write!(writer, "{value:?}"),
        name => write!(writer, "{name}={value:?}"),
    }
}

/// Shows what is unprintable as an escape.
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaped<'_, '_> {
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
