//! `SmartAPI` WebSocket Streaming 2.0, as Angel One documents it.

mod instruments;
mod packet;
mod request;
mod rest;
mod totp;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

pub use self::totp::code as totp;
use crate::{
    broker::{Broker, Next, Reply, Request, Role},
    model::{Mode, Values},
    options::Options,
    state::Core,
    universe::Instrument,
};

/// A venue that speaks `SmartAPI`.
pub type Venue = crate::Venue<Smart>;

/// WebSocket connections of one client code.
pub const CONNECTIONS: usize = 3;

/// Pairs of instrument and mode on one connection.
pub const PAIRS: usize = 1_000;

/// Begins the account of a connection for order updates, which shares nothing with those for market data.
const ORDERS: &str = "orders of ";

/// Angel One's rules. It has no state of its own.
#[derive(Clone, Copy, Debug)]
pub struct Smart;

impl Broker for Smart {
    const NAME: &'static str = "angel";
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
        "exchange_ts_ns",
    ];
    const ORDER: &'static [&'static str] = &[
        "orderid",
        "symbol",
        "exchange",
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
            ("ws_url", format!("ws://{address}/smart-stream")),
            ("order_ws_url", format!("ws://{address}/smart-order-update")),
            ("api_url", format!("http://{address}")),
            ("instruments_url", format!("http://{address}{}", rest::MASTER)),
        ]
    }

    fn new(_options: &Options) -> Self {
        Self
    }

    fn key(instrument: &Instrument) -> Option<u64> {
        let (segment, _) = packet::segment(instrument)?;
        Some(packet::key(segment, packet::number(instrument)))
    }

    fn rest(&self, core: &mut Core, request: &Request) -> Reply {
        rest::answer(core, request)
    }

    fn admit(&self, core: &Core, request: &hyper::Request<()>) -> Result<String, Reply> {
        rest::admit(core, request)
    }

    fn role(account: &str) -> Role {
        if account.starts_with(ORDERS) { Role::Orders } else { Role::Market }
    }

    fn greetings(_core: &Core, account: &str) -> Vec<Message> {
        let Some(client) = account.strip_prefix(ORDERS) else { return Vec::new() };
        vec![Message::text(order_update(client, "AB00", &json!({})).to_string())]
    }

    fn hear(core: &mut Core, connection: u64, text: &str) -> Next {
        request::hear(core, connection, text)
    }

    fn encode(instrument: &Instrument, mode: Mode, values: &Values) -> Result<Vec<u8>, String> {
        packet::encode(instrument, mode, values)
    }

    fn messages(_account: &str, packets: Vec<Vec<u8>>, _is_stacked: bool) -> Vec<Message> {
        packets.into_iter().map(Message::binary).collect()
    }

    fn heartbeat() -> Option<(Duration, Message)> {
        None
    }

    fn patience() -> Option<Duration> {
        Some(Duration::from_secs(30))
    }

    fn order_text(data: &Value) -> String {
        let code = data.get("status-code").and_then(Value::as_str).unwrap_or("AB01");
        order_update("A123456", code, data).to_string()
    }

    fn order_data(members: &BTreeMap<String, Value>) -> Value {
        let own = |name: &str| {
            match name {
                "symbol" => "tradingsymbol",
                "action" => "transactiontype",
                "trigger_price" => "triggerprice",
                "pricetype" => "ordertype",
                "product" => "producttype",
                "order_status" => "orderstatus",
                "filled_quantity" => "filledshares",
                "pending_quantity" => "unfilledshares",
                "average_price" => "averageprice",
                "rejection_reason" => "text",
                same => same,
            }
            .to_owned()
        };
        members.iter().map(|(name, value)| (own(name), value.clone())).collect()
    }
}

fn order_update(client: &str, code: &str, data: &Value) -> Value {
    json!({
        "user-id": client, "status-code": "200", "order-status": code, "error-message": "", "orderData": data,
    })
}
