//! The macro that turns an adapter into a library.

use adapter_abi::{AdapterModule, AdapterModuleRef, abi_stable::prefix_type::PrefixTypeTrait as _};

use crate::{Adapter, entry};

/// Exports an adapter from a `cdylib`: `export_adapter!(Acme);`, once per library.
///
/// Works under `#![forbid(unsafe_code)]`. Refuses to compile with `panic = "abort"`, under which a panic of
/// the adapter would end the host.
#[macro_export]
macro_rules! export_adapter {
    ($adapter:ty) => {
        #[cfg(panic = "abort")]
        ::core::compile_error!(
            "an adapter must be built with panic = \"unwind\": a panic would end the host"
        );

        const _: () = {
            struct Loader;

            impl $crate::abi::ModuleLoader for Loader {
                fn module() -> $crate::abi::AdapterModuleRef {
                    $crate::__export::root_module::<$adapter>()
                }
            }

            // The name of `adapter_abi::HEADER_SYMBOL`, which an attribute cannot refer to; a test compares
            // them.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static HEADER: $crate::abi::abi_stable::library::LibHeader =
                $crate::abi::library_header::<Loader>();
        };
    };
}

/// The module of an adapter, which lives as long as the process.
#[doc(hidden)]
pub fn root_module<A: Adapter>() -> AdapterModuleRef {
    AdapterModule {
        metadata: entry::metadata::<A>,
        validate_config: entry::validate_config::<A>,
        create: entry::create::<A>,
        login: entry::login::<A>,
        brands: entry::brands::<A>,
        validate_config_for: entry::validate_config_for::<A>,
        create_for: entry::create_for::<A>,
        login_for: entry::login_for::<A>,
        limits_for: entry::limits_for::<A>,
    }
    .leak_into_prefix()
}
