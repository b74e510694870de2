//! An instance of a library that runs in this process.

use std::{fmt, time::Duration};

use adapter_abi::{
    AdapterBox, AdapterError, HealthSnapshot, Subscription,
    abi_stable::std_types::{RResult, RSlice},
};

use super::{AdapterFailure, AdapterInstance};

/// The object that the library made, in host types. The SDK's side catches panics at every entry.
pub(super) struct InProcess {
    label: String,
    adapter: AdapterBox,
}

impl InProcess {
    pub(super) fn new(label: &str, adapter: AdapterBox) -> Self {
        Self { label: label.to_owned(), adapter }
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InProcess").field(&self.label).finish()
    }
}

impl AdapterInstance for InProcess {
    fn connect(&self, request: u64) -> Result<(), AdapterFailure> {
        plain(self.adapter.connect(request))
    }

    fn subscribe(&self, request: u64, subscriptions: &[Subscription]) -> Result<(), AdapterFailure> {
        plain(self.adapter.subscribe(request, RSlice::from_slice(subscriptions)))
    }

    fn unsubscribe(&self, request: u64, instruments: &[u32]) -> Result<(), AdapterFailure> {
        plain(self.adapter.unsubscribe(request, RSlice::from_slice(instruments)))
    }

    fn credentials_changed(&self) {
        self.adapter.credentials_changed();
    }

    fn renew_list(&self) {
        self.adapter.renew_list();
    }

    fn health(&self) -> HealthSnapshot {
        self.adapter.health()
    }

    fn shutdown(&self, deadline: Duration) {
        self.adapter.shutdown(u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX));
    }
}

pub(super) fn plain<T>(result: RResult<T, AdapterError>) -> Result<T, AdapterFailure> {
    result.into_result().map_err(|error| AdapterFailure { code: error.code, message: error.message.into() })
}
