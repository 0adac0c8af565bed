//! Lines of the configuration that mend something: each a section's head and keys that take the place of those there.

use super::{Config, literal};
use crate::error::Result;
use crate::table::TableName;

fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<_> = texts.into_iter().map(literal).collect();
    format!("[{}]", texts.join(", "))
}

impl Config {
    /// The lines that leave tables out, besides those left out already.
    ///
    /// # Errors
    /// As [`Config::patterns`].
    pub fn excluding<'a>(&self, tables: impl IntoIterator<Item = &'a TableName>) -> Result<String> {
        let (_, mut exclude) = self.patterns()?;
        exclude.extend(tables.into_iter().map(ToString::to_string));
        Ok(format!("[source]\nexclude = {}", list(exclude.iter().map(String::as_str))))
    }

    /// The lines that leave columns of a table out, besides those left out already.
    pub fn excluding_columns(&self, table: &TableName, columns: &[&str]) -> String {
        let options = self.options(table);
        let name = options.name.as_ref().unwrap_or(table).to_string();
        let excluded = options.exclude_columns.iter().map(String::as_str).chain(columns.iter().copied());
        format!("[[table]]\nname = {}\nexclude_columns = {}", literal(&name), list(excluded))
    }

    /// The lines that say which columns of a `[[table]]` entry are left out.
    pub fn only_excluding(entry: &TableName, columns: &[&str]) -> String {
        format!(
            "[[table]]\nname = {}\nexclude_columns = {}",
            literal(&entry.to_string()),
            list(columns.iter().copied())
        )
    }

    /// The lines that give `[source]` these patterns under a key, `include` or `exclude`.
    pub fn patterned(key: &str, patterns: &[&str]) -> String {
        format!("[source]\n{key} = {}", list(patterns.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_what_was_there_and_read_back() {
        let text = "[sync]\nname = 's'\n[source]\nengine = 'sqlserver'\ninclude = ['*']\nexclude = ['a.*']\n[[table]]\nname = 'A.T'\nexclude_columns = ['x']";
        let config = Config::parse(text).unwrap();
        let lines = config.excluding([&TableName::new("b", "it's \"${c}\"")]).unwrap();
        let read: toml::Table = lines.parse().unwrap();
        assert_eq!(read["source"]["exclude"].as_array().unwrap().len(), 2);
        assert_eq!(read["source"]["exclude"][1].as_str(), Some("b.[it's \"$${c}\"]"));
        let lines = config.excluding_columns(&TableName::new("a", "t"), &["y"]);
        assert_eq!(lines, "[[table]]\nname = \"A.T\"\nexclude_columns = [\"x\", \"y\"]");
        let lines = config.excluding_columns(&TableName::new("a", "u v"), &["y"]);
        assert_eq!(lines, "[[table]]\nname = \"a.u v\"\nexclude_columns = [\"y\"]");
    }
}
