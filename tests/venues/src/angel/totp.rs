//! One-time passwords that follow from a secret and the time (RFC 6238).

use sha1::{Digest as _, Sha1};

/// How long a code is good, in seconds.
const STEP: u64 = 30;

/// The code of six digits for a secret in base 32, at a time in seconds since the Unix epoch; none when the
/// secret is no base 32.
pub fn code(secret: &str, seconds: u64) -> Option<String> {
    let mac = hmac(&base32(secret)?, &(seconds / STEP).to_be_bytes());
    // The last four bits say which four bytes count.
    let offset = usize::from(mac.last()? & 15);
    let bytes: [u8; 4] = mac.get(offset..offset + 4)?.try_into().ok()?;
    Some(format!("{:06}", (u32::from_be_bytes(bytes) & 0x7fff_ffff) % 1_000_000))
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    let hashed = Sha1::digest(key);
    let key = if key.len() > block.len() { hashed.as_slice() } else { key };
    block.iter_mut().zip(key).for_each(|(place, byte)| *place = *byte);
    let inner = Sha1::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha1::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

fn base32(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.trim_end_matches('=').bytes().filter(|byte| *byte != b' ') {
        let digit = match letter.to_ascii_uppercase() {
            upper @ b'A'..=b'Z' => upper - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5 | u32::from(digit)) & 0xffff;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count).to_le_bytes()[0]);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_rfc() {
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        for (seconds, expected) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(code(secret, seconds).as_deref(), Some(expected));
        }
        assert_eq!(code("not base 32!", 0), None);
    }
}
