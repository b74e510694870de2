//! Lists, as a table for people or as JSON for programs.

use std::io::Write;

use serde::Serialize;

/// Widest column; what is longer stands out.
const MAX_WIDTH: usize = 200;

/// Prints `rows` with `header` over the `cells` of each, or as a JSON list.
pub(super) fn list<T: Serialize>(
    out: &mut dyn Write,
    json: bool,
    rows: &[T],
    header: &[&str],
    cells: impl Fn(&T) -> Vec<String>,
) -> anyhow::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, rows)?;
        writeln!(out)?;
        return Ok(());
    }
    let mut table: Vec<Vec<String>> = vec![header.iter().map(|&title| title.to_owned()).collect()];
    table.extend(rows.iter().map(cells));
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            let cells = table.iter().filter_map(|row| row.get(column));
            // The formatter takes no wider ones, and nobody would read them.
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).min(MAX_WIDTH)
        })
        .collect();
    for row in table {
        let line: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width)).collect();
        writeln!(out, "{}", line.join("  ").trim_end())?;
    }
    Ok(())
}
