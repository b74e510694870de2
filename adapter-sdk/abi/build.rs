//! Keeps the name by which libraries know the types of this crate.
//!
//! `abi_stable` writes the name of the package into the layout of each type, and libraries of ABI 1.0 and 1.1
//! were built when this package was called `adapter-abi`. The name is part of the ABI, whatever the package
//! is called in the registry.

fn main() {
    println!("cargo::rustc-env=CARGO_PKG_NAME=adapter-abi");
    println!("cargo::rerun-if-changed=build.rs");
}
