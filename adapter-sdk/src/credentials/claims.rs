//! What a token of three parts (JWT) says of itself.

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// Longest token that is read, in bytes. They have about one thousand.
const MAX_BYTES: usize = 16 << 10;

/// Reads the middle part.
pub(super) fn of<T: DeserializeOwned>(token: &str) -> Option<T> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if token.len() > MAX_BYTES || parts.next().is_some() {
        return None;
    }
    let json = Zeroizing::new(base64url(payload)?);
    serde_json::from_slice(&json).ok()
}

/// Decodes letters of the kind that is used in addresses, with or without what they are filled up with.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut buffer, mut bits) = (0_u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        buffer = (buffer << 6 | u32::from(value)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(buffer >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_become_bytes() {
        for (text, bytes) in
            [("", &b""[..]), ("Zg==", b"f"), ("Zm8", b"fo"), ("Zm9v", b"foo"), ("-_8", &[0xfb, 0xff])]
        {
            assert_eq!(base64url(text).as_deref(), Some(bytes), "{text}");
        }
        assert_eq!(base64url("Zm 9v"), None);
    }

    #[test]
    fn what_is_no_token_of_three_parts_says_nothing() {
        let long = format!("a.{}.c", "e".repeat(MAX_BYTES));
        for token in ["", "eyJ9", "a.b", "a.*.c", "a.eyJ9.c", "a.e30.c.d", &long] {
            assert_eq!(of::<serde_json::Value>(token), None, "{token}");
        }
        assert_eq!(of::<serde_json::Value>("a.e30.c"), Some(serde_json::json!({})));
    }
}
