//! The brokers of the Noren family, as their documents and packages have them: JSON over one WebSocket, where
//! each message has what has changed since the last one.

mod account;
mod instruments;
mod message;
mod request;
mod rest;

use std::{any::Any, collections::BTreeMap, fmt, marker::PhantomData, net::SocketAddr, time::Duration};

use serde_json::{Map, Value};
use tokio_tungstenite::tungstenite::Message;

use self::message::Session;
use crate::{
    broker::{Broker, Cause, News, Next, Reply, Request, Role, reply},
    model::{Mode, Values},
    options::Options,
    state::{Core, Peer},
    universe::Instrument,
};

/// A venue of one of them.
pub type Venue<B> = crate::Venue<Noren<B>>;

/// How a list of instruments is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A ZIP archive of text for each exchange.
    Archives,
    /// A CSV file for each kind.
    Sheets,
    /// One ZIP archive, whose columns have no names.
    Places,
    /// A CSV file for each exchange, and one of indices.
    Exchanges,
}

/// What sets one broker apart.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Rules {
    pub name: &'static str,
    /// Type of the log-in on the socket, and of its answer.
    pub hello: (&'static str, &'static str),
    /// Whether the older form of the log-in is taken too.
    pub takes_classic: bool,
    pub source: &'static str,
    pub socket: &'static str,
    pub layout: Layout,
    pub instruments: usize,
    /// Whether a heartbeat is answered.
    pub beats_back: bool,
    /// Whether the end of a subscription is answered.
    pub says_farewell: bool,
}

impl Rules {
    /// Whether orders are told on a socket of their own.
    fn has_order_socket(&self) -> bool {
        self.layout == Layout::Exchanges
    }
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

const USUAL: Rules = Rules {
    name: "",
    hello: ("a", "ak"),
    takes_classic: false,
    source: "API",
    socket: "/NorenWSAPI/",
    layout: Layout::Archives,
    instruments: 5_000,
    beats_back: false,
    says_farewell: true,
};

brands! {
    Shoonya Rules { name: "shoonya", takes_classic: true, ..USUAL };
    Flattrade Rules {
        name: "flattrade", socket: "/PiConnectWSAPI/", layout: Layout::Sheets, beats_back: true, ..USUAL
    };
    // What the package waits for that its maker gives out. The documents say `ak`.
    Zebu Rules { name: "zebu", hello: ("a", "ck"), ..USUAL };
    TradeSmart Rules { name: "tradesmart", beats_back: true, ..USUAL };
    Definedge Rules {
        name: "definedge", hello: ("c", "ck"), source: "TRTP", socket: "/NorenWSTRTP/", layout: Layout::Places, instruments: 500,
        ..USUAL
    };
    AliceBlue Rules {
        name: "aliceblue", hello: ("c", "cf"), socket: "/NorenWS/", layout: Layout::Exchanges, instruments: 1_000,
        says_farewell: false, ..USUAL
    };
}

/// The family's rules. It has no state of its own.
pub struct Noren<B>(PhantomData<fn() -> B>);

impl<B> fmt::Debug for Noren<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Noren")
    }
}

impl<B: Brand> Broker for Noren<B> {
    const NAME: &'static str = B::RULES.name;
    const ADAPTER: &'static str = "noren";
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
        "oi",
        "upper_circuit",
        "lower_circuit",
    ];
    const HAS_FIXED_LAYOUT: bool = false;
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
        "average_price",
    ];

    fn addresses(address: SocketAddr) -> Vec<(&'static str, String)> {
        let mut addresses = vec![
            ("ws_url", format!("ws://{address}{}", B::RULES.socket)),
            ("api_url", format!("http://{address}{}", rest::API)),
            ("login_url", format!("http://{address}{}", rest::PAGE)),
            ("list_url", format!("http://{address}{}", rest::LISTS)),
        ];
        if B::RULES.has_order_socket() {
            addresses.push(("order_url", format!("http://{address}{}", rest::ORDERS)));
        }
        addresses
    }

    fn new(_options: &Options) -> Self {
        Self(PhantomData)
    }

    fn key(instrument: &Instrument) -> Option<u64> {
        instruments::key(&B::RULES, instrument)
    }

    fn rest(&self, core: &mut Core, request: &Request) -> Reply {
        rest::answer(&B::RULES, core, request)
    }

    fn refused(status: u16) -> Reply {
        reply(status, "application/json", r#"{"stat":"Not_Ok","emsg":"Too many requests"}"#)
    }

    fn admit(&self, _core: &Core, request: &hyper::Request<()>) -> Result<String, Reply> {
        match request.uri().path() {
            path if path == B::RULES.socket => Ok(String::new()),
            path if B::RULES.has_order_socket() && path.strip_prefix(rest::ORDERS) == Some("/websocket") => {
                Ok(account::ORDERS.to_owned())
            }
            _ => Err(reply(404, "text/html", "<html><body><h1>Not Found</h1></body></html>")),
        }
    }

    fn role(account: &str) -> Role {
        if account.starts_with(account::ORDERS) { Role::Orders } else { Role::Market }
    }

    fn is_told_of_orders(peer: &Peer) -> bool {
        let has_its_socket = (peer.role == Role::Orders) == B::RULES.has_order_socket();
        has_its_socket && peer.session.downcast_ref().is_some_and(|session: &Session| session.is_accepted)
    }

    /// The page gives a code to whoever opens it, and messages with passwords are read.
    fn answer(core: &mut Core, field: &str, page: Option<&str>) -> Option<String> {
        match (field.split_once(':'), page) {
            (Some(("otp", ticket)), _) => Some(rest::message(ticket)),
            // Nobody has an app for it.
            (None, None) if field == "totp" => Some("sms".to_owned()),
            (None, Some(page)) if field == "code" => {
                rest::redirected(&B::RULES, core, page.split_once('?')?.1)
            }
            _ => None,
        }
    }

    /// It says nothing, and closes the connection.
    fn replace(core: &mut Core) -> bool {
        for connection in core.connections(|account| !account.starts_with(account::ORDERS)) {
            core.expel(connection, Message::Close(None));
        }
        true
    }

    fn logs_in_later(_account: &str) -> bool {
        true
    }

    fn session(_connection: u64, _account: &str) -> Box<dyn Any + Send> {
        Box::new(Session::default())
    }

    fn greetings(_core: &Core, _account: &str) -> Vec<Message> {
        Vec::new()
    }

    fn hear(core: &mut Core, connection: u64, text: &str) -> Next {
        request::hear::<B>(core, connection, text)
    }

    /// One channel serves last prices and quotes.
    fn sent_as(asked: Mode) -> Mode {
        asked.max(Mode::Quote)
    }

    fn carried(_account: &str, asked: Mode, known: Option<Mode>) -> Option<Mode> {
        match (asked, known) {
            (Mode::Deep(_), _) => None,
            // Where the book is not subscribed there are prices alone.
            (Mode::Full, Some(Mode::Ltp | Mode::Quote)) => Some(Mode::Quote),
            // Where it is, everything comes with it.
            (_, Some(Mode::Full)) | (Mode::Full, _) => Some(Mode::Full),
            _ => Some(Mode::Quote),
        }
    }

    fn encode(instrument: &Instrument, mode: Mode, values: &Values) -> Result<Vec<u8>, String> {
        message::image(&B::RULES, instrument, mode, values, true)
    }

    fn messages(_account: &str, packets: Vec<Vec<u8>>, _is_stacked: bool) -> Vec<Message> {
        packets
            .into_iter()
            .map(|packet| Message::text(String::from_utf8_lossy(&packet).into_owned()))
            .collect()
    }

    fn write(peer: &mut Peer, news: &News<'_>) -> Result<Vec<Vec<u8>>, String> {
        if news.cause == Cause::Stray {
            return message::image(&B::RULES, news.instrument, news.mode, news.values, false)
                .map(|packet| vec![packet]);
        }
        let Some(session) = message::of(peer) else { return Ok(Vec::new()) };
        session.write(&B::RULES, news)
    }

    fn heartbeat() -> Option<(Duration, Message)> {
        None
    }

    fn is_sign_of_life(message: &Message) -> bool {
        message.is_text()
    }

    fn patience() -> Option<Duration> {
        Some(Duration::from_secs(50))
    }

    fn order_text(data: &Value) -> String {
        let mut order: Map<String, Value> = data.as_object().cloned().unwrap_or_default();
        order.insert("t".to_owned(), "om".into());
        Value::Object(order).to_string()
    }

    fn order_data(members: &BTreeMap<String, Value>) -> Value {
        let own = |name: &str| {
            match name {
                "orderid" => "norenordno",
                "exchange" => "exch",
                "symbol" => "tsym",
                "action" => "trantype",
                "quantity" => "qty",
                "price" => "prc",
                "trigger_price" => "trgprc",
                "pricetype" => "prctyp",
                "product" => "prd",
                "order_status" => "status",
                "filled_quantity" => "fillshares",
                "average_price" => "avgprc",
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
            "mistake" => value.is_u64(),
            "silence" => value.is_boolean(),
            _ => return Err(format!("this broker has no command {name}")),
        };
        if !is_good {
            return Err(format!("{value} makes no sense for {name}"));
        }
        core.own.insert(name.clone(), value.clone());
        Ok(())
    }
}
