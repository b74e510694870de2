//! What differs from broker to broker: everything else is the maker's.

use adapter_sdk::{
    Capability,
    serde_json::{Value, json},
};

/// One of the brokers.
#[derive(Debug)]
pub struct Brand {
    /// Its name in `plugins.toml` and for accounts.
    pub name: &'static str,
    title: &'static str,
    host: &'static str,
    /// The paths below which its requests and its socket are.
    paths: (&'static str, &'static str),
    /// How its socket writes: `json` or `binary`.
    format: &'static str,
    /// Whether last prices come with touchlines alone.
    has_no_ltp: bool,
}

/// Instruments on a connection. Nobody has published a number; this one is said to work.
const SYMBOLS: u32 = 1_000;

const JSON: &str = "apimarketdata";
const BINARY: &str = "apibinarymarketdata";

/// What most of them have.
const USUAL: Brand =
    Brand { name: "", title: "", host: "", paths: (JSON, JSON), format: "json", has_no_ltp: false };

/// All of them.
pub static BRANDS: [Brand; 7] = [
    Brand { name: "compositedge", title: "CompositEdge", host: "xts.compositedge.com", ..USUAL },
    Brand { name: "fivepaisaxts", title: "5paisa XTS", host: "xtsmum.5paisa.com", ..USUAL },
    Brand {
        name: "ibulls",
        title: "Indiabulls Securities",
        host: "xts.ibullssecurities.com",
        paths: (BINARY, JSON),
        ..USUAL
    },
    Brand { name: "iifl", title: "IIFL Securities (TTBlaze)", host: "ttblaze.iifl.com", ..USUAL },
    Brand {
        name: "jainamxts",
        title: "Jainam Broking",
        host: "jtrade.jainam.in:5000",
        paths: (BINARY, BINARY),
        format: "binary",
        has_no_ltp: true,
    },
    Brand {
        name: "rmoney",
        title: "RMoney",
        host: "xts.rmoneyindia.co.in:3000",
        paths: (BINARY, JSON),
        has_no_ltp: true,
        ..USUAL
    },
    Brand { name: "wisdom", title: "Wisdom Capital", host: "trade.wisdomcapital.in", ..USUAL },
];

impl Brand {
    /// The broker of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        BRANDS.iter().find(|brand| brand.name == name)
    }

    /// Settings that it has of its own.
    pub fn defaults(&self) -> Value {
        let Self { host, paths: (api, socket), .. } = self;
        json!({
            "api_url": format!("https://{host}/{api}"),
            "ws_url": format!("wss://{host}/{socket}/socket.io/"),
            "order_url": format!("https://{host}/interactive"),
            "format": self.format,
            "ltp_by_touchline": self.has_no_ltp,
            // Its packets of indices are not documented.
            "index_events": self.format == "json",
        })
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
                // A log-in ends the token of the one before.
                Capability::SingleSession,
            ])
            .limits(SYMBOLS, 1)
            .credentials_schema(include_str!("../credentials.schema.json"))
            .defaults(self.defaults())
    }
}
