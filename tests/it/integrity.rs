//! Libraries that were changed, cut off or left open to others, and what the operator is told.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    process::Output,
};

use integration_tests::{HostBuilder, host::assert_ok, sim_library, wait_until};

/// A public key whose secret half nobody has.
const KEY: &str = "RWRwv79T88ojpUeTkeP9y7k4ZlpbNzsdsXr+++sNiV3XnpLyJnC6Js7F";

/// A host whose own copy of the synthetic exchange stands beside its `plugins.toml`.
struct Place {
    builder: HostBuilder,
    library: PathBuf,
}

impl Place {
    fn new(head: &str, keys: &str) -> Self {
        let text = plugins(head, keys);
        let builder = HostBuilder::new().plugins(&text);
        let library = builder.dir().join("brokers/libadapter_copy.so");
        fs::create_dir(library.parent().unwrap()).unwrap();
        fs::copy(sim_library(), &library).unwrap();
        chmod(&library, 0o644);
        fs::write(builder.plugins_path(), text).unwrap();
        Self { builder, library }
    }

    /// Runs a command with `plugins.toml` as it is on disk, and gives what it printed.
    fn run(&self, args: &[&str]) -> (bool, String) {
        told(&self.builder.run_as_is(args, ""))
    }

    /// What `check` and `adapters` say against the library, which must be the same.
    fn refused(&self) -> String {
        let (has_succeeded, checked) = self.run(&["check"]);
        assert!(!has_succeeded, "{checked}");
        let (has_succeeded, listed) = self.run(&["adapters"]);
        assert!(!has_succeeded, "{listed}");
        let sentence = checked.lines().find_map(|line| line.split_once(": adapter sim: ")).unwrap().1;
        assert!(listed.contains(&format!("sim: {sentence}")), "{checked}\n{listed}");
        sentence.to_owned()
    }
}

fn plugins(head: &str, keys: &str) -> String {
    format!(
        "{head}\n# The synthetic exchange.\n[[adapter]]\nname = \"sim\"\nlibrary = \"brokers/libadapter_copy.so\"\n{keys}\n\
         [adapter.config]\nseed = 42  # as ever\n"
    )
}

fn told(output: &Output) -> (bool, String) {
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

fn chmod(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_pinned_library_is_loaded_until_one_byte_of_it_changes() {
    let place = Place::new("", "");
    let (is_pinned, said) = place.run(&["adapters", "pin", "--check"]);
    assert!(!is_pinned && said.contains("sim: not pinned, the library has "), "{said}");
    let (has_pinned, said) = place.run(&["adapters", "pin"]);
    assert!(has_pinned && said.contains("sim: not pinned -> "), "{said}");
    let text = fs::read_to_string(place.builder.plugins_path()).unwrap();
    let pin = text.lines().find(|line| line.starts_with("sha256 = ")).unwrap();
    assert_eq!(text, plugins("", "").replacen("_copy.so\"\n", &format!("_copy.so\"\n{pin}\n"), 1));
    assert!(place.run(&["check"]).0);
    assert!(place.run(&["adapters", "pin", "--check"]).0);

    // In the middle, where code is, with the same length.
    let mut bytes = fs::read(&place.library).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&place.library, bytes).unwrap();
    let sentence = place.refused();
    let pinned = pin.trim_start_matches("sha256 = ").trim_matches('"');
    assert!(
        sentence.contains("is not the library that plugins.toml pins: it has sha256 ")
            && sentence.contains(&format!("pinned is {pinned}")),
        "{sentence}"
    );
    let (is_pinned, said) = place.run(&["adapters", "pin", "--check"]);
    assert!(!is_pinned && said.contains(&format!("sim: pinned {pinned}, but the library has ")), "{said}");
}

#[tokio::test]
async fn a_host_with_a_tampered_library_starts_without_it() {
    let zeros = "0".repeat(64);
    let place = Place::new("", &format!("sha256 = \"{zeros}\""));
    let mut host = place.builder.start();
    wait_until("the refusal is logged", || async {
        host.log().contains("is not the library that plugins.toml pins")
    })
    .await;
    let adapter = host.status().await["adapters"][0].clone();
    assert_eq!(adapter["state"], "failed", "{adapter}");
    assert!(adapter["error"].as_str().unwrap().contains(&format!("pinned is {zeros}")), "{adapter}");
    // No copy is left behind.
    let left: Vec<_> = fs::read_dir(host.data_dir().join("run"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("adapter"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(host.terminate().await.success());
}

#[tokio::test]
async fn what_others_can_write_is_refused() {
    let place = Place::new("", "");
    assert!(place.run(&["check"]).0);
    chmod(&place.library, 0o646);
    assert!(place.refused().contains("libadapter_copy.so can be written by everybody (mode 0646)"));
    assert!(!place.run(&["adapters", "pin"]).0);
    chmod(&place.library, 0o644);
    chmod(place.library.parent().unwrap(), 0o757);
    assert!(place.refused().contains("brokers can be written by everybody (mode 0757)"));
    chmod(place.library.parent().unwrap(), 0o755);
    assert!(place.run(&["check"]).0);
}

#[tokio::test]
async fn a_link_that_leads_out_is_refused() {
    let place = Place::new("", "");
    fs::remove_file(&place.library).unwrap();
    symlink(sim_library(), &place.library).unwrap();
    assert!(place.refused().contains("is a link that leads out of "));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_library_that_is_cut_off_is_refused_at_every_length() {
    let place = Place::new("", "");
    let whole = fs::read(&place.library).unwrap();
    for length in [0, 100, 10_000, whole.len() / 2, whole.len() - 1] {
        fs::write(&place.library, &whole[..length]).unwrap();
        let sentence = place.refused();
        assert!(sentence.contains("it is truncated") || sentence.contains("it is empty"), "{sentence}");
    }
}

#[tokio::test]
async fn a_library_without_the_signature_that_is_required_is_refused() {
    let trust = format!("[trust]\nminisign_keys = [\"{KEY}\"]");
    let place = Place::new(&trust, "");
    assert!(place.refused().contains("libadapter_copy.so is not signed: [trust] in plugins.toml requires"));
    let relaxed = plugins(&format!("{trust}\nrequire_signature = false"), "");
    fs::write(place.builder.plugins_path(), relaxed).unwrap();
    assert_ok(&place.builder.run_as_is(&["check"], ""));
    fs::write(place.library.with_extension("so.minisig"), "no signature").unwrap();
    assert!(place.refused().contains("is no signature of "));
}
