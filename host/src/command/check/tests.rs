use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    fs,
    path::PathBuf,
};

use super::*;
use crate::{
    adapters::process::Support,
    config::{Environment, Flags},
};

const PLUGINS: &str = "[bus]\nbrokers = ['bus']\n[[adapter]]\nname = 'sim'\nlibrary = 'adapter_sim'\n\
                       config = { token = 'hunter2' }\n";

/// A day for which the built-in calendar has holidays.
const NOVEMBER_2026_NS: u64 = 1_795_631_400_000_000_000;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// A folder with a valid `plugins.toml` and a file that passes for a library.
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(place.path("plugins.toml"), PLUGINS).unwrap();
        fs::write(place.path(&format!("{DLL_PREFIX}adapter_sim{DLL_SUFFIX}")), "").unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn check(&self, environment: &[(&str, &str)], validate: Validate<'_>) -> Report {
        self.check_beside(&[], environment, validate)
    }

    /// While a host runs with the data folder, at these addresses.
    fn check_beside(
        &self,
        taken: &[SocketAddr],
        environment: &[(&str, &str)],
        validate: Validate<'_>,
    ) -> Report {
        let any = [("WEBSOCKET_PORT", "0"), ("TICKHOST_ADMIN_PORT", "0"), ("ZMQ_PORT", "0")];
        let environment = any.iter().chain(environment).copied();
        let sources = Sources {
            flags: Flags::default(),
            environment: Environment::from_pairs(environment),
            working_dir: self.folder.path().to_path_buf(),
            executable: None,
            platform_data_dir: Some(self.path("new/data")),
        };
        check_at(&sources, validate, taken, NOVEMBER_2026_NS)
    }
}

fn lines(report: &Report) -> Vec<String> {
    report.problems().as_slice().iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_installation_has_no_problem_and_nothing_is_left_behind() {
    let place = Place::new();
    let seen = std::cell::RefCell::new(Vec::new());
    let report = place.check(&[], &|adapter, library| {
        seen.borrow_mut().push((adapter.name.clone(), library.is_file()));
        Ok(())
    });
    assert_eq!(report.exit_code(), 0, "{report}");
    assert_eq!(*seen.borrow(), [("sim".to_owned(), true)]);
    assert!(report.to_string().ends_with("No problems found: `tickhost run` can start."), "{report}");
    assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 2);
}

#[test]
fn problems_of_every_part_are_reported_at_once_and_no_secret_is() {
    let place = Place::new();
    fs::write(place.path("data"), "a file").unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let report = place.check(
        &[
            ("TICKHOST_SHARDS", "many"),
            ("TICKHOST_DATA_DIR", "data"),
            ("WEBSOCKET_PORT", &port),
            ("DATABASE_URL", "sqlite:///missing.db"),
            ("API_KEY_PEPPER", "hunter2"),
        ],
        &|_, _| Err("seed: must be a whole number".to_owned()),
    );
    assert_eq!(report.exit_code(), 1);
    let text =
        report.to_string().replace(place.folder.path().to_str().unwrap(), "DIR").replace(&port, "PORT");
    assert!(!text.contains("hunter2"), "{text}");
    let text = text.replace("[::]", "").replace(&format!("{DLL_PREFIX}adapter_sim{DLL_SUFFIX}"), "LIBRARY");
    // What this machine has of a cage, and what the system of the test allows, is its own affair.
    let support = Support::of_system();
    let text = text.replace(&support.holds(), "WHAT THE KERNEL HAS");
    let lacks = support.lacks();
    let lines = text.lines().filter(|line| {
        !line.contains("descriptors ") && !lacks.iter().any(|lack| line.ends_with(lack.as_str()))
    });
    insta::assert_snapshot!("report", lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn ports_of_the_host_that_runs_are_free_for_the_next_one_and_those_of_others_are_not() {
    let (own, other) =
        (TcpListener::bind(("127.0.0.1", 0)).unwrap(), TcpListener::bind(("127.0.0.1", 0)).unwrap());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port().to_string();
    let taken = [own.local_addr().unwrap()];
    let checked =
        |environment: &[(&str, &str)]| Place::new().check_beside(&taken, environment, &|_, _| Ok(()));
    let report = checked(&[("WEBSOCKET_PORT", &port(&own))]);
    assert_eq!(report.exit_code(), 0, "{report}");
    assert!(report.to_string().contains(&format!("client port {}, which the host that runs has", taken[0])));
    assert!(report.to_string().ends_with("the host that runs can be restarted."), "{report}");
    let everywhere = [("WEBSOCKET_HOST", "0.0.0.0"), ("TICKHOST_ALLOW_REMOTE", "true")];
    let report = checked(&[everywhere[0], everywhere[1], ("WEBSOCKET_PORT", &port(&own))]);
    assert_eq!(report.exit_code(), 0, "{report}");
    let report = checked(&[("WEBSOCKET_PORT", &port(&own)), ("ZMQ_PORT", &port(&other))]);
    assert!(lines(&report)[0].contains("ZMQ_PORT") && lines(&report).len() == 1, "{report}");
}

#[test]
fn mistakes_in_the_settings_do_not_hide_those_of_the_plugins_file() {
    let place = Place::new();
    fs::write(place.path("plugins.toml"), "[[adapter]]\nnam = 'sim'\n").unwrap();
    let report = place.check(&[("TICKHOST_SHARDS", "many")], &|_, _| Ok(()));
    let found = lines(&report).join("\n");
    assert!(found.contains("TICKHOST_SHARDS") && found.contains("did you mean name?"), "{found}");
}

#[test]
fn a_missing_library_and_an_adapter_that_refuses_are_problems() {
    let place = Place::new();
    fs::remove_file(place.path(&format!("{DLL_PREFIX}adapter_sim{DLL_SUFFIX}"))).unwrap();
    let report = place.check(&[], &|_, _| panic!("there is nothing to ask"));
    assert!(lines(&report)[0].contains("adapter sim: library = \"adapter_sim\": not found"), "{report}");
    let report = Place::new().check(&[], &|_, _| Err("seed: too large".to_owned()));
    assert!(lines(&report)[0].ends_with("plugins.toml:3: adapter sim: seed: too large"), "{report}");
}

#[test]
fn a_host_without_any_source_of_prices_is_a_problem() {
    let place = Place::new();
    fs::write(place.path("plugins.toml"), "").unwrap();
    assert!(lines(&place.check(&[], &|_, _| Ok(())))[0].contains("no client could get a price"));
}

#[test]
fn brokers_on_a_bus_that_is_off_are_a_warning() {
    let report = Place::new().check(&[("TICKHOST_BUS", "off")], &|_, _| Ok(()));
    assert_eq!(report.exit_code(), 0);
    assert!(report.to_string().contains("warning  plugins.toml gives brokers to the bus"), "{report}");
}

#[test]
fn an_address_of_another_machine_is_a_problem_of_the_host_setting() {
    let remote = [("WEBSOCKET_HOST", "192.0.2.1"), ("TICKHOST_ALLOW_REMOTE", "true")];
    let found = lines(&Place::new().check(&remote, &|_, _| Ok(())));
    assert!(
        found[0].contains("WEBSOCKET_HOST = \"192.0.2.1\": 192.0.2.1:0 is no address of this machine"),
        "{found:?}"
    );
}

#[cfg(unix)]
#[test]
fn pins_that_others_can_write_are_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    fs::set_permissions(place.path("plugins.toml"), fs::Permissions::from_mode(0o646)).unwrap();
    assert!(!place.check(&[], &|_, _| Ok(())).to_string().contains("warning"));
    let pinned =
        format!("[[adapter]]\nname = 'sim'\nlibrary = 'adapter_sim'\nsha256 = '{}'\n", "0".repeat(64));
    fs::write(place.path("plugins.toml"), pinned).unwrap();
    let report = place.check(&[], &|_, _| Ok(()));
    assert_eq!(report.exit_code(), 0, "{report}");
    assert!(report.to_string().contains("plugins.toml can be written by everybody (mode 0646)"), "{report}");
}

#[test]
fn a_calendar_with_mistakes_is_a_problem_and_one_that_ends_soon_a_warning() {
    let place = Place::new();
    let named = [("TICKHOST_CALENDAR", &*place.path("hours.toml").display().to_string())];
    let checked = || place.check(&named, &|_, _| Ok(()));
    assert!(lines(&checked())[0].contains("TICKHOST_CALENDAR"), "{}", checked());
    let write = |to: &str, sessions: &str| {
        let market = format!("[[market]]\nname = 'a'\nexchanges = ['NSE']\nsessions = ['{sessions}']\n");
        let text = format!("covers = {{ from = '2026-01-01', to = '{to}' }}\n{market}");
        fs::write(place.path("hours.toml"), text).unwrap();
    };
    write("2026-12-31", "9-15");
    assert!(lines(&checked())[0].contains("a time of day such as 09:15"), "{}", checked());
    write("2026-12-05", "09:15-15:30");
    assert_eq!(checked().exit_code(), 0);
    assert!(checked().to_string().contains("holidays end on 2026-12-05"), "{}", checked());
    write("2026-12-31", "09:15-15:30");
    assert!(!checked().to_string().contains("warning"), "{}", checked());
}

#[test]
fn a_token_of_the_console_that_is_none_is_reported_and_not_shown() {
    let place = Place::new();
    fs::create_dir_all(place.path("new/data")).unwrap();
    crate::base::private::write_private(&place.path("new/data/console.token"), b"hunter2\n").unwrap();
    let report = place.check(&[], &|_, _| Ok(()));
    let lines = lines(&report);
    assert!(lines.iter().any(|line| line.contains("console.token: is no token")), "{lines:?}");
    assert!(!report.to_string().contains("hunter2"));
}
