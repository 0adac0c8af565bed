//! What the demo prints.

use tokio_postgres::{Client, SimpleQueryMessage};

/// How wide a column may become.
const WIDTH: usize = 28;

/// A step of the story.
pub fn step(number: &mut u32, text: &str) {
    *number += 1;
    println!("\n{number}. {text}\n");
}

/// Prints a query's rows as an aligned table.
pub async fn query(target: &Client, title: &str, sql: &str) -> anyhow::Result<()> {
    let mut lines: Vec<Vec<String>> = Vec::new();
    for message in target.simple_query(sql).await? {
        if let SimpleQueryMessage::Row(row) = message {
            if lines.is_empty() {
                lines.push(row.columns().iter().map(|column| column.name().to_owned()).collect());
            }
            lines.push((0..row.len()).map(|at| short(row.get(at))).collect());
        }
    }
    println!("   {title}");
    if lines.is_empty() {
        println!("     (no rows)");
    }
    let columns = lines.first().map_or(0, Vec::len);
    let widths: Vec<_> =
        (0..columns).map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or_default()).collect();
    for (at, line) in lines.iter().enumerate() {
        let cells: Vec<_> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("     {}", cells.join("  ").trim_end());
        if at == 0 {
            let rule: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
            println!("     {}", rule.join("  "));
        }
    }
    println!();
    Ok(())
}

/// A cell on one line, cut to fit.
fn short(cell: Option<&str>) -> String {
    let Some(text) = cell else { return "NULL".to_owned() };
    let text: String =
        text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect();
    if text.chars().count() <= WIDTH {
        return text;
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}
