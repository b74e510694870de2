//! One array of each JSON document in a file, as if it were the whole file.
//!
//! REST interfaces put lists into an envelope: `{"success":true,"result":[…],"meta":{…}}`. Pages of one list
//! are such documents, one behind the other. Of an envelope nothing is kept but where its array stands, so it
//! may be of any size.

use std::io::{self, Read};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 16;

/// Deepest that containers may lie in each other, and longest name of a member that is looked at, in bytes.
const MAX_DEPTH: usize = 64;
const MAX_NAME_BYTES: usize = 128;

/// What some programs write first.
const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// Which array of a document is the list.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    /// That at a path: names of members with dots between them.
    At(&'static str),
    /// The first whose first element is an object, wherever it stands. A file that is no object is given as
    /// it is.
    First,
}

/// Gives the elements of one array of each document, as one array. It ends with a bracket only when the last
/// document does.
#[derive(Debug)]
pub(super) struct Arrays<R> {
    input: R,
    which: Which,
    /// Whether the file has no envelope, once that is known.
    is_bare: Option<bool>,
    buffer: Vec<u8>,
    /// What was dealt with.
    start: usize,
    /// Containers that are open: an object by the name of the member in it, an array by none.
    open: Vec<Option<Vec<u8>>>,
    /// How many are open within the array.
    inside: Option<usize>,
    place: Place,
    next: Next,
    /// Arrays that were found, and how many of them before the document began.
    found: usize,
    found_before: usize,
    /// Whether a document had no such array.
    lacks_one: bool,
    is_over: bool,
}

/// What may come next outside of the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The name of a member.
    Name,
    Value,
    /// The first element of an array that is the list if that is an object.
    FirstObject,
}

/// Where the next byte stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    Between,
    /// In a text, which may be the name of a member, and may have a backslash before the byte.
    Text {
        is_name: bool,
        is_escaped: bool,
    },
}

impl<R: Read> Arrays<R> {
    pub(super) const fn new(input: R, which: Which) -> Self {
        Self {
            input,
            which,
            is_bare: match which {
                Which::At(_) => Some(false),
                Which::First => None,
            },
            buffer: Vec::new(),
            start: 0,
            open: Vec::new(),
            inside: None,
            place: Place::Between,
            next: Next::Value,
            found: 0,
            found_before: 0,
            lacks_one: false,
            is_over: false,
        }
    }

    /// Whether each document so far had its array, and there was one.
    pub(super) const fn is_sound(&self) -> bool {
        self.found > 0 && !self.lacks_one
    }

    /// Whether the members that are open lead to the array at the path.
    fn is_there(&self) -> bool {
        let Which::At(path) = self.which else { return false };
        let mut names = path.split('.');
        self.open.iter().all(|open| open.as_deref() == names.next().map(str::as_bytes))
            && names.next().is_none()
    }

    /// Takes a byte, and gives what is to be read instead of it.
    fn take(&mut self, byte: u8) -> io::Result<Option<u8>> {
        if let Place::Text { is_name, is_escaped } = self.place {
            self.take_in_text(byte, is_name, is_escaped);
            return Ok(self.inside.map(|_| byte));
        }
        match byte {
            b'{' if self.next == Next::FirstObject => {
                self.inside = Some(self.open.len());
                self.found += 1;
                self.open(Some(Vec::new()))?;
            }
            b'"' => {
                let is_name = self.next == Next::Name && self.inside.is_none();
                self.place = Place::Text { is_name, is_escaped: false };
                if !is_name {
                    self.next = Next::Value;
                }
                if let (true, Some(Some(name))) = (is_name, self.open.last_mut()) {
                    name.clear();
                }
            }
            b'{' => self.open(Some(Vec::new()))?,
            b'[' => {
                let is_it = self.inside.is_none() && self.is_there();
                let may_be_it = matches!(self.which, Which::First)
                    && self.found == self.found_before
                    && self.open.iter().all(Option::is_some);
                self.open(None)?;
                if may_be_it {
                    self.next = Next::FirstObject;
                }
                if is_it {
                    self.inside = Some(self.open.len());
                    self.found += 1;
                    return Ok(Some(if self.found == 1 { b'[' } else { b',' }));
                }
            }
            b'}' | b']' => {
                self.close(byte == b']');
                if self.inside.is_some_and(|inside| self.open.len() < inside) {
                    self.inside = None;
                }
                if self.open.is_empty() {
                    self.lacks_one |= self.found == std::mem::replace(&mut self.found_before, self.found);
                }
            }
            b',' if self.open.last().is_some_and(Option::is_some) => self.next = Next::Name,
            _ if byte.is_ascii_whitespace() => {}
            _ => self.next = Next::Value,
        }
        Ok(self.inside.map(|_| byte))
    }

    fn take_in_text(&mut self, byte: u8, is_name: bool, is_escaped: bool) {
        self.place = match byte {
            b'"' if !is_escaped => Place::Between,
            _ => Place::Text { is_name, is_escaped: byte == b'\\' && !is_escaped },
        };
        if let (true, Place::Text { .. }, Some(Some(name))) = (is_name, self.place, self.open.last_mut())
            && name.len() < MAX_NAME_BYTES
        {
            name.push(byte);
        }
    }

    fn open(&mut self, container: Option<Vec<u8>>) -> io::Result<()> {
        if self.open.len() >= MAX_DEPTH {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is nested too deeply"));
        }
        self.next = if container.is_some() { Next::Name } else { Next::Value };
        self.open.push(container);
        Ok(())
    }

    /// Ends the innermost container of a kind, and those in it that a damaged element has left open. None of
    /// those around the array ends before it.
    fn close(&mut self, is_array: bool) {
        let lowest = self.inside.map_or(0, |inside| inside - 1);
        let place = self.open.iter().rposition(|open| open.is_none() == is_array);
        if let Some(place) = place.filter(|place| *place >= lowest) {
            self.open.truncate(place);
        }
        self.next = Next::Value;
    }
}

impl<R: Read> Arrays<R> {
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.clear();
        self.start = 0;
        let limit = u64::try_from(BUFFER_BYTES).unwrap_or(u64::MAX);
        self.is_over = self.input.by_ref().take(limit).read_to_end(&mut self.buffer)? == 0;
        Ok(())
    }

    /// Whether the file has no envelope: its first byte that means something tells.
    fn is_bare(&mut self) -> io::Result<bool> {
        while self.is_bare.is_none() && !self.is_over {
            self.fill()?;
            let mut bytes = self.buffer.iter();
            let first = bytes.find(|byte| !byte.is_ascii_whitespace() && !BYTE_ORDER_MARK.contains(byte));
            self.is_bare = first.map(|first| *first != b'{');
        }
        Ok(self.is_bare == Some(true))
    }
}

impl<R: Read> Read for Arrays<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if self.is_bare()? {
            if self.start >= self.buffer.len() {
                self.fill()?;
            }
            let count = self.buffer.get(self.start..).unwrap_or_default().read(output)?;
            self.start += count;
            return Ok(count);
        }
        let mut written = 0;
        while let Some(place) = output.get_mut(written) {
            if let Some(byte) = self.buffer.get(self.start).copied() {
                self.start += 1;
                if let Some(byte) = self.take(byte)? {
                    *place = byte;
                    written += 1;
                }
            } else if written > 0 || self.is_over {
                break;
            } else {
                self.fill()?;
                if self.is_over && self.is_sound() && self.open.is_empty() {
                    *place = b']';
                    written += 1;
                }
            }
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, path: &'static str) -> (String, bool) {
        let mut arrays = Arrays::new(text.as_bytes(), Which::At(path));
        let mut found = String::new();
        arrays.read_to_string(&mut found).unwrap();
        (found, arrays.is_sound())
    }

    #[test]
    fn the_arrays_of_all_documents_are_one() {
        for (text, path, wanted) in [
            (
                r#"{"success":true,"result":[{"a":[1,"]"]},{"b":{}}],"meta":{"result":[7]}}"#,
                "result",
                r#"[{"a":[1,"]"]},{"b":{}}]"#,
            ),
            (r#"{"meta":{"result":[7]},"result":[]}"#, "result", "[]"),
            (r#"{"x":"result","data":{"list":[1]},"list":[2]}"#, "data.list", "[1]"),
            ("{\"r\":[1]}\n{\"r\":[ 2 ]} {\"r\":[]}", "r", "[1, 2 ,]"),
            (r#"{"\"r":[0],"r":[1]}"#, "r", "[1]"),
        ] {
            assert_eq!(read(text, path), (wanted.to_owned(), true), "{text}");
        }
    }

    #[test]
    fn what_is_no_such_document_is_not_sound_and_what_is_cut_off_has_no_end() {
        for text in [
            "",
            "[]",
            "<html>",
            r#"{"success":false,"error":{"r":[1]}}"#,
            r#"{"r":{"r":[1]}}"#,
            r#"[{"r":[1]}]"#,
        ] {
            assert_eq!(read(text, "r"), (String::new(), false), "{text}");
        }
        assert!(!read(r#"{"r":[1]}{"success":false}"#, "r").1);
        let whole = r#"{"r":[{"k":1},{"k":2}],"meta":null}"#;
        for end in 7..whole.len() {
            assert!(!read(whole.get(..end).unwrap(), "r").0.ends_with("}]"), "{end}");
        }
        // An object that is not ended costs itself.
        assert_eq!(read(r#"{"r":[{"k":1,{"k":2}],"meta":[3]}"#, "r").0, r#"[{"k":1,{"k":2}]"#);
        let deep = format!(r#"{{"r":{}"#, "[".repeat(MAX_DEPTH + 1));
        assert!(Arrays::new(deep.as_bytes(), Which::At("r")).read_to_end(&mut Vec::new()).is_err());
    }

    #[test]
    fn the_first_array_of_objects_is_the_list_where_no_path_is_said() {
        let read = |text: &str| {
            let mut found = String::new();
            Arrays::new(text.as_bytes(), Which::First).read_to_string(&mut found).unwrap();
            found
        };
        for (text, wanted) in [
            (r#"{"n":[1,{}],"e":[],"a":{"b":[[{}]],"list":[ {"k":[{}]},7],"x":[{}]}}"#, r#"{"k":[{}]},7]"#),
            ("{\"r\":[{}]}\n{\"r\":[\n{\"k\":1}]}", r#"{}{"k":1}]"#),
            ("\u{feff} {\"r\":[{}]}", "{}]"),
            (r#"{"r":[{}]"#, "{}"),
            (r#"{"r":["[{"]}"#, ""),
            (" [ {}, {\"a\":[{}]}", " [ {}, {\"a\":[{}]}"),
            ("<html>{[{}]}", "<html>{[{}]}"),
            (" ", ""),
        ] {
            assert_eq!(read(text), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[\\[\\]{}\",:r\\\\ 1]{0,60}") {
            for which in [Which::At("r"), Which::First] {
                Arrays::new(text.as_bytes(), which).read_to_end(&mut Vec::new()).unwrap();
            }
        }

        #[test]
        fn an_array_is_the_same_alone_and_in_an_envelope(
            before in "[a-z\\[{,}\\]]{0,200}",
            rows in proptest::collection::vec("[a-z\\[{,}\\]]{0,9}", 1..20),
        ) {
            let rows = serde_json::json!(rows.iter().map(|row| serde_json::json!({ "k": row })).collect::<Vec<_>>());
            let objects = |text: &str| {
                let mut objects = super::super::objects::Objects::new(Arrays::new(text.as_bytes(), Which::First));
                let read = |object: &[u8]| serde_json::from_slice::<serde_json::Value>(object).ok();
                let found: Vec<_> = std::iter::from_fn(|| objects.next(read).unwrap()).collect();
                (found, objects.damaged(), objects.is_cut_off())
            };
            let text = format!(r#"{{"before":{},"data":{rows}}}"#, serde_json::json!(before));
            prop_assert_eq!(objects(&text), (rows.as_array().unwrap().clone(), 0, false));
            prop_assert_eq!(objects(&rows.to_string()), objects(&text));
        }
    }
}
