//! An adapter without the SDK, for what the SDK does not let an adapter do: calls that do not return, panics
//! across the boundary, records of any bytes, reports about nothing, and ticks after the end.
//! `tests/adapters/README.md` lists them.

mod config;
mod garbage;
mod instance;
mod reports;

use adapter_abi::{
    ABI_VERSION, AdapterBox, AdapterError, AdapterMetadata, AdapterModule, AdapterModuleRef, ErrorCode,
    HostHandle, ModuleLoader,
    abi_stable::{
        library::LibHeader,
        prefix_type::PrefixTypeTrait as _,
        std_types::{RErr, ROk, RResult, RStr, RString},
    },
    capability, library_header,
};

pub use self::config::{Config, Fault};
use self::instance::Instance;

extern "C" fn metadata() -> AdapterMetadata {
    AdapterMetadata {
        name: "raw".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        abi_version: ABI_VERSION.into(),
        sdk_version: "none".into(),
        rustc: "unknown".into(),
        capabilities: capability::LTP | capability::QUOTE | capability::DEPTH,
        symbols_per_connection: 3_000,
        connections: 3,
        config_schema_json: "{}".into(),
        credentials_schema_json: "".into(),
    }
}

extern "C" fn validate_config(config_json: RStr<'_>) -> RResult<(), AdapterError> {
    match Config::parse(config_json.as_str()) {
        Ok(config) => {
            config.maybe_hang(Fault::HangInValidate);
            ROk(())
        }
        Err(error) => RErr(refusal(error)),
    }
}

extern "C" fn login(
    _config_json: RStr<'_>,
    _fields_json: RStr<'_>,
    _deadline_ms: u32,
) -> RResult<RString, AdapterError> {
    let message = "this one does not log in".into();
    RErr(AdapterError { code: ErrorCode::CONFIG, message })
}

extern "C" fn create(config_json: RStr<'_>, host: HostHandle) -> RResult<AdapterBox, AdapterError> {
    match Config::parse(config_json.as_str()) {
        Ok(config) => ROk(Instance::start(config, host)),
        Err(error) => RErr(refusal(error)),
    }
}

extern "C" fn brands() -> RString {
    "[]".into()
}

extern "C" fn validate_config_for(
    _assignment_json: RStr<'_>,
    config_json: RStr<'_>,
) -> RResult<(), AdapterError> {
    validate_config(config_json)
}

extern "C" fn create_for(
    _assignment_json: RStr<'_>,
    config_json: RStr<'_>,
    host: HostHandle,
) -> RResult<AdapterBox, AdapterError> {
    create(config_json, host)
}

extern "C" fn login_for(
    _assignment_json: RStr<'_>,
    config_json: RStr<'_>,
    fields_json: RStr<'_>,
    deadline_ms: u32,
) -> RResult<RString, AdapterError> {
    login(config_json, fields_json, deadline_ms)
}

extern "C" fn limits_for(_assignment_json: RStr<'_>, _config_json: RStr<'_>) -> RString {
    "{}".into()
}

fn refusal(message: String) -> AdapterError {
    AdapterError { code: ErrorCode::CONFIG, message: message.into() }
}

struct Loader;

impl ModuleLoader for Loader {
    fn module() -> AdapterModuleRef {
        AdapterModule {
            metadata,
            validate_config,
            create,
            login,
            brands,
            validate_config_for,
            create_for,
            login_for,
            limits_for,
        }
        .leak_into_prefix()
    }
}

#[expect(unsafe_code, reason = "an exported name is unsafe, since another library might use it too")]
mod header {
    use super::{LibHeader, Loader, library_header};

    /// What a host looks for: the name of `adapter_abi::HEADER_SYMBOL`.
    #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
    pub(crate) static HEADER: LibHeader = library_header::<Loader>();
}

/// The module, for tests that do not load the library.
pub fn module() -> AdapterModuleRef {
    Loader::module()
}
