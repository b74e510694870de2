//! Checks of an adapter's settings, in the words that every adapter uses. What is wrong is named, and what
//! would be right. [`settings!`](crate::settings!) makes all of them from one table.

mod one_of;
mod table;

use std::{fmt::Display, ops::RangeInclusive, time::Duration};

pub use self::one_of::OneOf;
pub use self::table::{
    Choice, Count, Flag, Folder, HttpBase, HttpUrl, IpAddress, Kind, Levels, MacAddress, Millis, Optional,
    Required, Seconds, WebSocketUrl,
};
#[doc(hidden)]
pub use self::table::{described, schema_of};
use crate::AdapterError;

/// Characters of a MAC address.
const MAC_CHARACTERS: usize = 17;

/// An address of a WebSocket: `ws://…` or `wss://…`.
///
/// # Errors
/// When it is something else. The address is not shown: some write a token into it.
pub fn websocket(key: &str, url: String) -> Result<String, AdapterError> {
    address(key, url, ["ws://", "wss://"])
}

/// An address of a REST interface, a file or a page: `http://…` or `https://…`.
///
/// # Errors
/// As [`websocket`].
pub fn http(key: &str, url: String) -> Result<String, AdapterError> {
    address(key, url, ["http://", "https://"])
}

/// The address that paths are appended to: as [`http`], without slashes at its end.
///
/// # Errors
/// As [`websocket`].
pub fn http_base(key: &str, url: String) -> Result<String, AdapterError> {
    http(key, url).map(|url| url.trim_end_matches('/').to_owned())
}

/// An IP address, such as brokers want to be told of the machine that logs in.
///
/// # Errors
/// When it is something else.
pub fn ip_address(key: &str, text: String) -> Result<String, AdapterError> {
    match text.parse::<std::net::IpAddr>() {
        Ok(_) => Ok(text),
        Err(_) => Err(AdapterError::config(format!("{key} must be an IP address"))),
    }
}

/// A MAC address: six pairs of hexadecimal digits with `:` or `-` between them.
///
/// # Errors
/// When it is something else.
pub fn mac_address(key: &str, text: String) -> Result<String, AdapterError> {
    let is_pair = |pair: &str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.split([':', '-']).all(is_pair) && text.len() == MAC_CHARACTERS {
        return Ok(text);
    }
    Err(AdapterError::config(format!("{key} must look like 00:1a:2b:3c:4d:5e")))
}

/// A number within its range.
///
/// # Errors
/// When it is outside.
pub fn within<T: PartialOrd + Display>(
    key: &str,
    value: T,
    range: &RangeInclusive<T>,
) -> Result<T, AdapterError> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (least, most) = (range.start(), range.end());
    Err(AdapterError::config(format!("{key} is {value}, but must be between {least} and {most}")))
}

/// A time in seconds within its range, which must have no negative numbers.
///
/// # Errors
/// As [`within`].
pub fn seconds(key: &str, value: f64, range: &RangeInclusive<f64>) -> Result<Duration, AdapterError> {
    let value = within(key, value, range)?;
    Duration::try_from_secs_f64(value)
        .map_err(|_| AdapterError::config(format!("{key} is {value}, which is no time in seconds")))
}

fn address(key: &str, url: String, schemes: [&str; 2]) -> Result<String, AdapterError> {
    let [plain, encrypted] = schemes;
    let rest = url.strip_prefix(plain).or_else(|| url.strip_prefix(encrypted));
    let is_fine = |rest: &str| {
        !rest.is_empty()
            && !rest.starts_with(['/', '?'])
            && rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
    };
    if rest.is_some_and(is_fine) {
        return Ok(url);
    }
    Err(AdapterError::config(format!(
        "{key} must be an address that begins with {plain} or {encrypted}, and have no # and no spaces"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_their_kind() {
        for url in ["ws://127.0.0.1:9", "wss://feed.example/a?b=c"] {
            assert_eq!(websocket("ws_url", url.to_owned()).unwrap(), url);
        }
        for url in
            ["https://x", "wss://", "wss:///x", "wss://?x", "wss://x/#token", "wss://x y", "wss://ü", "", "x"]
        {
            let error = websocket("ws_url", url.to_owned()).unwrap_err().to_string();
            assert!(
                error.starts_with("ws_url must be an address that begins with ws:// or wss://"),
                "{error}"
            );
            assert!(!error.contains("token"), "{error}");
        }
        assert_eq!(http_base("api_url", "http://x/v2//".to_owned()).unwrap(), "http://x/v2");
        assert!(http("api_url", "ws://x".to_owned()).is_err());
    }

    #[test]
    fn what_a_machine_is_called_is_an_address() {
        for address in ["127.0.0.1", "2001:db8::1"] {
            assert_eq!(ip_address("local_ip", address.to_owned()).unwrap(), address);
        }
        for address in ["00:1a:2B:3c:4d:5e", "00-1a-2b-3c-4d-5e"] {
            assert_eq!(mac_address("mac", address.to_owned()).unwrap(), address);
        }
        for text in [
            "",
            "here",
            "127.0.0.1:80",
            "00:1a:2b:3c:4d",
            "00:1a:2b:3c:4d:5g",
            "00:1a:2b:3c:4d:5e:",
            "001a2b3c4d5e:::::",
        ] {
            let refused = |error: AdapterError| error.to_string();
            assert_eq!(
                ip_address("ip", text.to_owned()).map_err(refused),
                Err("ip must be an IP address".to_owned()),
                "{text}"
            );
            let error = mac_address("mac", text.to_owned()).map_err(refused).unwrap_err();
            assert_eq!(error, "mac must look like 00:1a:2b:3c:4d:5e", "{text}");
        }
    }

    #[test]
    fn numbers_stay_within_their_range() {
        assert_eq!(within("batch_size", 3, &(1..=3)).unwrap(), 3);
        let error = within("batch_size", 4, &(1..=3)).unwrap_err().to_string();
        assert_eq!(error, "batch_size is 4, but must be between 1 and 3");
        assert_eq!(seconds("stall_seconds", 2.5, &(0.5..=10.0)).unwrap(), Duration::from_millis(2_500));
        for value in [f64::NAN, f64::INFINITY, -1.0, 0.4] {
            assert!(seconds("stall_seconds", value, &(0.5..=10.0)).is_err(), "{value}");
        }
    }
}
