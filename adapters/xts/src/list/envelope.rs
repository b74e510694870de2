//! From the JSON in which a file of the list comes to rows of cells with commas between them.
//!
//! ```text
//! {"type":"success","result":"NSECM|22|8|ACC|…\nNSECM|25|…"}
//! {"type":"success","result":{"exchangeSegment":1,"indexList":["NIFTY 50_26000",…]}}
//! ```

use std::io::{self, BufReader, Read};

use adapter_sdk::serde_json;
use serde::Deserialize;

use super::INDEX;

/// What stands before the rows.
const MEMBER: &[u8] = b"\"result\"";

/// Longest part of a file in which the member is looked for, in bytes.
const LONGEST_HEAD: usize = 64 << 10;

/// Longest list of indices, in bytes.
const LONGEST_INDICES: u64 = 4 << 20;

/// Longest row, in bytes. What is longer is no row.
const LONGEST_ROW: usize = 16 << 10;

/// Bytes that are read at once.
const BUFFER: usize = 128 << 10;

/// A row that stands for what is missing behind it: the file ends within a row.
const CUT_OFF: &[u8] = b"-";

/// Reads a file as rows.
pub(super) struct Envelope<R> {
    input: BufReader<R>,
    /// Rows that are whole, as far as they were not taken.
    ready: Vec<u8>,
    taken: usize,
    /// The row that has begun.
    row: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Text,
    Over,
}

#[derive(Deserialize)]
struct Indices {
    #[serde(rename = "exchangeSegment")]
    segment: serde_json::Value,
    #[serde(rename = "indexList")]
    list: Vec<String>,
}

impl<R: Read> Envelope<R> {
    pub(super) fn of(input: R) -> Self {
        let input = BufReader::with_capacity(BUFFER, input);
        Self { input, ready: Vec::new(), taken: 0, row: Vec::new(), state: State::Head }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let mut one = [0];
        Ok((self.input.read(&mut one)? == 1).then_some(one[0]))
    }

    /// Finds the member.
    fn begin(&mut self) -> io::Result<()> {
        self.state = State::Over;
        let mut head = Vec::new();
        while head.len() < LONGEST_HEAD {
            let Some(byte) = self.byte()? else { return Ok(()) };
            head.push(byte);
            if !head.ends_with(MEMBER) {
                continue;
            }
            match self.value()? {
                Some(b'"') => self.state = State::Text,
                Some(b'{') => self.indices()?,
                // A text that reads so.
                Some(other) if other != b'[' => {
                    head.push(other);
                    continue;
                }
                _ => {}
            }
            return Ok(());
        }
        Ok(())
    }

    /// The first byte of the value of a member, behind its colon.
    fn value(&mut self) -> io::Result<Option<u8>> {
        let mut has_colon = false;
        loop {
            match self.byte()? {
                Some(b' ' | b'\n' | b'\r' | b'\t') => {}
                Some(b':') if !has_colon => has_colon = true,
                Some(other) if has_colon => return Ok(Some(other)),
                // It was no member.
                other => return Ok(other.map(|_| b',')),
            }
        }
    }

    fn indices(&mut self) -> io::Result<()> {
        let mut text = b"{".to_vec();
        self.input.by_ref().take(LONGEST_INDICES).read_to_end(&mut text)?;
        let first = serde_json::Deserializer::from_slice(&text).into_iter::<Indices>().next();
        let Some(Ok(indices)) = first else { return Ok(()) };
        let segment = indices.segment.as_str().map_or_else(|| indices.segment.to_string(), str::to_owned);
        for index in &indices.list {
            if let Some((name, number)) = index.rsplit_once('_') {
                for cell in [INDEX, number, &segment, name] {
                    cell.bytes().for_each(|byte| self.push(byte));
                    self.row.push(b',');
                }
                self.end_row();
            }
        }
        Ok(())
    }

    /// Takes a byte of a cell.
    fn push(&mut self, byte: u8) {
        let byte = match byte {
            b'|' => b',',
            b',' => b' ',
            b'"' | b'\r' => return,
            other => other,
        };
        if self.row.len() < LONGEST_ROW {
            self.row.push(byte);
        }
    }

    fn end_row(&mut self) {
        self.ready.append(&mut self.row);
        self.ready.push(b'\n');
    }

    /// Takes what was read, until a row is whole at least.
    fn rows(&mut self) -> io::Result<()> {
        while self.ready.is_empty() && self.state == State::Text {
            let Some(byte) = self.byte()? else {
                // What has begun may end in the middle of a number.
                self.state = State::Over;
                self.ready.extend_from_slice(CUT_OFF);
                return Ok(());
            };
            match byte {
                b'"' => {
                    self.state = State::Over;
                    self.end_row();
                }
                b'\\' => self.escaped()?,
                b'\n' => self.end_row(),
                other => self.push(other),
            }
        }
        Ok(())
    }

    fn escaped(&mut self) -> io::Result<()> {
        match self.byte()? {
            Some(b'n') => self.end_row(),
            Some(b'u') => {
                let mut digits = String::new();
                for _ in 0..4 {
                    digits.extend(self.byte()?.map(char::from));
                }
                let number = u32::from_str_radix(&digits, 16).ok();
                let character = number.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                let mut bytes = [0; 4];
                character.encode_utf8(&mut bytes).bytes().for_each(|byte| self.push(byte));
            }
            Some(b't' | b'r' | b'b' | b'f') | None => {}
            Some(other) => self.push(other),
        }
        Ok(())
    }
}

impl<R: Read> Read for Envelope<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.ready.len() {
            self.ready.clear();
            self.taken = 0;
            if self.state == State::Head {
                self.begin()?;
            }
            self.rows()?;
        }
        let left = self.ready.get(self.taken..).unwrap_or_default();
        let count = left.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..count), left.get(..count)) {
            to.copy_from_slice(from);
        }
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> String {
        let mut rows = String::new();
        Envelope::of(text.as_bytes()).read_to_string(&mut rows).unwrap();
        rows
    }

    #[test]
    fn rows_are_read_out_of_their_text() {
        let list = r#"{"type":"success","description":"\"result\"","result" : "NSECM|22|M&M, LTD|\"x\"\nNSECM|25|\u0041\\|"}"#;
        assert_eq!(read(list), "NSECM,22,M&M  LTD,x\nNSECM,25,A\\,\n");
        let indices =
            r#"{"result":{"exchangeSegment":1,"indexList":["NIFTY 50_26000","A_B_7","odd"]},"x":1}"#;
        assert_eq!(read(indices), "INDEX,26000,1,NIFTY 50,\nINDEX,7,1,A_B,\n");
        let named = r#"{"result":{"exchangeSegment":"11","indexList":["SENSEX_1"]}}"#;
        assert_eq!(read(named), "INDEX,1,11,SENSEX,\n");
        for none in [
            "",
            "{}",
            "<html>",
            r#"{"result":null}"#,
            r#"{"result":[]}"#,
            r#"{"result":{"x":1}}"#,
            r#"["result"]"#,
        ] {
            assert_eq!(read(none), "", "{none}");
        }
    }

    #[test]
    fn what_is_torn_ends_with_a_row_that_is_none() {
        assert_eq!(read(r#"{"result":"a|b\nc|12"#), "a,b\n-");
        assert_eq!(read(r#"{"result":"a|b\n"#), "a,b\n-");
        assert_eq!(read(r#"{"result":""#), "-");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,60}") {
            let mut rows = Vec::new();
            let text = format!("{{\"result\":\"{text}");
            let _any = Envelope::of(text.as_bytes()).read_to_end(&mut rows);
        }
    }
}
