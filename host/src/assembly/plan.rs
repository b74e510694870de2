//! From settings to what the layers are built with, at the start and when the settings are read again.

use tickhost_core::outbox::OutboxLimits;

use crate::{
    base::descriptors::Budget,
    clients::{
        admissions::ConnectionLimits,
        session::{LosslessPolicy, SessionPolicy, SessionSettings},
    },
    config::Settings,
};

/// Bytes of ticks that wait in order for one client, beside the limit in frames.
const OUTBOX_BYTES: usize = 256 * 1_024;

/// Bytes of a lossless tick, on average: that of a quote.
const LOSSLESS_FRAME_BYTES: usize = 512;

/// How the files and sockets that the host may open are shared out with these settings.
pub(crate) fn descriptors(settings: &Settings) -> Budget {
    Budget::attainable(settings.bus_address().map_or(0, |_| settings.bus_publishers))
}

/// Limits on connections: as the settings say, and no more than fit into the descriptors of the host.
pub(crate) fn connection_limits(settings: &Settings) -> ConnectionLimits {
    let (total, strangers) =
        descriptors(settings).fitting(settings.max_connections, settings.max_connections_without_key);
    ConnectionLimits {
        total,
        per_address: settings.max_connections_per_address,
        strangers,
        strangers_per_address: settings.max_connections_without_key_per_address,
    }
}

/// What new sessions begin with, as the settings say.
pub(crate) fn session_policy(settings: &Settings) -> SessionPolicy {
    SessionPolicy {
        settings: SessionSettings {
            auth_grace: settings.ws_auth_grace_seconds,
            ping_interval: settings.ws_ping_interval,
            ping_timeout: settings.ws_ping_timeout,
            write_timeout: settings.write_timeout_seconds,
            nudge_after: settings.authenticated_nudge_ms,
            max_frame_bytes: settings.max_frame_bytes,
            max_frame_bytes_before_auth: settings.max_frame_bytes_before_auth,
            messages_per_second: settings.max_messages_per_second,
            message_burst: settings.message_burst,
            entries_per_second: settings.max_entries_per_second,
            entry_burst: settings.entry_burst,
            max_subscriptions: settings.max_subscriptions_per_client,
            max_subscriptions_per_key: settings.max_subscriptions_per_key,
            subscribe_timeout: settings.subscribe_timeout_ms,
            silent_after: settings.subscription_silent_seconds,
            outbox: OutboxLimits {
                frames: settings.outbox_frames,
                bytes: OUTBOX_BYTES,
                control_bytes: settings.control_bytes,
                lossless_frames: settings.lossless_frames,
                lossless_bytes: settings.lossless_frames.saturating_mul(LOSSLESS_FRAME_BYTES),
            },
        },
        lossless: match settings.lossless_for.as_slice() {
            [] => LosslessPolicy::Nobody,
            names if names.iter().any(|name| name == "all") => LosslessPolicy::Everybody,
            names => LosslessPolicy::These(names.to_vec()),
        },
        origins: settings.allowed_origins.clone(),
    }
}
