use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    fs,
};

use super::*;
use crate::config::{Environment, Sources};

const PATH: &str = "plugins.toml";

fn parse(text: &str) -> Result<PluginsFile, Problems> {
    PluginsFile::parse(Path::new(PATH), text, &LibraryPlaces::default())
}

fn lines(text: &str) -> Vec<String> {
    let report = parse(text).unwrap_err().to_string();
    // No test here has libraries; what is said of them is looked at where the places are.
    report.lines().filter(|line| !line.contains("not found; looked at")).map(str::to_owned).collect()
}

#[test]
fn the_file_of_the_repository_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins.toml");
    let text = fs::read_to_string(&path).unwrap();
    let plugins = PluginsFile::parse(&path, &text, &LibraryPlaces::default()).unwrap();
    assert_eq!(plugins.bus.brokers, ["bus"]);
    let [sim] = plugins.adapters.as_slice() else { panic!("one adapter, not {}", plugins.adapters.len()) };
    assert_eq!((sim.name.as_str(), sim.library.as_str(), sim.is_enabled), ("sim", "adapter_sim", true));
    assert_eq!(sim.brokers, ["sim"]);
    assert_eq!(sim.config_json, r#"{"rate_hz":2.0,"seed":42}"#);
}

#[test]
fn an_adapter_has_everything_that_was_written() {
    let plugins = parse(
        "[[adapter]]\nname = 'a-1'\nlibrary = 'x'\nbrokers = ['one', 'two']\nenabled = false\nthrottle_ms = 0\n\
         symbols_per_connection = 100_000\nconnections = 1\ndeep_books_per_connection = 0\n[adapter.config]\nkey = 'v'\n\
         when = 2024-01-02\nlist = [1, 0x10, -2.5, true]\ninner = { deep = {} }\n",
    )
    .unwrap();
    let adapter = &plugins.adapters[0];
    assert_eq!(adapter.brokers, ["one", "two"]);
    assert_eq!(adapter.throttle, Some(Duration::ZERO));
    assert_eq!(
        adapter.limits,
        LimitOverrides {
            symbols_per_connection: Some(100_000),
            connections: Some(1),
            deep_books_per_connection: Some(0),
            deep_above_levels: None,
        }
    );
    let config: serde_json::Value = serde_json::from_str(&adapter.config_json).unwrap();
    let expected = serde_json::json!({
        "key": "v", "when": "2024-01-02", "list": [1, 16, -2.5, true], "inner": {"deep": {}}
    });
    assert_eq!(config, expected);
    assert_eq!(plugins.enabled().count(), 0);
}

#[test]
fn what_is_left_out_has_a_default() {
    let plugins = parse("[[adapter]]\nname = 'sim'\nlibrary = 'x'\n").unwrap();
    let adapter = &plugins.adapters[0];
    assert_eq!(adapter.brokers, ["sim"]);
    assert!(adapter.is_enabled && adapter.throttle.is_none());
    assert_eq!(adapter.limits, LimitOverrides::default());
    assert_eq!(adapter.config_json, "{}");
    assert!(plugins.bus.brokers.is_empty());
    assert_eq!((adapter.hours, plugins.bus.hours), (Hours::Exchange, Hours::Exchange));
    assert!(parse("").unwrap().adapters.is_empty());
}

#[test]
fn a_source_may_have_no_hours() {
    let text = |calendar: &str| {
        format!(
            "[bus]\ncalendar = {calendar}\n[[adapter]]\nname = 'sim'\nlibrary = 'x'\ncalendar = {calendar}\n"
        )
    };
    let plugins = parse(&text("'always'")).unwrap();
    assert_eq!((plugins.adapters[0].hours, plugins.bus.hours), (Hours::Always, Hours::Always));
    let problems = parse(&text("'NSE'")).unwrap_err().to_string();
    assert!(problems.contains("adapter sim: calendar") && problems.contains("bus: calendar"), "{problems}");
    assert!(problems.contains("\"exchange\" (the default) or \"always\""), "{problems}");
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_lines() {
    let text = "\
[buss]
[bus]
brokers = ['bus', 'zerodha']
borkers = []

[[adapter]]
name = 'sim'
libary = 'adapter_sim'

[[adapter]]
name = 'kite'
library = 'adapter_kite'
brokers = ['zerodha', 'Zerodha']
enabled = 'yes'
throttle_ms = 60001
symbols_per_connection = 0
connections = 1.5
password = 'hunter2'

[[adapter]]
name = 'kite'
library = 'adapter_kite'
brokers = ['zerodha']
config = 'hunter2'

[[adapter]]
name = 'No Good'
library = ''
brokers = []

[[adapter]]
name = 'last'
library = 'adapter_last'
config = { rate = inf, seed = 99999999999999999999 }
oops = 'hunter2
";
    let report = parse(text).unwrap_err().to_string();
    assert!(!report.contains("hunter2"), "{report}");
    let report = report.replace(&format!("{DLL_PREFIX}adapter_"), "adapter_").replace(DLL_SUFFIX, ".library");
    insta::assert_snapshot!("problems", report);
}

#[test]
fn what_a_library_has_to_prove_is_read_with_its_lines() {
    let key = "RWRwv79T88ojpUeTkeP9y7k4ZlpbNzsdsXr+++sNiV3XnpLyJnC6Js7F";
    let hash = "ab".repeat(32);
    let adapter = "[[adapter]]\nname = 'a'\nlibrary = 'x'\n";
    let places = LibraryPlaces { file_dir: "/etc/tickhost".into(), ..LibraryPlaces::default() };
    let parse = |text: &str| PluginsFile::parse(Path::new(PATH), text, &places);
    // The order of the sections decides nothing.
    let text =
        format!("{adapter}sha256 = '{hash}'\nsignature = 'a.sig'\n[trust]\nminisign_keys = ['{key}']\n");
    let plugins = parse(&text).unwrap();
    assert!(plugins.trust.require_signature);
    let rules = &plugins.adapters[0].integrity;
    assert_eq!(rules.sha256.unwrap().to_string(), hash);
    assert_eq!(rules.signature.as_deref(), Some(Path::new("/etc/tickhost/a.sig")));
    assert!(rules.require_signature && rules.signers[0].to_string() == key && rules.plugin_root.is_none());
    let text = format!("[trust]\nminisign_keys = ['{key}']\nrequire_signature = false\n{adapter}");
    let plugins = parse(&text).unwrap();
    assert!(!plugins.adapters[0].integrity.require_signature);
    assert_eq!(plugins.adapters[0].integrity.signers, plugins.trust.minisign_keys);
    assert_eq!(parse(adapter).unwrap().adapters[0].integrity, IntegrityRules::default());

    let text = format!(
        "[trust]\nminisign_keys = [\n  '{key}',\n  'hunter2',\n  '{key}',\n  3,\n]\nkeys = 1\n\
         {adapter}sha256 = 'ab'\nsignature = ' '\n"
    );
    let found = lines(&text);
    let expected = [
        "plugins.toml:4: trust: minisign_keys: entry 2 is no public key of minisign: give the second line of \
         minisign.pub, which begins with RW",
        "plugins.toml:5: trust: minisign_keys: entry 3 is listed twice",
        "plugins.toml:6: trust: minisign_keys: entry 4 must be a text",
        "plugins.toml:8: trust: keys: unknown key; known here: minisign_keys, require_signature",
        "plugins.toml:12: adapter a: sha256 = \"ab\": must be 64 hex digits; `tickhost adapters pin` writes them",
        "plugins.toml:13: adapter a: signature = \" \": must be the path of a signature",
    ];
    assert_eq!(found, expected);
    assert!(
        lines("[trust]\nrequire_signature = true")[0]
            .ends_with("needs minisign_keys: the public keys to trust")
    );
    assert!(lines("[trust]\nminisign_keys = []")[0].contains("an array of 1 to 64 public keys"));
    assert!(lines("trust = 'me'")[0].contains("must be a section [trust], not a text"));
    assert!(lines(&format!("{adapter}signature = 'x'"))[0].contains("needs minisign_keys in [trust]"));
}

#[test]
fn the_plugin_directory_is_the_place_that_a_path_goes_down_from() {
    let places = LibraryPlaces {
        plugin_dir: Some("/opt/plugins".into()),
        file_dir: "/etc/tickhost".into(),
        executable_dir: Some("/usr/bin".into()),
    };
    for (library, root) in [
        ("adapter_x", None),
        ("brokers/libx.so", Some("/etc/tickhost")),
        ("./libx.so", Some("/etc/tickhost")),
        ("../libx.so", None),
        ("brokers/../../libx.so", None),
        ("/opt/plugins/x/libx.so", Some("/opt/plugins")),
        ("/elsewhere/libx.so", None),
    ] {
        assert_eq!(places.root_of(library).as_deref(), root.map(Path::new), "{library}");
    }
    assert_eq!(LibraryPlaces::default().root_of("./libx.so"), None);
}

#[test]
fn a_broker_is_served_once() {
    let adapter = |name: &str, rest: &str| format!("[[adapter]]\nname = '{name}'\nlibrary = 'x'\n{rest}\n");
    let twice = format!("{}{}", adapter("a", "brokers = ['b']"), adapter("b", ""));
    let found = lines(&twice);
    assert!(found[0].contains("b is already served by adapter a (line 1)"), "{found:?}");
    let with_bus = format!("[bus]\nbrokers = ['b']\n{}", adapter("b", ""));
    assert!(lines(&with_bus)[0].contains("b is already served by the bus (line 1)"));
    let one_off = format!("{}{}", adapter("a", "brokers = ['b']\nenabled = false"), adapter("b", ""));
    parse(&one_off).unwrap();
}

#[test]
fn the_shapes_of_the_sections_are_explained() {
    assert!(lines("[adapter]\nname = 'sim'")[0].contains("in double brackets, not a section"));
    assert!(lines("bus = 'off'")[0].contains("must be a section [bus], not a text"));
    assert!(lines("adapter = [1]")[0].contains("must be sections [[adapter]]"));
    assert!(lines("[[adapter]]\nname = 'bus'\nlibrary = 'x'")[0].contains("choose another"));
}

#[test]
fn the_number_of_adapters_and_brokers_is_bounded() {
    use std::fmt::Write as _;
    let mut text = String::new();
    for number in 0..65 {
        writeln!(text, "[[adapter]]\nname = 'a{number}'\nlibrary = 'x'").unwrap();
    }
    assert!(lines(&text)[0].contains("adapter: there may be at most 64"));
    let names: Vec<String> = (0..65).map(|number| format!("'b{number}'")).collect();
    assert!(lines(&format!("[bus]\nbrokers = [{}]", names.join(",")))[0].contains("1 to 64 different names"));
}

#[test]
fn libraries_are_found_in_the_order_of_the_places() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("{DLL_PREFIX}adapter_x{DLL_SUFFIX}");
    let place = |name: &str| folder.path().join(name);
    for name in ["first", "second", "third"] {
        fs::create_dir(place(name)).unwrap();
    }
    let places = LibraryPlaces {
        plugin_dir: Some(place("first")),
        file_dir: place("second"),
        executable_dir: Some(place("third")),
    };
    let missing = places.find("adapter_x").unwrap_err();
    let expected = [place("first"), place("second"), place("third")].map(|folder| folder.join(&file));
    assert_eq!(missing.looked_at, expected);
    for path in expected.iter().rev() {
        fs::write(path, "").unwrap();
        assert_eq!(&places.find("adapter_x").unwrap(), path);
    }
    assert_eq!(
        places.find(&format!("../first/{file}")).unwrap(),
        place("second").join("../first").join(&file)
    );
    assert_eq!(places.find("./adapter_x").unwrap_err().looked_at, [place("second").join("./adapter_x")]);
}

#[test]
fn a_missing_library_is_named_with_the_places_and_stops_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugins.toml");
    let text = "[[adapter]]\nname = 'a'\nlibrary = 'adapter_a'\n[[adapter]]\nname = 'b'\nlibrary = 'adapter_b'\n\
                [[adapter]]\nname = 'c'\nlibrary = 'adapter_c'\nenabled = false\n";
    fs::write(&path, text).unwrap();
    fs::write(folder.path().join(format!("{DLL_PREFIX}adapter_b{DLL_SUFFIX}")), "").unwrap();
    let sources = Sources {
        environment: Environment::from_pairs([("TICKHOST_PLUGINS", &path)]),
        platform_data_dir: Some("/data".into()),
        ..Sources::default()
    };
    let settings = Settings::load(&sources).unwrap();
    let plugins = PluginsFile::load(&settings).unwrap();
    assert!(plugins.adapters[1].library_path.is_ok());
    let missing = plugins.missing_libraries(&path).to_string();
    assert_eq!(missing.lines().count(), 1, "{missing}");
    assert!(missing.contains("plugins.toml:1: adapter a: library = \"adapter_a\": not found; looked at"));
    assert!(missing.contains(folder.path().to_str().unwrap()), "{missing}");
}

#[test]
fn debug_output_leaves_the_adapters_own_settings_out() {
    let text = "[[adapter]]\nname = 'a'\nlibrary = 'x'\nconfig = { token = 'hunter2' }\n";
    assert!(!format!("{:?}", parse(text).unwrap()).contains("hunter2"));
}

mod property_tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_text_makes_the_reader_panic(text in "([a-z\\[\\]='\", \n.{}#0-9é]|adapter|bus|brokers|name|config|\\[\\[adapter\\]\\]\n){0,60}") {
            _ = parse(&text);
        }
    }
}

#[test]
fn a_brand_has_what_is_said_for_it_and_the_rest_of_its_adapter() {
    let plugins = parse(
        "[[adapter]]\nname = 'noren'\nlibrary = 'x'\nbrokers = ['a', 'b', 'c']\nthrottle_ms = 5\nconnections = 4\n\
         calendar = 'always'\n[adapter.config]\nseed = 1\nnetwork = { tls = true, port = 1 }\nlist = [1, 2]\n\
         [adapter.brand.a]\nsymbols_per_connection = 9\nthrottle_ms = 0\ncalendar = 'exchange'\n\
         [adapter.brand.a.config]\nnetwork.port = 2\nlist = [3]\nurl = 'wss://a'\n\
         [adapter.brand.b]\nconnections = 1\ndeep_books_per_connection = 50\n",
    )
    .unwrap();
    let adapter = &plugins.adapters[0];
    let config = |broker| -> serde_json::Value { serde_json::from_str(adapter.config_of(broker)).unwrap() };
    assert_eq!(
        config("a"),
        serde_json::json!({"seed": 1, "network": {"tls": true, "port": 2}, "list": [3], "url": "wss://a"})
    );
    assert_eq!((config("b"), config("c")), (config("z"), config("b")));
    let limits = |broker| {
        let limits = adapter.limits_of(broker);
        (limits.symbols_per_connection, limits.connections)
    };
    assert_eq!(limits("a"), (Some(9), Some(4)));
    assert_eq!((limits("b"), limits("c")), ((None, Some(1)), (None, Some(4))));
    let deep = |broker| adapter.limits_of(broker).deep_books_per_connection;
    assert_eq!((deep("a"), deep("b")), (None, Some(50)));
    let usual = Duration::from_millis(5);
    assert_eq!((adapter.throttle_of("a"), adapter.throttle_of("b")), (Some(Duration::ZERO), Some(usual)));
    assert_eq!((adapter.hours_of("a"), adapter.hours_of("b")), (Hours::Exchange, Hours::Always));
    assert!(
        adapter.config_place("a").contains("[adapter.brand.a.config] in line 16"),
        "{}",
        adapter.config_place("a")
    );
    assert!(
        adapter.config_place("b").contains("[adapter.config] in line 8"),
        "{}",
        adapter.config_place("b")
    );
    assert!(!format!("{adapter:?}").contains("wss://a"), "settings may be secret");
}

#[test]
fn mistakes_in_sections_of_brands_are_named_with_their_lines() {
    let found = lines(
        "[[adapter]]\nname = 'noren'\nlibrary = 'x'\nbrokers = ['zebu', 'b']\n\
         [adapter.brand.zebuu]\nconnections = 1\n\
         [adapter.brand.zebu]\nconnections = 0\nlibrary = 'y'\nconfig = 3\n[adapter.brand]\nb = 1\n",
    );
    let said = |line: usize, what: &str| {
        found.iter().any(|problem| problem.starts_with(&format!("{PATH}:{line}:")) && problem.contains(what))
    };
    assert!(said(5, "brand.zebuu: unknown broker"), "{found:?}");
    assert!(
        said(8, "adapter noren: brand zebu: connections = \"0\": must be a whole number from 1 to 100"),
        "{found:?}"
    );
    assert!(said(9, "brand zebu: library: unknown key"), "{found:?}");
    assert!(said(10, "brand zebu: config: must be a section"), "{found:?}");
    assert!(said(12, "must be a section [adapter.brand.b]"), "{found:?}");
    let found = lines("[[adapter]]\nname = 'noren'\nlibrary = 'x'\nbrand = 1\n");
    assert_eq!(found.len(), 1, "{found:?}");
}
