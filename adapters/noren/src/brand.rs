//! What differs from broker to broker: everything else is the family's.

use adapter_sdk::{Capability, serde_json::Value};

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
    /// How it wants the log-in on the socket: the type of the message, and what the token is called in it.
    pub hello: (&'static str, &'static str),
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
    /// Settings of its own: where it is.
    urls: &'static [(&'static str, &'static str)],
    batch_interval_ms: u32,
}

/// Log-ins on the socket with an access token, and with a session token.
const OAUTH: (&str, &str) = ("a", "accesstoken");
const CLASSIC: (&str, &str) = ("c", "susertoken");

/// The addresses of a broker that has everything on one host.
macro_rules! on_one_host {
    ($host:literal, $api:literal) => {
        &[
            ("ws_url", concat!("wss://", $host, "/NorenWSAPI/")),
            ("api_url", concat!("https://", $host, $api)),
            ("login_url", concat!("https://", $host, "/OAuthlogin/authorize/oauth")),
            ("list_url", concat!("https://", $host)),
        ]
    };
}

/// What most of them have.
const USUAL: Brand = Brand {
    name: "",
    title: "",
    hello: OAUTH,
    source: "API",
    heartbeat: r#"{"t":"h"}"#,
    scheme: Scheme::Code,
    asks_for_orders: true,
    symbols: 5_000,
    // One for each exchange.
    files: &[
        "NSE_symbols.txt.zip",
        "NFO_symbols.txt.zip",
        "CDS_symbols.txt.zip",
        "MCX_symbols.txt.zip",
        "BSE_symbols.txt.zip",
        "BFO_symbols.txt.zip",
    ],
    credentials: include_str!("../credentials.schema.json"),
    urls: &[],
    batch_interval_ms: 100,
};

/// All of them.
pub static BRANDS: [Brand; 6] = [
    Brand {
        name: "shoonya",
        title: "Shoonya",
        urls: on_one_host!("api.shoonya.com", "/NorenWClientAPI"),
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
        urls: &[
            ("ws_url", "wss://piconnect.flattrade.in/PiConnectWSAPI/"),
            ("api_url", "https://authapi.flattrade.in/trade"),
            ("login_url", "https://auth.flattrade.in/"),
            ("list_url", "https://flattrade.s3.ap-south-1.amazonaws.com/scripmaster"),
        ],
        ..USUAL
    },
    Brand { name: "zebu", title: "Zebu MYNT", urls: on_one_host!("go.mynt.in", "/NorenWClientAPI"), ..USUAL },
    Brand {
        name: "tradesmart",
        title: "TradeSmart",
        // They come by themselves.
        asks_for_orders: false,
        urls: on_one_host!("v2api.tradesmartonline.in", "/NorenWClientAPIv2"),
        ..USUAL
    },
    Brand {
        name: "definedge",
        title: "Definedge Securities",
        hello: CLASSIC,
        source: "TRTP",
        scheme: Scheme::Definedge,
        symbols: 500,
        files: &["allmaster.zip"],
        credentials: include_str!("../credentials-definedge.schema.json"),
        urls: &[
            ("ws_url", "wss://trade.definedgesecurities.com/NorenWSTRTP/"),
            ("api_url", "https://signin.definedgesecurities.com/auth/realms/debroking/dsbpkc"),
            ("login_url", "https://myaccount.definedgesecurities.com/"),
            ("list_url", "https://app.definedgesecurities.com/public"),
        ],
        ..USUAL
    },
    Brand {
        name: "aliceblue",
        title: "Alice Blue",
        hello: CLASSIC,
        heartbeat: r#"{"k":"","t":"h"}"#,
        scheme: Scheme::AliceBlue,
        // They have a socket of their own.
        asks_for_orders: false,
        symbols: 1_000,
        files: &["NSE.csv", "BSE.csv", "NFO.csv", "BFO.csv", "CDS.csv", "BCD.csv", "MCX.csv", "INDICES.csv"],
        urls: &[
            ("ws_url", "wss://ws1.aliceblueonline.com/NorenWS/"),
            ("order_url", "https://a3.aliceblueonline.com/open-api/order-notify"),
            ("api_url", "https://a3.aliceblueonline.com/open-api/od/v1"),
            ("login_url", "https://ant.aliceblueonline.com/"),
            ("list_url", "https://v2api.aliceblueonline.com/restpy/static/contract_master/V2"),
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
        let urls = self.urls.iter().map(|(name, url)| (*name, Value::from(*url)));
        urls.chain([("batch_interval_ms", self.batch_interval_ms.into())]).collect()
    }

    /// What the host is told of it.
    pub fn described(&self) -> adapter_sdk::Brand {
        adapter_sdk::Brand::new(self.name)
            .title(self.title)
            .capabilities(&[
                Capability::Ltp,
                Capability::Quote,
                Capability::Depth,
                Capability::Orders,
                Capability::Login,
                Capability::SingleSession,
            ])
            .limits(self.symbols, 1)
            .credentials_schema(self.credentials)
            .defaults(self.defaults())
    }
}
