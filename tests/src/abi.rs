//! Builds adapters and a host of other ABI versions, from `tests/abi` and from the ABI that ships.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use adapter_conformance::as_by_hand;

use crate::binary;

/// An adapter that is built for a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variant {
    /// The frozen ABI 1.0.
    V1_0,
    /// ABI 1.1: the frozen one, and what came with 1.1.
    V1_1,
    /// The one that ships, grown by a minor version: a method more in both traits, a function more in the
    /// module.
    Next,
    /// The one that ships, under its own version, with two members of `Ltp` in another order.
    LayoutBreak,
    /// The one that ships, under the next major version.
    Major,
    /// ABI 1.0, but the process ends when the library is mapped. On Linux only.
    InitCrashes,
    /// ABI 1.0, but asking what the library is does not return.
    MetadataHangs,
    /// ABI 1.0, but what the library says of itself is too long, no text and no number that could be.
    MetadataLies,
    /// ABI 1.0, but asking what the library is ends the process.
    MetadataPanics,
}

/// The adapters that are built against the frozen ABI, in one workspace.
const FROZEN: [Variant; 5] = [
    Variant::V1_0,
    Variant::InitCrashes,
    Variant::MetadataHangs,
    Variant::MetadataLies,
    Variant::MetadataPanics,
];

/// What was built of a variant.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// The library of the bare adapter.
    pub library: PathBuf,
    /// A host of ABI 1.0; its argument is a library. Only of [`Variant::V1_0`].
    pub host: Option<PathBuf>,
    /// Version of the `adapter-abi` that both were built against, such as `1.1.0`.
    pub version: String,
}

/// The ABI version that ships, such as `1.0.0`.
pub fn shipped_version() -> String {
    let manifest = read(&workspace().join("adapter-sdk/abi/Cargo.toml"));
    let line = manifest.lines().find_map(|line| line.strip_prefix("version = \""));
    line.and_then(|rest| rest.strip_suffix('"')).expect("adapter-abi has a version of its own").to_owned()
}

/// Sources of an `adapter-abi` by file name: those that ship, or those that were frozen.
pub fn sources(is_frozen: bool) -> BTreeMap<String, String> {
    let dir = workspace().join(if is_frozen { "tests/abi/v1_0/src" } else { "adapter-sdk/abi/src" });
    let entries = fs::read_dir(&dir).expect("the sources are there");
    entries
        .map(|entry| {
            let entry = entry.expect("a readable folder");
            (entry.file_name().into_string().expect("a name in UTF-8"), read(&entry.path()))
        })
        .collect()
}

/// Builds a variant, unless it is built; at most once in this process, and only what changed.
pub fn fixture(variant: Variant) -> Fixture {
    static BUILT: Mutex<BTreeMap<Variant, Fixture>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    built.entry(variant).or_insert_with(|| build(variant)).clone()
}

/// The library of the synthetic exchange, as it ships.
pub fn sim_library() -> PathBuf {
    binary::built().join(library_name("adapter_sim"))
}

impl Variant {
    const fn name(self) -> &'static str {
        match self {
            Self::V1_0 => "v1_0",
            Self::V1_1 => "v1_1",
            Self::Next => "next",
            Self::LayoutBreak => "layout_break",
            Self::Major => "major",
            Self::InitCrashes => "init_crashes",
            Self::MetadataHangs => "metadata_hangs",
            Self::MetadataLies => "metadata_lies",
            Self::MetadataPanics => "metadata_panics",
        }
    }

    /// Name of its package, and of its folder in the workspace.
    fn package(self) -> String {
        format!("fixture-{}", self.name().replace('_', "-"))
    }

    /// Features of the adapter: the one that makes the difference, if it is not its ABI, and what came after
    /// 1.0.
    fn features(self) -> Vec<String> {
        let is_by_abi = matches!(self, Self::V1_0 | Self::V1_1 | Self::LayoutBreak | Self::Major);
        let own = (!is_by_abi).then(|| self.name().replace('_', "-"));
        let came: &[&str] = match self {
            Self::V1_1 => &["login"],
            _ if self.is_frozen() => &[],
            _ => &["login", "brands"],
        };
        own.into_iter().chain(came.iter().map(|&feature| feature.to_owned())).collect()
    }

    fn is_frozen(self) -> bool {
        FROZEN.contains(&self)
    }

    fn version(self) -> String {
        let shipped = shipped_version();
        let mut parts = shipped.split('.').map(|part| part.parse::<u32>().expect("a number"));
        let (major, minor) = (parts.next().expect("a major version"), parts.next().expect("a minor version"));
        match self {
            Self::Next => format!("{major}.{}.0", minor + 1),
            Self::LayoutBreak => shipped,
            Self::Major => format!("{}.0.0", major + 1),
            Self::V1_1 => "1.1.0".to_owned(),
            _ => "1.0.0".to_owned(),
        }
    }

    /// Its ABI, changed where the variant differs.
    fn abi(self) -> BTreeMap<String, String> {
        let begins_with_1_0 = self.is_frozen() || self == Self::V1_1;
        let mut files = sources(begins_with_1_0);
        if self.is_frozen() {
            return files;
        }
        let shipped = if begins_with_1_0 { Self::V1_0.version() } else { shipped_version() };
        let version = self.version();
        let short = |version: &str| version.rsplit_once('.').expect("three numbers").0.to_owned();
        change(&mut files, "lib.rs", |text| {
            let line = |version: &str| format!("ABI_VERSION: &str = \"{}\";", short(version));
            replace(text, &line(&shipped), &line(&version))
        });
        match self {
            Self::V1_1 => {
                change(&mut files, "module.rs", |text| append(&text, "pub struct AdapterModule {", LOGIN));
            }
            Self::Next => change(&mut files, "module.rs", |text| {
                let text = append(&text, "pub struct AdapterModule {", FUNCTION);
                let text = append(&text, "pub trait Adapter: Send + Sync {", ADAPTER_METHOD);
                append(&text, "pub trait Host: Send + Sync {", HOST_METHOD)
            }),
            Self::LayoutBreak => change(&mut files, "record.rs", |text| {
                let (before, rest) = text.split_once("pub struct Ltp {").expect("the record");
                let (members, after) = rest.split_once("\n}\n").expect("its end");
                let members = replace(members.to_owned(), "pub ltp: i64", "pub moved: i64");
                let members = replace(members, "pub volume: i64", "pub ltp: i64");
                let members = replace(members, "pub moved: i64", "pub volume: i64");
                format!("{before}pub struct Ltp {{{members}\n}}\n{after}")
            }),
            _ => {}
        }
        files
    }
}

/// What 1.1 added to 1.0, as it stands there.
const LOGIN: &str = "
    /// Takes one step of logging in.
    #[sabi(missing_field(option))]
    pub login: extern \"C\" fn(
        config_json: RStr<'_>,
        fields_json: RStr<'_>,
        deadline_ms: u32,
    ) -> RResult<RString, AdapterError>,
";

/// What [`Variant::Next`] adds; `tests/abi/adapter` has the other side of it behind its feature `next`.
const FUNCTION: &str = "
    /// Something that only the next version has.
    #[sabi(missing_field(option))]
    pub motto: extern \"C\" fn() -> RString,
";
const ADAPTER_METHOD: &str = "
    /// Something that only the next version has, and its default.
    fn pause(&self) -> u32 {
        1
    }
";
const HOST_METHOD: &str = "
    /// Something that only the next version has, and its default.
    fn remark(&self, text: RStr<'_>) {
        drop(text);
    }
";

fn build(variant: Variant) -> Fixture {
    let target = binary::built().parent().expect("the target directory").join("abi-fixtures");
    let dir = target.join(if variant.is_frozen() { "frozen" } else { variant.name() });
    write_sources(variant, &dir);
    let package = variant.package();
    let has_host = variant == Variant::V1_0;
    let shared = target.join("target");
    let mut cargo = Command::new(env!("CARGO"));
    as_by_hand(&mut cargo).current_dir(&dir).args(["build", "--quiet", "--offline", "--package", &package]);
    if has_host {
        cargo.args(["--package", HOST]);
    }
    cargo.arg("--target-dir").arg(&shared).env("CARGO_PROFILE_DEV_DEBUG", "0");
    let output = cargo.output().expect("cargo runs");
    assert!(
        output.status.success(),
        "{package} does not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let artefacts = shared.join("debug");
    Fixture {
        library: artefacts.join(library_name(&package.replace('-', "_"))),
        host: has_host.then(|| artefacts.join(format!("{HOST}{}", std::env::consts::EXE_SUFFIX))),
        version: variant.version(),
    }
}

/// The package of the host of ABI 1.0.
const HOST: &str = "fixture-host";

/// Writes the workspace that a variant is built in.
///
/// Packages and folders have names of their own in each: all share a target directory, so that dependencies
/// are built once, and Cargo tells packages apart by name, version and folder within the workspace.
fn write_sources(variant: Variant, dir: &Path) {
    let repository = workspace();
    let sources = repository.join("tests/abi");
    let abi = if variant.is_frozen() { "abi-frozen".to_owned() } else { format!("abi-{}", variant.name()) };
    let manifest = read(&sources.join("v1_0/Cargo.toml"));
    let version = format!("version = \"{}\"", variant.version());
    write(&dir.join(&abi).join("Cargo.toml"), &replace(manifest, "version = \"1.0.0\"", &version));
    for (file, text) in variant.abi() {
        write(&dir.join(&abi).join("src").join(file), &text);
    }
    let pointed = |manifest: &str| {
        replace(read(&sources.join(manifest)), "path = \"../v1_0\"", &format!("path = \"../{abi}\""))
    };
    let adapters = if variant.is_frozen() { FROZEN.as_slice() } else { std::slice::from_ref(&variant) };
    let mut members: Vec<String> = adapters.iter().map(|adapter| adapter.package()).collect();
    for adapter in adapters {
        let folder = dir.join(adapter.package());
        let name = format!("name = \"{}\"", adapter.package());
        let manifest = replace(pointed("adapter/Cargo.toml"), "name = \"fixture-adapter\"", &name);
        let features = format!("default = {:?}", adapter.features());
        let manifest = replace(manifest, "default = []", &features);
        write(&folder.join("Cargo.toml"), &manifest);
        write(&folder.join("src/lib.rs"), &read(&sources.join("adapter/src/lib.rs")));
    }
    if variant.is_frozen() {
        write(&dir.join(HOST).join("Cargo.toml"), &pointed("host_v1_0/Cargo.toml"));
        write(&dir.join(HOST).join("src/main.rs"), &read(&sources.join("host_v1_0/src/main.rs")));
        members.push(HOST.to_owned());
    }
    members.push(abi);
    write(&dir.join("Cargo.toml"), &format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n"));
    // The versions that the workspace has, all of which were fetched for it. Cargo takes out what is not
    // needed here.
    let (lock, origin) = (dir.join("Cargo.lock"), dir.join("Cargo.lock.origin"));
    let locked = read(&repository.join("Cargo.lock"));
    if !lock.exists() || fs::read_to_string(&origin).ok().as_ref() != Some(&locked) {
        write(&lock, &locked);
        write(&origin, &locked);
    }
}

fn workspace() -> PathBuf {
    // Asked at run time: a test that was compiled in one clone may run in another that shares its target
    // directory.
    let crate_dir =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&crate_dir).parent().expect("the workspace around this crate").to_owned()
}

fn library_name(stem: &str) -> String {
    format!("{}{stem}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

fn change(files: &mut BTreeMap<String, String>, name: &str, edit: impl FnOnce(String) -> String) {
    let text = files.remove(name).unwrap_or_else(|| panic!("adapter-abi has no {name}"));
    files.insert(name.to_owned(), edit(text));
}

/// Replaces what must occur exactly once, so that a variant never is what it was made from.
#[expect(clippy::needless_pass_by_value, reason = "each text is used for the next one")]
fn replace(text: String, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "`{from}` must be there once");
    text.replace(from, to)
}

/// Adds to the end of an item that begins so.
fn append(text: &str, item: &str, addition: &str) -> String {
    let (before, rest) = text.split_once(item).unwrap_or_else(|| panic!("`{item}` is not there"));
    let (body, after) = rest.split_once("\n}\n").expect("its end");
    format!("{before}{item}{body}\n{addition}}}\n{after}")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Writes a file that is not so already: what is unchanged is not built again. Other processes see all of it
/// or nothing.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return;
    }
    let dir = path.parent().expect("a folder");
    fs::create_dir_all(dir).expect("a folder for the fixture");
    let file = tempfile::NamedTempFile::new_in(dir).expect("a file in it");
    fs::write(file.path(), text).expect("the fixture is written");
    file.persist(path).expect("the fixture is in its place");
}
