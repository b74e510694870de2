//! Origins of pages: what browsers say of the page that opens a connection.

use super::value::{FromText, Kind};

/// Most origins in one list.
const MAX_ORIGINS: usize = 256;

/// Longest origin, in bytes.
const MAX_BYTES: usize = 300;

/// What browsers say of a page that has no origin, such as a file.
const OPAQUE: &str = "null";

/// Pages that may connect. Programs that are no browsers send no origin, or whichever they like: this
/// protects the users of browsers, and is no log-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// This page only.
    #[cfg(test)]
    pub(crate) fn only(page: &str) -> Self {
        Self(normal(page).into_iter().collect())
    }

    /// Whether a connection may be made that names these origins: none at all, or allowed ones only. An empty
    /// list allows everything.
    pub fn allow<'a>(&self, named: impl IntoIterator<Item = &'a [u8]>) -> bool {
        self.0.is_empty()
            || named.into_iter().all(|origin| {
                let origin = std::str::from_utf8(origin).ok().and_then(normal);
                origin.is_some_and(|origin| self.0.contains(&origin))
            })
    }
}

impl FromText for Origins {
    fn from_text(text: &str, _: Kind) -> Option<Self> {
        let origins: Option<Vec<String>> =
            text.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(normal).collect();
        origins.filter(|origins| (1..=MAX_ORIGINS).contains(&origins.len())).map(Self)
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

/// An origin as browsers write it: scheme, host and port only, in lower case, without the port that the
/// scheme has anyway.
fn normal(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    if text == OPAQUE {
        return Some(text);
    }
    let (scheme, authority) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    // A colon within brackets belongs to the address.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    };
    let port = match port {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse::<u16>().ok()?),
        Some(_) => return None,
        None => None,
    };
    if !is_scheme || !is_host || text.len() > MAX_BYTES {
        return None;
    }
    Some(match (scheme, port) {
        (_, None) | ("http", Some(80)) | ("https", Some(443)) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(text: &str) -> Option<Origins> {
        Origins::from_text(text, Kind::Origins)
    }

    #[test]
    fn an_origin_is_compared_as_browsers_write_it() {
        let list = origins("HTTPS://App.Example:443").unwrap();
        for same in ["https://app.example", "https://app.example:443", "https://APP.example"] {
            assert!(list.allow([same.as_bytes()]), "{same}");
        }
        let others = [
            "http://app.example",
            "https://app.example:444",
            "https://app.example.evil.example",
            "https://evil.example/https://app.example",
            "https://user@app.example",
            "https://app.example/",
            "null",
            "",
            "\u{1f9a0}",
        ];
        for other in others {
            assert!(!list.allow([other.as_bytes()]), "{other}");
        }
        assert!(!list.allow([&b"https://app.example\xff"[..]]));
        let both = [&b"https://app.example"[..], b"https://evil.example"];
        assert!(!list.allow(both), "each of several has to be allowed");
    }

    #[test]
    fn programs_name_no_origin_and_an_empty_list_allows_all() {
        assert!(origins("https://app.example").unwrap().allow([]));
        assert!(Origins::default().allow([&b"https://anything.example"[..]]));
    }

    #[test]
    fn what_no_browser_would_send_is_no_setting() {
        for good in ["null", "http://localhost:3000, tauri://localhost", "http://[::1]:8080", "capacitor://a"]
        {
            assert!(origins(good).is_some(), "{good}");
        }
        for bad in [
            "",
            ",",
            "*",
            "app.example",
            "https://app.example/path",
            "https://*.example",
            "https://:80",
            "https://a:99999",
            "https://a:+1",
            "https://[::1",
            "://a",
            "https://ä.example",
        ] {
            assert!(origins(bad).is_none(), "{bad}");
        }
    }
}
