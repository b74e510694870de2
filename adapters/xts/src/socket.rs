//! Opens a socket, and waits until the broker lets this side in.

use std::{cell::Cell, time::Duration};

use adapter_sdk::{
    AdapterError, ErrorCode,
    net::{Heartbeat, Meaning, Message, WebSocket, WebSocketRequest, with_query},
};
use tokio::time::timeout;

use crate::{
    config::Settings,
    engine::{JOIN, PING, PONG, Packet, Version},
    rest::ENDED,
};

/// What a refused handshake means.
const REFUSALS: [Meaning; 2] = [
    (&[401, 403], ErrorCode::AUTH, ENDED),
    (&[429], ErrorCode::RATE_LIMITED, "the broker refused the connection (HTTP 429): there were too many"),
];

/// The status with which servers refuse a version that they do not speak.
const BAD_REQUEST: u16 = 400;

/// Longest message, in bytes: the maker's packages have no limit, and packets are far shorter.
const LONGEST_MESSAGE: usize = 4 << 20;

/// Why one version of Engine.IO would not do.
enum Failure {
    /// The server speaks the other one.
    Version,
    Other(AdapterError),
}

/// Opens a socket with these parameters in its address, by the version that worked last, or by the other
/// one if the broker refuses that.
///
/// # Errors
/// When it cannot be opened, or the broker does not let this side in.
pub(crate) async fn open(
    settings: &Settings,
    url: &str,
    parameters: &[(&str, &str)],
    works: &Cell<Version>,
) -> Result<WebSocket, AdapterError> {
    let first = works.get();
    for version in [first, first.other()] {
        match attempt(settings, url, parameters, version).await {
            Ok(socket) => {
                works.set(version);
                return Ok(socket);
            }
            Err(Failure::Version) => {}
            Err(Failure::Other(error)) => return Err(error),
        }
    }
    Err(AdapterError::protocol("the broker refused the connection, with Engine.IO 3 and with 4"))
}

async fn attempt(
    settings: &Settings,
    url: &str,
    parameters: &[(&str, &str)],
    version: Version,
) -> Result<WebSocket, Failure> {
    let number = version.number().to_string();
    let mut all = vec![("EIO", number.as_str()), ("transport", "websocket")];
    all.extend_from_slice(parameters);
    let request = WebSocketRequest::new(with_query(url, &all))
        .max_message_bytes(LONGEST_MESSAGE)
        .stall_after(settings.stall);
    let request = match version {
        Version::Three => request.heartbeat(Heartbeat::Text(PING, settings.heartbeat)),
        Version::Four => request,
    };
    let opened = settings.network.websocket(request).await;
    let mut socket = opened.map_err(|error| match error.status() {
        Some(BAD_REQUEST) => Failure::Version,
        _ => Failure::Other(error.explain(&REFUSALS)),
    })?;
    let limit: Duration = settings.welcome;
    match timeout(limit, greet(&mut socket, version)).await {
        Ok(greeted) => greeted.map(|()| socket),
        Err(_) => Err(Failure::Other(AdapterError::network(format!(
            "the broker opened the connection and did not let this side in within {limit:?}"
        )))),
    }
}

/// Waits until the namespace is joined.
async fn greet(socket: &mut WebSocket, version: Version) -> Result<(), Failure> {
    loop {
        let message = socket.next().await.map_err(|error| match error.code() {
            // Socket.IO 4 takes the connection and then says in HTTP, on the WebSocket, that it does not
            // speak version 3.
            ErrorCode::PROTOCOL => Failure::Version,
            _ => Failure::Other(error),
        })?;
        let Message::Text(text) = &message else { continue };
        match (Packet::read(text), version) {
            (Packet::Open, Version::Four) => socket.queue(JOIN),
            // By itself, and without a name: the server takes the version for its own.
            (Packet::Joined { is_named: false }, Version::Four) => return Err(Failure::Version),
            (Packet::Joined { .. }, _) => return Ok(()),
            (Packet::Ping, _) => socket.queue(PONG),
            (Packet::Refused, _) => return Err(Failure::Other(AdapterError::auth(ENDED))),
            (Packet::Ended, _) => {
                let ended = "the broker ended the connection before it let this side in";
                return Err(Failure::Other(AdapterError::network(ended)));
            }
            _ => {}
        }
    }
}
