//! The way to a broker: one TLS, proxy and timeout setting for its WebSocket and its REST interface.
//!
//! ```no_run
//! # async fn example() -> Result<(), adapter_sdk::AdapterError> {
//! use std::time::Duration;
//!
//! use adapter_sdk::net::{Message, Network, NetworkConfig, WebSocketRequest};
//!
//! let network = Network::new(NetworkConfig::default())?;
//! let request = WebSocketRequest::new("wss://broker.example/feed")
//!     .header("Authorization", "Bearer of today")
//!     .stall_after(Duration::from_secs(8));
//! let mut socket = network.websocket(request).await?;
//! socket.queue(r#"{"subscribe":["SBIN"]}"#);
//! while let Message::Binary(_packet) = socket.next().await? {}
//! # Ok(())
//! # }
//! ```

mod beside;
mod closed;
mod error;
mod handshake;
mod http;
mod log_in;
mod message;
mod rate_limit;
mod websocket;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use reqwest::{Certificate, Client, ClientBuilder, Proxy, redirect::Policy};

pub use self::{
    beside::{Beside, BesideEvent},
    closed::Closed,
    handshake::{HandshakeError, Meaning, RefusedHandshake},
    http::{Http, HttpRequest, HttpResponse},
    message::{Message, Text},
    rate_limit::RateLimit,
    websocket::{Heartbeat, WebSocket, WebSocketRequest},
};
use crate::AdapterError;

/// Longest silence within an HTTP answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The table `[adapter.config.network]` of every adapter that has one:
/// `#[serde(default)] network: NetworkConfig`.
#[derive(Clone, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Proxy for everything, `http://host:port` or `socks5://host:port`, with `user:password@` where it wants
    /// one.
    pub proxy: Option<String>,
    /// File with certificates in PEM form that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// Longest time for a connection with its handshake, 0.1 to 300 seconds.
    pub connect_timeout_seconds: f64,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self { proxy: None, ca_file: None, connect_timeout_seconds: 10.0 }
    }
}

impl fmt::Debug for NetworkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A proxy's address may hold a password.
        f.debug_struct("NetworkConfig")
            .field("proxy", &self.proxy.as_ref().map(|_| "[hidden]"))
            .field("ca_file", &self.ca_file)
            .field("connect_timeout_seconds", &self.connect_timeout_seconds)
            .finish()
    }
}

/// JSON Schema of [`NetworkConfig`], for the schema of an adapter's settings.
pub const NETWORK_SCHEMA: &str = r#"{"type":"object","additionalProperties":false,"properties":{
"proxy":{"type":"string","description":"http://host:port or socks5://host:port"},
"ca_file":{"type":"string","description":"PEM file of certificates that are trusted beside the system's"},
"connect_timeout_seconds":{"type":"number","minimum":0.1,"maximum":300,"default":10}}}"#;

/// Makes connections. Cheap to clone; nothing is read or opened before the first one.
#[derive(Clone)]
pub struct Network(Arc<Inner>);

struct Inner {
    proxy: Option<Proxy>,
    ca_file: Option<PathBuf>,
    connect_timeout: Duration,
    /// By whether they need TLS: a machine without certificates can still reach a simulator without TLS.
    clients: [OnceLock<Client>; 2],
    /// Those of `WebSocket` handshakes, which neither follow redirects nor keep connections.
    upgraders: [OnceLock<Client>; 2],
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("connect_timeout", &self.0.connect_timeout).finish_non_exhaustive()
    }
}

impl Network {
    /// Checks the settings.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub fn new(config: NetworkConfig) -> Result<Self, AdapterError> {
        let NetworkConfig { proxy, ca_file, connect_timeout_seconds } = config;
        if !(0.1..=300.0).contains(&connect_timeout_seconds) {
            return Err(AdapterError::config(format!(
                "network.connect_timeout_seconds is {connect_timeout_seconds}, but must be between 0.1 and 300"
            )));
        }
        let proxy = proxy.map(|address| read_proxy(&address)).transpose()?;
        let connect_timeout = Duration::from_secs_f64(connect_timeout_seconds);
        let inner = Inner {
            proxy,
            ca_file,
            connect_timeout,
            clients: Default::default(),
            upgraders: Default::default(),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// A REST client that keeps to the limit, which all its clones share.
    pub fn http(&self, limit: RateLimit) -> Http {
        Http::new(self.clone(), limit)
    }

    fn client(&self, is_tls: bool) -> Result<&Client, AdapterError> {
        let [plain, tls] = &self.0.clients;
        self.cached(if is_tls { tls } else { plain }, is_tls, |builder| builder.redirect(Policy::limited(5)))
    }

    fn upgrader(&self, is_tls: bool) -> Result<&Client, AdapterError> {
        let [plain, tls] = &self.0.upgraders;
        self.cached(if is_tls { tls } else { plain }, is_tls, |builder| {
            builder.redirect(Policy::none()).no_gzip().no_deflate().pool_max_idle_per_host(0)
        })
    }

    fn cached<'a>(
        &self,
        place: &'a OnceLock<Client>,
        is_tls: bool,
        shape: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<&'a Client, AdapterError> {
        if let Some(client) = place.get() {
            return Ok(client);
        }
        // The library's own: nothing else in the process uses it. Whoever comes first has installed the same
        // one.
        _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .http1_only()
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .connect_timeout(self.0.connect_timeout);
        builder = match &self.0.proxy {
            Some(proxy) => builder.proxy(proxy.clone()),
            None => builder.no_proxy(),
        };
        builder = match (is_tls, &self.0.ca_file) {
            (true, Some(file)) => builder.tls_certs_merge(read_certificates(file)?),
            (true, None) => builder,
            (false, _) => builder.tls_certs_only([]),
        };
        let client = shape(builder)
            .build()
            .map_err(|error| AdapterError::network(format!("cannot set up TLS: {}", error::chain(&error))))?;
        Ok(place.get_or_init(|| client))
    }
}

fn read_proxy(address: &str) -> Result<Proxy, AdapterError> {
    let is_known =
        ["http://", "https://", "socks5://", "socks5h://"].iter().any(|scheme| address.starts_with(scheme));
    let refused = || {
        // Not shown: it may hold a password.
        AdapterError::config("network.proxy must look like http://host:port or socks5://host:port")
    };
    if !is_known {
        return Err(refused());
    }
    Proxy::all(address).map_err(|_| refused())
}

fn read_certificates(file: &std::path::Path) -> Result<Vec<Certificate>, AdapterError> {
    let refused = |why: String| AdapterError::config(format!("network.ca_file {}: {why}", file.display()));
    let pem = std::fs::read(file).map_err(|error| refused(error.to_string()).caused_by(error))?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|_| refused("no PEM certificates".to_owned()))?;
    if certificates.is_empty() {
        return Err(refused("it has no certificates".to_owned()));
    }
    Ok(certificates)
}

/// Appends a value to the query of an address. Tokens of some kinds have letters that mean something there.
pub fn push_encoded(url: &mut String, value: &str) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push('%');
            url.extend([byte >> 4, byte & 15].iter().filter_map(|digit| HEX.get(usize::from(*digit))));
        }
    }
}

/// An address with these in its query, each encoded as [`push_encoded`] does it. It may have a query already.
///
/// ```
/// let page = adapter_sdk::net::with_query("https://broker.example/login?v=3", &[("api_key", "a+b")]);
/// assert_eq!(page, "https://broker.example/login?v=3&api_key=a%2Bb");
/// ```
pub fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let mut url = url.to_owned();
    for (name, value) in pairs {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(name);
        url.push('=');
        push_encoded(&mut url, value);
    }
    url
}

#[cfg(test)]
mod tests {
    use adapter_abi::ErrorCode;

    use super::*;

    fn refused(json: &str) -> String {
        let config: NetworkConfig = serde_json::from_str(json).unwrap();
        let error = Network::new(config).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CONFIG);
        error.to_string()
    }

    #[test]
    fn what_makes_no_sense_is_refused_without_showing_a_password() {
        let said = refused(r#"{"proxy":"ftp://user:hunter2@proxy"}"#);
        assert!(said.contains("network.proxy") && !said.contains("hunter2"), "{said}");
        let said = refused(r#"{"proxy":"http://user:hunter2@:x"}"#);
        assert!(said.contains("network.proxy") && !said.contains("hunter2"), "{said}");
        assert!(refused(r#"{"connect_timeout_seconds":0}"#).contains("between 0.1 and 300"));
        let config: NetworkConfig = serde_json::from_str(r#"{"proxy":"socks5://u:hunter2@h:1"}"#).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(serde_json::from_str::<NetworkConfig>(r#"{"proxi":"x"}"#).is_err());
        serde_json::from_str::<serde_json::Value>(NETWORK_SCHEMA).unwrap();
    }

    #[test]
    fn a_certificate_file_is_read_when_it_is_needed_and_named_when_it_is_no_good() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let config = NetworkConfig { ca_file: Some(file.path().to_owned()), ..NetworkConfig::default() };
        let network = Network::new(config).unwrap();
        assert!(network.client(false).is_ok());
        let said = network.client(true).unwrap_err().to_string();
        assert!(said.contains(&file.path().display().to_string()), "{said}");
    }
}
