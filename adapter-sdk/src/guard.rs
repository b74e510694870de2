//! Catches panics where the host calls in: one that escapes would end the whole process.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::AdapterError;

/// Runs `body`; a panic becomes an error with its message.
pub(crate) fn guarded<T>(body: impl FnOnce() -> T) -> Result<T, AdapterError> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        // The payload's own drop might panic too: it is the author's type.
        #[expect(clippy::mem_forget, reason = "a leak is better than a second panic")]
        std::mem::forget(panic);
        AdapterError::panicked(format!("the adapter panicked: {text}"))
    })
}
