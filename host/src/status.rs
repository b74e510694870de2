//! stub
use std::{net::SocketAddr, sync::Arc};
use crate::{admin::AdapterStatus, bus::BusCounters, clock::Clock, hub::Hub, listener::Admissions, metrics::ServerCounters, shard::ShardHandle};
#[derive(Debug)] pub struct HostStatus { pub clock: Clock, pub websocket: SocketAddr, pub admin: SocketAddr, pub bus: Option<(SocketAddr, Arc<BusCounters>)>, pub hub: Arc<Hub>, pub shards: Vec<Arc<ShardHandle>>, pub admissions: Arc<Admissions>, pub adapters: Vec<AdapterStatus>, pub counters: Arc<ServerCounters> }
