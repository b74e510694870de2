//! Reports about nothing, in values that do not exist.

use adapter_abi::{
    ErrorCode, HostHandle, LogLevel, OutcomeCode, StatusEvent, StatusKind, SubscriptionOutcome,
    abi_stable::std_types::RSlice,
};

/// Bytes of a text that is far too long.
const TEXT_BYTES: usize = 1_024 * 1_024;

/// Sends one of each. Of the subscribed instruments none is said to be refused, so ticks go on.
pub(crate) fn send(host: &HostHandle, known: &[u32]) {
    let long = "\u{1b}[2J\r\n\0\u{202e}".repeat(TEXT_BYTES / 8);
    for (kind, code) in [(0, 0), (2, u32::MAX), (7, 99), (u32::MAX, 1)] {
        host.status(StatusEvent {
            kind: StatusKind(kind),
            code: ErrorCode(code),
            request: u64::MAX,
            retry_in_ms: u64::MAX,
            message: long.as_str().into(),
        });
    }
    let about_nobody = [0, u32::MAX, 1 << 20].into_iter().filter(|number| !known.contains(number));
    let outcomes: Vec<SubscriptionOutcome> = about_nobody
        .zip([OutcomeCode::REFUSED, OutcomeCode(77), OutcomeCode::ACCEPTED])
        .map(|(instrument, code)| SubscriptionOutcome {
            instrument,
            code,
            depth: u16::MAX,
            reserved: u16::MAX,
            message: long.as_str().into(),
        })
        .collect();
    for request in [0, 1, u64::MAX] {
        host.subscription_outcomes(request, RSlice::from_slice(&outcomes));
    }
    for update in ["", "no JSON", "[]", "{\"orderid\":7}", long.as_str()] {
        host.publish_order_update(update.into());
    }
    for level in [0, 3, 255] {
        host.log(LogLevel(level), long.as_str().into(), long.as_str().into(), "{not json".into());
    }
}
