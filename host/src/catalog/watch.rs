//! Notices that `plugins.toml` or a library has changed.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Catalog;
use crate::hub::Hub;

/// Watches until told to stop.
pub async fn run(_catalog: Arc<Catalog>, _hub: Arc<Hub>, stop: CancellationToken) {
    stop.cancelled().await;
}
