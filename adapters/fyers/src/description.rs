//! What the broker says of its records when a log-in has worked. The places of values are the same since
//! years, and they are what [`decode`](crate::decode) has; should they ever change, the operator must know
//! it.

use adapter_sdk::tracing::{error, warn};
use serde::Deserialize;

use crate::wire::LITE_VALUES;

/// Longest description that is read, in bytes. It has some 10 KB.
const MAX_BYTES: usize = 1 << 20;

/// The broker's names of the places of `sf`.
const SCRIP: [u16; 21] =
    [105, 104, 103, 102, 111, 112, 109, 110, 106, 107, 108, 113, 122, 114, 115, 118, 119, 116, 117, 120, 121];

/// Those of `if`, and those of `dp`, count from here.
const FIRST: u16 = 102;

/// How records are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Values in a lite update.
    pub lite_values: u8,
    /// Whether the description has the places that are known. One that is missing says nothing against them.
    pub is_known: bool,
}

#[derive(Deserialize)]
struct Description {
    scrip: Option<Vec<String>>,
    index: Option<Vec<String>>,
    depth: Option<Vec<String>>,
    scrip_lite: Option<Lite>,
    index_lite: Option<Lite>,
}

#[derive(Deserialize)]
struct Lite {
    hfid: Option<u8>,
}

impl Layout {
    /// Reads a description, and complains of what is not as it is known.
    pub fn read(json: Option<&[u8]>) -> Self {
        let known = Self { lite_values: LITE_VALUES, is_known: true };
        let Some(json) = json.filter(|json| json.len() <= MAX_BYTES) else { return known };
        let Ok(description) = serde_json::from_slice::<Description>(json) else {
            warn!("The broker's description of its records makes no sense");
            return known;
        };
        let is_known = is_same(description.scrip.as_deref(), 's', SCRIP.iter().copied())
            && is_same(description.index.as_deref(), 'i', FIRST..FIRST + 6)
            && is_same(description.depth.as_deref(), 'd', FIRST..FIRST + 30);
        if !is_known {
            error!("The broker describes other records than this adapter knows: its values may be wrong");
        }
        let values = |lite: Option<Lite>| lite.and_then(|lite| lite.hfid).unwrap_or(LITE_VALUES);
        let (scrip, index) = (values(description.scrip_lite), values(description.index_lite));
        if scrip != index || scrip == 0 {
            warn!(
                scrip,
                index, "The broker describes lite records of two lengths; one value is taken for each"
            );
            return Self { is_known, ..known };
        }
        Self { lite_values: scrip, is_known }
    }
}

fn is_same(theirs: Option<&[String]>, letter: char, ours: impl Iterator<Item = u16>) -> bool {
    theirs.is_none_or(|theirs| {
        let ours: Vec<String> = ours.map(|number| format!("{letter}{number}")).collect();
        theirs == ours
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_of_the_vectors_is_the_one_that_is_known() {
        let lines = include_str!("../testdata/fyers.jsonl").lines();
        let mut seen = 0;
        for line in lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()) {
            let frame = hex::decode(line["frames_hex"][0].as_str().unwrap()).unwrap();
            if line["feed"] == "hsm"
                && let Ok(crate::wire::Frame::Verdict(verdict)) = crate::wire::Frame::parse(&frame, 1)
                && verdict.description.is_some()
            {
                assert_eq!(Layout::read(verdict.description), Layout { lite_values: 1, is_known: true });
                seen += 1;
            }
        }
        assert!(seen > 0);
    }

    #[test]
    fn another_description_is_noticed() {
        let read = |json: &str| Layout::read(Some(json.as_bytes()));
        assert!(read("{}").is_known && Layout::read(None).is_known && read("<").is_known);
        assert!(!read(r#"{"index":["i103","i102","i104","i105","i106","i107"]}"#).is_known);
        assert!(!read(r#"{"scrip":["s105"]}"#).is_known);
        assert_eq!(read(r#"{"scrip_lite":{"hfid":2},"index_lite":{"hfid":2}}"#).lite_values, 2);
        assert_eq!(read(r#"{"scrip_lite":{"hfid":2},"index_lite":{"hfid":1}}"#).lite_values, 1);
        assert_eq!(read(r#"{"scrip_lite":{"hfid":0},"index_lite":{"hfid":0}}"#).lite_values, 1);
    }
}
