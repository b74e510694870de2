//! Each refusal, on real files. What needs a whole library uses the smallest that the check of the format
//! lets pass.

use super::*;
use crate::{
    base::sha256::NoSha256,
    config::{NoSigner, Signer},
};

/// A file in a directory of its own, and a place for copies.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        for name in ["plugins", "run"] {
            fs::create_dir(place.path(name)).unwrap();
        }
        place
    }

    /// With `plugins/adapter.so`, which every rule lets pass.
    #[cfg(target_os = "linux")]
    fn with_library() -> Self {
        let place = Self::new();
        fs::write(place.library(), library()).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn library(&self) -> PathBuf {
        self.path("plugins/adapter.so")
    }

    fn make(&self, rules: &IntegrityRules) -> Result<PrivateCopy, IntegrityError> {
        PrivateCopy::make(&self.library(), rules, &self.path("run"))
    }

    /// What is said against the library; asserts that no copy is left.
    fn refused(&self, rules: &IntegrityRules) -> String {
        let said = self.make(rules).unwrap_err().to_string();
        assert_eq!(fs::read_dir(self.path("run")).unwrap().count(), 0, "{said}");
        said.replace(self.dir.path().canonicalize().unwrap().to_str().unwrap(), "DIR")
            .replace(self.dir.path().to_str().unwrap(), "DIR")
    }
}

/// The smallest file that passes for a whole library: see `testdata/minisign`.
#[cfg(target_os = "linux")]
fn library() -> Vec<u8> {
    fs::read(testdata("payload")).unwrap()
}

#[cfg(target_os = "linux")]
fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/minisign").join(name)
}

#[test]
fn a_hash_is_64_hex_digits_and_shown_in_lower_case() {
    let text = "ABCDEF0123456789".repeat(4);
    let hash: Sha256 = text.parse().unwrap();
    assert_eq!(hash.to_string(), text.to_lowercase());
    for wrong in ["", "ab", &"a".repeat(63), &format!("{text}00"), &text.replace('A', "g")] {
        assert_eq!(wrong.parse::<Sha256>(), Err(NoSha256));
    }
}

#[test]
fn the_hash_of_a_file_is_that_of_its_bytes() {
    let place = Place::new();
    fs::write(place.library(), "abc").unwrap();
    let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256_of(&place.library()).unwrap().to_string(), known);
    // More than one piece.
    let long = vec![7; 3 * CHUNK_BYTES + 1];
    fs::write(place.library(), &long).unwrap();
    let mut hasher = Hasher::default();
    hasher.update(&long);
    assert_eq!(sha256_of(&place.library()).unwrap(), hasher.finish());
    assert!(sha256_of(&place.path("plugins")).is_err());
    assert!(sha256_of(&place.path("missing")).is_err());
}

#[test]
fn what_cannot_be_a_library_is_refused() {
    let place = Place::new();
    assert!(place.refused(&IntegrityRules::default()).starts_with("cannot read DIR/plugins/adapter.so: "));
    fs::write(place.library(), "").unwrap();
    assert!(place.refused(&IntegrityRules::default()).contains("it is empty"));
    File::create(place.library()).unwrap().set_len(MAX_BYTES + 1).unwrap();
    let said = place.refused(&IntegrityRules::default());
    assert!(said.contains("has 536870913 bytes, and at most 536870912 are read"), "{said}");
    fs::write(place.library(), "#!/bin/sh\n").unwrap();
    assert!(place.refused(&IntegrityRules::default()).contains("is no library for this machine: it is no "));
    fs::remove_file(place.library()).unwrap();
    fs::create_dir(place.library()).unwrap();
    assert!(place.make(&IntegrityRules::default()).is_err());
}

#[cfg(target_os = "linux")]
mod on_linux {
    use std::{
        os::unix::fs::{PermissionsExt as _, symlink},
        str::FromStr as _,
    };

    use rstest::rstest;

    use super::{
        super::place::{Access, judge},
        *,
    };

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_copy_is_the_library_and_goes_when_it_is_dropped() {
        let place = Place::with_library();
        let rules = IntegrityRules {
            sha256: Some(sha256_of(&place.library()).unwrap()),
            plugin_root: Some(place.path("plugins")),
            ..IntegrityRules::default()
        };
        let (one, other) = (place.make(&rules).unwrap(), place.make(&rules).unwrap());
        assert_ne!(one.path(), other.path());
        assert_eq!(fs::read(one.path()).unwrap(), library());
        assert_eq!((Some(one.sha256()), one.shown_as()), (rules.sha256, place.library().as_path()));
        assert_eq!(fs::metadata(one.path()).unwrap().permissions().mode() & 0o777, 0o500);
        assert_eq!(one.path().parent().unwrap(), place.path("run"));
        // The operator's file may change now.
        fs::write(place.library(), "overwritten").unwrap();
        assert_eq!(fs::read(one.path()).unwrap(), library());
        drop((one, other));
        assert_eq!(fs::read_dir(place.path("run")).unwrap().count(), 0);
    }

    #[test]
    fn a_pipe_is_refused_and_nobody_waits_for_its_writer() {
        let place = Place::new();
        rustix::fs::mkfifoat(rustix::fs::CWD, place.library(), rustix::fs::Mode::RUSR).unwrap();
        let said = place.refused(&IntegrityRules::default());
        assert!(said.contains("adapter.so is no regular file"), "{said}");
        assert!(sha256_of(&place.library()).is_err());
    }

    #[test]
    fn a_truncated_library_is_refused_at_every_length() {
        // The test binary itself is a whole ELF file.
        let whole = fs::read(std::env::current_exe().unwrap()).unwrap();
        let place = Place::new();
        for length in [6, 10, 63, 64, 120, 4_096, whole.len() / 2, whole.len() - 1] {
            fs::write(place.library(), &whole[..length]).unwrap();
            let said = place.refused(&IntegrityRules::default());
            assert!(said.contains(&format!("truncated at {length} bytes: copy it again")), "{said}");
        }
        fs::write(place.library(), &whole).unwrap();
        place.make(&IntegrityRules::default()).unwrap();
    }

    #[rstest]
    #[case::sections_that_overflow(0x28, &[0xff; 8])]
    #[case::segments_far_away(0x20, &[0, 0, 0, 0, 0, 0, 0, 0x7f])]
    #[case::segments_that_overflow(0x20, &[0xff; 8])]
    #[case::segments_that_are_missing(0x38, &[0xff, 0xff])]
    #[case::segments_of_no_size(0x36, &[0, 0])]
    fn headers_that_make_no_sense_are_refused(#[case] at: usize, #[case] bytes: &[u8]) {
        let place = Place::new();
        let mut library = library();
        library[0x38] = 1;
        library[at..at + bytes.len()].copy_from_slice(bytes);
        fs::write(place.library(), library).unwrap();
        let said = place.refused(&IntegrityRules::default());
        assert!(
            said.contains("adapter.so is no library for this machine") || said.contains("cannot read"),
            "{said}"
        );
    }

    #[rstest]
    #[case::windows(0, b"MZ", "it is a Windows library, this host loads ELF ones")]
    #[case::macos(0, b"\xcf\xfa\xed\xfe", "it is a macOS library, this host loads ELF ones")]
    #[case::archive(0, b"!<arch>\n", "it is a static library, this host loads ELF ones")]
    #[case::script(0, b"#!/b", "it is no ELF file")]
    #[case::half_the_bits(4, &[1], "it is no ELF file of 64 bits, little-endian")]
    #[case::another_machine(0x12, &[if cfg!(target_arch = "x86_64") { 183 } else { 62 }], "it was built for ")]
    fn foreign_libraries_are_told_what_they_are(
        #[case] at: usize,
        #[case] bytes: &[u8],
        #[case] expected: &str,
    ) {
        let place = Place::new();
        let mut library = library();
        library[at..at + bytes.len()].copy_from_slice(bytes);
        fs::write(place.library(), library).unwrap();
        let said = place.refused(&IntegrityRules::default());
        assert!(said.contains(&format!("is no library for this machine: {expected}")), "{said}");
    }

    #[test]
    fn one_changed_byte_is_another_library_and_both_hashes_are_shown() {
        let place = Place::with_library();
        let pinned = sha256_of(&place.library()).unwrap();
        let rules = IntegrityRules { sha256: Some(pinned), ..IntegrityRules::default() };
        place.make(&rules).unwrap();
        let mut tampered = library();
        *tampered.last_mut().unwrap() ^= 1;
        fs::write(place.library(), tampered).unwrap();
        let found = sha256_of(&place.library()).unwrap();
        let said = place.refused(&rules);
        assert!(said.contains(&format!("it has sha256 {found}, pinned is {pinned}")), "{said}");
        assert!(said.contains("`tickhost adapters pin`"), "{said}");
    }

    #[test]
    fn a_file_that_is_written_while_it_is_read_is_refused() {
        let place = Place::with_library();
        let before = fs::metadata(place.library()).unwrap();
        assert!(!changed(&before, &fs::metadata(place.library()).unwrap()));
        OpenOptions::new().append(true).open(place.library()).unwrap().write_all(b"more").unwrap();
        assert!(changed(&before, &fs::metadata(place.library()).unwrap()));
        let later = before.modified().unwrap() + std::time::Duration::from_micros(1);
        let file = OpenOptions::new().append(true).open(place.library()).unwrap();
        file.set_len(before.len()).unwrap();
        file.set_modified(later).unwrap();
        assert!(changed(&before, &fs::metadata(place.library()).unwrap()));
        // A library that was swapped after it was opened.
        let opened = fs::metadata(place.library()).unwrap();
        fs::write(place.path("plugins/new.so"), library()).unwrap();
        fs::rename(place.path("plugins/new.so"), place.library()).unwrap();
        let swapped = place::check(&place.library(), None, &opened).unwrap_err();
        assert!(swapped.to_string().contains("changed while it was read"), "{swapped}");
    }

    #[test]
    fn a_link_inside_of_the_plugin_directory_is_followed_and_one_that_leads_out_is_not() {
        let place = Place::new();
        let rules = IntegrityRules { plugin_root: Some(place.path("plugins")), ..IntegrityRules::default() };
        fs::create_dir_all(place.path("plugins/versions/2")).unwrap();
        fs::write(place.path("plugins/versions/2/adapter.so"), library()).unwrap();
        symlink("versions/2/adapter.so", place.library()).unwrap();
        place.make(&rules).unwrap();
        // A directory that is a link.
        symlink("versions/2", place.path("plugins/current")).unwrap();
        PrivateCopy::make(&place.path("plugins/current/adapter.so"), &rules, &place.path("run")).unwrap();
        // The plugin directory itself may be one.
        symlink("plugins", place.path("alias")).unwrap();
        let alias = IntegrityRules { plugin_root: Some(place.path("alias")), ..IntegrityRules::default() };
        PrivateCopy::make(&place.path("alias/adapter.so"), &alias, &place.path("run")).unwrap();

        fs::write(place.path("outside.so"), library()).unwrap();
        fs::remove_file(place.library()).unwrap();
        symlink("../outside.so", place.library()).unwrap();
        let said = place.refused(&rules);
        assert!(
            said.starts_with(
                "DIR/plugins/adapter.so is a link that leads out of DIR/plugins to DIR/outside.so"
            ),
            "{said}"
        );
        assert_eq!(place.refused(&IntegrityRules::default()), said);
        fs::create_dir(place.path("elsewhere")).unwrap();
        fs::write(place.path("elsewhere/adapter.so"), library()).unwrap();
        symlink("../elsewhere", place.path("plugins/led")).unwrap();
        let led = PrivateCopy::make(&place.path("plugins/led/adapter.so"), &rules, &place.path("run"));
        assert!(matches!(led, Err(IntegrityError::LeadsOut { .. })), "{led:?}");
    }

    #[rstest]
    #[case::file("plugins/inner/adapter.so")]
    #[case::directory("plugins/inner")]
    #[case::plugin_directory("plugins")]
    #[case::where_the_link_points("plugins/real")]
    fn what_everybody_can_write_is_refused(#[case] path: &str) {
        let place = Place::new();
        fs::create_dir(place.path("plugins/real")).unwrap();
        fs::create_dir(place.path("plugins/inner")).unwrap();
        fs::write(place.path("plugins/real/adapter.so"), library()).unwrap();
        symlink("../real/adapter.so", place.path("plugins/inner/adapter.so")).unwrap();
        let rules = IntegrityRules { plugin_root: Some(place.path("plugins")), ..IntegrityRules::default() };
        let make = || PrivateCopy::make(&place.path("plugins/inner/adapter.so"), &rules, &place.path("run"));
        make().unwrap();
        chmod(&place.path(path), 0o757);
        let said = make().unwrap_err().to_string();
        assert!(
            said.contains("can be written by everybody (mode 0757)") && said.contains("chmod go-w"),
            "{said}"
        );
        chmod(&place.path(path), 0o755);
        make().unwrap();
        // What is above the plugin directory is the operator's.
        chmod(place.dir.path(), 0o777);
        make().unwrap();
    }

    #[rstest]
    #[case::usual(0o755, 1000, 1000, None)]
    #[case::a_group_of_ones_own(0o775, 1000, 1000, None)]
    #[case::a_group_of_ones_own_and_everybody(0o777, 1000, 1000, Some("by everybody (mode 0777)"))]
    #[case::a_group_of_several(0o775, 1000, 100, Some("by group 100 (mode 0775)"))]
    #[case::roots_file(0o755, 0, 0, None)]
    #[case::roots_group(0o775, 0, 0, Some("by group 0 (mode 0775)"))]
    #[case::sticky_is_no_excuse(0o1777, 0, 0, Some("by everybody (mode 1777)"))]
    #[case::another_user(0o755, 1001, 1000, Some("belongs to user 1001"))]
    fn who_may_write(
        #[case] mode: u32,
        #[case] owner: u32,
        #[case] group: u32,
        #[case] refusal: Option<&str>,
    ) {
        let said = judge(Path::new("adapter.so"), &Access { owner, group, mode }, 1000);
        match (said, refusal) {
            (Ok(()), None) => {}
            (Err(error), Some(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (said, _) => panic!("{said:?}, not {refusal:?}"),
        }
    }

    /// Rules that trust these keys of `testdata/minisign`.
    fn trusting(keys: &[&str], require_signature: bool) -> IntegrityRules {
        let signer = |name: &&str| {
            let text = fs::read_to_string(testdata(name)).unwrap();
            Signer::from_str(text.lines().nth(1).unwrap()).unwrap()
        };
        IntegrityRules {
            signers: keys.iter().map(signer).collect(),
            require_signature,
            ..IntegrityRules::default()
        }
    }

    fn signature(name: &str) -> String {
        fs::read_to_string(testdata(name)).unwrap()
    }

    #[test]
    fn a_signature_of_a_trusted_author_is_accepted() {
        let place = Place::with_library();
        let beside = place.path("plugins/adapter.so.minisig");
        fs::write(&beside, signature("payload.minisig")).unwrap();
        place.make(&trusting(&["author.pub"], true)).unwrap();
        place.make(&trusting(&["other.pub", "author.pub"], true)).unwrap();
        fs::write(&beside, signature("payload.other.minisig")).unwrap();
        place.make(&trusting(&["other.pub", "author.pub"], false)).unwrap();
        // From another place.
        fs::remove_file(&beside).unwrap();
        let elsewhere = IntegrityRules {
            signature: Some(testdata("payload.minisig")),
            ..trusting(&["author.pub"], true)
        };
        place.make(&elsewhere).unwrap();
    }

    #[test]
    fn a_missing_signature_matters_where_it_is_required_or_named() {
        let place = Place::with_library();
        place.make(&trusting(&["author.pub"], false)).unwrap();
        let said = place.refused(&trusting(&["author.pub"], true));
        assert!(
            said.starts_with("DIR/plugins/adapter.so is not signed")
                && said.ends_with("DIR/plugins/adapter.so.minisig"),
            "{said}"
        );
        let named =
            IntegrityRules { signature: Some(place.path("named")), ..trusting(&["author.pub"], false) };
        assert!(place.refused(&named).ends_with("signature in DIR/named"));
        // Requiring a signature of nobody is never satisfied.
        fs::write(place.path("plugins/adapter.so.minisig"), signature("payload.minisig")).unwrap();
        assert!(place.refused(&trusting(&[], true)).contains("does not list"));
    }

    #[rstest]
    #[case::unknown_key(&|_: String| signature("payload.other.minisig"), "is signed with a key that [trust]")]
    #[case::comment_changed(&|text: String| text.replace("version 1", "version 9"), "is not what its author signed")]
    #[case::old_format(&|text: String| text.replace("\nRUR", "\nRWR"), "is of the old kind, without a hash")]
    #[case::no_signature(&|_: String| "hello\n".to_owned(), "is no signature of DIR/plugins/adapter.so")]
    #[case::cut_off(&|text: String| text.lines().take(2).collect(), "is no signature of")]
    #[case::too_long(&|text: String| format!("{text}{}", "\n".repeat(5_000)), "is too long")]
    fn a_bad_signature_is_refused_whether_required_or_not(
        #[case] change: &dyn Fn(String) -> String,
        #[case] expected: &str,
    ) {
        let place = Place::with_library();
        let text = change(signature("payload.minisig"));
        fs::write(place.path("plugins/adapter.so.minisig"), text).unwrap();
        for require in [true, false] {
            let said = place.refused(&trusting(&["author.pub"], require));
            assert!(said.contains(expected), "{said}");
        }
        // Without trusted keys nobody looks at it.
        place.make(&IntegrityRules::default()).unwrap();
    }

    #[test]
    fn a_tampered_library_does_not_have_the_signature_of_its_author() {
        let place = Place::with_library();
        fs::write(place.path("plugins/adapter.so.minisig"), signature("payload.minisig")).unwrap();
        let mut tampered = library();
        *tampered.last_mut().unwrap() ^= 1;
        fs::write(place.library(), tampered).unwrap();
        let said = place.refused(&trusting(&["author.pub"], false));
        assert!(said.contains("is not what its author signed"), "{said}");
    }

    #[test]
    fn what_is_no_public_key_is_refused_and_not_shown() {
        for text in ["", "RW", "hunter2", &"RW".repeat(100)] {
            let error = Signer::from_str(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && error.contains("minisign.pub"), "{error}");
        }
        // A secret key begins like this one.
        let secret = ["RWRTY0", "Iy"].concat() + &"A".repeat(204);
        assert_eq!(Signer::from_str(&secret), Err(NoSigner));
    }

    mod property_tests {
        use std::io::Cursor;

        use proptest::prelude::*;

        use crate::adapters::integrity::format;

        proptest! {
            #[test]
            fn no_header_makes_the_check_panic(
                header in proptest::collection::vec(any::<u8>(), 0..200),
                is_elf in any::<bool>(),
                count in 0_u8..4,
            ) {
                let mut bytes = header;
                if is_elf && bytes.len() > 64 {
                    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
                    // A table of segments within the file, so that their numbers are looked at.
                    bytes[0x20..0x28].copy_from_slice(&64_u64.to_le_bytes());
                    bytes[0x36..0x3a].copy_from_slice(&[56, 0, count, 0]);
                }
                let length = bytes.len() as u64;
                _ = format::check(super::Path::new("x"), &mut Cursor::new(bytes), length);
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn copies_of_the_same_bytes_share_a_file_which_goes_with_the_last_of_them() {
    let place = Place::with_library();
    let shared = SharedCopies::default();
    let one = shared.share(place.make(&IntegrityRules::default()).unwrap());
    let again = shared.share(place.make(&IntegrityRules::default()).unwrap());
    let file = one.path().to_owned();
    assert_eq!(again.path(), file);
    // A thread of its own removes them.
    let is_gone = |path: &Path| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while path.exists() && std::time::Instant::now() < deadline {
            std::thread::park_timeout(std::time::Duration::from_millis(2));
        }
        !path.exists()
    };
    let others = || -> Vec<PathBuf> {
        let files = fs::read_dir(place.path("run")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| *path != file).collect()
    };
    assert!(others().iter().all(|path| is_gone(path)));
    drop(one);
    assert!(again.path().exists());
    drop(again);
    assert!(is_gone(&file));
    let fresh = shared.share(place.make(&IntegrityRules::default()).unwrap());
    assert!(fresh.path() != file && fresh.path().exists());
}
