use std::{collections::BTreeSet, process::Command};

use adapter_conformance::as_by_hand;
use toml::{Table, Value};

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &Path) -> Table {
    fs::read_to_string(file).unwrap().parse().unwrap()
}

fn new(name: &str, into: &Path) -> anyhow::Result<String> {
    let args = NewArgs { name: name.to_owned(), into: into.to_owned(), sdk: None, published: false };
    let mut out = Vec::new();
    run(&args, &mut out)?;
    Ok(String::from_utf8(out)?)
}

#[test]
fn a_name_is_written_in_every_way_that_rust_has() {
    let names = Names::try_new("my-broker_2").unwrap();
    assert_eq!(names.package, "adapter-my-broker_2");
    assert_eq!(
        (names.library.as_str(), names.type_name.as_str()),
        ("adapter_my_broker_2", "MyBroker2Broker")
    );
    assert_eq!(Names::try_new("5paisa").unwrap().type_name, "A5paisaBroker");
    for wrong in ["", "Acme", "a b", "../x", "__", "é", &"x".repeat(33)] {
        assert!(Names::try_new(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_exists_is_never_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let mine = dir.path().join("adapter-acme/src");
    fs::create_dir_all(&mine).unwrap();
    assert!(new("acme", dir.path()).unwrap_err().to_string().contains("adapter-acme"));
    assert_eq!(fs::read_dir(mine).unwrap().count(), 0);
}

#[test]
fn a_folder_that_is_no_sdk_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let sdk = Some(dir.path().into());
    let args = NewArgs { name: "acme".into(), into: dir.path().into(), sdk, published: false };
    assert!(run(&args, &mut Vec::new()).unwrap_err().to_string().contains("--sdk"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn the_program_carries_every_file_of_the_template() {
    fn walk(dir: &Path, base: &Path, files: &mut BTreeSet<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, base, files);
            } else {
                let name = path.strip_prefix(base).unwrap().to_str().unwrap().replace('\\', "/");
                files.insert(name);
            }
        }
    }
    let mut files = BTreeSet::new();
    let base = root().join("adapters/template");
    walk(&base, &base, &mut files);
    assert!(files.remove("Cargo.toml"));
    let carried: BTreeSet<String> = TEMPLATE.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(carried, files);
}

#[test]
fn the_copy_depends_on_what_the_template_depends_on() {
    let workspace = read(&root().join("Cargo.toml"));
    let shared = workspace["workspace"]["dependencies"].as_table().unwrap();
    let template = read(&root().join("adapters/template/Cargo.toml"));
    let copy: Table = manifest(&Sdk::Published).unwrap().parse().unwrap();
    let version =
        |value: &Value| value.as_str().or_else(|| value.get("version")?.as_str()).map(str::to_owned);
    let features = |value: &Value| -> BTreeSet<String> {
        let list = value.get("features").and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    // The workspace has short names for the SDK's crates.
    let published =
        |name: &str| shared[name].get("package").and_then(Value::as_str).unwrap_or(name).to_owned();
    for section in ["dependencies", "dev-dependencies"] {
        let (theirs, ours) = (template[section].as_table().unwrap(), copy[section].as_table().unwrap());
        let wanted: BTreeSet<String> = theirs.keys().map(|name| published(name)).collect();
        assert!(wanted.iter().eq(ours.keys()), "{section}: {wanted:?}");
        for (name, wanted) in theirs {
            let (ours, shared) = (&ours[&published(name)], &shared[name]);
            assert_eq!(version(ours), version(shared), "{name}");
            // A test's features are added to those of the dependency itself.
            let all: BTreeSet<String> = features(wanted).union(&features(shared)).cloned().collect();
            let is_added = section == "dev-dependencies" && template["dependencies"].get(name).is_some();
            let base = if is_added { features(wanted) } else { all };
            assert_eq!(features(ours), base, "{name}");
        }
    }
    let package = workspace["workspace"]["package"].as_table().unwrap();
    for key in ["edition", "rust-version", "license"] {
        assert_eq!(copy["package"][key], package[key]);
    }
}

#[test]
fn a_copy_has_its_own_name_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let said = new("my-broker", dir.path()).unwrap();
    assert!(said.contains("name = \"my-broker\"\n  library = \"adapter_my_broker\""), "{said}");
    let folder = dir.path().join("adapter-my-broker");
    for (file, _) in TEMPLATE.iter().chain(&ADDED).chain(&[("Cargo.toml", ""), ("Cargo.lock", "")]) {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        assert!(!text.to_lowercase().contains("template"), "{file} still has its old name");
    }
}

fn cargo(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // What is here already is enough, so that nothing is downloaded.
    let mut cargo = Command::new(cargo);
    let output =
        as_by_hand(&mut cargo).args(arguments).arg("--offline").current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// The platform of this machine, as rustc names it.
fn platform() -> String {
    let said = Command::new("rustc").arg("-vV").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    said.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// Without a dependency on the repository, the lock file is right as it is written: `--locked` works in the
/// first build. To renew it after a change of dependencies:
/// `UPDATE_DOCUMENTS=1 cargo test -p tickhost adapters::new`.
#[test]
fn a_copy_stands_alone_with_a_lock_file_that_fits() {
    let dir = tempfile::tempdir().unwrap();
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        new("template", dir.path()).unwrap();
        let lock = dir.path().join("adapter-template/Cargo.lock");
        // The versions that the workspace has. Cargo takes out what is not needed here.
        fs::copy(root().join("Cargo.lock"), &lock).unwrap();
        cargo(lock.parent().unwrap(), &["metadata", "--format-version=1"]).unwrap();
        fs::copy(lock, root().join("host/src/command/adapters/new/Cargo.lock")).unwrap();
        return;
    }
    // Before, among and after the names of its dependencies.
    for name in ["0", "my-broker", "zz"] {
        new(name, dir.path()).unwrap();
        let folder = dir.path().join(format!("adapter-{name}"));
        // Those of other platforms may never have been fetched here.
        let said =
            cargo(&folder, &["metadata", "--locked", "--format-version=1", "--filter-platform", &platform()])
                .unwrap();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        let packages = said["packages"].as_array().unwrap();
        let ours = packages.iter().filter(|package| package["source"].is_null());
        let folder = folder.canonicalize().unwrap();
        for package in ours {
            let manifest = Path::new(package["manifest_path"].as_str().unwrap());
            assert!(manifest.starts_with(&folder), "{name} needs {}", manifest.display());
        }
        assert_eq!(said["workspace_members"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn the_sdk_beside_a_copy_is_all_of_it() {
    let files = vendor::files().unwrap();
    let has = |wanted: &str| files.iter().any(|(file, _)| *file == wanted);
    for wanted in
        ["adapter-sdk/src/lib.rs", "adapter-sdk/build.rs", "adapter-sdk/abi/src/module.rs", "LICENSE-MIT"]
    {
        assert!(has(wanted), "{wanted}");
    }
    assert!(files.iter().all(|(file, _)| !file.contains("/tests/") && !file.contains("target")));
    let (_, manifest) = files.iter().find(|(file, _)| *file == "Cargo.toml").unwrap();
    let manifest: Table = manifest.parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    for member in members {
        assert!(has(&format!("{}/Cargo.toml", member.as_str().unwrap())));
    }
    assert!(manifest["workspace"]["dependencies"].get("adapter-sim").is_none());
}
