//! The connection for ticks, as both of its ends know it: where it is, how frames are told apart, and how
//! much is on its way.
//!
//! A frame is its length, four bytes with the lowest first, and so many bytes. The first one is the token
//! that the host gave the process; each of the others is a batch of ticks. The process closes its half behind
//! the last one, the host closes the connection when it has read that far, and so the process knows that
//! everything has arrived.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::LengthDelimitedCodec;

/// Longest frame, without its length. A length beyond it ends the connection as soon as it is read.
pub(super) const MAX_FRAME_BYTES: usize = 64 * 1_024;

/// What both ends ask of the kernel as the buffer of the connection. What waits there can be replaced by
/// nothing newer, unlike what waits in the intake behind it.
const BUFFER_BYTES: usize = 256 * 1_024;

/// Where a process can connect.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Address {
    /// A socket in a folder that only the host's user can enter.
    Unix(PathBuf),
    /// A port of this machine, where there is no such folder.
    Tcp(SocketAddr),
}

/// One end of a connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Tells frames apart, none longer than this.
pub(super) fn frames(longest: usize) -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().little_endian().max_frame_length(longest).new_codec()
}

/// Bounds what is on its way. A kernel that gives less, or does not do it, still moves ticks.
pub(super) fn bound<'s>(socket: impl Into<socket2::SockRef<'s>>) {
    let socket = socket.into();
    _ = socket.set_send_buffer_size(BUFFER_BYTES);
    _ = socket.set_recv_buffer_size(BUFFER_BYTES);
}
