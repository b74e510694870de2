use std::{collections::BTreeSet, process::Command};

use toml::{Table, Value};

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &Path) -> Table {
    fs::read_to_string(file).unwrap().parse().unwrap()
}

fn new(name: &str, into: &Path) -> anyhow::Result<String> {
    let args =
        NewArgs { name: name.to_owned(), into: into.to_owned(), sdk: Some(root().join("adapter-sdk")) };
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
    let args = NewArgs { name: "acme".into(), into: dir.path().into(), sdk: Some(dir.path().into()) };
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
    let copy: Table = manifest(None).unwrap().parse().unwrap();
    let version =
        |value: &Value| value.as_str().or_else(|| value.get("version")?.as_str()).map(str::to_owned);
    let features = |value: &Value| -> BTreeSet<String> {
        let list = value.get("features").and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    for section in ["dependencies", "dev-dependencies"] {
        let (theirs, ours) = (template[section].as_table().unwrap(), copy[section].as_table().unwrap());
        assert!(theirs.keys().eq(ours.keys()), "{section}");
        for (name, wanted) in theirs {
            let (ours, shared) = (&ours[name], &shared[name]);
            assert_eq!(version(ours), version(shared), "{name}");
            // A test's features are added to those of the dependency itself.
            let all: BTreeSet<String> = features(wanted).union(&features(shared)).cloned().collect();
            let is_added = section == "dev-dependencies" && template["dependencies"].get(name).is_some();
            let base = if is_added { features(wanted) } else { all };
            assert_eq!(features(ours), base, "{name}");
        }
    }
    let package = workspace["workspace"]["package"].as_table().unwrap();
    for key in ["edition", "rust-version"] {
        assert_eq!(copy["package"][key], package[key]);
    }
}

#[test]
fn a_copy_has_its_own_name_everywhere_and_compiles() {
    let dir = tempfile::tempdir().unwrap();
    let said = new("my-broker", dir.path()).unwrap();
    assert!(said.contains("name = \"my-broker\"\n  library = \"adapter_my_broker\""), "{said}");
    let folder = dir.path().join("adapter-my-broker");
    for (file, _) in TEMPLATE.iter().chain(&[("Cargo.toml", "")]) {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        assert!(!text.to_lowercase().contains("template"), "{file} still has its old name");
    }
    // With the versions that are here already, so that nothing is downloaded, and where most of them are built.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["check", "--offline", "--quiet", "--all-targets"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", root().join("target"))
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
