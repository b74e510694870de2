//! Hosts and adapters of different ABI versions, and files that are no adapters.

use std::{fs, path::Path, process::Command};

use integration_tests::{
    Client, HostBuilder,
    abi::{Variant, fixture, shipped_version, sim_library, sources},
    host::assert_ok,
};

fn listed(name: &str, library: &Path) -> String {
    format!("[[adapter]]\nname = '{name}'\nlibrary = '{}'\n", library.display())
}

/// What `tickhost adapters` says of a library, and whether it was content.
fn adapters(library: &Path) -> (bool, String) {
    let output = HostBuilder::new().plugins(&listed("fixture", library)).run(&["adapters"], "");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

/// The lines in which a library is refused.
fn refusal(library: &Path) -> String {
    let (is_content, said) = adapters(library);
    assert!(!is_content, "taken although it must not be:\n{said}");
    let reason = said.split("\nfixture: ").nth(1).unwrap_or_else(|| panic!("no reason in:\n{said}"));
    let reason = reason.split("\n\nNo host runs").next().unwrap_or_default().trim().to_owned();
    assert!(reason.contains(&library.display().to_string()), "the file is not named in:\n{reason}");
    reason
}

async fn ticks_reach_a_client(variant: Variant) {
    let library = fixture(variant).library;
    let host = HostBuilder::new().plugins(&listed("fixture", &library)).start();
    let key = host.add_user("visitor", "fixture");
    let mut client = Client::login(host.websocket, &key).await;
    let ack = client.subscribe(&["NSE:SBIN", "NSE:BAD1"], "LTP").await;
    assert_eq!(ack["status"], "partial", "{ack}");
    for mode in ["Quote", "Depth"] {
        assert_eq!(client.subscribe(&["NSE:TCS"], mode).await["status"], "success", "{mode}");
    }
    for symbol in ["SBIN", "TCS", "SBIN", "TCS"] {
        let tick =
            client.find(|message| message["type"] == "market_data" && message["symbol"] == symbol).await;
        assert!(tick["data"]["ltp"].as_f64().is_some_and(|ltp| ltp > 100.0), "{tick}");
    }
    if matches!(variant, Variant::V1_0 | Variant::V1_1) {
        return;
    }
    let has_greeks = |message: &serde_json::Value| message["data"].get("greeks").is_some();
    let tick = client.find(|message| message["symbol"] == "TCS" && has_greeks(message)).await;
    let (data, greeks) = (&tick["data"], &tick["data"]["greeks"]);
    assert!(greeks["delta"].as_f64().is_some_and(|delta| (0.5..0.6).contains(&delta)), "{tick}");
    assert_eq!(
        (greeks["theta"].as_f64(), data["implied_volatility"].as_f64()),
        (Some(-2.25), Some(14.5)),
        "{tick}"
    );
    assert!(greeks.get("gamma").is_none(), "{tick}");
}

fn old_host_takes(library: &Path, abi_version: &str) {
    let host = fixture(Variant::V1_0).host.expect("the old host is built with the old adapter");
    let output = Command::new(host).arg(library).output().expect("the old host starts");
    assert_ok(&output);
    let said = String::from_utf8_lossy(&output.stdout);
    for needle in [&format!("abi {abi_version}"), "outcomes [0, 0, 0, 2]", "ticks depth", "ended"] {
        assert!(said.contains(needle), "no `{needle}` in:\n{said}");
    }
}

/// `1.1` of `1.1.0`.
fn short(version: &str) -> &str {
    version.rsplit_once('.').map_or(version, |(short, _)| short)
}

#[tokio::test]
async fn an_adapter_of_abi_1_0_is_loaded_and_its_ticks_reach_a_client() {
    let (is_content, said) = adapters(&fixture(Variant::V1_0).library);
    assert!(is_content && said.contains("1.0"), "{said}");
    ticks_reach_a_client(Variant::V1_0).await;
}

#[tokio::test]
async fn an_adapter_of_abi_1_1_is_loaded_and_its_ticks_reach_a_client() {
    let (is_content, said) = adapters(&fixture(Variant::V1_1).library);
    assert!(is_content && said.contains("1.1"), "{said}");
    ticks_reach_a_client(Variant::V1_1).await;
}

#[tokio::test]
async fn an_adapter_of_the_next_abi_is_loaded_and_its_ticks_reach_a_client() {
    let next = fixture(Variant::Next);
    let (is_content, said) = adapters(&next.library);
    assert!(is_content && said.contains(short(&next.version)), "{said}");
    ticks_reach_a_client(Variant::Next).await;
}

#[test]
fn a_host_of_abi_1_0_runs_an_adapter_of_its_own_version() {
    old_host_takes(&fixture(Variant::V1_0).library, "1.0");
}

#[test]
fn a_host_of_abi_1_0_runs_an_adapter_of_the_next_version() {
    let next = fixture(Variant::Next);
    old_host_takes(&next.library, short(&next.version));
}

#[test]
fn a_host_of_abi_1_0_runs_an_adapter_that_was_built_with_the_present_sdk() {
    old_host_takes(&sim_library(), short(&shipped_version()));
}

#[test]
fn a_library_of_several_brokers_says_to_an_old_host_which_one_it_needs() {
    let host = fixture(Variant::V1_0).host.expect("the old host is built with the old adapter");
    let library = integration_tests::library("adapter_brands");
    let output = Command::new(host).arg(library).output().expect("the old host starts");
    let said = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
    assert!(!output.status.success() && said.contains("needs a host of ABI 1.2"), "{said}");
}

#[test]
fn a_host_of_abi_1_0_refuses_what_does_not_fit() {
    let host = fixture(Variant::V1_0).host.expect("the old host is built with the old adapter");
    for variant in [Variant::LayoutBreak, Variant::Major] {
        let output = Command::new(&host).arg(fixture(variant).library).output().expect("the old host starts");
        assert_eq!(output.status.code(), Some(1), "{variant:?}: {output:?}");
    }
}

/// How the old host, which trusts every library, ends with one that is not to be trusted.
#[cfg(target_os = "linux")]
#[test]
fn libraries_that_do_harm_before_anything_is_created_do_it() {
    use std::{os::unix::process::ExitStatusExt as _, process::Stdio, time::Duration};

    const SIGABRT: i32 = 6;
    let host = fixture(Variant::V1_0).host.expect("the old host is built with the old adapter");
    let start = |variant| {
        let mut command = Command::new(&host);
        command.arg(fixture(variant).library).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().expect("the old host starts")
    };
    for variant in [Variant::InitCrashes, Variant::MetadataPanics] {
        let status = start(variant).wait().expect("the child is ours");
        assert_eq!(status.signal(), Some(SIGABRT), "{variant:?}");
    }
    let said = start(Variant::MetadataLies).wait_with_output().expect("the child is ours").stdout;
    assert!(said.len() > 1_000_000 && said.contains(&0x1b), "{} bytes", said.len());
    let mut hanging = start(Variant::MetadataHangs);
    // With a good library it is done in a fraction of that.
    std::thread::park_timeout(Duration::from_secs(1));
    assert!(hanging.try_wait().expect("the child is ours").is_none(), "it does not hang");
    hanging.kill().expect("the child is ours");
    hanging.wait().expect("the child is ours");
}

#[test]
fn another_layout_is_refused_in_a_line_that_names_the_type() {
    let reason = refusal(&fixture(Variant::LayoutBreak).library);
    assert_eq!(reason.lines().count(), 1, "{reason}");
    assert!(reason.contains("laid out differently") && reason.contains("Ltp"), "{reason}");
}

#[test]
fn another_major_version_is_refused_and_both_are_named() {
    let major = fixture(Variant::Major);
    let reason = refusal(&major.library);
    let ours = shipped_version();
    let ours = ours.split('.').next().expect("a major version");
    assert!(reason.contains(&major.version) && reason.contains(&format!("needs {ours}.x")), "{reason}");
}

#[test]
fn a_file_that_is_no_adapter_is_refused_in_a_sentence() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let whole = fs::read(fixture(Variant::V1_0).library).expect("the library is readable");
    let mut files = vec![
        ("empty", Vec::new(), "it is empty"),
        ("text", b"this is no library\n".to_vec(), "is no library for this machine"),
    ];
    if cfg!(target_os = "linux") {
        files.push(("half", whole[..whole.len() / 2].to_vec(), "truncated"));
        files.push(("head", whole[..100].to_vec(), "truncated"));
        files.push((
            "stranger",
            fs::read(mapped("libgcc_s")).expect("it is readable"),
            "no Tickhost adapter",
        ));
    }
    for (name, bytes, reason) in files {
        let file = dir.path().join(format!("{name}{}", std::env::consts::DLL_SUFFIX));
        fs::write(&file, bytes).expect("the file is written");
        let said = refusal(&file);
        assert!(said.contains(reason), "{name}: {said}");
    }
}

/// A library that this test itself runs with.
fn mapped(stem: &str) -> String {
    let maps = fs::read_to_string("/proc/self/maps").expect("Linux says what is mapped");
    let path = maps.lines().filter_map(|line| line.split_once(" /")).find(|(_, path)| path.contains(stem));
    let (_, path) = path.unwrap_or_else(|| panic!("{stem} is not mapped"));
    format!("/{path}")
}

/// Libraries that were built against 1.0 cannot be changed any more; the crate could, and nothing would say
/// so.
#[test]
fn what_ships_as_1_0_is_what_was_frozen() {
    let (shipped, frozen) = (sources(false), sources(true));
    let root = |files: &std::collections::BTreeMap<String, String>| files["lib.rs"].contains("= \"1.0\";");
    assert!(root(&frozen), "the frozen copy is that of 1.0");
    if !root(&shipped) {
        assert_ne!(shipped_version(), "1.0.0");
        return;
    }
    assert_eq!(shipped_version(), "1.0.0");
    assert!(shipped.keys().eq(frozen.keys()));
    for (name, text) in &shipped {
        assert_eq!(
            code_of(text),
            code_of(&frozen[name]),
            "{name} differs: raise the version, or take it back"
        );
    }
}

/// A source without its comments and tests, which bind nobody.
fn code_of(text: &str) -> Vec<&str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//") && !line.trim().is_empty()).collect()
}
