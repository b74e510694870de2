use std::path::Path;

use super::*;
use crate::config::Settings;

fn rendered(arguments: &[&str]) -> String {
    // A fixed width, so that the snapshot does not depend on the terminal of the person who runs the test.
    let error = command().term_width(100).try_get_matches_from(arguments).unwrap_err();
    // Blanks at line ends are clap's and would be lost in an editor.
    error.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn sources(flags: Flags) -> Sources {
    Sources {
        flags,
        working_dir: "/nowhere".into(),
        platform_data_dir: Some("/data".into()),
        ..Sources::default()
    }
}

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn help_for_people_in_a_hurry() {
    insta::assert_snapshot!("short_help", rendered(&["tickhost", "-h"]));
}

#[test]
fn help_in_full() {
    let text = rendered(&["tickhost", "--help"]);
    for setting in TABLE.iter().filter(|setting| !setting.is_secret()) {
        let flag = setting.flag().unwrap();
        assert!(text.contains(&flag) && text.contains(&format!("[env: {}]", setting.env)), "{flag}");
    }
    insta::assert_snapshot!("help", text);
}

#[test]
fn help_of_a_command_shows_only_the_flags_that_matter_to_it() {
    insta::assert_snapshot!("tap_help", rendered(&["tickhost", "tap", "--help"]));
    assert!(rendered(&["tickhost", "run", "--help"]).contains("--throttle-ms"));
}

#[test]
fn the_version_names_the_abi() {
    let text = rendered(&["tickhost", "--version"]);
    assert_eq!(text, format!("tickhost {} (adapter ABI {ABI_VERSION})", env!("CARGO_PKG_VERSION")));
}

#[test]
fn flags_stand_before_or_after_the_command() {
    let ports = |arguments: &[&str]| {
        let (_, flags) = parse(arguments.iter().copied()).unwrap();
        let settings = Settings::load(&sources(flags)).unwrap();
        (settings.websocket_port, settings.admin_port, settings.allow_remote)
    };
    assert_eq!(ports(&["tickhost", "run"]), (8765, 8766, false));
    assert_eq!(
        ports(&["tickhost", "--websocket-port", "1", "run", "--admin-port=2", "--allow-remote"]),
        (1, 2, true)
    );
    assert_eq!(
        ports(&["tickhost", "--websocket-port", "1", "tap", "NSE:SBIN", "--admin-port", "2"]),
        (1, 2, false)
    );
    assert_eq!(ports(&["tickhost", "--websocket-port", "1", "run", "--websocket-port", "3"]).0, 3);
    assert_eq!(
        ports(&["tickhost", "--websocket-port", "1", "user", "list", "--admin-port", "2"]),
        (1, 2, false)
    );
    assert_eq!(ports(&["tickhost", "user", "--admin-port", "2", "list"]).1, 2);
    assert!(!ports(&["tickhost", "run", "--allow-remote=false"]).2);
}

#[test]
fn values_of_flags_are_judged_with_all_others() {
    let (_, flags) = parse(["tickhost", "run", "--throttle-ms", "-5", "--log-format", "xml"]).unwrap();
    let problems = Settings::load(&sources(flags)).unwrap_err();
    assert_eq!(problems.as_slice().len(), 2, "{problems}");
    assert!(problems.to_string().contains("flag: --throttle-ms = \"-5\""), "{problems}");
    assert!(refusal(&problems).starts_with("tickhost: 2 problems, nothing was started\nflag: --"));
}

#[test]
fn secrets_have_no_flag_and_a_try_does_not_show_them() {
    for setting in TABLE.iter().filter(|setting| setting.is_secret()) {
        let flag = format!("--{}=hunter2", setting.key.replace('_', "-"));
        let text = rendered(&["tickhost", "run", &flag]);
        assert!(text.contains("unexpected argument") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn the_examples_of_the_help_can_be_typed() {
    for line in EXAMPLES.lines().filter_map(|line| line.strip_prefix("  tickhost ")) {
        let typed = line.split("  ").next().unwrap();
        // Commands that other files define are looked at there.
        if !typed.starts_with("user") {
            parse(std::iter::once("tickhost").chain(typed.split(' '))).unwrap();
        }
    }
}

#[test]
fn a_host_is_prepared_only_without_mistakes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let with = |pairs: &[(&str, &str)]| {
        let mut sources = sources(Flags::from_pairs(pairs.iter().copied()));
        sources.working_dir.clone_from(&root);
        sources
    };
    let Prepared { settings, plugins, .. } = prepare(&with(&[])).unwrap();
    assert!(settings.plugins.is_some() && plugins.enabled().count() == 1);
    assert!(prepare(&with(&[("shards", "x")])).unwrap_err().mention("TICKHOST_SHARDS"));
    assert!(
        prepare(&with(&[("plugins", "missing.toml")])).unwrap_err().to_string().contains("cannot be read")
    );
}
