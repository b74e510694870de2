use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use rstest::rstest;
use secrecy::ExposeSecret as _;

use super::{value::FromText, *};

/// For every setting a good value that is not its default, and a bad one.
const CASES: &[(&str, &str, &str)] = &[
    ("websocket_host", "127.0.0.2", "somewhere.example"),
    ("websocket_port", "9000", "65536"),
    ("allow_remote", "true", "maybe"),
    ("tls_cert", "certificate.pem", "\0"),
    ("tls_key", "key.pem", "\0"),
    ("allowed_origins", "https://app.example, null", "*"),
    ("ws_auth_grace_seconds", "5", "0"),
    ("ws_ping_interval", "0", "-1"),
    ("ws_ping_timeout", "3600", "3601"),
    ("authenticated_nudge_ms", "0", "0.5"),
    ("flat_fields", "off", "2"),
    ("bids_asks", "No", "nope"),
    ("max_connections", "1", "0"),
    ("max_connections_per_key", "1000000", "1000001"),
    ("max_connections_per_address", "7", "seven"),
    ("max_connections_without_key", "16", "15"),
    ("max_connections_without_key_per_address", "16", "15"),
    ("max_subscriptions_per_client", "100000", "100001"),
    ("max_subscriptions_per_key", "10000000", "10000001"),
    ("max_frame_bytes", "65536", "1023"),
    ("max_frame_bytes_before_auth", "1024", "67108865"),
    ("max_messages_per_second", "1", "0"),
    ("message_burst", "5", "1e3"),
    ("max_entries_per_second", "1", "0"),
    ("entry_burst", "5", "-5"),
    ("max_waiting_bytes", "16777216", "16777215"),
    ("outbox_frames", "16", "15"),
    ("lossless_for", "alice, 0f3a", "alice; bob"),
    ("lossless_frames", "16", "15"),
    ("control_bytes", "65536", "65535"),
    ("ws_max_queue", "16", "15"),
    ("write_timeout_seconds", "1", "0"),
    ("throttle_ms", "60000", "60001"),
    ("max_symbols_per_websocket", "3000", "0"),
    ("max_deep_books_per_connection", "0", "100001"),
    ("max_websocket_connections", "100", "101"),
    ("enable_connection_pooling", "FALSE", "disabled"),
    ("valid_brokers", "zerodha, angel", "zerodha;angel"),
    ("subscribe_timeout_ms", "100", "99"),
    ("feed_linger_seconds", "0", "86401"),
    ("ws_stale_tick_warn_seconds", "60", "+60"),
    ("subscription_silent_seconds", "30", "0"),
    ("rebalance_seconds", "60", "0"),
    ("calendar", "hours.toml", "\0"),
    ("plugins", "elsewhere/plugins.toml", "\0"),
    ("plugin_dir", "libraries", "\0"),
    ("bus", "off", "tcp"),
    ("zmq_host", "[::1]", "*"),
    ("zmq_port", "0", "5_555"),
    ("bus_secret", "0123456789abcdef", LONG),
    ("bus_socket", "bus.sock", "\0"),
    ("bus_publishers", "10000", "0"),
    ("bus_symbols", "500000", "999"),
    ("two_word_exchanges", "A_B", "A B"),
    ("data_dir", "data", "\0"),
    ("database_url", "sqlite:///db/openalgo.db", "postgresql://user:hunter2@host/db"),
    ("api_key_pepper", "pepper-pepper-pepper-pepper-pepper", LONG),
    ("fernet_salt", "5f5f", LONG),
    ("session_expiry_time", "23:59", "24:00"),
    ("broker_api_key", "key", LONG),
    ("broker_api_secret", "secret", LONG),
    ("broker_api_key_market", "key", LONG),
    ("broker_api_secret_market", "secret", LONG),
    ("config", "other.toml", "missing.toml"),
    ("admin_host", "::1", "example"),
    ("admin_port", "0", "http"),
    ("log", "info,tickhost=debug", "debg"),
    ("log_format", "JSON", "xml"),
    ("ws_proxy_stats_file", "log/stats.json", "\0"),
    ("shards", "64", "65"),
    ("shutdown_seconds", "300", "301"),
];
const LONG: &str = const {
    const BYTES: [u8; 5_000] = [b's'; 5_000];
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => "",
    }
};
const PEPPER: (&str, &str) = ("API_KEY_PEPPER", "0123456789abcdef0123456789abcdef");

fn sources(folder: &Path, flags: &[(&str, &str)], environment: &[(&str, &str)]) -> Sources {
    Sources {
        flags: Flags::from_pairs(flags.iter().copied()),
        environment: Environment::from_pairs(environment.iter().copied()),
        working_dir: folder.to_path_buf(),
        executable: None,
        platform_data_dir: Some("/data/tickhost".into()),
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("other.toml"), "").unwrap();
    folder
}

fn with_environment(pairs: &[(&str, &str)]) -> Result<Settings, Problems> {
    Settings::load(&sources(Path::new("/nowhere"), &[], pairs))
}

fn lines(result: Result<Settings, Problems>) -> Vec<String> {
    result.unwrap_err().to_string().lines().map(str::to_owned).collect()
}

#[test]
fn every_default_is_allowed() {
    let settings = with_environment(&[]).unwrap();
    assert_eq!(settings.websocket_address(), SocketAddr::from(([127, 0, 0, 1], 8765)));
    assert_eq!(settings.admin_address(), SocketAddr::from(([127, 0, 0, 1], 8766)));
    assert_eq!(settings.bus_address(), Some(SocketAddr::from(([127, 0, 0, 1], 5555))));
    assert_eq!(settings.control_bytes, 4_194_304);
    assert_eq!(settings.session_expiry_time.minutes(), 180);
    assert_eq!(settings.two_word_exchanges, ["NSE_INDEX", "BSE_INDEX", "MCX_INDEX", "GLOBAL_INDEX"]);
    assert_eq!(settings.data_dir, Path::new("/data/tickhost"));
    assert!(settings.plugins.is_none() && settings.warnings.is_empty());
    assert!((1..=64).contains(&settings.shard_count()));
}

#[test]
fn names_follow_one_rule() {
    for setting in TABLE {
        let lower = setting.env.to_lowercase();
        assert_eq!(setting.key, lower.strip_prefix("tickhost_").unwrap_or(&lower));
        assert_eq!(TABLE.iter().filter(|other| other.key == setting.key).count(), 1, "{}", setting.key);
        assert!(setting.help.ends_with('.') && !setting.help.starts_with(' '), "{}", setting.key);
        assert_eq!(setting.default.is_some(), setting.unset.is_empty(), "{}", setting.key);
        assert_eq!(setting.flag().is_none(), setting.is_secret());
    }
}

#[test]
fn every_setting_takes_a_good_value_from_every_source() {
    let folder = folder();
    let usual = format!("{:?}", Settings::load(&sources(folder.path(), &[], &[PEPPER])).unwrap());
    let plain = format!("{:?}", Settings::load(&sources(folder.path(), &[], &[])).unwrap());
    assert_eq!(CASES.len(), TABLE.len(), "each setting has its case");
    for (key, good, _) in CASES {
        let setting = find(key).unwrap();
        let (pepper, before) = if *key == "api_key_pepper" { (None, &plain) } else { (Some(PEPPER), &usual) };
        // A certificate is nothing without its key.
        let other_half = match *key {
            "tls_cert" => Some(("TICKHOST_TLS_KEY", "other.toml")),
            "tls_key" => Some(("TICKHOST_TLS_CERT", "other.toml")),
            _ => None,
        };
        let load = |flags: &[(&str, &str)], environment: &[(&str, &str)]| {
            let environment: Vec<_> = environment.iter().copied().chain(pepper).chain(other_half).collect();
            let settings = Settings::load(&sources(folder.path(), flags, &environment));
            format!("{:?}", settings.unwrap_or_else(|problems| panic!("{key}: {problems}")))
        };
        let quoted = format!(" '{good}' ");
        let by_environment = load(&[], &[(setting.env, &quoted)]);
        assert_ne!(&by_environment, before, "{key} decides something");
        if !setting.is_secret() {
            assert_eq!(load(&[(key, good)], &[]), by_environment, "{key}");
        }
        if setting.is_in_file {
            fs::write(folder.path().join("tickhost.toml"), format!("{key} = '{good}'\n")).unwrap();
            let file = format!("config: Some({:?})", folder.path().join("tickhost.toml"));
            let by_file = load(&[], &[]).replace(&file, "config: None");
            let decided = |text: &str| text.split("warnings").next().map(str::to_owned);
            assert_eq!(decided(&by_file), decided(&by_environment), "{key}");
            fs::remove_file(folder.path().join("tickhost.toml")).unwrap();
        }
    }
}

#[test]
fn every_setting_refuses_a_bad_value_and_says_what_is_allowed() {
    let folder = folder();
    for (key, _, bad) in CASES {
        let setting = find(key).unwrap();
        let found = lines(Settings::load(&sources(folder.path(), &[], &[PEPPER, (setting.env, bad)])));
        assert_eq!(found.len(), 1, "{found:?}");
        let line = &found[0];
        if *key == "config" {
            assert!(line.contains("missing.toml\": cannot be read"), "{line}");
            continue;
        }
        assert!(line.starts_with(&format!("environment: {}", setting.env)), "{line}");
        assert!(line.ends_with(&format!("must be {}", setting.kind.allowed())), "{line}");
        let shows_value = line.contains(" = \"");
        assert_eq!(shows_value, !setting.is_secret() && *key != "database_url", "{line}");
        assert!(!line.contains("hunter2") && !line.contains("sss"), "{line}");
        if !setting.is_secret() {
            let found = lines(Settings::load(&sources(folder.path(), &[(key, bad)], &[PEPPER])));
            assert_eq!(found.len(), 1);
            assert!(found[0].starts_with(&format!("flag: {}", setting.flag().unwrap())), "{found:?}");
        }
    }
}

#[test]
fn every_setting_that_changes_is_named_and_no_other() {
    let folder = folder();
    let load = |environment: &[(&str, &str)]| {
        let environment: Vec<_> = [PEPPER].into_iter().chain(environment.iter().copied()).collect();
        Settings::load_lenient(&sources(folder.path(), &[], &environment)).0
    };
    let usual = load(&[]);
    assert!(usual.changes(&load(&[])).is_empty());
    for (key, good, _) in CASES {
        let setting = find(key).unwrap();
        let good = if *key == "api_key_pepper" { "another-pepper-another-pepper-pepper" } else { good };
        let changes: Vec<_> =
            usual.changes(&load(&[(setting.env, good)])).iter().map(|setting| setting.key).collect();
        assert!(changes.contains(key), "{key}: {changes:?}");
        // One decides the default of the other.
        assert!(changes.len() == 1 || *key == "ws_max_queue", "{key}: {changes:?}");
    }
}

#[test]
fn a_certificate_and_its_key_are_set_together() {
    let found = lines(with_environment(&[("TICKHOST_TLS_CERT", "/c.pem")]));
    assert_eq!(found, ["environment: TICKHOST_TLS_CERT = \"/c.pem\": needs TICKHOST_TLS_KEY beside it"]);
    let found = lines(with_environment(&[("TICKHOST_TLS_KEY", "/k.pem")]));
    assert_eq!(found, ["environment: TICKHOST_TLS_KEY = \"/k.pem\": needs TICKHOST_TLS_CERT beside it"]);
    let both = with_environment(&[("TICKHOST_TLS_CERT", "/c.pem"), ("TICKHOST_TLS_KEY", "/k.pem")]).unwrap();
    assert_eq!(both.tls_files().unwrap().key, Path::new("/k.pem"));
    assert!(with_environment(&[]).unwrap().tls_files().is_none());
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_the_default() {
    let folder = folder();
    let file = folder.path().join("tickhost.toml");
    let port = |flags: &[(&str, &str)], environment: &[(&str, &str)]| {
        Settings::load(&sources(folder.path(), flags, environment)).unwrap().websocket_port
    };
    assert_eq!(port(&[], &[]), 8765);
    fs::write(&file, "websocket_port = 1111\n").unwrap();
    assert_eq!(port(&[], &[]), 1111);
    assert_eq!(port(&[], &[("WEBSOCKET_PORT", "")]), 1111, "an empty variable is none");
    assert_eq!(port(&[], &[("WEBSOCKET_PORT", "2222")]), 2222);
    assert_eq!(port(&[("websocket_port", "3333")], &[("WEBSOCKET_PORT", "2222")]), 3333);
    assert_eq!(port(&[("config", "other.toml")], &[]), 8765, "a named file replaces the usual one");
}

#[test]
fn a_mistake_in_a_source_that_loses_is_no_problem() {
    let settings = Settings::load(&sources(
        Path::new("/nowhere"),
        &[("websocket_port", "3333")],
        &[("WEBSOCKET_PORT", "many")],
    ));
    assert_eq!(settings.unwrap().websocket_port, 3333);
}

#[test]
fn all_mistakes_of_all_sources_are_reported_at_once_and_no_secret_is() {
    let folder = folder();
    let file = folder.path().join("tickhost.toml");
    let text = "websocket_port = 99999\nthrotle_ms = 5\n\napi_key_pepper = 'hunter2'\nbus = { port = 1 }\n\
                shards = [1, 2]\nbroker_api_secret = \"hunter3\nmax_connections = 2.5\nconfig = 'x'\n\
                ws_ping_interval = 0x10\nadmin_port = 1\nadmin_port = 2\n";
    fs::write(&file, text).unwrap();
    let environment = [
        ("TICKHOST_SHARD", "1"),
        ("TICKHOST_API_KEY", "a client's"),
        ("TICKHOST_WEBSOCKET_PORT", "hunter4"),
        ("TICKHOST_COLOUR", "hunter5"),
        ("TICKHOST_THROTTLE_MS", "99999"),
        ("WEBSOCKET_HOST", "0.0.0.0"),
        ("ZMQ_PORT", "8766"),
        ("DATABASE_URL", "sqlite:///x.db"),
        ("TICKHOST_MAX_FRAME_BYTES", "2048"),
    ];
    let flags = [("log", "loud"), ("admin_port", "8766")];
    let problems = Settings::load(&sources(folder.path(), &flags, &environment)).unwrap_err();
    let report = problems.to_string().replace(folder.path().to_str().unwrap(), "DIR");
    assert!(!report.contains("hunter"), "{report}");
    insta::assert_snapshot!("problems", report);
    assert!(problems.mention("WEBSOCKET_HOST") && problems.mention("TICKHOST_LOG"));
    assert!(!problems.mention("ZMQ_HOST"));
}

#[rstest]
#[case("broker_api_key = hunter2")]
#[case("broker_api_key = 'hunter2")]
#[case("broker_api_key = \"hunter2\\q\"")]
#[case("broker_api_key 'hunter2'")]
#[case("broker_api_key: hunter2")]
#[case("broker_api_key = ['hunter2'")]
#[case("broker_api_key = 'hunter1' hunter2")]
#[case("broker_api_key = { a = 'hunter2' }")]
#[case("broker_api_key = ''\nbroker_api_key = 'hunter2'")]
#[case("'hunter2' = broker_api_key")]
fn a_secret_in_a_broken_line_is_not_shown(#[case] text: &str) {
    let folder = folder();
    fs::write(folder.path().join("tickhost.toml"), text).unwrap();
    let report = lines(Settings::load(&sources(folder.path(), &[], &[]))).join("\n");
    assert!(report.contains("tickhost.toml:"), "{report}");
    // A key is shown, because without it nobody finds the line that is meant.
    assert_eq!(report.contains("hunter2"), text.starts_with("'hunter2'"), "{report}");
}

#[rstest]
#[case("WEBSOCKET_HOST", "0.0.0.0")]
#[case("WEBSOCKET_HOST", "::")]
#[case("ZMQ_HOST", "192.0.2.1")]
#[case("TICKHOST_ADMIN_HOST", "192.0.2.1")]
fn listening_beyond_this_machine_needs_the_switch(#[case] name: &str, #[case] host: &str) {
    let found = lines(with_environment(&[(name, host)]));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains(name) && found[0].contains("set TICKHOST_ALLOW_REMOTE=true"), "{found:?}");
    with_environment(&[(name, host), ("TICKHOST_ALLOW_REMOTE", "true")]).unwrap();
}

#[test]
fn a_bus_that_is_off_listens_nowhere() {
    let off = [("TICKHOST_BUS", "off"), ("ZMQ_HOST", "0.0.0.0"), ("ZMQ_PORT", "8765")];
    assert_eq!(with_environment(&off).unwrap().bus_address(), None);
}

#[test]
fn two_listeners_cannot_share_a_port_but_both_may_take_any() {
    let found = lines(with_environment(&[("TICKHOST_ADMIN_PORT", "8765")]));
    assert_eq!(
        found,
        [
            "environment: TICKHOST_ADMIN_PORT = \"8765\": must differ from WEBSOCKET_PORT, which is the same port"
        ]
    );
    with_environment(&[("TICKHOST_ADMIN_PORT", "8765"), ("TICKHOST_ADMIN_HOST", "127.0.0.2")]).unwrap();
    let any = [("WEBSOCKET_PORT", "0"), ("TICKHOST_ADMIN_PORT", "0"), ("ZMQ_PORT", "0")];
    assert_eq!(with_environment(&any).unwrap().websocket_port, 0);
}

#[test]
fn an_openalgo_database_needs_a_long_pepper_whose_text_is_not_shown() {
    let url = ("DATABASE_URL", "'sqlite:///db/openalgo.db'");
    assert!(lines(with_environment(&[url]))[0].starts_with("settings: API_KEY_PEPPER: is needed"));
    let found = lines(with_environment(&[url, ("API_KEY_PEPPER", "hunter2")]));
    assert_eq!(found, ["environment: API_KEY_PEPPER: must have at least 32 characters, and has 7"]);
    let settings = with_environment(&[url, PEPPER]).unwrap();
    assert_eq!(settings.database_url.as_ref().unwrap().path(), Path::new("db/openalgo.db"));
    assert_eq!(settings.api_key_pepper.as_ref().unwrap().expose_secret(), PEPPER.1);
    assert!(!format!("{settings:?}").contains(PEPPER.1));
    let absolute = DatabaseUrl::from_text("sqlite:////srv/o.db?timeout=5", Kind::Database).unwrap();
    assert_eq!(absolute.path(), Path::new("/srv/o.db"));
}

#[test]
fn the_queue_length_of_openalgo_decides_unless_bytes_are_given() {
    let bytes = |pairs: &[(&str, &str)]| with_environment(pairs).unwrap().control_bytes;
    assert_eq!(bytes(&[("WS_MAX_QUEUE", "1024")]), 4_194_304);
    assert_eq!(bytes(&[("WS_MAX_QUEUE", "2048")]), 8_388_608);
    assert_eq!(bytes(&[("WS_MAX_QUEUE", "2048"), ("TICKHOST_CONTROL_BYTES", "65536")]), 65_536);
}

#[test]
fn variables_of_adapters_and_clients_are_no_mistakes_and_misspelt_ones_are() {
    assert!(with_environment(&[("TICKHOST_CACHE_DIR", "/x"), ("TICKHOST_API_KEY", "x")]).is_ok());
    assert!(with_environment(&[("TICKHOST_CASH_DIR", "/x")]).is_err());
}

#[test]
fn limits_follow_adapter_settings_and_the_switch_for_pooling() {
    let fyers = LimitOverrides {
        symbols_per_connection: Some(2_000),
        connections: Some(2),
        deep_books_per_connection: Some(5),
        ..LimitOverrides::default()
    };
    let limits = |pairs: &[(&str, &str)], known| {
        let limits = with_environment(pairs).unwrap().decide_limits(LimitOverrides::default(), known);
        (limits.symbols_per_connection, limits.connections)
    };
    assert_eq!(limits(&[], fyers), (2_000, 2));
    assert_eq!(limits(&[("MAX_SYMBOLS_PER_WEBSOCKET", "1000")], fyers), (2_000, 2));
    assert_eq!(limits(&[("MAX_SYMBOLS_PER_WEBSOCKET", "900")], LimitOverrides::default()), (900, 3));
    assert_eq!(limits(&[("ENABLE_CONNECTION_POOLING", "false")], fyers), (2_000, 1));
    let books = |pairs: &[(&str, &str)], known| {
        let limits = with_environment(pairs).unwrap().decide_limits(LimitOverrides::default(), known);
        limits.books.map(|books| books.per_connection)
    };
    let forty = [("TICKHOST_MAX_DEEP_BOOKS_PER_CONNECTION", "40")];
    assert_eq!((books(&[], fyers), books(&forty, fyers)), (Some(5), Some(5)));
    assert_eq!(
        (books(&[], LimitOverrides::default()), books(&forty, LimitOverrides::default())),
        (None, Some(40))
    );
}

#[test]
fn paths_count_from_where_they_were_written() {
    let folder = folder();
    fs::create_dir(folder.path().join("etc")).unwrap();
    fs::write(folder.path().join("etc/host.toml"), "plugin_dir = 'libs'\ndata_dir = '/abs'\n").unwrap();
    let flags = [("config", "etc/host.toml"), ("plugins", "p.toml")];
    let settings = Settings::load(&sources(folder.path(), &flags, &[])).unwrap();
    assert_eq!(settings.plugin_dir.unwrap(), folder.path().join("etc/libs"));
    assert_eq!(settings.plugins.unwrap(), folder.path().join("p.toml"));
    assert_eq!(settings.data_dir, Path::new("/abs"));
}

#[test]
fn the_plugins_file_is_found_above_the_program() {
    let folder = folder();
    let deep = folder.path().join("a/b/c/d");
    fs::create_dir_all(&deep).unwrap();
    let find_from = |program: &str| {
        let mut sources = sources(Path::new("/nowhere"), &[], &[]);
        sources.executable = Some(folder.path().join(program));
        Settings::load(&sources).unwrap()
    };
    fs::write(folder.path().join("plugins.toml"), "").unwrap();
    let found = find_from("a/b/c/tickhost");
    assert_eq!(found.plugins_path().unwrap(), folder.path().join("plugins.toml"));
    let missing = find_from("a/b/c/d/tickhost").plugins_path().unwrap_err().to_string();
    assert!(
        missing.contains("/nowhere/plugins.toml") && missing.contains("a/b/c/d/plugins.toml"),
        "{missing}"
    );
}

#[test]
fn without_a_home_the_data_folder_must_be_named() {
    let mut sources = sources(Path::new("/nowhere"), &[], &[]);
    sources.platform_data_dir = None;
    let problems = Settings::load(&sources).unwrap_err();
    assert!(problems.mention("TICKHOST_DATA_DIR") && problems.as_slice().len() == 1, "{problems}");
}

#[cfg(unix)]
#[test]
fn a_file_with_secrets_that_others_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let file = folder.path().join("tickhost.toml");
    let warnings = |text: &str, mode: u32| {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let warnings = Settings::load(&sources(folder.path(), &[], &[])).unwrap().warnings;
        warnings.iter().filter(|warning| warning.contains("chmod 600")).count()
    };
    assert_eq!(warnings("broker_api_key = 'k'", 0o644), 1);
    assert_eq!(warnings("broker_api_key = 'k'", 0o600), 0);
    assert_eq!(warnings("websocket_port = 1", 0o644), 0);
}

#[test]
fn a_problem_that_shows_later_names_where_the_value_stands_and_no_secret() {
    let folder = folder();
    fs::write(folder.path().join("tickhost.toml"), "# mine\nadmin_port = 9\nbroker_api_key = 'hunter2'\n")
        .unwrap();
    let settings = Settings::load(&sources(folder.path(), &[("websocket_port", "7")], &[])).unwrap();
    let said = |key: &str| settings.problem(key, "is wrong").to_string();
    assert_eq!(said("websocket_port"), "flag: --websocket-port = \"7\": is wrong");
    assert!(
        said("admin_port").ends_with("tickhost.toml:2: admin_port = \"9\": is wrong"),
        "{}",
        said("admin_port")
    );
    assert!(said("broker_api_key").ends_with("tickhost.toml:3: broker_api_key: is wrong"));
    assert_eq!(said("zmq_port"), "settings: ZMQ_PORT: is wrong");
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn what_decides_nothing_is_a_warning() {
    let warned = |pairs: &[(&str, &str)]| with_environment(pairs).unwrap().warnings.join("\n");
    assert!(warned(&[("WS_MAX_QUEUE", "16"), ("TICKHOST_CONTROL_BYTES", "65536")]).contains("WS_MAX_QUEUE"));
    assert!(warned(&[("BROKER_API_KEY", "hunter2")]).contains("only with DATABASE_URL"));
    assert!(warned(&[("TICKHOST_LOG", "tikhost=debug")]).contains("write info,tikhost=debug"));
    for good in ["debug", "tickhost=debug", "warn,zeromq=debug"] {
        assert_eq!(warned(&[("TICKHOST_LOG", good)]), "", "{good}");
    }
    let salt = |salt| warned(&[("DATABASE_URL", "sqlite:///a.db"), PEPPER, ("FERNET_SALT", salt)]);
    assert!(salt("hunter2").contains("FERNET_SALT") && !salt("hunter2").contains("hunter2"));
    assert_eq!(salt(&"5f".repeat(16)), "");
}

#[test]
fn lists_come_as_arrays_or_with_commas() {
    let folder = folder();
    let brokers = |text: &str| {
        fs::write(folder.path().join("tickhost.toml"), format!("valid_brokers = {text}")).unwrap();
        Settings::load(&sources(folder.path(), &[], &[])).unwrap().valid_brokers
    };
    assert_eq!(brokers("['zerodha', 'angel']"), ["zerodha", "angel"]);
    assert_eq!(brokers("' zerodha , angel, '"), ["zerodha", "angel"]);
    assert!(brokers("[]").is_empty());
}

#[test]
fn addresses_are_written_in_every_usual_way() {
    let address = |text| IpAddr::from_text(text, Kind::Address).map(|address| address.to_string());
    assert_eq!(address("LocalHost").as_deref(), Some("127.0.0.1"));
    assert_eq!(address("[::1]").as_deref(), Some("::1"));
    assert_eq!(address("[127.0.0.1]"), None);
    assert_eq!(address("127.0.0.1:80"), None);
}

/// `UPDATE_DOCUMENTS=1` writes the document instead of comparing it.
#[test]
fn settings_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("SETTINGS.md");
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(&path, markdown()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(written == markdown(), "run UPDATE_DOCUMENTS=1 cargo test -p tickhost settings_document");
}

#[test]
fn a_bus_that_others_reach_without_a_secret_is_warned_of_and_a_short_secret_refused() {
    let open = [("ZMQ_HOST", "0.0.0.0"), ("TICKHOST_ALLOW_REMOTE", "true")];
    let warned = |more: &[(&str, &str)]| {
        let settings = with_environment(&[&open[..], more].concat()).unwrap();
        settings.warnings.iter().any(|warning| warning.contains("TICKHOST_BUS_SECRET"))
    };
    assert!(warned(&[]));
    assert!(!warned(&[("TICKHOST_BUS_SECRET", "0123456789abcdef")]));
    assert!(!warned(&[("TICKHOST_BUS", "off")]));
    let secret = "0123456789abcde";
    let said = lines(with_environment(&[("TICKHOST_BUS_SECRET", secret)]));
    assert!(said[0].contains("TICKHOST_BUS_SECRET") && said[0].contains("16 to 255 bytes"), "{said:?}");
    assert!(!said[0].contains(secret));
}
