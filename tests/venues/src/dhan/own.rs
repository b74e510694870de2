//! What only this venue does on request.

use serde::Deserialize;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::{Feed, end, login::State, packet};
use crate::{broker::Role, state::Core};

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Own {
    /// Tells every client a reason for an end, and ends the connections.
    End(u16),
    /// Tells every client a reason, and goes on.
    Notice(u16),
    /// Tells the live feed of a segment's market.
    MarketStatus(String),
    /// Sends a packet of a code that clients are to pass over.
    Unknown { code: u8, bytes: u16 },
    /// Whether those who are refused are told why.
    Silent(bool),
    /// Whether the account has paid for market data.
    DataPlan(bool),
    /// Whether a token is given every two minutes only.
    SlowTokens(bool),
}

pub(super) fn execute(state: &mut State, core: &mut Core, command: &Value) -> Result<(), String> {
    match Own::deserialize(command).map_err(|error| error.to_string())? {
        Own::End(reason) => end_all(core, reason),
        Own::Notice(reason) => {
            for connection in core.connections(|_| true) {
                if let Some(feed) = core.peer(connection).map(|peer| Feed::of(&peer.account).0) {
                    core.answer(connection, feed.disconnect(reason));
                }
            }
        }
        Own::MarketStatus(segment) => {
            let segment = packet::segment_named(&segment).ok_or("there is no such segment")?;
            to_live(core, packet::market_status(segment));
        }
        Own::Unknown { code, bytes } => to_live(core, packet::unknown(code, bytes)),
        Own::Silent(is_silent) => state.is_silent = is_silent,
        Own::DataPlan(has_plan) => {
            state.has_no_plan = !has_plan;
            if !has_plan {
                end_all(core, 806);
            }
        }
        Own::SlowTokens(are_slow) => state.are_tokens_slow = are_slow,
    }
    Ok(())
}

pub(super) fn end_all(core: &mut Core, reason: u16) {
    core.connections(|_| true).into_iter().for_each(|connection| end(core, connection, reason));
}

fn to_live(core: &mut Core, packet: Vec<u8>) {
    let message = Message::binary(packet);
    for connection in core.connections(|_| true) {
        if core.peer(connection).is_some_and(|peer| peer.role == Role::Market) {
            core.answer(connection, message.clone());
        }
    }
}
