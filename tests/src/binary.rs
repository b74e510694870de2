//! Where the programs under test are, built from the present sources.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use adapter_conformance::as_by_hand;

/// The directory of this profile's artefacts.
fn profile_dir() -> PathBuf {
    let test = std::env::current_exe().expect("the path of the running test");
    let dir = test.parent().expect("a directory");
    let dir = if dir.ends_with("deps") { dir.parent().expect("a directory") } else { dir };
    dir.to_owned()
}

/// The libraries under test: those of the repository, and those that misbehave.
const ADAPTERS: [&str; 15] = [
    "adapter-account",
    "adapter-angel",
    "adapter-brands",
    "adapter-dhan",
    "adapter-faulty",
    "adapter-fyers",
    "adapter-hostile",
    "adapter-listed",
    "adapter-noren",
    "adapter-raw",
    "adapter-sim",
    "adapter-single",
    "adapter-upstox",
    "adapter-xts",
    "adapter-zerodha",
];

/// Builds the host and the adapters once per process, so that no test runs against yesterday's binary, and
/// gives the directory that holds them.
///
/// This package depends on all of them, with the features that the tests of the workspace ask for: whoever
/// builds the tests has built what is tested, and only the daemon may be left to be linked. Cargo unites the
/// features of the packages that are named, so that this package has to be among them.
pub(crate) fn built() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = profile_dir();
        let mut build = Command::new(env!("CARGO"));
        as_by_hand(&mut build).args(["build", "--quiet", "--lib", "--bin", "tickhost", "--target-dir"]);
        build.arg(dir.parent().expect("the target directory"));
        let packages = ["integration-tests", "tickhost"].into_iter().chain(ADAPTERS);
        build.args(packages.flat_map(|package| ["--package", package]));
        if cfg!(feature = "otel") {
            build.args(["--features", "integration-tests/otel"]);
        }
        // Asked at run time: a test that was compiled in one clone may run in another that shares its target
        // directory.
        let crate_dir =
            std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        build.current_dir(Path::new(&crate_dir).join(".."));
        if dir.ends_with("release") {
            build.arg("--release");
        }
        let status = build.status().expect("cargo runs");
        assert!(status.success(), "what is to be tested does not build");
        dir
    })
}

/// The daemon: the one of these sources, or another that measures may be compared with.
pub(crate) fn tickhost() -> PathBuf {
    if let Some(other) = std::env::var_os("TICKHOST_UNDER_TEST") {
        return other.into();
    }
    built().join(format!("tickhost{}", std::env::consts::EXE_SUFFIX))
}

/// The library of the synthetic exchange.
pub fn sim_library() -> PathBuf {
    library("adapter_sim")
}

/// The library of an adapter, by its name in `plugins.toml`.
pub fn library(name: &str) -> PathBuf {
    built().join(format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
}
