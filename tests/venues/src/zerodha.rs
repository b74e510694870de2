//! Kite Connect version 3, as Zerodha documents it.

mod instruments;
mod packet;
mod request;
mod rest;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    broker::{Broker, Next, Reply, Request, json as answer, query, reply},
    model::{Mode, Values},
    options::Options,
    state::Core,
    universe::Instrument,
};

/// A venue that speaks Kite.
pub type Venue = crate::Venue<Kite>;

/// WebSocket connections of one API key.
pub const CONNECTIONS: usize = 3;

/// Instruments on one connection.
pub const INSTRUMENTS: usize = 3_000;

/// Kite's rules. It has no state of its own.
#[derive(Clone, Copy, Debug)]
pub struct Kite;

impl Broker for Kite {
    const NAME: &'static str = "zerodha";
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
    ];

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
            ("ws_url", format!("ws://{address}")),
            ("api_url", format!("http://{address}")),
            ("instruments_url", format!("http://{address}/instruments")),
            ("login_url", format!("http://{address}/connect/login")),
        ]
    }

    fn new(_options: &Options) -> Self {
        Self
    }

    fn key(instrument: &Instrument) -> Option<u64> {
        packet::token(instrument).map(u64::from)
    }

    fn rest(&self, core: &mut Core, request: &Request) -> Reply {
        rest::answer(core, request)
    }

    fn admit(&self, core: &Core, request: &hyper::Request<()>) -> Result<String, Reply> {
        let query = query(request.uri().query().unwrap_or_default());
        let member = |name: &str| query.get(name).map(String::as_str).filter(|text| !text.is_empty());
        let (Some(api_key), Some(token)) = (member("api_key"), member("access_token")) else {
            return Err(reply(400, "text/plain", "Missing api_key or access_token"));
        };
        if !rest::is_good(core, api_key, token) {
            return Err(reply(403, "text/plain", "Authentication failed"));
        }
        if core.open(api_key) >= CONNECTIONS {
            return Err(reply(429, "text/plain", "Too many requests"));
        }
        Ok(api_key.to_owned())
    }

    fn greetings(core: &Core, _account: &str) -> Vec<Message> {
        let etag = format!("W/\"{}-{}\"", core.universe.all().len(), core.edition);
        let meta = json!({ "type": "instruments_meta", "data": { "count": core.universe.all().len(), "etag": etag } });
        let code = json!({ "type": "app_code", "timestamp": "2026-01-01T09:00:00+05:30" });
        [meta, code].map(|text| Message::text(text.to_string())).into()
    }

    fn order_data(members: &BTreeMap<String, Value>) -> Value {
        let own = |name: &str| {
            match name {
                "orderid" => "order_id",
                "symbol" => "tradingsymbol",
                "action" => "transaction_type",
                "pricetype" => "order_type",
                "order_status" => "status",
                "rejection_reason" => "status_message",
                _ => return name.to_owned(),
            }
            .to_owned()
        };
        members.iter().map(|(name, value)| (own(name), value.clone())).collect()
    }

    /// The page gives a request token to whoever opens it.
    fn answer(core: &mut Core, field: &str, page: Option<&str>) -> Option<String> {
        let (_, given) = page.filter(|_| field == "request_token")?.split_once('?')?;
        Some(rest::ticket(core, query(given).get("api_key")?))
    }

    fn hear(core: &mut Core, connection: u64, text: &str) -> Next {
        request::hear(core, connection, text)
    }

    fn encode(instrument: &Instrument, mode: Mode, values: &Values) -> Result<Vec<u8>, String> {
        packet::encode(instrument, mode, values)
    }

    fn messages(_account: &str, packets: Vec<Vec<u8>>, _is_stacked: bool) -> Vec<Message> {
        packet::messages(packets)
    }

    fn heartbeat() -> Option<(Duration, Message)> {
        Some((Duration::from_secs(1), Message::binary(vec![0])))
    }

    fn order_text(data: &Value) -> String {
        json!({ "type": "order", "data": data }).to_string()
    }

    fn patience() -> Option<Duration> {
        None
    }
}

impl Venue {
    /// Sends a broker's error text on all connections.
    pub fn error(&self, message: &str) {
        self.text(&json!({ "type": "error", "data": message }).to_string());
    }
}

/// An error as the REST interface writes it.
fn refuse(status: u16, kind: &str, message: &str) -> Reply {
    answer(status, &json!({ "status": "error", "message": message, "error_type": kind }))
}
