//! Vectors of a decoder: files of one JSON object a line, from an adapter's `testdata` or from another
//! folder.

use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use serde_json::Value;

/// Names the folder to read instead of `testdata`: files of the same names, with any number of lines.
pub const FOLDER: &str = "TICKHOST_VECTORS";

/// The lines of one file.
#[derive(Debug)]
pub struct Vectors {
    file: String,
    lines: Vec<Value>,
    is_own: bool,
}

impl Vectors {
    /// Reads a file of an adapter's, of which `manifest` is the `CARGO_MANIFEST_DIR`. None when another
    /// folder was named that does not have it, which is said.
    ///
    /// # Panics
    /// When it cannot be read, has no lines, or one that is no JSON.
    #[allow(clippy::print_stdout, reason = "a test says what it did not compare")]
    pub fn read(manifest: &str, file: &str) -> Option<Self> {
        let other = env::var_os(FOLDER).map(PathBuf::from);
        let is_own = other.is_none();
        let path = other.unwrap_or_else(|| Path::new(manifest).join("testdata")).join(file);
        if !is_own && !path.exists() {
            println!("{file}: not in the folder of {FOLDER}, nothing compared");
            return None;
        }
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let lines: Vec<Value> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{file}: {error}")))
            .collect();
        assert!(!lines.is_empty(), "{file} has no lines");
        Some(Self { file: file.to_owned(), lines, is_own })
    }

    /// The same of a file without which there is nothing to test.
    ///
    /// # Panics
    /// When it is not there.
    pub fn main(manifest: &str, file: &str) -> Self {
        Self::read(manifest, file).unwrap_or_else(|| panic!("{FOLDER} names a folder without {file}"))
    }

    /// Leaves out lines that are compared elsewhere.
    pub fn retain(&mut self, is_wanted: impl FnMut(&Value) -> bool) {
        self.lines.retain(is_wanted);
    }

    /// Its lines.
    pub fn lines(&self) -> &[Value] {
        &self.lines
    }

    /// Whether it is the adapter's own, of which a test knows what it has.
    pub const fn is_own(&self) -> bool {
        self.is_own
    }

    /// Compares line by line with what gives the number of values and panics at a mismatch. Prints lines,
    /// values and lines with a mismatch, and gives the number of values.
    ///
    /// # Panics
    /// At the end, when there was a mismatch.
    #[allow(clippy::print_stdout, reason = "a test says what it compared")]
    pub fn compare(&self, mut each: impl FnMut(&Value) -> usize) -> usize {
        let (mut values, mut different) = (0, Vec::new());
        for (place, line) in self.lines.iter().enumerate() {
            match catch_unwind(AssertUnwindSafe(|| each(line))) {
                Ok(count) => values += count,
                Err(_) => different.push(format!("line {} ({})", place + 1, line["id"])),
            }
        }
        let (file, lines) = (&self.file, self.lines.len());
        println!("{file}: {lines} lines, {values} values compared, {} mismatches", different.len());
        assert!(different.is_empty(), "{file}: {}", different.join(", "));
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Vectors {
        let lines = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        Vectors { file: "x.jsonl".to_owned(), lines, is_own: true }
    }

    #[test]
    fn every_line_is_compared_and_each_mismatch_told() {
        let vectors = of(&[r#"{"id":"a","is":1}"#, r#"{"id":"b","is":2}"#, r#"{"id":"c","is":3}"#]);
        assert_eq!(vectors.compare(|_| 2), 6);
        let mut seen = 0;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            vectors.compare(|line| {
                seen += 1;
                assert_ne!(line["is"], 2);
                1
            })
        }));
        let told = outcome.unwrap_err().downcast::<String>().unwrap();
        assert_eq!((seen, told.as_str()), (3, "x.jsonl: line 2 (\"b\")"));
    }
}
