//! Lists the sources of the SDK's crates, which `tickhost adapters new` writes beside a new adapter.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

/// What a crate is built from.
const SOURCES: [&str; 5] = ["Cargo.toml", "README.md", "ABI.md", "build.rs", "src"];

fn main() -> io::Result<()> {
    let sdk = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../adapter-sdk");
    let mut files = Vec::new();
    for folder in crates(&sdk)? {
        for source in SOURCES {
            gather(&folder.join(source), &mut files)?;
        }
    }
    files.sort();
    let mut listed = Vec::new();
    for file in files {
        let name = file.strip_prefix(&sdk).unwrap_or(&file).components();
        let name: Vec<_> = name.map(|part| part.as_os_str().to_string_lossy()).collect();
        // In full: paths count from the file that is written here.
        let file = file.canonicalize()?.to_string_lossy().into_owned();
        listed.push(format!("(\"adapter-sdk/{}\", include_str!({file:?}))", name.join("/")));
    }
    let listed = format!("&[\n{}\n]", listed.join(",\n"));
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("sdk_sources.rs"), listed)?;
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

/// The folder of the SDK, and those of the crates in it.
fn crates(sdk: &Path) -> io::Result<Vec<PathBuf>> {
    println!("cargo::rerun-if-changed={}", sdk.display());
    let mut folders = vec![sdk.to_owned()];
    for entry in fs::read_dir(sdk)? {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file() {
            folders.push(path);
        }
    }
    Ok(folders)
}

fn gather(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
    } else if path.is_dir() {
        for entry in fs::read_dir(path)? {
            gather(&entry?.path(), files)?;
        }
    }
    Ok(())
}
