//! Who may ask: nobody whose browser was talked into it.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};

use tracing::{Instrument as _, field::Empty};

use super::{door::Visit, routes::refusal};
use crate::base::span::{self, operation};

/// The path as the routes have it: what stands in its place may be anything, and so may the query.
fn route(request: &Request) -> Option<&str> {
    request.extensions().get::<MatchedPath>().map(MatchedPath::as_str)
}

/// Notes that the head of a request is there.
pub(super) async fn note(State(visit): State<Arc<Visit>>, request: Request, next: Next) -> Response {
    visit.has_asked();
    next.run(request).await
}

/// A span for each request. Of the address it shows the route, never what was asked: that may hold a token.
pub(super) async fn trace(request: Request, next: Next) -> Response {
    // Whoever asks chooses the word; those that are known are few.
    let method = match request.method() {
        method @ (&Method::GET | &Method::HEAD | &Method::POST) => method.as_str(),
        _ => "_OTHER",
    };
    let span = operation!(
        "http.request",
        "server",
        http.request.method = method,
        http.route = route(&request),
        http.response.status_code = Empty,
        url.scheme = "http",
        otel.name = route(&request).map(|route| format!("{method} {route}"))
    );
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    span::end(&span, if status.is_server_error() { Err("server_error") } else { Ok(()) });
    response
}

/// Lets a request through that only reads, and that names this machine by something no foreign web page can
/// claim.
pub(super) async fn check(State(local): State<SocketAddr>, request: Request, next: Next) -> Response {
    match verdict(local, request.method(), request.uri().path(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err((status, sentence)) => refusal(status, sentence),
    }
}

fn verdict(
    local: SocketAddr,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<(), (StatusCode, &'static str)> {
    let mut hosts = headers.get_all(header::HOST).into_iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    };
    let Some(host) = host.filter(|host| is_this_machine(host, local)) else {
        return Err((
            StatusCode::FORBIDDEN,
            "the Host header must name this machine by address or as localhost; open the port by its address",
        ));
    };
    // A browser adds Origin when a page reads another site. Without it, or from a page of this port, all is
    // well.
    if let Some(origin) = headers.get(header::ORIGIN) {
        let is_own = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://")) == Some(host);
        if !is_own {
            return Err((StatusCode::FORBIDDEN, "pages of other sites may not read the operator's port"));
        }
    }
    // A command asks for its token itself; a page of another site would have to know it.
    let is_command = method == Method::POST && path.starts_with("/adapters/");
    if method == Method::GET || method == Method::HEAD || is_command {
        Ok(())
    } else {
        Err((StatusCode::METHOD_NOT_ALLOWED, "the operator's port only answers GET and HEAD"))
    }
}

/// Whether a Host header names this machine in a way that no resolver of names can fake: by a loopback
/// address, by `localhost`, or by the address at which the connection arrived.
fn is_this_machine(host: &str, local: SocketAddr) -> bool {
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    if let Ok(address) = host.parse::<SocketAddr>() {
        return is_own_address(address.ip(), local);
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        // A bare IPv6 address is no Host header, but it is unmistakable.
        return is_own_address(address, local);
    }
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| is_own_address(address.into(), local));
    }
    host.rsplit_once(':')
        .is_some_and(|(name, port)| name.eq_ignore_ascii_case("localhost") && port.parse::<u16>().is_ok())
}

fn is_own_address(address: IpAddr, local: SocketAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || address == local.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("localhost", true)]
    #[case("LOCALHOST:8766", true)]
    #[case("127.0.0.1", true)]
    #[case("127.9.9.9:1", true)]
    #[case("[::1]:8766", true)]
    #[case("[::1]", true)]
    #[case("192.0.2.7:8766", true)]
    #[case("[::ffff:192.0.2.7]", true)]
    #[case("192.0.2.8:8766", false)]
    #[case("evil.example", false)]
    #[case("localhost.evil.example", false)]
    #[case("127.0.0.1.evil.example:8766", false)]
    #[case("localhost:99999", false)]
    #[case("localhost:", false)]
    #[case("user@localhost", false)]
    #[case("0.0.0.0", false)]
    #[case("", false)]
    fn only_unmistakable_names_of_this_machine_pass(#[case] host: &str, #[case] passes: bool) {
        assert_eq!(is_this_machine(host, SocketAddr::from(([192, 0, 2, 7], 8766))), passes);
    }

    #[rstest]
    #[case(&[("host", "localhost")], Ok(()))]
    #[case(&[], Err(403))]
    #[case(&[("host", "localhost"), ("host", "evil.example")], Err(403))]
    #[case(&[("host", "127.0.0.1:8766"), ("origin", "http://127.0.0.1:8766")], Ok(()))]
    #[case(&[("host", "127.0.0.1:8766"), ("origin", "http://127.0.0.1:3000")], Err(403))]
    #[case(&[("host", "127.0.0.1:8766"), ("origin", "null")], Err(403))]
    fn foreign_pages_are_refused(
        #[case] given: &[(&'static str, &'static str)],
        #[case] expected: Result<(), u16>,
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, axum::http::HeaderValue::from_static(value));
        }
        let local = SocketAddr::from(([127, 0, 0, 1], 8766));
        let got = verdict(local, &Method::GET, "/status", &headers).map_err(|(status, _)| status.as_u16());
        assert_eq!(got, expected);
    }
}
