//! Reads the frames of a server as fast as they come: no JSON parser, as the members that matter stand at
//! known places.

/// What a tick says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) symbol: usize,
    pub(crate) seq: u64,
    pub(crate) due_us: u64,
}

/// Something that a server sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Text(&'a [u8]),
    Ping(&'a [u8]),
    Close(&'a [u8]),
    Other,
}

/// Symbols of a measurement are `S` and a number.
const HEAD: &[u8] = br#"{"type":"market_data","symbol":"S"#;

/// One frame at the front of the bytes, and its length; none when it is not there as a whole.
pub(crate) fn read(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (head, length) = match second & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).ok()?),
        length => (2, usize::from(length)),
    };
    let body = bytes.get(head..head + length)?;
    let frame = match first & 0x0f {
        1 => Frame::Text(body),
        8 => Frame::Close(body),
        9 => Frame::Ping(body),
        _ => Frame::Other,
    };
    Some((frame, head + length))
}

/// The tick in a text frame. `volume` carries the time at which it was due, `last_trade_quantity` its number.
pub(crate) fn tick(text: &[u8]) -> Option<Tick> {
    let symbol = digits(text.strip_prefix(HEAD)?)?;
    let (seq, due_us) = match at_the_end(text) {
        Some(both) => both,
        None => (number_after(text, b"\"last_trade_quantity\":")?, number_after(text, b"\"volume\":")?),
    };
    Some(Tick { symbol: usize::try_from(symbol).ok()?, seq, due_us })
}

/// In mode LTP the two stand at the end of the frame.
fn at_the_end(text: &[u8]) -> Option<(u64, u64)> {
    let rest = text.strip_suffix(b"}}")?;
    let (seq, rest) = last_digits(rest)?;
    let rest = rest.strip_suffix(b",\"last_trade_quantity\":")?;
    let (due_us, rest) = last_digits(rest)?;
    rest.ends_with(b"\"volume\":").then_some((seq, due_us))
}

fn number_after(text: &[u8], name: &[u8]) -> Option<u64> {
    let place = text.windows(name.len()).position(|window| window == name)?;
    digits(text.get(place + name.len()..)?)
}

fn digits(bytes: &[u8]) -> Option<u64> {
    let mut number = None;
    for byte in bytes.iter().take_while(|byte| byte.is_ascii_digit()) {
        number = Some(number.unwrap_or(0_u64).wrapping_mul(10).wrapping_add(u64::from(byte - b'0')));
    }
    number
}

fn last_digits(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().rposition(|byte| !byte.is_ascii_digit())? + 1;
    let (rest, number) = bytes.split_at_checked(end)?;
    Some((digits(number)?, rest))
}

/// A frame from a client, masked with zeros.
pub(crate) fn from_client(opcode: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match (u8::try_from(body.len()), u16::try_from(body.len())) {
        (Ok(length), _) if length < 126 => frame.push(0x80 | length),
        (_, Ok(length)) => {
            frame.push(0xfe);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            frame.push(0xff);
            frame.extend_from_slice(&(body.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(body);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_at_the_end_and_in_the_middle() {
        let ltp = br#"{"type":"market_data","symbol":"S17","exchange":"NSE","mode":1,"data":{"ltp":1.5,"volume":123,"last_trade_quantity":9}}"#;
        let quote = br#"{"type":"market_data","symbol":"S17","mode":2,"volume":123,"data":{"last_trade_quantity":9,"oi":7}}"#;
        for text in [&ltp[..], quote] {
            assert_eq!(tick(text), Some(Tick { symbol: 17, seq: 9, due_us: 123 }));
        }
        assert_eq!(tick(br#"{"type":"subscribe"}"#), None);
    }

    #[test]
    fn frames_of_every_length_are_read_back() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let mut frame = from_client(1, &vec![b'x'; length]);
            // As a server sends it: without a mask.
            let head = frame.len() - length;
            frame.drain(head - 4..head);
            frame[1] &= 0x7f;
            let whole = frame.len();
            assert_eq!(read(&frame), Some((Frame::Text(&vec![b'x'; length]), whole)));
            assert_eq!(read(&frame[..whole - 1]), None);
        }
    }
}
