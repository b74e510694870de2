//! Several brokers by one library: each has its own endpoint, account, settings, limits and log-in.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use integration_tests::{Client, Host, HostBuilder, host::assert_ok, wait_until};
use serde_json::{Value, json};

/// The folders of the brokers, and what `plugins.toml` says.
struct Place {
    builder: HostBuilder,
    root: PathBuf,
}

impl Place {
    fn new() -> Self {
        let builder = HostBuilder::new().env("TICKHOST_THROTTLE_MS", 0);
        let root = builder.dir().join("brokers");
        for broker in ["north", "south", "elsewhere"] {
            fs::create_dir_all(root.join(broker)).unwrap();
            fs::write(root.join(broker).join("token"), format!("canary-{broker}")).unwrap();
        }
        Self { builder, root }
    }

    /// One entry for the library with these brokers, and with what stands behind its settings.
    fn entry(&self, brokers: &str, more: &str) -> String {
        entry(&self.root, "family", brokers, more)
    }

    fn start(self, plugins: &str) -> (Host, Brokers) {
        (self.builder.plugins(plugins).start(), Brokers(self.root))
    }

    fn run(self, plugins: &str, args: &[&str]) -> (bool, String) {
        let output = self.builder.plugins(plugins).run(args, "");
        (output.status.success(), said(&output))
    }
}

fn entry(root: &Path, name: &str, brokers: &str, more: &str) -> String {
    format!(
        "[[adapter]]\nname = '{name}'\nlibrary = '{}'\ncalendar = 'always'\nbrokers = {brokers}\n\
         [adapter.config]\nroot = '{}'\n{more}\n",
        integration_tests::library("adapter_brands").display(),
        root.display()
    )
}

/// What the brokers were asked.
struct Brokers(PathBuf);

impl Brokers {
    fn calls(&self, broker: &str) -> Vec<String> {
        let calls = fs::read_to_string(self.0.join(broker).join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// A user with a good token at a broker, and a client that is logged in.
async fn client(host: &Host, user: &str, broker: &str) -> Client {
    let key = host.add_user(user, broker);
    set(host, user, broker, broker);
    Client::login(host.websocket, &key).await
}

fn set(host: &Host, user: &str, broker: &str, endpoint: &str) {
    let token = json!({ "access_token": format!("canary-{endpoint}") }).to_string();
    assert_ok(&host.run(&["account", "set", user, broker], &token));
}

/// The price of the next tick.
async fn price(client: &mut Client) -> f64 {
    client.tick().await["data"]["ltp"].as_f64().unwrap()
}

#[tokio::test]
async fn two_users_at_two_brands_are_each_at_their_own_endpoint_with_their_own_token() {
    for isolation in ["process", "in-process"] {
        let place = Place::new();
        let plugins = place.entry("['north', 'south']", "");
        let plugins = plugins.replace("calendar", &format!("isolation = '{isolation}'\ncalendar"));
        let (host, brokers) = place.start(&plugins);
        let mut alice = client(&host, "alice", "north").await;
        let mut bob = client(&host, "bob", "south").await;
        let mut carol = client(&host, "carol", "south").await;
        for (client, costs) in [(&mut alice, 100.0), (&mut bob, 200.0), (&mut carol, 200.0)] {
            assert_eq!(client.subscribe(&["NSE:SBIN"], "LTP").await["status"], "success");
            assert!((price(client).await - costs).abs() < f64::EPSILON, "{isolation}");
        }
        let accounts = |broker: &str| -> Vec<String> {
            let mut accounts: Vec<String> = Vec::new();
            for call in brokers.calls(broker) {
                let expected = format!("connect {broker} canary-{broker} ");
                let rest = call.strip_prefix(&expected).unwrap_or_else(|| panic!("{isolation}: {call}"));
                let (account, connection) = rest.split_once(' ').unwrap();
                assert_eq!((account.len(), connection), (32, "0"), "{call}");
                accounts.push(account.to_owned());
            }
            accounts.sort_unstable();
            accounts.dedup();
            accounts
        };
        let (north, south) = (accounts("north"), accounts("south"));
        assert_eq!((north.len(), south.len()), (1, 2), "{north:?} {south:?}");
        assert!(!south.contains(&north[0]));

        let status = host.status().await;
        let feeds = status["feeds"].as_array().unwrap();
        let mut served: Vec<String> = feeds
            .iter()
            .map(|feed| format!("{} {} {}", feed["user"], feed["adapter"], feed["broker"]))
            .collect();
        served.sort_unstable();
        assert_eq!(
            served,
            [r#""alice" "family" "north""#, r#""bob" "family" "south""#, r#""carol" "family" "south""#]
        );
    }
}

#[test]
fn a_broker_that_the_library_does_not_serve_is_an_error_that_names_those_that_it_does() {
    for command in ["check", "adapters"] {
        let place = Place::new();
        let plugins = place.entry("['north', 'zebu']", "");
        let (is_content, said) = place.run(&plugins, &[command]);
        assert!(!is_content, "{command}: {said}");
        assert!(
            said.contains("the library does not serve zebu: choose `brokers` among north, south"),
            "{command}: {said}"
        );
    }
}

#[test]
fn a_library_that_tells_no_brokers_apart_is_not_given_the_accounts_of_two() {
    let two = "[[adapter]]\nname = 'sim'\nlibrary = 'adapter_sim'\nbrokers = ['flattrade', 'tradesmart']\n";
    let (is_content, said) = Place::new().run(two, &["adapters"]);
    assert!(!is_content && said.contains("flattrade") && said.contains("tells no brokers apart"), "{said}");
    let apart = format!("{two}[adapter.brand.tradesmart.config]\nseed = 7\n");
    let (is_content, said) = Place::new().run(&apart, &["adapters"]);
    assert!(is_content, "{said}");
}

#[test]
fn a_section_for_a_broker_that_is_not_listed_and_settings_of_one_brand_are_named_with_their_line() {
    let place = Place::new();
    let plugins = place.entry("['north']", "[adapter.brand.south]\nconnections = 1");
    let (is_content, said) = place.run(&plugins, &["check"]);
    assert!(
        !is_content && said.contains("south") && said.contains("`brokers` of this adapter has north"),
        "{said}"
    );

    let place = Place::new();
    let plugins = place.entry("['north', 'south']", "[adapter.brand.south.config]\nprice = 0");
    let (is_content, said) = place.run(&plugins, &["check"]);
    assert!(
        !is_content
            && said.contains(
                "its settings for south, [adapter.brand.south.config] in line 8 of plugins.toml: \
                              price must be at least 1"
            ),
        "{said}"
    );
}

#[tokio::test]
async fn limits_and_settings_are_those_of_the_brand_unless_plugins_toml_says_otherwise() {
    let place = Place::new();
    let own = "[adapter.brand.south]\nsymbols_per_connection = 1\nconnections = 2\n\
               [adapter.brand.south.config]\nendpoint = 'elsewhere'\nprice = 300";
    let plugins = place.entry("['north', 'south']", own);
    let place = Place { builder: place.builder.env("MAX_SYMBOLS_PER_WEBSOCKET", 7), ..place };
    let (host, brokers) = place.start(&plugins);

    // What the library knows of its broker, whatever the settings say of all.
    let mut alice = client(&host, "alice", "north").await;
    let ack = alice.subscribe(&["NSE:A", "NSE:B", "NSE:C"], "LTP").await;
    assert_eq!(ack["status"], "partial", "{ack}");
    assert!(ack.to_string().contains("1 connections × 2 symbols = 2 symbols"), "{ack}");

    // What the operator says, where the library knows nothing.
    let key = host.add_user("bob", "south");
    set(&host, "bob", "south", "elsewhere");
    let mut bob = Client::login(host.websocket, &key).await;
    let ack = bob.subscribe(&["NSE:A", "NSE:B", "NSE:C"], "LTP").await;
    assert!(ack.to_string().contains("2 connections × 1 symbols = 2 symbols"), "{ack}");
    assert!((price(&mut bob).await - 300.0).abs() < f64::EPSILON);
    assert!(brokers.calls("south").is_empty());
    wait_until("both connections are made", || async {
        let calls = brokers.calls("elsewhere");
        [" 0", " 1"].iter().all(|number| calls.iter().any(|call| call.ends_with(number)))
    })
    .await;

    let listed = host.run(&["adapters", "--json"], "");
    assert_ok(&listed);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let brokers = &listed[0]["by_broker"];
    let limits = |n: usize| (brokers[n]["symbols_per_connection"].clone(), brokers[n]["connections"].clone());
    assert_eq!((limits(0), limits(1)), ((json!(2), json!(1)), (json!(1), json!(2))), "{listed}");
    assert_eq!(brokers[0]["title"], "North Securities");
    assert_eq!(brokers[0]["capabilities"], json!(["ltp", "login"]));
}

#[tokio::test]
async fn accounts_are_asked_for_the_fields_of_their_brand_and_log_in_there() {
    let place = Place::new();
    let plugins = place.entry("['north', 'south']", "");
    let (host, brokers) = place.start(&plugins);
    for user in ["alice", "bob"] {
        assert_ok(&host.run(&["user", "add", user], ""));
    }
    for (user, broker, wants, other) in
        [("alice", "north", "pin", "password"), ("bob", "south", "password", "pin")]
    {
        let answer = said(&host.run(&["account", "set", user, broker], "{}"));
        assert!(answer.contains(&format!("{wants} is missing")) && !answer.contains(other), "{answer}");
    }
    let listed = host.run(&["account", "status", "--json"], "");
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let missing = |user: &str| {
        let mut rows = listed.as_array().unwrap().iter();
        rows.find(|row| row["user"] == user).unwrap()["missing"].clone()
    };
    assert_eq!((missing("alice"), missing("bob")), (json!(["pin"]), json!(["password"])), "{listed}");

    assert_ok(&host.run(&["account", "set", "alice", "north"], r#"{"pin":"1234"}"#));
    assert_ok(&host.run(&["account", "login", "alice"], ""));
    assert_eq!(brokers.calls("north"), ["login 1234"]);
    let refused = host.run(&["account", "login", "bob"], "");
    assert!(!refused.status.success() && said(&refused).contains("does not log in"), "{}", said(&refused));
    assert!(brokers.calls("south").is_empty());
}

#[tokio::test]
async fn a_broker_that_is_added_or_set_again_is_served_and_the_instances_of_the_others_stay() {
    let place = Place::new();
    let (one, two) = (place.entry("['north']", ""), place.entry("['north', 'south']", ""));
    let dearer = place.entry("['north', 'south']", "[adapter.brand.south.config]\nprice = 300");
    let (host, brokers) = place.start(&one);
    let mut alice = client(&host, "alice", "north").await;
    alice.subscribe(&["NSE:SBIN"], "LTP").await;
    price(&mut alice).await;
    let before = brokers.calls("north");

    let file = host.dir().join("plugins.toml");
    fs::write(&file, two).unwrap();
    wait_until("the host has followed", || async {
        host.status().await["adapters"][0]["brokers"] == json!(["north", "south"])
    })
    .await;
    let mut bob = client(&host, "bob", "south").await;
    bob.subscribe(&["NSE:SBIN"], "LTP").await;
    assert!((price(&mut bob).await - 200.0).abs() < f64::EPSILON);
    fs::write(&file, dearer).unwrap();
    let mut ticks = 0;
    while (price(&mut bob).await - 300.0).abs() > f64::EPSILON {
        ticks += 1;
        assert!(ticks < 2_000, "the new price never came");
    }
    price(&mut alice).await;
    assert_eq!(brokers.calls("north"), before, "the one that was there has connected again");
}

#[tokio::test]
async fn entries_whose_libraries_are_the_same_file_share_one_copy() {
    let place = Place::new();
    let root = &place.root;
    let plugins =
        [("one", "['north']"), ("two", "['south']")].map(|(name, brokers)| entry(root, name, brokers, ""));
    let (host, _) = place.start(&plugins.concat());
    for (user, broker) in [("alice", "north"), ("bob", "south")] {
        let mut client = client(&host, user, broker).await;
        client.subscribe(&["NSE:SBIN"], "LTP").await;
        price(&mut client).await;
    }
    wait_until("what was only looked at is gone", || async { copies(&host.data_dir()).len() == 1 }).await;
}

/// Copies of libraries below a folder.
fn copies(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let (dirs, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
    let here = files.into_iter().filter(|file| file.to_string_lossy().contains("adapter_brands-"));
    here.chain(dirs.iter().flat_map(|dir| copies(dir))).collect()
}

#[test]
fn the_suite_tests_each_broker_by_itself() {
    let place = Place::new();
    let profile = place.root.join("conformance.toml");
    let text =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/adapters/brands/conformance.toml")).unwrap();
    let text = text.replace("root = \".\"", &format!("root = '{}'", place.root.display()));
    let south = "[brand.south]\ncredentials = { valid = { access_token = 'canary-south' } }\n\
                 [credentials.valid]\naccess_token = 'canary-north'\n";
    fs::write(&profile, format!("{text}{south}")).unwrap();
    let library = integration_tests::library("adapter_brands");
    let test = |more: &[&str]| {
        let paths = [library.to_str().unwrap(), "--profile", profile.to_str().unwrap()];
        let args =
            [&["adapters", "test"], paths.as_slice(), &["--case", "settings-checked", "--case", "C01"], more];
        let output = place.builder.run(&args.concat(), "");
        (output.status.success(), said(&output))
    };
    let (is_content, all) = test(&[]);
    assert!(is_content && all.contains("brands (north): ") && all.contains("brands (south): "), "{all}");
    let (is_content, one) = test(&["--brand", "south"]);
    assert!(is_content && !one.contains("north"), "{one}");
    for broker in ["north", "south"] {
        let calls = fs::read_to_string(place.root.join(broker).join("calls")).unwrap_or_default();
        let good = format!("connect {broker} canary-{broker} ");
        assert!(!calls.is_empty() && calls.lines().all(|call| call.starts_with(&good)), "{broker}: {calls}");
    }
    let (is_content, unknown) = test(&["--brand", "zebu"]);
    assert!(!is_content && unknown.contains("does not serve zebu: it serves north, south"), "{unknown}");
}
