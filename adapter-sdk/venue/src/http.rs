//! Requests and answers over HTTP.

use std::collections::HashMap;

use hyper::{Response, StatusCode, body::Bytes, header::HeaderValue};

/// A request whose body has arrived.
pub type Request = hyper::Request<Bytes>;

/// A request for a WebSocket.
pub type Handshake = hyper::Request<()>;

/// An answer.
pub type Reply = Response<Bytes>;

/// An answer with a body.
pub fn reply(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    reply
}

/// A JSON answer.
pub fn json(status: u16, body: &serde_json::Value) -> Reply {
    reply(status, "application/json", body.to_string())
}

/// A header of a request; empty when it is missing, or no text.
pub fn header<'a, B>(request: &'a hyper::Request<B>, name: &str) -> &'a str {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Members of the query of a request.
pub fn query_of<B>(request: &hyper::Request<B>) -> HashMap<String, String> {
    query(request.uri().query().unwrap_or_default())
}

/// Members of a query or a form.
pub fn query(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let code =
                    std::str::from_utf8(&digits).ok().and_then(|code| u8::from_str_radix(code, 16).ok());
                bytes.extend(code);
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_as_browsers_write_them() {
        let given = query("a=1+2%2F3&empty=&broken=%zz%4&b=%E0%A4%B9");
        assert_eq!((given["a"].as_str(), given["empty"].as_str()), ("1 2/3", ""));
        assert_eq!((given["broken"].as_str(), given["b"].as_str()), ("\u{4}", "\u{939}"));
    }
}
