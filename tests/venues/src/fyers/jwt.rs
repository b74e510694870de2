//! Access tokens: their payload has the key of the HSM socket and the time at which they end.

use serde_json::{Value, json};

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// An access token of an app that ends at a time in seconds since the Unix epoch. Nobody checks its
/// signature.
pub fn token(app_id: &str, hsm_key: &str, expires: i64) -> String {
    let head = json!({ "alg": "HS256", "typ": "JWT" });
    let app = app_id.split('-').next().unwrap_or_default();
    let body = json!({
        "iss": "api.fyers.in", "iat": expires - 86_400, "exp": expires, "nbf": expires - 86_400, "aud": ["d:1", "x:0"],
        "sub": "access_token", "at_hash": "made-up", "display_name": "XX00001", "oms": "K1", "hsm_key": hsm_key,
        "isDdpiEnabled": "N", "isMtfEnabled": "N", "fy_id": "XX00001", "app_id": app, "appType": 100,
    });
    let [head, body] = [head, body].map(|part| encode(part.to_string().as_bytes()));
    format!("{head}.{body}.{}", encode(b"made up, as nobody checks it"))
}

/// The key of the HSM socket in a token that has not ended at a time in seconds since the Unix epoch.
pub(super) fn hsm_key(token: &str, now: i64) -> Option<String> {
    let body: Value = serde_json::from_slice(&decode(token.split('.').nth(1)?)?).ok()?;
    let is_good = body.get("exp")?.as_i64()? > now;
    body.get("hsm_key")?.as_str().filter(|_| is_good).map(str::to_owned)
}

/// Base 64 for addresses, without padding.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let mut bits = 0_usize;
        for place in 0..3 {
            bits = bits << 8 | usize::from(three.get(place).copied().unwrap_or(0));
        }
        for place in 0..=three.len() {
            let digit = DIGITS.get(bits >> (18 - 6 * place) & 63).copied().unwrap_or(b'A');
            text.push(char::from(digit));
        }
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.trim_end_matches('=').bytes() {
        let digit = DIGITS.iter().position(|digit| *digit == letter)?;
        bits = (bits << 6 | u32::try_from(digit).ok()?) & 0xffff;
        count += 6;
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
    fn a_token_has_its_key_until_it_ends() {
        for key in ["k", "ke", "key", "a key with ümlauts?>"] {
            let token = token("XC00001-100", key, 1_000);
            assert_eq!(hsm_key(&token, 999).as_deref(), Some(key));
            assert_eq!(hsm_key(&token, 1_000), None);
            assert!(!token.contains(['=', '+', '/']));
        }
        for wrong in ["", "a.b", "a.%%.c", "a.AAAA.c"] {
            assert_eq!(hsm_key(wrong, 0), None, "{wrong}");
        }
        assert_eq!((encode(b"fo"), decode("Zm9vYg==").as_deref()), ("Zm8".to_owned(), Some(&b"foob"[..])));
    }
}
