//! stub
use adapter_abi::*;
use std::time::Duration;
use zeroize::Zeroizing;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct AdapterFailure;
pub trait AdapterEvents: Send + Sync + 'static {
    fn ltp(&self, batch: &[Ltp]) -> PublishOutcome;
    fn quote(&self, batch: &[Quote]) -> PublishOutcome;
    fn depth(&self, batch: &[Depth], levels: &[DepthLevel]) -> PublishOutcome;
    fn order_update(&self, json: &str) -> PublishOutcome;
    fn status(&self, event: StatusEvent);
    fn outcomes(&self, request: u64, outcomes: &[SubscriptionOutcome]);
    fn credentials(&self) -> Zeroizing<String>;
}
pub trait AdapterInstance: Send + Sync + std::fmt::Debug {
    fn connect(&self, request: u64) -> Result<(), AdapterFailure>;
    fn subscribe(&self, request: u64, subscriptions: &[Subscription]) -> Result<(), AdapterFailure>;
    fn unsubscribe(&self, request: u64, instruments: &[u32]) -> Result<(), AdapterFailure>;
    fn credentials_changed(&self);
    fn health(&self) -> HealthSnapshot;
    fn shutdown(&self, deadline: Duration);
}
