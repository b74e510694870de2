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

/// Builds the host and its adapters once per process, so that no test runs against yesterday's binary, and
/// gives the directory that holds them.
pub(crate) fn built() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let features: &[&str] = if cfg!(feature = "otel") { &["--features", "tickhost/otel"] } else { &[] };
        build(&["tickhost", "adapter-sim"], features)
    })
}

/// Builds the adapters that misbehave once per process, for tests whose `plugins.toml` names one. They are
/// built apart from the host: whoever asks for none does not wait for them.
pub(crate) fn built_faults() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        build(
            &[
                "adapter-account",
                "adapter-brands",
                "adapter-faulty",
                "adapter-hostile",
                "adapter-listed",
                "adapter-single",
                "adapter-raw",
            ],
            &[],
        )
    })
}

fn build(packages: &[&str], features: &[&str]) -> PathBuf {
    let dir = profile_dir();
    let mut build = Command::new(env!("CARGO"));
    as_by_hand(&mut build)
        .args(["build", "--quiet", "--target-dir"])
        .arg(dir.parent().expect("the target directory"));
    build.args(packages.iter().flat_map(|package| ["--package", package])).args(features);
    // Asked at run time: a test that was compiled in one clone may run in another that shares its target
    // directory.
    let crate_dir =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    build.current_dir(Path::new(&crate_dir).join(".."));
    if dir.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().expect("cargo runs");
    assert!(status.success(), "{} do not build", packages.join(", "));
    dir
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

/// Builds the adapters of real brokers once per process.
fn built_brokers() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        build(
            &[
                "adapter-angel",
                "adapter-dhan",
                "adapter-fyers",
                "adapter-noren",
                "adapter-upstox",
                "adapter-zerodha",
            ],
            &[],
        )
    })
}

/// The library of an adapter, by its name in `plugins.toml`.
pub fn library(name: &str) -> PathBuf {
    let dir = match name {
        "adapter_sim" => built(),
        "adapter_angel" | "adapter_dhan" | "adapter_fyers" | "adapter_noren" | "adapter_upstox"
        | "adapter_zerodha" => built_brokers(),
        _ => built_faults(),
    };
    dir.join(format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
}
