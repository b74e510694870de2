//! The way from a connection to a WebSocket: one HTTP request, and the answer to it.
//!
//! The request is read here and not by the WebSocket library, whose limits are fixed and which ends a
//! connection that asks for something else without a word. Whoever is refused is told why, in the status and
//! in a line of text, is counted by reason, and shows up in the log at a bounded rate. What is read,
//! remembered and waited for is bounded.

mod head;
mod refusal;

use std::time::{Duration, Instant};

use bytes::BufMut as _;
use tickhost_core::protocol::refusal::{MAX_HEAD_BYTES, UpgradeRefusal};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

pub use self::refusal::Refusals;
use crate::config::Origins;

/// Bytes read at once.
const READ_BYTES: usize = 4 * 1_024;

/// From the answer to one who is refused to the end of the connection, at most. What a client sends meanwhile
/// is read: the kernel throws an answer away when it gets more after the end.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes that are read of one who is refused.
const LINGER_BYTES: usize = 1_024 * 1_024;

/// Why a request was refused, and what its answer has to consider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The reason.
    pub(crate) reason: UpgradeRefusal,
    /// The request was a HEAD, whose answer has no body.
    is_head: bool,
}

impl From<UpgradeRefusal> for Refused {
    fn from(reason: UpgradeRefusal) -> Self {
        Self { reason, is_head: false }
    }
}

/// Reads a request until `until` and answers it with the upgrade, if it asks for one and comes from one of
/// `origins`. Returns what came behind the request: the beginning of the first frame, at most [`READ_BYTES`].
/// Whoever is refused has no answer yet.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    until: Instant,
    origins: &Origins,
) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    let reason = match tokio::time::timeout_at(until.into(), exchange(stream, &mut bytes, origins)).await {
        Ok(Ok(length)) => return Ok(bytes.split_off(length)),
        Ok(Err(reason)) => reason,
        Err(_) => UpgradeRefusal::Timeout,
    };
    Err(Refused { reason, is_head: bytes.starts_with(b"HEAD ") })
}

/// Reads a request into `bytes` and answers it. Returns its length.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    bytes: &mut Vec<u8>,
    origins: &Origins,
) -> Result<usize, UpgradeRefusal> {
    // A request that comes in many pieces is looked at when it may be whole, and otherwise when it has become
    // twice as long.
    let mut next_look = 0;
    loop {
        let before = bytes.len();
        match stream.read_buf(&mut (&mut *bytes).limit(READ_BYTES)).await {
            Ok(count) if count > 0 => {}
            Ok(_) | Err(_) => return Err(UpgradeRefusal::Gone),
        }
        if !head::may_end(bytes, before) && bytes.len() < next_look {
            continue;
        }
        if let Some(upgrade) = head::read(bytes, origins)? {
            let written = async {
                stream.write_all(upgrade.answer.as_bytes()).await?;
                stream.flush().await
            };
            return written.await.map(|()| upgrade.length).map_err(|_| UpgradeRefusal::Gone);
        }
        next_look = (bytes.len() * 2).min(MAX_HEAD_BYTES);
    }
}

/// Answers one who is refused and ends the connection, within [`LINGER`].
pub(crate) async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, refused: Refused) {
    let Some(answer) = refused.reason.answer(refused.is_head) else { return };
    let told = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        let mut rest = Vec::with_capacity(READ_BYTES);
        let mut left = LINGER_BYTES;
        while left > 0 {
            rest.clear();
            match stream.read_buf(&mut (&mut rest).limit(READ_BYTES)).await? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        std::io::Result::Ok(())
    };
    // Who does not take it is left to the kernel.
    _ = tokio::time::timeout(LINGER, told).await;
}

#[cfg(test)]
mod tests;
