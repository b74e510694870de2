//! The table of settings. Everything else about a setting follows from its row.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{
    Problems,
    origins::Origins,
    sources::{Given, Values},
    value::{DatabaseUrl, FromText as _, Kind, LogFilter, LogFormat, Setting, TimeOfDay},
};

const KIB: u64 = 1_024;
const MIB: u64 = 1_024 * KIB;

macro_rules! settings {
    ($($group:literal { $($(#[doc = $help:literal])+ $field:ident: $type:ty = $row:expr;)+ })+) => {
        /// The settings, validated. [`TABLE`] says for each where it can be set.
        #[derive(Clone, Debug)]
        #[expect(clippy::doc_markdown, reason = "the same sentences are shown in a terminal")]
        pub struct Settings {
            $($($(#[doc = $help])+ pub $field: $type,)+)+
            /// Folder of the running program, where adapter libraries may lie beside it.
            pub executable_dir: Option<PathBuf>,
            /// Things that work but that the operator should know of; no secrets in them.
            pub warnings: Vec<String>,
            pub(super) plugins_places: Vec<PathBuf>,
            pub(super) given: Given,
        }

        /// Every setting, in the order of the documents.
        pub static TABLE: &[Setting] = &[
            $($(Setting {
                key: stringify!($field),
                group: $group,
                help: concat!($($help),+).trim_ascii_start(),
                ..$row
            },)+)+
        ];

        impl Settings {
            /// Settings that the other ones decide differently, in the order of the documents.
            pub fn changes(&self, other: &Self) -> Vec<&'static Setting> {
                let mut keys = Vec::new();
                $($(if !self.$field.is_same(&other.$field) {
                    keys.push(stringify!($field));
                })+)+
                TABLE.iter().filter(|setting| keys.contains(&setting.key)).collect()
            }

            pub(super) fn build(values: &Values, problems: &mut Problems) -> Self {
                Self {
                    $($($field: values.take(stringify!($field), problems),)+)+
                    executable_dir: None,
                    warnings: Vec::new(),
                    plugins_places: Vec::new(),
                    given: values.given(),
                }
            }
        }
    };
}

settings! {
    "Client port" {
        /// Address of the port for WebSocket clients.
        websocket_host: IpAddr = Setting::new("WEBSOCKET_HOST", Kind::Address).default("127.0.0.1").common();
        /// Port for WebSocket clients; 0 takes any free one. Most client libraries expect 8765.
        websocket_port: u16 = Setting::new("WEBSOCKET_PORT", Kind::Whole(0, 65_535)).default("8765").common();
        /// Whether the three ports may be opened on an address that other machines reach. Only the client
        /// port can be encrypted, with TICKHOST_TLS_CERT; the others need a TLS proxy in front.
        allow_remote: bool = Setting::new("TICKHOST_ALLOW_REMOTE", Kind::Switch).default("false").common();
        /// A file with the certificate of the client port and those that lead to its authority, as PEM;
        /// clients then connect with wss://. Needs TICKHOST_TLS_KEY. It is read again when it changes.
        tls_cert: Option<PathBuf> = Setting::new("TICKHOST_TLS_CERT", Kind::Path).unset("no encryption: ws://").common().live();
        /// A file with the private key of that certificate, as PEM, without a passphrase. It is read again
        /// when it changes.
        tls_key: Option<PathBuf> = Setting::new("TICKHOST_TLS_KEY", Kind::Path).unset("none").common().live();
        /// Pages that browsers may connect from; others are refused with 403. Programs that name no origin
        /// may always.
        allowed_origins: Origins = Setting::new("TICKHOST_ALLOWED_ORIGINS", Kind::Origins).unset("every page").live();
        /// Time that a client has from connecting to a valid key.
        ws_auth_grace_seconds: Duration = Setting::new("WS_AUTH_GRACE_SECONDS", Kind::Seconds(1, 3_600)).default("15").live();
        /// Time between pings to a client; 0 sends none.
        ws_ping_interval: Duration = Setting::new("WS_PING_INTERVAL", Kind::Seconds(0, 3_600)).default("20").live();
        /// Time that a client has to answer a ping.
        ws_ping_timeout: Duration = Setting::new("WS_PING_TIMEOUT", Kind::Seconds(1, 3_600)).default("20").live();
        /// Silence after a login before the extra frame that says `authenticated`, in milliseconds; 0 never
        /// sends it.
        authenticated_nudge_ms: Duration = Setting::new("TICKHOST_AUTHENTICATED_NUDGE_MS", Kind::Milliseconds(0, 60_000)).default("300").live();
        /// Whether ticks repeat their values beside `data`, for clients that look there.
        flat_fields: bool = Setting::new("TICKHOST_FLAT_FIELDS", Kind::Switch).default("true");
        /// Whether the book is repeated as `bids` and `asks`, for clients that look there.
        bids_asks: bool = Setting::new("TICKHOST_BIDS_ASKS", Kind::Switch).default("true");
    }
    "Limits for clients" {
        /// Connections at one time with a valid key. Where the system lets the host open fewer files and
        /// sockets, those that fit count.
        max_connections: usize = Setting::new("TICKHOST_MAX_CONNECTIONS", Kind::Whole(1, 1_000_000)).default("10000").live();
        /// Connections at one time with one API key.
        max_connections_per_key: usize = Setting::new("TICKHOST_MAX_CONNECTIONS_PER_KEY", Kind::Whole(1, 1_000_000)).default("256");
        /// Connections at one time with a valid key from one address, or from one IPv6 network of 64 bits.
        /// Behind a proxy all clients have the proxy's address.
        max_connections_per_address: usize = Setting::new("TICKHOST_MAX_CONNECTIONS_PER_ADDRESS", Kind::Whole(1, 1_000_000)).default("1024").live();
        /// Connections at one time that have shown no valid key yet and may take WS_AUTH_GRACE_SECONDS for
        /// it; those beyond have 5 seconds. They come on top of TICKHOST_MAX_CONNECTIONS, and when all of
        /// that is taken the oldest of them gives up its place to the next one.
        max_connections_without_key: usize = Setting::new("TICKHOST_MAX_CONNECTIONS_WITHOUT_KEY", Kind::Whole(16, 1_000_000)).default("1024").live();
        /// The same from one address.
        max_connections_without_key_per_address: usize = Setting::new("TICKHOST_MAX_CONNECTIONS_WITHOUT_KEY_PER_ADDRESS", Kind::Whole(16, 1_000_000)).default("256").live();
        /// Subscriptions that one client may hold; each mode of a symbol counts.
        max_subscriptions_per_client: usize = Setting::new("TICKHOST_MAX_SUBSCRIPTIONS_PER_CLIENT", Kind::Whole(1, 100_000)).default("5000").live();
        /// Subscriptions that all clients of one API key may hold together. By default as many as twenty
        /// clients may hold by themselves.
        max_subscriptions_per_key: usize = Setting::new("TICKHOST_MAX_SUBSCRIPTIONS_PER_KEY", Kind::Whole(1, 10_000_000)).default("100000").live();
        /// Longest message of a client.
        max_frame_bytes: usize = Setting::new("TICKHOST_MAX_FRAME_BYTES", Kind::Bytes(KIB, 64 * MIB)).default("1048576").live();
        /// Longest message of a client that has not shown a valid key yet.
        max_frame_bytes_before_auth: usize = Setting::new("TICKHOST_MAX_FRAME_BYTES_BEFORE_AUTH", Kind::Bytes(KIB, 64 * MIB)).default("16384").live();
        /// Messages that a client may send each second, on average. Every further KiB of a message counts as
        /// one too; before a valid key they are 5 at most.
        max_messages_per_second: u32 = Setting::new("TICKHOST_MAX_MESSAGES_PER_SECOND", Kind::Whole(1, 100_000)).default("100").live();
        /// Messages that a client may send at once; before a valid key 20 at most.
        message_burst: u32 = Setting::new("TICKHOST_MESSAGE_BURST", Kind::Whole(1, 1_000_000)).default("1000").live();
        /// Subscriptions that a client may begin and end each second, on average: each entry of a request
        /// counts.
        max_entries_per_second: u32 = Setting::new("TICKHOST_MAX_ENTRIES_PER_SECOND", Kind::Whole(1, 1_000_000)).default("1000").live();
        /// Subscriptions that a client may begin and end at once.
        entry_burst: u32 = Setting::new("TICKHOST_ENTRY_BURST", Kind::Whole(1, 10_000_000)).default("20000").live();
        /// Ticks that wait in order for one client; beyond it only the newest of each symbol and mode waits.
        outbox_frames: usize = Setting::new("TICKHOST_OUTBOX_FRAMES", Kind::Whole(16, 1_000_000)).default("1024").live();
        /// Who may ask for every tick (`lossless`): names of users, identities of keys as in
        /// `tickhost key list`, or `all`.
        lossless_for: Vec<String> = Setting::new("TICKHOST_LOSSLESS_FOR", Kind::Names).unset("nobody").live();
        /// Ticks of lossless subscriptions that wait in order for one client; beyond it the client is told of
        /// a gap.
        lossless_frames: usize = Setting::new("TICKHOST_LOSSLESS_FRAMES", Kind::Whole(16, 10_000_000)).default("65536").live();
        /// Replies that may wait for one client; beyond it the connection is closed.
        control_bytes: usize = Setting::new("TICKHOST_CONTROL_BYTES", Kind::Bytes(64 * KIB, 256 * MIB)).default("4194304").live();
        /// Bytes that may wait for all clients together: replies, ticks, and requests that are not whole.
        /// Beyond it the client for which most waits is closed.
        max_waiting_bytes: Option<usize> = Setting::new("TICKHOST_MAX_WAITING_BYTES", Kind::Bytes(16 * MIB, 1_024 * 1_024 * MIB))
            .unset("a quarter of the memory that the host may have, at most 536870912").live();
        /// The same limit in replies of 4 KiB, the name that OpenAlgo knows. Used only when
        /// TICKHOST_CONTROL_BYTES is not set.
        ws_max_queue: u32 = Setting::new("WS_MAX_QUEUE", Kind::Whole(16, 65_536)).default("1024").live();
        /// Longest time in which a client takes nothing of what waits for it, before it is closed.
        write_timeout_seconds: Duration = Setting::new("TICKHOST_WRITE_TIMEOUT_SECONDS", Kind::Seconds(1, 3_600)).default("60").live();
    }
    "Ticks and brokers" {
        /// Shortest time between two updates of one symbol and mode; the newest is always sent. 0 sends
        /// everything.
        throttle_ms: Duration = Setting::new("TICKHOST_THROTTLE_MS", Kind::Milliseconds(0, 60_000)).default("50").common();
        /// Symbols that one connection to a broker carries, where neither plugins.toml nor the adapter says
        /// how many.
        max_symbols_per_websocket: Option<usize> = Setting::new("MAX_SYMBOLS_PER_WEBSOCKET", Kind::Whole(1, 100_000))
            .unset("1000");
        /// Books of more levels than any book has, usually five, that one connection to a broker carries,
        /// where neither plugins.toml nor the adapter says how many; 0 for none.
        max_deep_books_per_connection: Option<usize> = Setting::new("TICKHOST_MAX_DEEP_BOOKS_PER_CONNECTION", Kind::Whole(0, 100_000))
            .unset("as many as symbols");
        /// Connections to a broker for one account, where neither plugins.toml nor the adapter says how many.
        max_websocket_connections: Option<usize> = Setting::new("MAX_WEBSOCKET_CONNECTIONS", Kind::Whole(1, 100))
            .unset("3");
        /// Whether an account may have more than one connection to its broker.
        enable_connection_pooling: bool = Setting::new("ENABLE_CONNECTION_POOLING", Kind::Switch).default("true");
        /// Time that one connection to a broker may be down, while others of the account are up, before its
        /// symbols move to those that have room.
        rebalance_seconds: Duration = Setting::new("TICKHOST_REBALANCE_SECONDS", Kind::Seconds(1, 3_600)).default("30");
        /// Broker names that clients are told of.
        valid_brokers: Vec<String> = Setting::new("VALID_BROKERS", Kind::Names).unset("those of plugins.toml");
        /// Longest wait for a broker's answer before a subscription is confirmed as pending.
        subscribe_timeout_ms: Duration = Setting::new("TICKHOST_SUBSCRIBE_TIMEOUT_MS", Kind::Milliseconds(100, 60_000)).default("4000");
        /// How long a broker's feed stays up after its last client left.
        feed_linger_seconds: Duration = Setting::new("TICKHOST_FEED_LINGER_SECONDS", Kind::Seconds(0, 86_400)).default("30");
        /// Longest silence of a subscribed connection, in the hours of its exchanges, before it is reported
        /// and answered by a reconnect; where ticks come often, 12 s and up are enough.
        ws_stale_tick_warn_seconds: Duration = Setting::new("WS_STALE_TICK_WARN_SECONDS", Kind::Seconds(1, 86_400)).default("120");
        /// Time without a tick after which a client that asked for it is told that a subscription is silent.
        subscription_silent_seconds: Duration = Setting::new("TICKHOST_SUBSCRIPTION_SILENT_SECONDS", Kind::Seconds(1, 3_600)).default("10").live();
        /// A file with the hours and holidays of the exchanges, instead of the built-in ones. It is read
        /// again when it changes.
        calendar: Option<PathBuf> = Setting::new("TICKHOST_CALENDAR", Kind::Path).unset("the built-in one");
    }
    "Adapters" {
        /// The file that lists the adapters.
        plugins: Option<PathBuf> = Setting::new("TICKHOST_PLUGINS", Kind::Path)
            .unset("plugins.toml here, beside the program or up to 3 folders above it").common();
        /// A folder in which adapter libraries are looked for first.
        plugin_dir: Option<PathBuf> = Setting::new("TICKHOST_PLUGIN_DIR", Kind::Path).unset("none").common();
    }
    "Bus" {
        /// Whether the ZeroMQ port for other publishers is opened.
        bus: bool = Setting::new("TICKHOST_BUS", Kind::Switch).default("on");
        /// Address of the ZeroMQ port. Whoever reaches it can publish prices of every symbol to the clients
        /// of bus brokers, and order updates to every user who is logged in, unless TICKHOST_BUS_SECRET is
        /// set.
        zmq_host: IpAddr = Setting::new("ZMQ_HOST", Kind::Address).default("127.0.0.1");
        /// ZeroMQ port; 0 takes any free one.
        zmq_port: u16 = Setting::new("ZMQ_PORT", Kind::Whole(0, 65_535)).default("5555");
        /// What publishers have to know: the password of ZeroMQ's PLAIN security, under any user name, 16 to
        /// 255 bytes. It is not encrypted on its way.
        bus_secret: Option<SecretString> = Setting::new("TICKHOST_BUS_SECRET", Kind::Secret).unset("none: whoever reaches the port can publish");
        /// A Unix socket for publishers (ipc://) beside the port, for programs of the host's own user.
        bus_socket: Option<PathBuf> = Setting::new("TICKHOST_BUS_SOCKET", Kind::Path).unset("none");
        /// Publishers at one time. When there are more, those go first that never said anything, or nothing
        /// for 10 minutes.
        bus_publishers: usize = Setting::new("TICKHOST_BUS_PUBLISHERS", Kind::Whole(1, 10_000)).default("256");
        /// Symbols that all clients of one bus broker hold together; one user takes at most as many as are
        /// left free.
        bus_symbols: usize = Setting::new("TICKHOST_BUS_SYMBOLS", Kind::Whole(1_000, 500_000)).default("100000");
        /// Exchange codes with an underscore in them, which topics cannot show otherwise.
        two_word_exchanges: Vec<String> = Setting::new("TICKHOST_TWO_WORD_EXCHANGES", Kind::Names)
            .default("NSE_INDEX,BSE_INDEX,MCX_INDEX,GLOBAL_INDEX");
    }
    "Accounts" {
        /// Folder of the host's own database and of what it keeps; made when it is missing.
        data_dir: PathBuf = Setting::new("TICKHOST_DATA_DIR", Kind::Path)
            .unset("$XDG_DATA_HOME/tickhost, else the platform's data folder").common();
        /// An OpenAlgo database to read users, keys and broker tokens from, instead of the host's own. A
        /// relative path counts from the folder the program is started in.
        database_url: Option<DatabaseUrl> = Setting::new("DATABASE_URL", Kind::Database).unset("the host's own database");
        /// The pepper of that database, at least 32 characters.
        api_key_pepper: Option<SecretString> = Setting::new("API_KEY_PEPPER", Kind::Secret).unset("none");
        /// The salt of that database.
        fernet_salt: Option<SecretString> = Setting::new("FERNET_SALT", Kind::Secret).unset("the one of old databases");
        /// When broker tokens of that database end, in Indian time.
        session_expiry_time: TimeOfDay = Setting::new("SESSION_EXPIRY_TIME", Kind::TimeOfDay).default("03:00");
        /// The broker's API key, for accounts of that database.
        broker_api_key: Option<SecretString> = Setting::new("BROKER_API_KEY", Kind::Secret).unset("none");
        /// The broker's API secret, for accounts of that database.
        broker_api_secret: Option<SecretString> = Setting::new("BROKER_API_SECRET", Kind::Secret).unset("none");
        /// The same for brokers whose market data has a key of its own.
        broker_api_key_market: Option<SecretString> = Setting::new("BROKER_API_KEY_MARKET", Kind::Secret).unset("none");
        /// The same for brokers whose market data has a secret of its own.
        broker_api_secret_market: Option<SecretString> = Setting::new("BROKER_API_SECRET_MARKET", Kind::Secret).unset("none");
    }
    "Operation" {
        /// A file with settings.
        config: Option<PathBuf> = Setting::new("TICKHOST_CONFIG", Kind::Path).unset("tickhost.toml here, when it exists").common().not_in_file();
        /// Address of the operator's port: health, metrics, console.
        admin_host: IpAddr = Setting::new("TICKHOST_ADMIN_HOST", Kind::Address).default("127.0.0.1");
        /// Operator's port; 0 takes any free one.
        admin_port: u16 = Setting::new("TICKHOST_ADMIN_PORT", Kind::Whole(0, 65_535)).default("8766").common();
        /// What is logged: a level, or levels by module.
        log: LogFilter = Setting::new("TICKHOST_LOG", Kind::Filter).default("info").common().live();
        /// How log lines look.
        log_format: LogFormat = Setting::new("TICKHOST_LOG_FORMAT", Kind::Choice(&["text", "json"])).default("text").common();
        /// A file with a few numbers, rewritten every 10 seconds for OpenAlgo's health page
        /// (log/ws_proxy_stats.json there).
        ws_proxy_stats_file: Option<PathBuf> = Setting::new("WS_PROXY_STATS_FILE", Kind::Path).unset("not written");
        /// Threads for clients; 0 is one for each core.
        shards: u16 = Setting::new("TICKHOST_SHARDS", Kind::Whole(0, 64)).default("0");
        /// Longest time that a stop may take.
        shutdown_seconds: Duration = Setting::new("TICKHOST_SHUTDOWN_SECONDS", Kind::Seconds(1, 300)).default("10");
    }
}
