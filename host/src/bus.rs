//! stub
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use crate::model::{Mode, TickView};
#[derive(Debug)] pub enum BusVerdict { Accepted, NotSubscribed }
#[derive(Debug, Clone, Copy)] pub enum CacheScope { Auth, Feed, All }
pub trait BusSink: Send + 'static {
    fn tick(&mut self, exchange: &str, symbol: &str, mode: Mode, tick: TickView<'_>) -> BusVerdict;
    fn order_update(&mut self, user_id: &str, body: &str);
    fn cache_invalidate(&mut self, scope: CacheScope, user_id: &str);
    fn flush(&mut self);
}
#[derive(Debug)] pub struct BusSettings { pub listen: SocketAddr, pub run_dir: PathBuf }
#[derive(Debug, thiserror::Error)] #[error("x")] pub struct BusError;
#[derive(Debug)] pub struct BusCounters;
#[derive(Debug)] pub struct Bus(SocketAddr);
impl Bus { pub fn start(settings: BusSettings, _sink: Box<dyn BusSink>) -> Result<Self, BusError> { Ok(Self(settings.listen)) } pub fn local_addr(&self) -> SocketAddr { self.0 } pub fn counters(&self) -> Arc<BusCounters> { Arc::new(BusCounters) } pub fn stop(self, _d: Duration) {} }
