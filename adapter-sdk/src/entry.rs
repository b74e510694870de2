//! The entry points of a library, with everything that may cross the boundary.

use std::time::Duration;

use adapter_abi::{
    AdapterBox, AdapterError as AbiError, AdapterMetadata, HostHandle,
    abi_stable::std_types::{RResult, RStr, RString},
};

use crate::{Adapter, AdapterError, context::Assignment, guard::guarded, instance};

pub(crate) extern "C" fn metadata<A: Adapter>() -> AdapterMetadata {
    // A library whose own description panics has no name worth showing; creating it fails with the reason.
    guarded(|| A::manifest().metadata())
        .unwrap_or_else(|_| crate::Manifest::new("panicked", "0.0.0").metadata())
}

pub(crate) extern "C" fn brands<A: Adapter>() -> RString {
    guarded(|| A::manifest().described_brands()).map_or_else(|_| "[]".into(), RString::from)
}

/// The three functions of hosts before ABI 1.2 say nothing of a broker.
pub(crate) extern "C" fn validate_config<A: Adapter>(config_json: RStr<'_>) -> RResult<(), AbiError> {
    crossing(instance::validate_config::<A>(&Assignment::default(), config_json.as_str()))
}

pub(crate) extern "C" fn create<A: Adapter>(
    config_json: RStr<'_>,
    host: HostHandle,
) -> RResult<AdapterBox, AbiError> {
    crossing(instance::create::<A>(&Assignment::default(), config_json.as_str(), host))
}

pub(crate) extern "C" fn login<A: Adapter>(
    config_json: RStr<'_>,
    fields_json: RStr<'_>,
    deadline_ms: u32,
) -> RResult<RString, AbiError> {
    crossing(step::<A>(&Assignment::default(), config_json, fields_json, deadline_ms))
}

pub(crate) extern "C" fn validate_config_for<A: Adapter>(
    assignment_json: RStr<'_>,
    config_json: RStr<'_>,
) -> RResult<(), AbiError> {
    let checked = Assignment::read(assignment_json);
    crossing(checked.and_then(|assignment| instance::validate_config::<A>(&assignment, config_json.as_str())))
}

pub(crate) extern "C" fn create_for<A: Adapter>(
    assignment_json: RStr<'_>,
    config_json: RStr<'_>,
    host: HostHandle,
) -> RResult<AdapterBox, AbiError> {
    let made = Assignment::read(assignment_json);
    crossing(made.and_then(|assignment| instance::create::<A>(&assignment, config_json.as_str(), host)))
}

pub(crate) extern "C" fn login_for<A: Adapter>(
    assignment_json: RStr<'_>,
    config_json: RStr<'_>,
    fields_json: RStr<'_>,
    deadline_ms: u32,
) -> RResult<RString, AbiError> {
    let taken = Assignment::read(assignment_json);
    crossing(taken.and_then(|assignment| step::<A>(&assignment, config_json, fields_json, deadline_ms)))
}

/// Whatever is wrong with the settings is said when they are checked.
pub(crate) extern "C" fn limits_for<A: Adapter>(assignment_json: RStr<'_>, config_json: RStr<'_>) -> RString {
    let read = Assignment::read(assignment_json);
    let limits = read.and_then(|assignment| instance::limits::<A>(&assignment, config_json.as_str()));
    limits.map_or_else(|_| "{}".into(), RString::from)
}

fn step<A: Adapter>(
    assignment: &Assignment,
    config_json: RStr<'_>,
    fields_json: RStr<'_>,
    deadline_ms: u32,
) -> Result<RString, AdapterError> {
    let deadline = Duration::from_millis(deadline_ms.into());
    instance::log_in::<A>(assignment, config_json.as_str(), fields_json.as_str(), deadline).map(RString::from)
}

fn crossing<T>(result: Result<T, AdapterError>) -> RResult<T, AbiError> {
    result.map_err(AdapterError::into_abi).into()
}
