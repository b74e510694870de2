//! What differs from broker to broker: everything else is the family's.

use adapter_sdk::{
    Capability,
    serde_json::{Value, json},
};

/// How the log-in on the socket is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Type `a`, with an access token.
    OAuth,
    /// Type `c`, with a session token.
    Classic,
}

/// How an account logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// A page gives a code, which `GenAcsTok` exchanges.
    Code,
    /// The same at Flattrade's own interface.
    Flattrade,
    /// A page gives a code, and the session that it buys must be made one for sockets before each connection.
    AliceBlue,
    /// An API token and a one-time password.
    Definedge,
}

/// One of the brokers.
#[derive(Debug)]
pub struct Brand {
    /// Its name in `plugins.toml` and for accounts.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// How it wants the log-in on the socket.
    pub dialect: Dialect,
    /// What it wants to be told of this side there.
    pub source: &'static str,
    /// What shows it that this side lives.
    pub heartbeat: &'static str,
    /// How an account logs in.
    pub scheme: Scheme,
    /// Whether orders have to be asked for.
    pub asks_for_orders: bool,
    /// Instruments on a connection.
    pub symbols: u32,
    /// The files of its list, below `list_url`.
    pub files: &'static [&'static str],
    credentials: &'static str,
    /// The socket, the interface that logs in, the page for people, and where the list is.
    urls: [&'static str; 4],
    batch_interval_ms: u32,
}

const HEARTBEAT: &str = r#"{"t":"h"}"#;

/// One file for each exchange.
const ARCHIVES: [&str; 6] = [
    "NSE_symbols.txt.zip",
    "NFO_symbols.txt.zip",
    "CDS_symbols.txt.zip",
    "MCX_symbols.txt.zip",
    "BSE_symbols.txt.zip",
    "BFO_symbols.txt.zip",
];

/// What most of them have.
const USUAL: Brand = Brand {
    name: "",
    title: "",
    dialect: Dialect::OAuth,
    source: "API",
    heartbeat: HEARTBEAT,
    scheme: Scheme::Code,
    asks_for_orders: true,
    symbols: 5_000,
    files: &ARCHIVES,
    credentials: include_str!("../credentials.schema.json"),
    urls: [""; 4],
    batch_interval_ms: 100,
};

/// All of them.
pub static BRANDS: [Brand; 6] = [
    Brand {
        name: "shoonya",
        title: "Shoonya",
        urls: [
            "wss://api.shoonya.com/NorenWSAPI/",
            "https://api.shoonya.com/NorenWClientAPI",
            "https://api.shoonya.com/OAuthlogin/authorize/oauth",
            "https://api.shoonya.com",
        ],
        ..USUAL
    },
    Brand {
        name: "flattrade",
        title: "Flattrade",
        scheme: Scheme::Flattrade,
        files: &[
            "NSE_Equity.csv",
            "Nfo_Equity_Derivatives.csv",
            "Nfo_Index_Derivatives.csv",
            "Currency_Derivatives.csv",
            "Commodity.csv",
            "BSE_Equity.csv",
            "Bfo_Index_Derivatives.csv",
            "Bfo_Equity_Derivatives.csv",
        ],
        urls: [
            "wss://piconnect.flattrade.in/PiConnectWSAPI/",
            "https://authapi.flattrade.in/trade",
            "https://auth.flattrade.in/",
            "https://flattrade.s3.ap-south-1.amazonaws.com/scripmaster",
        ],
        ..USUAL
    },
    Brand {
        name: "zebu",
        title: "Zebu MYNT",
        urls: [
            "wss://go.mynt.in/NorenWSAPI/",
            "https://go.mynt.in/NorenWClientAPI",
            "https://go.mynt.in/OAuthlogin/authorize/oauth",
            "https://go.mynt.in",
        ],
        ..USUAL
    },
    Brand {
        name: "tradesmart",
        title: "TradeSmart",
        // They come by themselves.
        asks_for_orders: false,
        urls: [
            "wss://v2api.tradesmartonline.in/NorenWSAPI/",
            "https://v2api.tradesmartonline.in/NorenWClientAPIv2",
            "https://v2api.tradesmartonline.in/OAuthlogin/authorize/oauth",
            "https://v2api.tradesmartonline.in",
        ],
        ..USUAL
    },
    Brand {
        name: "definedge",
        title: "Definedge Securities",
        dialect: Dialect::Classic,
        source: "TRTP",
        scheme: Scheme::Definedge,
        symbols: 500,
        files: &["allmaster.zip"],
        credentials: include_str!("../credentials-definedge.schema.json"),
        urls: [
            "wss://trade.definedgesecurities.com/NorenWSTRTP/",
            "https://signin.definedgesecurities.com/auth/realms/debroking/dsbpkc",
            "https://myaccount.definedgesecurities.com/",
            "https://app.definedgesecurities.com/public",
        ],
        ..USUAL
    },
    Brand {
        name: "aliceblue",
        title: "Alice Blue",
        dialect: Dialect::Classic,
        heartbeat: r#"{"k":"","t":"h"}"#,
        scheme: Scheme::AliceBlue,
        asks_for_orders: false,
        symbols: 1_000,
        files: &["NSE.csv", "BSE.csv", "NFO.csv", "BFO.csv", "CDS.csv", "BCD.csv", "MCX.csv", "INDICES.csv"],
        urls: [
            "wss://ws1.aliceblueonline.com/NorenWS/",
            "https://a3.aliceblueonline.com/open-api/od/v1",
            "https://ant.aliceblueonline.com/",
            "https://v2api.aliceblueonline.com/restpy/static/contract_master/V2",
        ],
        batch_interval_ms: 500,
        ..USUAL
    },
];

impl Brand {
    /// The broker of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        BRANDS.iter().find(|brand| brand.name == name)
    }

    /// Settings that it has of its own.
    pub fn defaults(&self) -> Value {
        let [ws_url, api_url, login_url, list_url] = self.urls;
        json!({
            "ws_url": ws_url, "api_url": api_url, "login_url": login_url, "list_url": list_url,
            "batch_interval_ms": self.batch_interval_ms,
        })
    }

    /// What the host is told of it.
    pub fn described(&self) -> adapter_sdk::Brand {
        let mut can = vec![
            Capability::Ltp,
            Capability::Quote,
            Capability::Depth,
            Capability::Login,
            Capability::SingleSession,
        ];
        // Those of Alice Blue come on another socket, which is not served.
        if self.scheme != Scheme::AliceBlue {
            can.push(Capability::Orders);
        }
        adapter_sdk::Brand::new(self.name)
            .title(self.title)
            .capabilities(&can)
            .limits(self.symbols, 1)
            .credentials_schema(self.credentials)
            .defaults(self.defaults())
    }
}
