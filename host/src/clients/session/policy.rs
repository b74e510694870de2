//! What the operator decides about sessions.

use std::time::Duration;

use tickhost_core::outbox::OutboxLimits;

use crate::{
    accounts::{KeyId, UserName},
    config::Origins,
};

/// Limits and times of every session.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// From the connect to a verified key.
    pub auth_grace: Duration,
    /// Between pings; zero for none.
    pub ping_interval: Duration,
    /// From a ping to its pong.
    pub ping_timeout: Duration,
    /// Longest time in which the kernel takes nothing of what waits; zero for ever.
    pub write_timeout: Duration,
    /// Silence after a log-in before the frame with the word `authenticated`; zero for never.
    pub nudge_after: Duration,
    /// Longest message.
    pub max_frame_bytes: usize,
    /// Longest message before a key was verified.
    pub max_frame_bytes_before_auth: usize,
    /// Messages of one client, on average.
    pub messages_per_second: u32,
    /// Messages of one client at once.
    pub message_burst: u32,
    /// Subscriptions that one client may begin and end each second, on average.
    pub entries_per_second: u32,
    /// Subscriptions that one client may begin and end at once.
    pub entry_burst: u32,
    /// Subscriptions of one client; each mode of a symbol counts.
    pub max_subscriptions: usize,
    /// Subscriptions of all clients of one key together.
    pub max_subscriptions_per_key: usize,
    /// Longest wait for the answer to a subscribe.
    pub subscribe_timeout: Duration,
    /// Time without a tick after which a subscription counts as silent, for clients that want to know.
    pub silent_after: Duration,
    /// What may wait for a client.
    pub outbox: OutboxLimits,
}

/// Who may have lossless subscriptions: they cost memory that conflation does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LosslessPolicy {
    /// Nobody.
    #[default]
    Nobody,
    /// Keys with one of these identities, and every key of users with one of these names.
    These(Vec<String>),
    /// Everybody.
    Everybody,
}

impl LosslessPolicy {
    /// Whether a session with this key may.
    pub fn allows(&self, key: &KeyId, user: &UserName) -> bool {
        match self {
            Self::Nobody => false,
            Self::These(names) => names.iter().any(|name| name == key.as_str() || name == user.as_str()),
            Self::Everybody => true,
        }
    }
}

/// What the operator decides about sessions. One keeps to its end what it began with.
#[derive(Clone, Debug)]
pub struct SessionPolicy {
    /// Limits and times.
    pub settings: SessionSettings,
    /// Who may have lossless subscriptions.
    pub lossless: LosslessPolicy,
    /// Pages that may connect.
    pub origins: Origins,
}
