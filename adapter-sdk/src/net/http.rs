//! A small REST client: within the broker's rate limit, bounded, and silent about what nobody is to read.

use std::{fmt, path::Path, time::Duration};

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::AsyncWriteExt as _;

use super::{
    Network, READ_TIMEOUT, RateLimit,
    error::failed,
    handshake::{by_status, header_of},
};
use crate::AdapterError;

/// Longest time for a request with its answer, unless the request says something else.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Longest pause that a broker's `Retry-After` is heeded for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(5);

/// Makes requests. Clones share the rate limit.
#[derive(Clone, Debug)]
pub struct Http {
    network: Network,
    limit: RateLimit,
}

impl Http {
    pub(super) const fn new(network: Network, limit: RateLimit) -> Self {
        Self { network, limit }
    }

    /// A GET request.
    pub fn get(&self, url: &str) -> HttpRequest {
        self.request(Method::GET, url)
    }

    /// A POST request.
    pub fn post(&self, url: &str) -> HttpRequest {
        self.request(Method::POST, url)
    }

    /// A PUT request.
    pub fn put(&self, url: &str) -> HttpRequest {
        self.request(Method::PUT, url)
    }

    fn request(&self, method: Method, url: &str) -> HttpRequest {
        let is_tls = url.starts_with("https://");
        let is_known = is_tls || url.starts_with("http://");
        let builder = if is_known {
            self.network.client(is_tls).map(|client| client.request(method, url).timeout(TIMEOUT))
        } else {
            Err(AdapterError::config("an address must begin with http:// or https://"))
        };
        HttpRequest { builder, limit: self.limit.clone() }
    }
}

/// A request that is not sent yet.
pub struct HttpRequest {
    builder: Result<RequestBuilder, AdapterError>,
    limit: RateLimit,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its address, headers and body may hold secrets.
        f.debug_struct("HttpRequest").finish_non_exhaustive()
    }
}

impl HttpRequest {
    /// Adds a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        let header = header_of(name, value);
        self.map(|builder| header.map(|(name, value)| builder.header(name, value)))
    }

    /// Sends these as a form.
    #[must_use]
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        self.map(|builder| Ok(builder.form(fields)))
    }

    /// Sends this as JSON.
    #[must_use]
    pub fn json(self, body: &(impl Serialize + ?Sized)) -> Self {
        self.map(|builder| Ok(builder.json(body)))
    }

    /// Sends this text as it is.
    #[must_use]
    pub fn text(self, content_type: &str, body: String) -> Self {
        self.header("content-type", content_type).map(|builder| Ok(builder.body(body)))
    }

    /// Longest time for the request with its answer; 30 seconds if not set.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.map(|builder| Ok(builder.timeout(timeout)))
    }

    fn map(self, change: impl FnOnce(RequestBuilder) -> Result<RequestBuilder, AdapterError>) -> Self {
        Self { builder: self.builder.and_then(change), limit: self.limit }
    }

    /// Sends it when its turn comes. An answer of any status is an answer. After a 429 nobody gets a turn for
    /// as long as its `Retry-After` says.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(self) -> Result<HttpResponse, AdapterError> {
        let builder = self.builder?;
        self.limit.turn().await;
        let response = builder.send().await.map_err(|error| failed("no answer from the broker", &error))?;
        let response = HttpResponse(response);
        if response.0.status() == StatusCode::TOO_MANY_REQUESTS
            && let Some(pause) = response.header("retry-after").and_then(|seconds| seconds.parse().ok())
        {
            self.limit.pause(Duration::from_secs(pause).min(LONGEST_RETRY_AFTER));
        }
        Ok(response)
    }
}

/// An answer whose body is not read yet. Compressed bodies are read as what they were.
pub struct HttpResponse(Response);

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl HttpResponse {
    /// HTTP status.
    pub fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    /// Whether the status is one of success.
    pub fn is_success(&self) -> bool {
        self.0.status().is_success()
    }

    /// A header's value, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers().get(name)?.to_str().ok()
    }

    /// The error that this status stands for: 401 and 403 authentication, 429 rate limit, other 4xx protocol,
    /// the rest network. `what` says what was asked for; the body is not shown.
    pub fn refusal(&self, what: &str) -> AdapterError {
        let status = self.status();
        by_status(status, format!("the broker answered {what} with HTTP {status}"))
    }

    /// The body as bytes.
    ///
    /// # Errors
    /// When it breaks off or is longer than `limit` bytes.
    pub async fn bytes(mut self, limit: usize) -> Result<Vec<u8>, AdapterError> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > limit {
                return Err(too_long(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it breaks off, is longer than `limit` bytes, or is something else.
    pub async fn json<T: DeserializeOwned>(self, limit: usize) -> Result<T, AdapterError> {
        let body = self.bytes(limit).await?;
        // Neither the body nor the parser's words, which quote it, are shown.
        serde_json::from_slice(&body)
            .map_err(|_| AdapterError::protocol("the broker's answer is not the JSON that it documents"))
    }

    /// Writes the body to a file, which is made or emptied, as it comes.
    ///
    /// # Errors
    /// When it breaks off, is longer than `limit` bytes, or cannot be written.
    pub async fn save(mut self, file: &Path, limit: u64) -> Result<u64, AdapterError> {
        let unwritten = |error: std::io::Error| {
            // A disk that is full, or a folder that is not mounted yet, may be as it should be at the next
            // try.
            AdapterError::network(format!("{}: {error}", file.display())).caused_by(error)
        };
        let mut output = tokio::fs::File::create(file).await.map_err(unwritten)?;
        let mut written = 0;
        while let Some(chunk) = self.chunk().await? {
            written += chunk.len() as u64;
            if written > limit {
                return Err(too_long(limit));
            }
            output.write_all(&chunk).await.map_err(unwritten)?;
        }
        output.sync_all().await.map_err(unwritten)?;
        Ok(written)
    }

    async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, AdapterError> {
        tokio::time::timeout(READ_TIMEOUT, self.0.chunk())
            .await
            .map_err(|_| AdapterError::network("the broker's answer stopped half-way"))?
            .map_err(|error| failed("the broker's answer broke off", &error))
    }
}

fn too_long(limit: impl fmt::Display) -> AdapterError {
    AdapterError::protocol(format!("the broker's answer is longer than {limit} bytes"))
}
