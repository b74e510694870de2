//! The rows of a broker's CSV file, of which none can spoil another.
//!
//! Brokers write no line breaks into cells. So a row is a line, whatever quotes stand in it: with a quote
//! that is never closed, a reader that allows line breaks swallows the rest of the file without a word.

use std::io::{self, BufRead, Read as _};

use crate::AdapterError;

/// Longest line, in bytes. A longer one costs itself.
const MAX_LINE_BYTES: u64 = 16 << 10;

/// Reads a CSV file row by row. Empty lines are left out. A quoted cell may hold commas, and quotes that are
/// doubled; other quotes are left out, if the row has as many cells as the first one then, and are damage
/// otherwise.
#[derive(Debug)]
pub struct Rows<R> {
    input: R,
    line: Vec<u8>,
    row: Row,
    /// Cells of the first row.
    width: Option<usize>,
    is_cut_off: bool,
}

/// The cells of a row. One that is damaged has none.
#[derive(Debug, Default)]
pub struct Row {
    text: Vec<u8>,
    ends: Vec<usize>,
}

/// The file is made again with the next download, so it is worth another try.
fn unreadable(error: io::Error) -> AdapterError {
    AdapterError::network(format!("the list of instruments cannot be read: {error}")).caused_by(error)
}

impl Row {
    /// A cell, without white space around it. None when the row ends before it, or when it is no UTF-8.
    pub fn get(&self, place: usize) -> Option<&str> {
        let end = *self.ends.get(place)?;
        let start = place.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        str::from_utf8(self.text.get(start..end)?).ok().map(str::trim)
    }

    /// Cells.
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none: the row is damaged.
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The place of the cell that reads so, such as the name of a column in the first row.
    pub fn position(&self, text: &str) -> Option<usize> {
        (0..self.len()).find(|place| self.get(*place) == Some(text))
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    fn end_cell(&mut self) {
        self.ends.push(self.text.len());
    }

    /// Takes the cells of a line; false when its quotes make no sense.
    fn split(&mut self, line: &[u8]) -> bool {
        self.clear();
        let mut rest = line;
        loop {
            if let Some(quoted) = rest.strip_prefix(b"\"") {
                let Some(after) = self.unquote(quoted) else { return false };
                rest = after;
            } else {
                let end = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
                let (cell, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                if cell.contains(&b'"') {
                    return false;
                }
                self.text.extend_from_slice(cell);
                rest = after;
            }
            self.end_cell();
            match rest.split_first() {
                None => return true,
                Some((b',', after)) => rest = after,
                Some(_) => return false,
            }
        }
    }

    /// Takes a cell behind its opening quote, and gives what follows the closing one.
    fn unquote<'a>(&mut self, mut quoted: &'a [u8]) -> Option<&'a [u8]> {
        loop {
            let end = quoted.iter().position(|byte| *byte == b'"')?;
            self.text.extend_from_slice(quoted.get(..end)?);
            quoted = quoted.get(end + 1..)?;
            let Some(more) = quoted.strip_prefix(b"\"") else { return Some(quoted) };
            self.text.push(b'"');
            quoted = more;
        }
    }

    /// Takes the cells of a line as if it had no quotes.
    fn split_plainly(&mut self, line: &[u8]) {
        self.clear();
        for byte in line {
            match byte {
                b',' => self.end_cell(),
                b'"' => {}
                byte => self.text.push(*byte),
            }
        }
        self.end_cell();
    }
}

impl<R: BufRead> Rows<R> {
    /// The rows of `input`.
    pub fn new(input: R) -> Self {
        Self { input, line: Vec::new(), row: Row::default(), width: None, is_cut_off: false }
    }

    /// Whether the file ends within a row, as far as it was read. What is behind is missing.
    pub const fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    /// The next row; none at the end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self) -> Result<Option<&Row>, AdapterError> {
        loop {
            self.line.clear();
            let line = self.input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut self.line);
            let count = line.map_err(unreadable)?;
            if count == 0 {
                return Ok(None);
            }
            let has_end = self.line.ends_with(b"\n");
            if !has_end && u64::try_from(count).is_ok_and(|count| count == MAX_LINE_BYTES) {
                self.skip_line().map_err(unreadable)?;
                self.row.clear();
                return Ok(Some(&self.row));
            }
            let line = self.line.trim_ascii_end();
            let line =
                if self.width.is_none() { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
            if line.is_empty() {
                continue;
            }
            let is_plain = self.row.split(line);
            if !is_plain {
                self.row.split_plainly(line);
            }
            let width = *self.width.get_or_insert(self.row.len());
            // The last line of a file that was cut off may end within a cell.
            self.is_cut_off = !has_end && self.row.len() < width;
            if (!is_plain && self.row.len() != width) || self.is_cut_off {
                self.row.clear();
            }
            return Ok(Some(&self.row));
        }
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            let (length, is_over) = match buffer.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            self.input.consume(length);
            if is_over {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(text: &[u8]) -> Vec<Vec<String>> {
        let mut rows = Rows::new(text);
        let mut found = Vec::new();
        while let Some(row) = rows.read().unwrap() {
            found.push((0..row.len()).map(|place| row.get(place).unwrap_or("?").to_owned()).collect());
        }
        found
    }

    #[test]
    fn cells_are_what_they_were_before_they_were_written() {
        assert_eq!(
            rows(b"\xef\xbb\xbfa, b ,c\r\n\n\"M & M, \"\"LTD\"\"\",,\n1,\xff,3\n\"\",x\n"),
            [vec!["a", "b", "c"], vec!["M & M, \"LTD\"", "", ""], vec!["1", "?", "3"], vec!["", "x"]]
        );
        assert_eq!(rows(b""), Vec::<Vec<String>>::new());
    }

    #[test]
    fn a_stray_quote_costs_itself_and_at_most_its_row() {
        for (line, cells) in [
            ("1,\"INFY,x", vec!["1", "INFY", "x"]),
            ("1,IN\"FY,x", vec!["1", "INFY", "x"]),
            ("1,INFY\",x", vec!["1", "INFY", "x"]),
            ("1,\"INFY\"x,y", vec!["1", "INFYx", "y"]),
            ("1,\"INFY, LTD,x", vec![]),
            ("\"1,INFY", vec![]),
        ] {
            let text = format!("a,b,c\n{line}\n7,8,9\n");
            assert_eq!(rows(text.as_bytes()), [vec!["a", "b", "c"], cells, vec!["7", "8", "9"]], "{line}");
        }
    }

    #[test]
    fn a_line_without_an_end_costs_itself() {
        let long = "x".repeat(40_000);
        let text = format!("a,b\n{long},1\n7,8\n9");
        assert_eq!(rows(text.as_bytes()), [vec!["a", "b"], vec![], vec!["7", "8"], vec![]]);
        assert_eq!(rows(long.as_bytes()), [Vec::<String>::new()]);
        assert_eq!(rows(b"a,b\n7,8"), [["a", "b"], ["7", "8"]]);
        for (text, is_cut_off) in
            [("", false), ("a,b\n7,8", false), ("a,b\n7\n", false), ("a,b\n1,2\n7", true)]
        {
            let mut rows = Rows::new(text.as_bytes());
            while rows.read().unwrap().is_some() {}
            assert_eq!(rows.is_cut_off(), is_cut_off, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_stands_before_and_behind_damage_is_read(
            damage in proptest::collection::vec(any::<u8>().prop_filter("one line", |byte| *byte != b'\n'), 0..60),
            before in 0_usize..20,
        ) {
            let mut text = b"key,name,kind\n".to_vec();
            for row in 0..20 {
                if row == before {
                    text.extend_from_slice(&damage);
                    text.push(b'\n');
                }
                text.extend_from_slice(format!("{row},\"A, {row}\",x\n").as_bytes());
            }
            let found = rows(&text);
            for row in 0..20 {
                let wanted = vec![row.to_string(), format!("A, {row}"), "x".to_owned()];
                prop_assert!(found.contains(&wanted));
            }
            prop_assert!(found.len() <= 22);
        }
    }
}
