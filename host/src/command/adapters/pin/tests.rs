use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    fs,
    path::PathBuf,
};

use super::*;
#[cfg(target_os = "linux")]
use crate::adapters::integrity::sha256_of;
use crate::config::{Environment, Sources};

/// A folder with `plugins.toml` and a library that passes for one: see `testdata/minisign`.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(plugins: &str) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(place.plugins(), plugins).unwrap();
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/minisign/payload");
        fs::write(place.library("a"), fs::read(library).unwrap()).unwrap();
        place
    }

    fn plugins(&self) -> PathBuf {
        self.dir.path().join("plugins.toml")
    }

    fn library(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{DLL_PREFIX}{name}{DLL_SUFFIX}"))
    }

    fn text(&self) -> String {
        fs::read_to_string(self.plugins()).unwrap()
    }

    fn pin(&self, names: &[&str], check: bool) -> (anyhow::Result<bool>, String) {
        let settings = Settings::load(&Sources {
            environment: Environment::from_pairs([("TICKHOST_PLUGINS", self.plugins())]),
            platform_data_dir: Some("/data".into()),
            ..Sources::default()
        })
        .unwrap();
        let mut out = Vec::new();
        let args = PinArgs { names: names.iter().map(ToString::to_string).collect(), check };
        let done = run(&settings, &args, &mut out);
        (done, String::from_utf8(out).unwrap())
    }

    /// What is left in the folder, in order.
    #[cfg(target_os = "linux")]
    fn files(&self) -> Vec<String> {
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut files: Vec<String> =
            fs::read_dir(self.dir.path()).unwrap().map(|entry| name(entry.unwrap())).collect();
        files.sort();
        files
    }
}

const PLUGINS: &str = "\
# Mine.

[bus]
brokers = ['x']   # from elsewhere

[[adapter]]   # the first
name = 'a'
library = \"a\"

# Settings of a.
[adapter.config]
  token = 'hunter2' # secret
list = [ 1,2,
  3 ]

[[adapter]]
sha256 = '0000000000000000000000000000000000000000000000000000000000000000' # old
name = 'off'
library = 'a'
enabled = false
# The end.
";

#[cfg(target_os = "linux")]
#[test]
fn pins_are_written_compared_and_kept_up_and_everything_else_stays() {
    let place = Place::new(PLUGINS);
    let hash = sha256_of(&place.library("a")).unwrap();
    let (matches, said) = place.pin(&[], true);
    assert_eq!((matches.unwrap(), said), (false, format!("a: not pinned, the library has {hash}\n")));
    assert_eq!(place.text(), PLUGINS);

    let (done, said) = place.pin(&[], false);
    assert!(done.unwrap() && said.starts_with(&format!("a: not pinned -> {hash}\nWrote ")), "{said}");
    let pinned = PLUGINS.replace("library = \"a\"\n", &format!("library = \"a\"\nsha256 = \"{hash}\"\n"));
    assert_eq!(place.text(), pinned);
    assert_eq!(place.pin(&[], true).1, format!("a: {hash} (unchanged)\n"));
    assert!(place.pin(&[], true).0.unwrap());
    assert!(place.pin(&[], false).1.contains("has these pins already"));

    // By name also what is switched off; the comment behind the old value stays.
    let (done, said) = place.pin(&["off"], false);
    let old = "0".repeat(64);
    assert!(done.unwrap() && said.starts_with(&format!("off: {old} -> {hash}\n")), "{said}");
    assert_eq!(place.text(), pinned.replace(&format!("'{old}' # old"), &format!("\"{hash}\" # old")));

    let mut tampered = fs::read(place.library("a")).unwrap();
    *tampered.last_mut().unwrap() ^= 1;
    fs::write(place.library("a"), tampered).unwrap();
    let new = sha256_of(&place.library("a")).unwrap();
    let (matches, said) = place.pin(&[], true);
    assert_eq!((matches.unwrap(), said), (false, format!("a: pinned {hash}, but the library has {new}\n")));
    assert_eq!(place.files(), [format!("{DLL_PREFIX}a{DLL_SUFFIX}"), "plugins.toml".to_owned()]);
}

#[cfg(target_os = "linux")]
#[test]
fn other_ways_to_write_the_file_are_kept_too() {
    let hash = sha256_of(&Place::new("").library("a")).unwrap();
    let inline = "adapter = [{ name = 'a', library = 'a' }] # all\n";
    let place = Place::new(inline);
    assert!(place.pin(&[], false).0.unwrap());
    assert_eq!(
        place.text(),
        format!("adapter = [{{ name = 'a', library = 'a' , sha256 = \"{hash}\" }}] # all\n")
    );
    let place = Place::new(&PLUGINS.replace('\n', "\r\n"));
    assert!(place.pin(&["a"], false).0.unwrap());
    let expected = PLUGINS.replace("library = \"a\"\n", &format!("library = \"a\"\nsha256 = \"{hash}\"\n"));
    assert_eq!(place.text(), expected.replace('\n', "\r\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn either_all_are_pinned_or_none() {
    use std::os::unix::fs::PermissionsExt as _;
    let place =
        Place::new("[[adapter]]\nname = 'a'\nlibrary = 'a'\n[[adapter]]\nname = 'b'\nlibrary = 'b'\n");
    let before = place.text();
    let (done, said) = place.pin(&[], false);
    assert!(
        !done.unwrap() && said.contains("b: not found; looked at") && said.contains("Nothing was written")
    );
    assert!(!place.pin(&[], true).0.unwrap());
    fs::copy(place.library("a"), place.library("b")).unwrap();
    fs::set_permissions(place.library("b"), fs::Permissions::from_mode(0o666)).unwrap();
    let (done, said) = place.pin(&[], false);
    assert!(!done.unwrap() && said.contains("can be written by everybody"), "{said}");
    assert_eq!(place.text(), before);
    assert!(place.pin(&["a"], false).0.unwrap());
}

#[test]
fn a_file_with_mistakes_and_an_unknown_name_change_nothing() {
    let place = Place::new("[[adapter]]\nname = 'a'\nlibrary = 'a'\noops = 'hunter2'\n");
    let error = place.pin(&[], false).0.unwrap_err().to_string();
    assert!(
        error.contains("plugins.toml:4: adapter a: oops: unknown key") && !error.contains("hunter2"),
        "{error}"
    );
    let place = Place::new(PLUGINS);
    let error = place.pin(&["b"], false).0.unwrap_err().to_string();
    assert_eq!(error, "plugins.toml has no adapter b; it has: a, off");
    assert_eq!(place.text(), PLUGINS);
}

#[cfg(unix)]
#[test]
fn the_file_is_replaced_as_a_whole_with_its_permissions_through_a_link() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("real.toml"), dir.path().join("plugins.toml"));
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.toml", &link).unwrap();
    replace::replace(&link, "old", "new").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    // Somebody was faster.
    let error = replace::replace(&link, "old", "newer").unwrap_err();
    assert!(error.to_string().contains("somebody else changed it"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}
