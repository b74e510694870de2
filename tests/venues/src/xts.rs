//! Brokers with Symphony XTS, as the maker's documents and packages have it: requests subscribe, and a
//! socket of Socket.IO brings JSON, texts of what has changed, or packed messages.

mod client;
mod instruments;
mod json;
mod packed;
mod rest;

use std::{any::Any, collections::BTreeMap, fmt, marker::PhantomData, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use self::{client::Client, json::Told};
use crate::{
    broker::{Broker, Cause, News, Next, Reply, Request, Role, reply},
    model::{Mode, Values},
    options::Options,
    state::{Core, Peer},
    universe::{Instrument, Kind},
};

/// A venue of one of them.
pub type Venue<B> = crate::Venue<Xts<B>>;

/// What sets one broker apart.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Rules {
    pub name: &'static str,
    /// Paths of its requests and of its socket.
    pub paths: (&'static str, &'static str),
    /// Versions of Engine.IO that it speaks.
    pub engines: &'static [u8],
    /// Whether its packed messages are of the wider layout.
    pub is_wide: bool,
    /// Whether last prices come by themselves.
    pub has_ltp: bool,
    /// Whether its clients are told of what has changed alone.
    pub is_partial: bool,
    pub instruments: usize,
}

/// One of the brokers.
pub trait Brand: fmt::Debug + Send + Sync + 'static {
    /// What sets it apart.
    const RULES: Rules;
}

macro_rules! brands {
    ($($name:ident $rules:expr;)+) => {
        $(
            #[doc = concat!("Plays ", stringify!($name), ".")]
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}

            impl Brand for $name {
                const RULES: Rules = $rules;
            }
        )+
    };
}

const JSON: &str = "/apimarketdata";
const BINARY: &str = "/apibinarymarketdata";

const USUAL: Rules = Rules {
    name: "",
    paths: (JSON, JSON),
    engines: &[3, 4],
    is_wide: false,
    has_ltp: true,
    is_partial: false,
    instruments: 1_000,
};

brands! {
    CompositEdge Rules { name: "compositedge", engines: &[3], ..USUAL };
    FivePaisa Rules { name: "fivepaisaxts", ..USUAL };
    Indiabulls Rules { name: "ibulls", paths: (BINARY, JSON), engines: &[4], ..USUAL };
    Iifl Rules { name: "iifl", engines: &[4], ..USUAL };
    Jainam Rules { name: "jainamxts", paths: (BINARY, BINARY), is_wide: true, has_ltp: false, ..USUAL };
    RMoney Rules { name: "rmoney", paths: (BINARY, JSON), has_ltp: false, ..USUAL };
    Wisdom Rules { name: "wisdom", is_partial: true, ..USUAL };
}

/// The maker's rules. It has no state of its own.
pub struct Xts<B>(PhantomData<fn() -> B>);

impl<B> fmt::Debug for Xts<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Xts")
    }
}

/// The last two are not in packed messages.
const QUOTE: &[&str] = &[
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
    "upper_circuit",
    "lower_circuit",
];

impl<B: Brand> Broker for Xts<B> {
    const NAME: &'static str = B::RULES.name;
    const ADAPTER: &'static str = "xts";
    const QUOTE: &'static [&'static str] =
        if B::RULES.is_wide { QUOTE.split_at(QUOTE.len() - 2).0 } else { QUOTE };
    const HAS_FIXED_LAYOUT: bool = !B::RULES.is_partial;
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
    ];

    fn addresses(address: SocketAddr) -> Vec<(&'static str, String)> {
        let (requests, socket) = B::RULES.paths;
        let mut addresses = vec![
            ("api_url", format!("http://{address}{requests}")),
            ("ws_url", format!("ws://{address}{socket}{}", client::SOCKET)),
            ("order_url", format!("http://{address}{}", client::INTERACTIVE)),
        ];
        if B::RULES.is_partial {
            addresses.push(("broadcast", "partial".to_owned()));
        }
        addresses
    }

    fn new(_options: &Options) -> Self {
        Self(PhantomData)
    }

    fn key(instrument: &Instrument) -> Option<u64> {
        instruments::key(instrument)
    }

    fn rest(&self, core: &mut Core, request: &Request) -> Reply {
        rest::answer::<B>(core, request)
    }

    fn refused(status: u16) -> Reply {
        let error = r#"{"type":"error","code":"e-app-0001","description":"Too many requests","result":{}}"#;
        reply(status, "application/json", error)
    }

    fn admit(&self, core: &Core, request: &hyper::Request<()>) -> Result<String, Reply> {
        client::admit(&B::RULES, core, request)
    }

    fn role(account: &str) -> Role {
        if Client::of(account).is_interactive { Role::Orders } else { Role::Market }
    }

    fn is_told_of_orders(peer: &Peer) -> bool {
        peer.role == Role::Orders
    }

    fn replace(core: &mut Core) -> bool {
        for connection in core.connections(|account| !Client::of(account).is_interactive) {
            core.answer(connection, client::event("logout", "logged in elsewhere"));
            core.expel(connection, Message::Close(None));
        }
        true
    }

    fn session(_connection: u64, _account: &str) -> Box<dyn Any + Send> {
        Box::new(Told::default())
    }

    fn greetings(core: &Core, account: &str) -> Vec<Message> {
        client::greetings(core, &Client::of(account))
    }

    fn hear(core: &mut Core, connection: u64, text: &str) -> Next {
        client::hear(core, connection, text);
        Next::Go
    }

    fn sent_as(asked: Mode) -> Mode {
        if B::RULES.has_ltp { asked } else { asked.max(Mode::Quote) }
    }

    fn carried(_account: &str, asked: Mode, _known: Option<Mode>) -> Option<Mode> {
        match asked {
            Mode::Deep(_) => None,
            asked => Some(Self::sent_as(asked)),
        }
    }

    fn encode(instrument: &Instrument, mode: Mode, values: &Values) -> Result<Vec<u8>, String> {
        if B::RULES.is_wide {
            packed::packet(instrument, mode, values, true)
        } else {
            json::full(instrument, mode, values).map(String::into_bytes)
        }
    }

    fn messages(account: &str, packets: Vec<Vec<u8>>, is_stacked: bool) -> Vec<Message> {
        let client = Client::of(account);
        if !client.is_packed {
            let text = |packet: Vec<u8>| Message::text(String::from_utf8_lossy(&packet).into_owned());
            return packets.into_iter().map(text).collect();
        }
        let frames = if is_stacked { vec![packets.concat()] } else { packets };
        frames.into_iter().flat_map(|frame| client.attached(frame)).collect()
    }

    fn write(peer: &mut Peer, news: &News<'_>) -> Result<Vec<Vec<u8>>, String> {
        let client = Client::of(&peer.account);
        let is_whole = matches!(news.cause, Cause::Whole | Cause::Partial | Cause::Stray);
        let has_interest = news.mode != Mode::Ltp
            && news.instrument.kind != Kind::Index
            && (news.instrument.expiry.is_some() || news.values.oi > 0);
        // What has a message of its own goes first.
        if client.is_packed {
            let mut packets = Vec::new();
            if has_interest {
                packets.push(packed::interest(news.instrument, news.values, B::RULES.is_wide)?);
            }
            packets.push(packed::packet(news.instrument, news.mode, news.values, B::RULES.is_wide)?);
            return Ok(packets);
        }
        let told: Option<&mut Told> = peer.session.downcast_mut();
        let told = told.ok_or("a session of another broker")?;
        let is_full = !client.is_partial || matches!(news.cause, Cause::State | Cause::Whole | Cause::Stray);
        let mut texts = Vec::new();
        if has_interest {
            texts.extend(json::interest(news.instrument, news.values, client.is_partial && !is_full));
        }
        // Limits come to who has subscribed them, and where somebody asks for a packet.
        if is_whole && news.mode != Mode::Ltp {
            texts.extend(json::bands(news.instrument, news.values));
        }
        if is_full {
            texts.push(json::full(news.instrument, news.mode, news.values)?);
            told.note(news);
        } else {
            texts.extend(told.changes(news)?);
        }
        Ok(texts.into_iter().map(String::into_bytes).collect())
    }

    fn heartbeat() -> Option<(Duration, Message)> {
        Some((client::PING_EVERY, Message::text("2")))
    }

    /// The older version has the client ping.
    fn heartbeat_of(account: &str) -> Option<(Duration, Message)> {
        Self::heartbeat().filter(|_| Client::of(account).engine == 4)
    }

    fn is_sign_of_life(message: &Message) -> bool {
        message.is_text()
    }

    fn patience() -> Option<Duration> {
        Some(client::PING_EVERY + Duration::from_secs(20))
    }

    fn order_text(data: &Value) -> String {
        client::event("order", &data.to_string()).into_text().map(|text| text.to_string()).unwrap_or_default()
    }

    fn order_data(members: &BTreeMap<String, Value>) -> Value {
        let own = |name: &str| {
            match name {
                "orderid" => "AppOrderID",
                "exchange" => "ExchangeSegment",
                "symbol" => "TradingSymbol",
                "action" => "OrderSide",
                "quantity" => "OrderQuantity",
                "price" => "OrderPrice",
                "trigger_price" => "OrderStopPrice",
                "pricetype" => "OrderType",
                "product" => "ProductType",
                "order_status" => "OrderStatus",
                "filled_quantity" => "CumulativeQuantity",
                "pending_quantity" => "LeavesQuantity",
                "average_price" => "OrderAverageTradedPrice",
                _ => name,
            }
            .to_owned()
        };
        members.iter().map(|(name, value)| (own(name), value.clone())).collect()
    }

    fn own(&self, core: &mut Core, command: &Value) -> Result<(), String> {
        let member = command
            .as_object()
            .filter(|members| members.len() == 1)
            .and_then(|members| members.iter().next());
        let (name, value) = member.ok_or("a command of this broker is an object with one member")?;
        let is_good = match name.as_str() {
            "already" | "rejects" => value.is_u64(),
            "takes_four_for_three" => value.is_boolean(),
            _ => return Err(format!("this broker has no command {name}")),
        };
        if !is_good {
            return Err(format!("{value} makes no sense for {name}"));
        }
        core.own.insert(name.clone(), value.clone());
        Ok(())
    }
}
