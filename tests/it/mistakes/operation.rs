//! The calendar, the log, files and tools, and what changes while the host runs.

use super::{
    Case,
    Make::By,
    bench::Bench,
    network::{another_certificate, certificate},
};

const COVERS: &str = "[covers]\nfrom = \"2026-01-01\"\nto = \"2099-12-31\"\n";

pub(super) const CALENDAR: &[Case] = &[
    Case::new(
        "A calendar that is not there",
        By(|bench| {
            bench.env("TICKHOST_CALENDAR", "nowhere.toml");
            bench.refused();
        }),
        &["environment: TICKHOST_CALENDAR", "DIR/nowhere.toml", "no such file"],
    ),
    Case::new(
        "A calendar that is no TOML",
        By(|bench| calendar(bench, "[covers\nfrom = \"2026-01-01\"")),
        &["DIR/calendar.toml", "line 1"],
    ),
    Case::new(
        "A day that does not exist",
        By(|bench| {
            calendar(
                bench,
                &format!(
                    "{COVERS}\n[[market]]\nname = \"equity\"\nexchanges = [\"NSE\"]\nsessions = [\"09:15-15:30\"]\n\
                     holidays = [\"2026-02-30\"]"
                ),
            );
        }),
        &["DIR/calendar.toml", "equity", "2026-02-30"],
    ),
    Case::new(
        "A day of the week that is none",
        By(|bench| {
            calendar(
                bench,
                &format!(
                    "{COVERS}\n[[market]]\nname = \"equity\"\nexchanges = [\"NSE\"]\nsessions = [\"09:15-15:30\"]\n\
                     days = [\"monday\"]"
                ),
            );
        }),
        &["DIR/calendar.toml", "equity", "monday", "mon, tue"],
    ),
    Case::new(
        "Sessions that overlap",
        By(|bench| {
            calendar(
                bench,
                &format!(
                    "{COVERS}\n[[market]]\nname = \"equity\"\nexchanges = [\"NSE\"]\n\
                     sessions = [\"09:15-15:30\", \"15:00-17:00\"]"
                ),
            );
        }),
        &["DIR/calendar.toml", "equity", "15:00-17:00"],
    ),
    Case::new(
        "One exchange in two markets",
        By(|bench| {
            calendar(
                bench,
                &format!(
                    "{COVERS}\n[[market]]\nname = \"equity\"\nexchanges = [\"NSE\"]\nsessions = [\"09:15-15:30\"]\n\n\
                     [[market]]\nname = \"other\"\nexchanges = [\"NSE\"]\nalways_open = true"
                ),
            );
        }),
        &["DIR/calendar.toml", "other", "NSE", "twice"],
    ),
    Case::new(
        "A calendar whose holidays have ended",
        By(|bench| {
            bench.file(
                "calendar.toml",
                "[covers]\nfrom = \"2020-01-01\"\nto = \"2020-12-31\"\n\n[[market]]\nname = \"equity\"\n\
                 exchanges = [\"NSE\"]\nsessions = [\"09:15-15:30\"]",
            );
            bench.env("TICKHOST_CALENDAR", "calendar.toml");
            bench.warned();
        }),
        &["warning", "DIR/calendar.toml", "2020-12-31"],
    ),
];

pub(super) const TOOLS: &[Case] = &[
    Case::new(
        "A filter of the log that names no module of the host",
        By(|bench| {
            bench.env("TICKHOST_LOG", "tikhost=debug");
            bench.warned();
        }),
        &["warning", "TICKHOST_LOG", "tikhost", "info,"],
    ),
    Case::new(
        "Numbers for OpenAlgo where they cannot be written",
        By(|bench| {
            bench.shell("touch log");
            let file = bench.path("log/ws_proxy_stats.json").display().to_string();
            bench.env("WS_PROXY_STATS_FILE", &file);
            bench.run(&["check"]);
            bench.start();
            bench.logged("A folder cannot be used; the host starts without it");
        }),
        &["environment: WS_PROXY_STATS_FILE", "DIR/log", "not a folder"],
    ),
    Case::new(
        "A cache of adapters where it cannot be written",
        By(|bench| {
            bench.shell("touch cache.file");
            let folder = bench.path("cache.file").display().to_string();
            bench.env("TICKHOST_CACHE_DIR", &folder);
            bench.run(&["check"]);
            bench.start();
            bench.logged("A folder cannot be used; the host starts without it");
        }),
        &["environment: TICKHOST_CACHE_DIR", "DIR/cache.file", "not a folder"],
    ),
    Case::new(
        "A service manager that is not there",
        By(|bench| {
            bench.env("NOTIFY_SOCKET", "/nowhere/notify");
            bench.start();
            bench.logged("The service manager cannot be told of the start");
        }),
        &["WARN", "NOTIFY_SOCKET=/nowhere/notify"],
    ),
    Case::new(
        "A manual page of a command that does not exist",
        By(|bench| _ = bench.run(&["man", "stop"])),
        &["there is no command stop", "tickhost --help"],
    ),
    Case::new(
        "A shell that is not known",
        By(|bench| _ = bench.run(&["completions", "ksh"])),
        &["ksh", "bash"],
    ),
    Case::new(
        "A conformance test of a library that is not there",
        By(|bench| _ = bench.run(&["adapters", "test", "nowhere.so"])),
        &["there is no library nowhere.so", "build the adapter"],
    ),
    Case::new(
        "A new adapter where there is one",
        By(|bench| {
            bench.shell("mkdir adapter-acme");
            bench.run(&["adapters", "new", "acme"]);
        }),
        &["adapter-acme", "it is there already", "another name"],
    ),
    Case::new(
        "A console without a host",
        By(|bench| _ = bench.run(&["console"])),
        &["DIR/data", "tickhost run"],
    ),
    Case::new(
        "Prices without a host",
        By(|bench| {
            bench.quietly("TICKHOST_API_KEY", "th_0a1b2c3d_hunter2-hunter2-hunter2-hunter2-hunter2");
            bench.run(&["tap", "NSE:SBIN", "--url", "ws://127.0.0.1:1"]);
        }),
        &["ws://127.0.0.1:1", "tickhost run"],
    ),
    Case::new(
        "Prices without a key",
        By(|bench| {
            bench.run(&["tap", "NSE:SBIN", "--url", "ws://127.0.0.1:1"]);
        }),
        &["TICKHOST_API_KEY", "--key-file"],
    ),
    Case::new(
        "Prices with a key that is wrong",
        By(|bench| {
            bench.start();
            bench.quietly("TICKHOST_API_KEY", "th_0a1b2c3d_hunter2-hunter2-hunter2-hunter2-hunter2");
            let url = bench.url();
            bench.run(&["tap", "NSE:SBIN", "--url", &url]);
        }),
        &["the host refused the key", "tickhost key create USER"],
    ),
    Case::new(
        "A symbol without its exchange",
        By(|bench| _ = bench.run(&["tap", "SBIN"])),
        &["SBIN", "EXCHANGE:SYMBOL"],
    ),
];

pub(super) const RELOAD: &[Case] = &[
    Case::new(
        "A settings file with mistakes at a reload",
        By(|bench| {
            bench.file("tickhost.toml", "max_connections = 100");
            bench.start();
            bench.file("tickhost.toml", "max_connections = 50\nmessage_burst = \"many\"\nthrotle_ms = 5");
            bench.reload();
        }),
        &[
            "DIR/tickhost.toml:2: message_burst = \"many\"",
            "DIR/tickhost.toml:3: throtle_ms",
            "all stay as they are",
        ],
    ),
    Case::new(
        "A setting that waits for a restart",
        By(|bench| {
            bench.file("tickhost.toml", "throttle_ms = 50");
            bench.start();
            bench.file("tickhost.toml", "throttle_ms = 100");
            bench.reload();
        }),
        &["TICKHOST_THROTTLE_MS", "restart"],
    ),
    Case::new(
        "A settings file that is gone at a reload",
        By(|bench| {
            bench.file("tickhost.toml", "max_connections = 100");
            bench.start();
            bench.shell("rm tickhost.toml");
            bench.reload();
        }),
        &["DIR/tickhost.toml", "no such file"],
    ),
    Case::new(
        "A certificate that is renewed by half",
        By(|bench| {
            certificate(bench, 2020, 2099);
            bench.start();
            bench.bytes(
                "certificate.pem",
                "another certificate, whose key is still to come",
                another_certificate(),
            );
            bench.reload();
        }),
        &[
            "DIR/certificate.pem and DIR/key.pem",
            "the key is not the certificate's",
            "the one before stays in force",
        ],
    ),
    Case::new(
        "A plugins.toml with mistakes at a reload",
        By(|bench| {
            bench.start();
            bench.file("plugins.toml", "[[adapter]]\nname = \"sim\"\nlibary = \"adapter_sim\"");
            bench.reload();
            bench.run(&["adapters"]);
        }),
        &[
            "DIR/plugins.toml:3: adapter sim: libary",
            "everything stays as it is",
            "plugins.toml is not followed",
        ],
    ),
    Case::new(
        "A calendar with mistakes while the host runs",
        By(|bench| {
            bench.file("calendar.toml", &format!("{COVERS}\n[[market]]\nname = \"equity\"\nexchanges = [\"NSE\"]\nsessions = [\"09:15-15:30\"]"));
            let path = bench.path("calendar.toml").display().to_string();
            bench.env("TICKHOST_CALENDAR", &path);
            bench.start();
            bench.file("calendar.toml", "nonsense");
            bench.logged(
                "The calendar of the exchanges has mistakes; the one before stays until they are mended",
            );
        }),
        &["DIR/calendar.toml", "line 1"],
    ),
];

/// A calendar that both `check` and `run` refuse.
fn calendar(bench: &mut Bench, text: &str) {
    bench.file("calendar.toml", text);
    bench.env("TICKHOST_CALENDAR", "calendar.toml");
    bench.refused();
}
