//! `plugins.toml`, libraries, and what adapters are given.

use std::fs;

use integration_tests::{
    abi::{Variant, fixture},
    library, sim_library,
};
use venues::{Options, Venue, zerodha::Kite};

use super::{
    Case,
    Make::{By, Plugins},
    bench::Bench,
};

pub(super) const FILE: &[Case] = &[
    Case::new(
        "No plugins.toml",
        By(|bench| bench.refused_with(&["--plugins", "nowhere.toml"])),
        &["--plugins", "DIR/nowhere.toml", "no such file"],
    ),
    Case::new(
        "An unknown section",
        Plugins("[[adaptor]]\nname = \"sim\"\nlibrary = \"adapter_sim\""),
        &["DIR/plugins.toml:1: adaptor", "did you mean adapter?"],
    ),
    Case::new(
        "A section in single brackets",
        Plugins("[adapter]\nname = \"sim\"\nlibrary = \"adapter_sim\""),
        &["DIR/plugins.toml:1: adapter", "[[adapter]] in double brackets"],
    ),
    Case::new(
        "An unknown key of an adapter",
        Plugins("[[adapter]]\nname = \"sim\"\nlibary = \"adapter_sim\""),
        &[":3: adapter sim: libary", "did you mean library?", ":1: adapter sim: library: is missing"],
    ),
    Case::new(
        "A setting of an adapter outside of its section",
        Plugins("[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_sim\"\nseed = 42"),
        &["DIR/plugins.toml:4: adapter sim: seed", "[adapter.config]"],
    ),
    Case::new(
        "An isolation that is none",
        Plugins("[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_sim\"\nisolation = \"container\""),
        &["DIR/plugins.toml:4: adapter sim: isolation = \"container\"", "in-process"],
    ),
    Case::new(
        "A calendar that is none",
        Plugins("[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_sim\"\ncalendar = \"nse\""),
        &["DIR/plugins.toml:4: adapter sim: calendar = \"nse\"", "exchange", "always"],
    ),
    Case::new(
        "A number out of range, and one that is a text",
        Plugins("[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_sim\"\nmemory_mb = 1\nconnections = \"3\""),
        &[
            ":4: adapter sim: memory_mb = \"1\"",
            "from 64 to 65536",
            ":5: adapter sim: connections",
            "not a text",
        ],
    ),
    Case::new(
        "Two adapters with one name",
        Plugins(
            "[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_sim\"\n\n[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_sim\"\nbrokers = [\"other\"]",
        ),
        &["DIR/plugins.toml:5: adapter sim: name", "already taken by the adapter of line 1"],
    ),
    Case::new(
        "Two that serve one broker",
        Plugins("[bus]\nbrokers = [\"sim\"]\n\n[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_sim\""),
        &["DIR/plugins.toml:4: adapter sim: brokers", "already served by the bus (line 1)"],
    ),
    Case::new(
        "A broker that a library of several does not serve",
        By(|bench| {
            let library = library("adapter_brands");
            let text = format!(
                "[[adapter]]\nname = \"family\"\nlibrary = \"{}\"\nbrokers = [\"north\", \"zebu\"]\n\
                 [adapter.config]\nroot = \"/srv\"",
                library.display()
            );
            bench.file("plugins.toml", &text);
            bench.run(&["check"]);
        }),
        &["DIR/plugins.toml:1: adapter family", "does not serve zebu", "north, south"],
    ),
    Case::new(
        "Settings for a broker that is not listed",
        Plugins(
            "[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_sim\"\n[adapter.brand.smi]\nconnections = 1",
        ),
        &["DIR/plugins.toml:4: adapter sim: brand.smi", "did you mean sim?"],
    ),
    Case::new(
        "A name with capital letters",
        Plugins("[[adapter]]\nname = \"Sim\"\nlibrary = \"adapter_sim\""),
        &["DIR/plugins.toml:2", "name = \"Sim\"", "a-z"],
    ),
    Case::new(
        "Nothing that could serve anybody",
        By(|bench| {
            bench.file(
                "plugins.toml",
                "[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_sim\"\nenabled = false",
            );
            bench.run(&["check"]);
            bench.start();
            bench.logged("plugins.toml needs attention");
        }),
        &["DIR/plugins.toml", "no adapter is switched on", "WARN"],
    ),
    Case::new(
        "Brokers of the bus, which is off",
        By(|bench| {
            bench.env("TICKHOST_BUS", "off");
            bench.warned();
        }),
        &["warning", "plugins.toml", "TICKHOST_BUS"],
    ),
    Case::new(
        "A hash that is none",
        Plugins("[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_sim\"\nsha256 = \"abc\""),
        &["DIR/plugins.toml:4: adapter sim: sha256 = \"abc\"", "tickhost adapters pin"],
    ),
    Case::new(
        "A trusted key that is none",
        Plugins("[trust]\nminisign_keys = [\"untrusted comment: minisign public key\"]"),
        &["DIR/plugins.toml:2: trust: minisign_keys", "entry 1"],
    ),
    Case::new(
        "A signature without anybody who is trusted",
        Plugins("[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_sim\"\nsignature = \"sim.minisig\""),
        &["DIR/plugins.toml:4: adapter sim: signature", "needs minisign_keys in [trust]"],
    ),
];

pub(super) const LIBRARIES: &[Case] = &[
    Case::new(
        "A library that is nowhere",
        By(|bench| {
            bench.file("plugins.toml", "[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_smi\"");
            bench.run(&["check"]);
            bench.run(&["adapters"]);
            bench.start();
            bench.logged("Could not load an adapter");
        }),
        &[
            "DIR/plugins.toml:1: adapter sim: library = \"adapter_smi\"",
            "libadapter_smi.so",
            "TICKHOST_PLUGIN_DIR",
        ],
    ),
    Case::new(
        "A library by its file name, which is another",
        By(|bench| {
            bench.file("plugins.toml", "[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_sim.so\"");
            bench.run(&["check"]);
        }),
        &[
            "DIR/plugins.toml:1: adapter sim: library = \"adapter_sim.so\"",
            "DIR/adapter_sim.so",
            "a stem such as adapter_sim",
        ],
    ),
    Case::new(
        "A text instead of a library",
        By(|bench| broken(bench, "#!/bin/sh", b"#!/bin/sh\necho ticks\n")),
        &["DIR/libadapter_acme.so is no library for this machine"],
    ),
    Case::new(
        "An empty library",
        By(|bench| broken(bench, "nothing", b"")),
        &["DIR/libadapter_acme.so", "it is empty"],
    ),
    Case::new(
        "A library for another machine",
        By(|bench| {
            let mut bytes = fs::read(sim_library()).unwrap();
            // The machine of an ELF file: 243 is RISC-V.
            bytes[18..20].copy_from_slice(&[243, 0]);
            broken(bench, "a library for RISC-V", &bytes);
        }),
        &["DIR/libadapter_acme.so is no library for this machine"],
    ),
    Case::new(
        "A library that was copied by half",
        By(|bench| {
            let bytes = fs::read(sim_library()).unwrap();
            let half = bytes.len() / 2;
            // How long it is differs from build to build.
            bench.mask(&half.to_string(), "HALF");
            broken(bench, "the first half of a library", &bytes[..half]);
        }),
        &["DIR/libadapter_acme.so", "truncated", "copy it again"],
    ),
    Case::new(
        "A library that is no adapter",
        By(|bench| {
            let maps = fs::read_to_string("/proc/self/maps").unwrap();
            let libc = maps
                .lines()
                .find_map(|line| line.split_whitespace().last().filter(|path| path.contains("libc.so")));
            let bytes = fs::read(libc.expect("a test has a libc")).unwrap();
            broken(bench, "another library", &bytes);
        }),
        &["DIR/libadapter_acme.so", "no Tickhost adapter"],
    ),
    Case::new(
        "An adapter for another major version of the host",
        By(|bench| {
            let bytes = fs::read(fixture(Variant::Major).library).unwrap();
            broken(bench, "an adapter of the next major version of the ABI", &bytes);
        }),
        &["DIR/libadapter_acme.so", "ABI", "author"],
    ),
    Case::new(
        "A library that others can write",
        By(|bench| {
            copy_of_sim(bench);
            bench.shell("chmod 666 libadapter_acme.so");
            bench.run(&["check"]);
        }),
        &["DIR/libadapter_acme.so", "mode 0666", "chmod go-w"],
    ),
    Case::new(
        "A library that is not the one that was pinned",
        By(|bench| {
            copy_of_sim(bench);
            bench.run(&["adapters", "pin"]);
            bench.shell("printf x >> libadapter_acme.so");
            bench.run(&["check"]);
        }),
        &["DIR/libadapter_acme.so is not the library that plugins.toml pins", "tickhost adapters pin"],
    ),
    Case::new(
        "A library without the signature that is required",
        By(|bench| {
            copy_of_sim(bench);
            bench.file(
                "plugins.toml",
                "[trust]\nminisign_keys = [\"RWRwv79T88ojpUeTkeP9y7k4ZlpbNzsdsXr+++sNiV3XnpLyJnC6Js7F\"]\n\n\
                 [[adapter]]\nname = \"acme\"\nlibrary = \"adapter_acme\"",
            );
            bench.run(&["check"]);
        }),
        &["DIR/libadapter_acme.so is not signed", "DIR/libadapter_acme.so.minisig"],
    ),
    Case::new(
        "An adapter that does not exist, to load again",
        By(|bench| {
            bench.start();
            bench.run(&["adapters", "reload", "smi"]);
        }),
        &["smi", "plugins.toml"],
    ),
];

pub(super) const SETTINGS: &[Case] = &[
    Case::new(
        "A setting that the adapter does not know",
        By(|bench| config(bench, "sede = 42")),
        &["DIR/plugins.toml", "adapter sim", "line 5", "sede", "seed"],
    ),
    Case::new(
        "A setting of another type",
        By(|bench| config(bench, "rate_hz = \"fast\"")),
        &["DIR/plugins.toml", "adapter sim", "line 5", "rate_hz", "expected a number"],
    ),
    Case::new(
        "A setting out of its range",
        By(|bench| config(bench, "rate_hz = 5000.0")),
        &["DIR/plugins.toml", "adapter sim", "rate_hz is 5000, but must be between 0.1 and 1000"],
    ),
    Case::new(
        "A secret among the settings of an adapter",
        By(|bench| {
            bench.file(
                "plugins.toml",
                &format!(
                    "[[adapter]]\nname = \"zerodha\"\nlibrary = \"{}\"\n\n[adapter.config]\n\
                     api_secret = \"hunter2-hunter2-hunter2-hunter2-hunter2\"",
                    library("adapter_zerodha").display()
                ),
            );
            bench.run(&["check"]);
        }),
        &["DIR/plugins.toml", "adapter zerodha", "api_secret"],
    ),
    Case::new(
        "Credentials that are missing or unknown",
        By(|bench| {
            let broker = "zerodha";
            bench.quiet_file("plugins.toml", &entry(broker, ""));
            bench.prepare(&["user", "add", "alice"], "");
            bench.file("credentials", "api_kye=abc");
            bench.run(&["account", "set", "alice", broker, "--from-file", "credentials"]);
            bench.run(&["account", "status"]);
        }),
        &["api_key is missing", "knows no api_kye; it knows api_key, api_secret, access_token"],
    ),
    Case::new(
        "Credentials that the broker refuses",
        By(|bench| {
            let options = Options { rate_hz: 0.0, instruments: 50, ..Options::default() };
            let credentials = [("api_key", "right-key"), ("access_token", "right-token")];
            let venue = bench.block_on(Venue::<Kite>::start(options.accepting(&credentials))).unwrap();
            let addresses = <Kite as venues::Broker>::addresses(venue.address());
            let mut lines = format!("cache_dir = \"{}\"\n", bench.path("cache").display());
            lines.extend(addresses.into_iter().map(|(name, value)| format!("{name} = \"{value}\"\n")));
            bench.quiet_file("plugins.toml", &entry("zerodha", &lines));
            bench.prepare(&["user", "add", "alice"], "");
            bench.file(
                "credentials",
                "api_key=right-key\naccess_token=hunter2-hunter2-hunter2-hunter2-hunter2",
            );
            bench.run(&["account", "set", "alice", "zerodha", "--from-file", "credentials"]);
            let key = bench.prepare(&["key", "create", "alice"], "");
            bench.mask(&key, "KEY");
            bench.start();
            bench.feed_fails(&key);
            bench.run(&["account", "status", "alice"]);
            drop(venue);
        }),
        &["auth_failed", "tickhost account login alice zerodha"],
    ),
];

/// An entry for a library with these bytes, which is refused by `check` and, in the log, by a host that
/// serves the others.
fn broken(bench: &mut Bench, what: &str, bytes: &[u8]) {
    bench.bytes("libadapter_acme.so", what, bytes);
    bench.settle("chmod 644 libadapter_acme.so");
    bench.file("plugins.toml", "[[adapter]]\nname = \"acme\"\nlibrary = \"adapter_acme\"");
    bench.run(&["check"]);
    bench.start();
    bench.logged("Could not load an adapter");
}

/// A library of the bench's own, and an entry for it.
fn copy_of_sim(bench: &mut Bench) {
    fs::copy(sim_library(), bench.path("libadapter_acme.so")).unwrap();
    bench.settle("chmod 644 libadapter_acme.so");
    bench.file("plugins.toml", "[[adapter]]\nname = \"acme\"\nlibrary = \"adapter_acme\"");
}

/// The synthetic exchange with this line among its settings.
fn config(bench: &mut Bench, line: &str) {
    bench.file(
        "plugins.toml",
        &format!("[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_sim\"\n\n[adapter.config]\n{line}"),
    );
    bench.run(&["check"]);
    bench.start();
    bench.logged("Could not load an adapter");
}

/// An entry for the adapter of a broker, with these settings.
fn entry(broker: &str, settings: &str) -> String {
    let library = library(&format!("adapter_{broker}"));
    format!(
        "[[adapter]]\nname = \"{broker}\"\nlibrary = \"{}\"\ncalendar = \"always\"\n[adapter.config]\n{settings}",
        library.display()
    )
}
