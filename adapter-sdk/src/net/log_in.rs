//! Requests that log in.

use serde::de::DeserializeOwned;

use super::HttpRequest;
use crate::AdapterError;

/// Longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

impl HttpRequest {
    /// Sends a request that logs in or gets a token, and reads its answer, which is JSON of at most 64 KiB.
    ///
    /// # Errors
    /// With 400, 401 and 403 what was given is wrong: an authentication error with the words of `refused`,
    /// which say what to do. The broker's own words are left out, since nobody knows whether they repeat a
    /// secret. With any other status but success what [`refusal`](super::HttpResponse::refusal) says, and
    /// what [`json`](super::HttpResponse::json) says of the answer.
    pub async fn log_in<T: DeserializeOwned>(self, refused: &str) -> Result<T, AdapterError> {
        let response = self.send().await?;
        match response.status() {
            400 | 401 | 403 => Err(AdapterError::auth(refused)),
            _ if response.is_success() => response.json(MAX_ANSWER_BYTES).await,
            _ => Err(response.refusal("the log-in")),
        }
    }
}
