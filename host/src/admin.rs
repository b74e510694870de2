//! stub
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use crate::status::HostStatus;
#[derive(Debug)] pub struct AdapterStatus;
pub async fn serve(_l: tokio::net::TcpListener, _s: Arc<HostStatus>, shutdown: CancellationToken) -> std::io::Result<()> { shutdown.cancelled().await; Ok(()) }
