//! Records of a CSV file.

use super::Rejected;

/// The longest record ("COPY from S3").
pub const LONGEST: usize = 4 << 20;

/// One record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The line that it begins on, from 1.
    pub line: u64,
    /// As it stands in the file.
    pub raw: Vec<u8>,
    /// Its fields; whether they were quoted makes no difference.
    pub fields: Vec<Vec<u8>>,
}

impl Record {
    /// Is the line empty? A quoted empty field is none.
    pub fn is_blank(&self) -> bool {
        self.raw.is_empty()
    }
}

/// Reads records one after the other.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
    delimiter: u8,
    quote: u8,
}

impl<'a> Reader<'a> {
    /// At the beginning of a file.
    pub fn new(text: &'a [u8], delimiter: u8, quote: u8) -> Self {
        // A byte order mark is no data.
        let at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Self { text, at, line: 1, delimiter, quote }
    }

    /// Skips lines, as IGNOREHEADER does.
    pub fn skip_lines(&mut self, count: u64) {
        for _ in 0..count {
            let rest = &self.text[self.at..];
            self.at += rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
            self.line += 1;
        }
    }

    /// The next record, or why there is none on these lines.
    pub fn next(&mut self) -> Option<(Record, Result<(), Rejected>)> {
        if self.at >= self.text.len() {
            return None;
        }
        let (start, line) = (self.at, self.line);
        let mut fields = Vec::new();
        let result = loop {
            let (field, end) = match self.field(start) {
                Ok(read) => read,
                Err(mut rejected) => {
                    rejected.field = Some(fields.len());
                    self.skip_lines(1);
                    break Err(rejected);
                }
            };
            fields.push(field);
            if end {
                break Ok(());
            }
        };
        let raw = &self.text[start..self.at];
        let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        self.line = line + self.text[start..self.at].split(|byte| *byte == b'\n').skip(1).map(|_| 1).sum::<u64>();
        let too_long = raw.len() > LONGEST;
        let record = Record { line, raw: raw.to_vec(), fields };
        if too_long {
            return Some((record, Err(Rejected::new(8001, "Input row is longer than 4 MB"))));
        }
        Some((record, result))
    }

    /// The next field, and whether it is the record's last.
    fn field(&mut self, start: usize) -> Result<(Vec<u8>, bool), Rejected> {
        if self.text.get(self.at) == Some(&self.quote) { self.quoted(start) } else { self.bare(start) }
    }

    fn bare(&mut self, start: usize) -> Result<(Vec<u8>, bool), Rejected> {
        let mut field = Vec::new();
        loop {
            match self.text.get(self.at).copied() {
                None => return Ok((field, true)),
                Some(b'\n') => {
                    self.at += 1;
                    return Ok((field, true));
                }
                Some(b'\r') if self.text.get(self.at + 1) == Some(&b'\n') => {
                    self.at += 2;
                    return Ok((field, true));
                }
                Some(byte) if byte == self.delimiter => {
                    self.at += 1;
                    return Ok((field, false));
                }
                Some(byte) if byte == self.quote => return Err(self.wrong(start)),
                Some(byte) => {
                    field.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn quoted(&mut self, start: usize) -> Result<(Vec<u8>, bool), Rejected> {
        let mut field = Vec::new();
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let Some(end) = rest.iter().position(|byte| *byte == self.quote) else {
                self.at = self.text.len();
                return Err(self.wrong(start));
            };
            field.extend_from_slice(&rest[..end]);
            self.at += end + 1;
            if self.text.get(self.at) != Some(&self.quote) {
                break;
            }
            field.push(self.quote);
            self.at += 1;
        }
        let (length, last) = match &self.text[self.at..] {
            [] => (0, true),
            [b'\n', ..] => (1, true),
            [b'\r', b'\n', ..] => (2, true),
            [byte, ..] if *byte == self.delimiter => (1, false),
            _ => return Err(self.wrong(start)),
        };
        self.at += length;
        Ok((field, last))
    }

    fn wrong(&self, start: usize) -> Rejected {
        Rejected { position: self.at - start, ..Rejected::new(1200, "Invalid quote formatting for CSV") }
    }
}
