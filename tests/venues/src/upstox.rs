//! Upstox's market data feed, version 3, as its documents and its package have it: protocol buffers over one
//! `WebSocket`, whose address is given for one use.

mod instruments;
pub mod message;
pub mod proto;
mod request;
mod rest;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use serde_json::{Map, Value};
use tokio_tungstenite::tungstenite::Message;

use self::message::DEEP;
use crate::{
    broker::{Broker, News, Next, Reply, Request, Role},
    model::{Mode, Values, now_ns},
    options::Options,
    state::{Core, Peer},
    universe::Instrument,
};

/// A venue that speaks it.
pub type Venue = crate::Venue<Upstox>;

/// The number of an open market.
const NORMAL_OPEN: i32 = 2;

/// Upstox's rules. It has no state of its own.
#[derive(Clone, Copy, Debug)]
pub struct Upstox;

/// The broker's key of an instrument; none for what does not trade there.
pub fn name(instrument: &Instrument) -> Option<String> {
    instruments::name(instrument)
}

impl Broker for Upstox {
    const NAME: &'static str = "upstox";
    const QUOTE: &'static [&'static str] = &[
        "ltp",
        "last_quantity",
        "average_price",
        "volume",
        "total_buy_quantity",
        "total_sell_quantity",
        "open",
        "high",
        "low",
        "close",
        "last_trade_ts_ns",
        "exchange_ts_ns",
        "oi",
    ];
    const COUNTS_ORDERS: bool = false;
    const ORDER: &'static [&'static str] = &[
        "orderid",
        "exchange",
        "symbol",
        "action",
        "quantity",
        "price",
        "trigger_price",
        "pricetype",
        "product",
        "order_status",
        "filled_quantity",
        "pending_quantity",
        "average_price",
        "rejection_reason",
    ];

    fn addresses(address: SocketAddr) -> Vec<(&'static str, String)> {
        vec![
            ("api_url", format!("http://{address}")),
            ("instruments_url", format!("http://{address}{}", rest::LIST)),
        ]
    }

    fn new(_options: &Options) -> Self {
        Self
    }

    fn key(instrument: &Instrument) -> Option<u64> {
        instruments::key(instrument)
    }

    fn rest(&self, core: &mut Core, request: &Request) -> Reply {
        rest::answer(core, request)
    }

    fn refused(status: u16) -> Reply {
        rest::refuse(status, "UDAPI10005", "Too Many Request Sent")
    }

    fn admit(&self, core: &Core, request: &hyper::Request<()>) -> Result<String, Reply> {
        rest::admit(core, request)
    }

    fn role(account: &str) -> Role {
        if account.starts_with(rest::ORDERS) { Role::Orders } else { Role::Market }
    }

    /// The code is used up, and an older connection of the user ends.
    fn entered(core: &mut Core, connection: u64) {
        let Some(ticket) = core.peer(connection).map(|peer| peer.account.clone()) else { return };
        let Some(account) = rest::use_up(core, &ticket) else { return };
        for older in core.connections(|known| known == account) {
            core.expel(older, Message::Close(None));
        }
        if let Some(peer) = core.peer(connection) {
            peer.account = account;
        }
    }

    fn greetings(_core: &Core, account: &str) -> Vec<Message> {
        if Self::role(account) == Role::Orders {
            return Vec::new();
        }
        let open = instruments::SEGMENTS.map(|(_, segment)| (segment, NORMAL_OPEN));
        vec![message::market_info(&open, now_ns() / 1_000_000)]
    }

    /// The page gives a code to whoever opens it.
    fn answer(core: &mut Core, field: &str, page: Option<&str>) -> Option<String> {
        let (_, asked) = page.filter(|_| field == "code")?.split_once('?')?;
        rest::redirected(core, asked)
    }

    /// It says nothing, and closes the connection.
    fn replace(core: &mut Core) -> bool {
        for connection in core.connections(|account| Self::role(account) == Role::Market) {
            core.expel(connection, Message::Close(None));
        }
        true
    }

    /// It passes over texts.
    fn hear(_core: &mut Core, _connection: u64, _text: &str) -> Next {
        Next::Go
    }

    fn hear_binary(core: &mut Core, connection: u64, bytes: &[u8]) -> Next {
        request::hear(core, connection, bytes)
    }

    fn carried(account: &str, asked: Mode, known: Option<Mode>) -> Option<Mode> {
        if Self::role(account) == Role::Orders {
            return None;
        }
        Some(match (asked, known) {
            // Everything comes in the mode that was subscribed.
            (_, Some(Mode::Ltp)) | (Mode::Ltp, _) => Mode::Ltp,
            (Mode::Full | Mode::Quote, Some(deep @ Mode::Deep(_))) => deep,
            (Mode::Quote, _) => Mode::Full,
            (asked, _) => asked,
        })
    }

    fn sent_as(asked: Mode) -> Mode {
        if asked == Mode::Quote { Mode::Full } else { asked }
    }

    fn encode(instrument: &Instrument, mode: Mode, values: &Values) -> Result<Vec<u8>, String> {
        use prost::Message as _;
        let mode = Self::sent_as(mode);
        // More than five levels are of the larger mode.
        let is_deep = mode == Mode::Full && values.bids.len().max(values.asks.len()) > crate::LEVELS;
        let mode = if is_deep { Mode::Deep(DEEP) } else { mode };
        message::response(instrument, mode, values, proto::Type::LiveFeed)
            .map(|response| response.encode_to_vec())
    }

    fn messages(_account: &str, packets: Vec<Vec<u8>>, is_stacked: bool) -> Vec<Message> {
        message::messages(&packets, is_stacked)
    }

    fn write(_peer: &mut Peer, news: &News<'_>) -> Result<Vec<Vec<u8>>, String> {
        message::write(news)
    }

    fn heartbeat() -> Option<(Duration, Message)> {
        Some((Duration::from_secs(10), Message::Ping(Vec::new().into())))
    }

    fn patience() -> Option<Duration> {
        None
    }

    fn order_text(data: &Value) -> String {
        let mut order: Map<String, Value> = data.as_object().cloned().unwrap_or_default();
        order.insert("update_type".to_owned(), "order".into());
        Value::Object(order).to_string()
    }

    fn order_data(members: &BTreeMap<String, Value>) -> Value {
        let own = |name: &str| {
            match name {
                "orderid" => "order_id",
                "symbol" => "trading_symbol",
                "action" => "transaction_type",
                "pricetype" => "order_type",
                "order_status" => "status",
                "rejection_reason" => "status_message",
                _ => name,
            }
            .to_owned()
        };
        members.iter().map(|(name, value)| (own(name), value.clone())).collect()
    }

    /// `{"limit": 3}`: that many instruments and no more. `{"unserved": "NSE_EQ|…"}`: a request that names
    /// this one is refused. `{"status": {"NSE_EQ": 0}}`: says what segments are doing.
    fn own(&self, core: &mut Core, command: &Value) -> Result<(), String> {
        let member = command.as_object().filter(|members| members.len() == 1);
        let (name, value) =
            member.and_then(|members| members.iter().next()).ok_or("it is an object with one member")?;
        match (name.as_str(), value) {
            ("limit", Value::Number(_)) | ("unserved", Value::String(_)) => {
                core.own.insert(name.clone(), value.clone());
            }
            ("status", Value::Object(statuses)) => {
                let status = |(segment, status): (&String, &Value)| {
                    Some((segment.clone(), i32::try_from(status.as_i64()?).ok()?))
                };
                let statuses: Vec<(String, i32)> = statuses.iter().filter_map(status).collect();
                let statuses: Vec<(&str, i32)> =
                    statuses.iter().map(|(segment, status)| (segment.as_str(), *status)).collect();
                core.broadcast(&message::market_info(&statuses, now_ns() / 1_000_000));
            }
            _ => return Err(format!("this broker has no command {name}, or {value} makes no sense for it")),
        }
        Ok(())
    }
}
