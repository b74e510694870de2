//! An instance whose calls wait, which nobody can build with the SDK by accident.

use std::time::Duration;

use adapter_abi::{
    Adapter, Adapter_TO, AdapterBox, AdapterError, AdapterModule, AdapterModuleRef, HealthSnapshot,
    HostHandle, Subscription,
    abi_stable::{
        prefix_type::PrefixTypeTrait as _,
        sabi_trait::TD_Opaque,
        std_types::{RBox, RResult, RSlice, RStr},
    },
};
use adapter_sdk::testing;

use super::adapter::Broker;

struct Blocking(AdapterBox);

impl Adapter for Blocking {
    fn connect(&self, request: u64) -> RResult<(), AdapterError> {
        self.0.connect(request)
    }

    fn subscribe(&self, request: u64, subscriptions: RSlice<'_, Subscription>) -> RResult<(), AdapterError> {
        super::hold(Duration::from_millis(600));
        self.0.subscribe(request, subscriptions)
    }

    fn unsubscribe(&self, request: u64, instruments: RSlice<'_, u32>) -> RResult<(), AdapterError> {
        self.0.unsubscribe(request, instruments)
    }

    fn credentials_changed(&self) {
        self.0.credentials_changed();
    }

    fn health(&self) -> HealthSnapshot {
        self.0.health()
    }

    fn renew_list(&self) {
        self.0.renew_list();
    }

    fn shutdown(&self, deadline_ms: u32) {
        self.0.shutdown(deadline_ms);
    }
}

fn sound() -> AdapterModuleRef {
    testing::module::<Broker>().into()
}

extern "C" fn create(config_json: RStr<'_>, host: HostHandle) -> RResult<AdapterBox, AdapterError> {
    let made = sound().create()(config_json, host);
    made.map(|adapter| Adapter_TO::from_ptr(RBox::new(Blocking(adapter)), TD_Opaque))
}

extern "C" fn create_for(
    assignment_json: RStr<'_>,
    config_json: RStr<'_>,
    host: HostHandle,
) -> RResult<AdapterBox, AdapterError> {
    let create = sound().create_for().unwrap();
    create(assignment_json, config_json, host)
        .map(|adapter| Adapter_TO::from_ptr(RBox::new(Blocking(adapter)), TD_Opaque))
}

/// The module of such instances.
pub fn module() -> AdapterModuleRef {
    let sound = sound();
    AdapterModule {
        metadata: sound.metadata(),
        validate_config: sound.validate_config(),
        create,
        login: sound.login().unwrap(),
        brands: sound.brands().unwrap(),
        validate_config_for: sound.validate_config_for().unwrap(),
        create_for,
        login_for: sound.login_for().unwrap(),
        limits_for: sound.limits_for().unwrap(),
    }
    .leak_into_prefix()
}
