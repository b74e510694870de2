//! Frames of the HSM socket: a length, a type, and fields or records. All integers are big-endian.

use serde_json::json;

/// Types of frames, of both directions.
pub(super) mod kind {
    pub(in crate::fyers) const LOG_IN: u8 = 1;
    pub(in crate::fyers) const ACKNOWLEDGE: u8 = 3;
    pub(in crate::fyers) const SUBSCRIBE: u8 = 4;
    pub(in crate::fyers) const UNSUBSCRIBE: u8 = 5;
    pub(in crate::fyers) const DATA: u8 = 6;
    pub(in crate::fyers) const PAUSE: u8 = 7;
    pub(in crate::fyers) const RESUME: u8 = 8;
    pub(in crate::fyers) const SNAPSHOT: u8 = 9;
    pub(in crate::fyers) const CHAIN: u8 = 10;
    pub(in crate::fyers) const MODE: u8 = 12;
    pub(in crate::fyers) const MASTER: u8 = 13;
    pub(in crate::fyers) const CUSTOM: u8 = 51;
}

/// The result of a request.
pub(super) const fn verdict(is_good: bool) -> &'static [u8] {
    if is_good { b"K" } else { b"N" }
}

/// A request.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub kind: u8,
    fields: Vec<(u8, &'a [u8])>,
}

impl<'a> Request<'a> {
    /// Takes a request apart. Its length says nothing: the broker's own programs write three different ones.
    /// A ping, which is nothing but a type, has no fields.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&kind, rest) = bytes.get(2..)?.split_first()?;
        let mut fields = Vec::new();
        if let Some((&count, mut rest)) = rest.split_first() {
            for _ in 0..count {
                let (&[id, high, low], after) = rest.split_first_chunk::<3>()?;
                let (value, after) = after.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
                fields.push((id, value));
                rest = after;
            }
        }
        Some(Self { kind, fields })
    }

    /// A field by its number.
    pub(super) fn field(&self, id: u8) -> Option<&'a [u8]> {
        self.fields.iter().find(|field| field.0 == id).map(|field| field.1)
    }

    /// The first field as a number of so many bytes.
    pub(super) fn number<const N: usize>(&self) -> Option<[u8; N]> {
        self.field(1)?.try_into().ok()
    }

    /// The topics of the first field.
    pub(super) fn topics(&self) -> Option<Vec<&'a str>> {
        let (count, mut rest) = self.field(1)?.split_first_chunk::<2>()?;
        let mut topics = Vec::new();
        for _ in 0..u16::from_be_bytes(*count) {
            let (&length, after) = rest.split_first()?;
            let (topic, after) = after.split_at_checked(usize::from(length))?;
            topics.push(std::str::from_utf8(topic).ok()?);
            rest = after;
        }
        Some(topics)
    }
}

/// A frame of fields, which count from 1.
pub(super) fn fields(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let mut body = vec![kind, u8::try_from(fields.len()).unwrap_or(u8::MAX)];
    for (id, field) in (1_u8..).zip(fields) {
        body.push(id);
        body.extend(length(field.len()));
        body.extend(*field);
    }
    sized(body)
}

/// A frame of records.
pub(super) fn data(number: u32, records: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![kind::DATA];
    body.extend(number.to_be_bytes());
    body.extend(length(records.len()));
    body.extend(records.iter().flatten());
    sized(body)
}

/// Writes the length before a frame. One that is too large for it has the lower bits, as it is at the broker:
/// the message says where it ends.
fn sized(body: Vec<u8>) -> Vec<u8> {
    let mut bytes = length(body.len()).to_vec();
    bytes.extend(body);
    bytes
}

fn length(bytes: usize) -> [u8; 2] {
    let [.., high, low] = bytes.to_be_bytes();
    [high, low]
}

/// A message of the broker about a request: its number, its text, and the type of the request.
pub(super) fn custom(code: i32, text: &str, request: u8) -> Vec<u8> {
    fields(kind::CUSTOM, &[&code.to_be_bytes(), text.as_bytes(), &[request]])
}

/// Slots of the three feeds: number, name and kind of each field, in the order of the values.
const SCRIP: [(&str, &str, &str); 21] = [
    ("s105", "ltp", "ConvNumber"),
    ("s104", "v", "Number"),
    ("s103", "ltt", "timestamp"),
    ("s102", "fdtm", "timestamp"),
    ("s111", "bq", "Number"),
    ("s112", "bs", "Number"),
    ("s109", "bp", "ConvNumber"),
    ("s110", "sp", "ConvNumber"),
    ("s106", "ltq", "Number"),
    ("s107", "tbq", "Number"),
    ("s108", "tsq", "Number"),
    ("s113", "ap", "ConvNumber"),
    ("s122", "oi", "Number"),
    ("s114", "lo", "ConvNumber"),
    ("s115", "h", "ConvNumber"),
    ("s118", "yh", "ConvNumber"),
    ("s119", "yl", "ConvNumber"),
    ("s116", "lcl", "ConvNumber"),
    ("s117", "ucl", "ConvNumber"),
    ("s120", "op", "ConvNumber"),
    ("s121", "c", "ConvNumber"),
];

const INDEX: [(&str, &str, &str); 6] = [
    ("i102", "iv", "ConvNumber"),
    ("i103", "ic", "ConvNumber"),
    ("i104", "tvalue", "timestamp"),
    ("i105", "highPrice", "ConvNumber"),
    ("i106", "lowPrice", "ConvNumber"),
    ("i107", "openingPrice", "ConvNumber"),
];

/// Levels of the book: what each is called, and its kind.
const DEPTH: [(&str, &str); 6] = [
    ("bp", "ConvNumber"),
    ("sp", "ConvNumber"),
    ("bq", "Number"),
    ("bs", "Number"),
    ("bno", "Number"),
    ("sno", "Number"),
];

/// What a client is told of the slots when it asks.
pub(super) fn description() -> String {
    let depth = (0..30_usize).map(|slot| {
        let (name, kind) = DEPTH.get(slot / 5).copied().unwrap_or_default();
        (format!("d{}", 102 + slot), format!("{name}{}", slot % 5 + 1), kind)
    });
    let known =
        SCRIP.iter().chain(&INDEX).map(|(id, name, kind)| ((*id).to_owned(), (*name).to_owned(), *kind));
    let fields = known.chain(depth.clone());
    let fields = fields.map(|(id, name, kind)| json!({ "fid": id, "fld": name, "dataType": kind }));
    json!({
        "version": "1.0.0", "protocol": "1.0", "fields": fields.collect::<Vec<_>>(),
        "scrip": SCRIP.map(|field| field.0), "index": INDEX.map(|field| field.0),
        "depth": depth.map(|field| field.0).collect::<Vec<_>>(),
        "scrip_lite": { "hfid": 1 }, "index_lite": { "hfid": 1 },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_is_taken_apart() {
        let bytes = hex::decode(
            "002b0104\
             01000c746573742d68736d2d6b6579\
             02000150\
             03000101\
             04000f507974686f6e53444b2d332e322e30",
        )
        .unwrap();
        let request = Request::parse(&bytes).unwrap();
        assert_eq!((request.kind, request.field(1)), (kind::LOG_IN, Some(&b"test-hsm-key"[..])));
        assert_eq!((request.field(2), request.field(3)), (Some(&b"P"[..]), Some(&[1][..])));
        for length in 4..bytes.len() {
            assert!(Request::parse(&bytes[..length]).is_none(), "{length}");
        }
        assert_eq!(Request::parse(&[0, 1, 11]).unwrap().kind, 11);
        assert!(Request::parse(&[0, 1]).is_none());
    }

    #[test]
    fn topics_are_taken_apart_and_lies_about_their_number_are_seen() {
        let bytes = hex::decode("001a040201001100010e73667c6e73655f636d7c333034350200010b").unwrap();
        let request = Request::parse(&bytes).unwrap();
        assert_eq!(request.topics().unwrap(), ["sf|nse_cm|3045"]);
        assert_eq!(request.field(2), Some(&[11][..]));
        let mut lie = bytes;
        lie[8] = 2;
        assert!(Request::parse(&lie).unwrap().topics().is_none());
    }

    #[test]
    fn frames_say_their_length_and_wrap_when_it_does_not_fit() {
        assert_eq!(fields(kind::SUBSCRIBE, &[b"K"]), [0, 6, 4, 1, 1, 0, 1, b'K']);
        assert_eq!(data(0x0102_0304, &[vec![7], vec![8]])[..9], [0, 9, 6, 1, 2, 3, 4, 0, 2]);
        assert_eq!(custom(51_001, "x", 4), hex::decode("001133030100040000c7390200017803000104").unwrap());
        assert_eq!(fields(kind::MASTER, &[&vec![0; 65_536]])[..2], [0, 5]);
    }

    #[test]
    fn the_description_has_a_field_for_each_slot() {
        let description: serde_json::Value = serde_json::from_str(&description()).unwrap();
        for (list, count) in [("scrip", 21), ("index", 6), ("depth", 30)] {
            let ids = description[list].as_array().unwrap();
            assert_eq!(ids.len(), count);
            let fields = description["fields"].as_array().unwrap();
            assert!(ids.iter().all(|id| fields.iter().any(|field| field["fid"] == *id)), "{list}");
        }
    }
}
