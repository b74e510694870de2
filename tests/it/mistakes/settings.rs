//! `tickhost.toml`, the environment, flags, and the values in them.

use super::{
    Case,
    Make::{By, ByNobody, Flags, Settings, Variable},
};

pub(super) const FILE: &[Case] = &[
    Case::new(
        "A key that is misspelt",
        Settings("websoket_port = 9000"),
        &["DIR/tickhost.toml:1: websoket_port", "did you mean websocket_port?"],
    ),
    Case::new(
        "A key that is like no other",
        Settings("# mine\ncolour = \"blue\""),
        &["DIR/tickhost.toml:2: colour: unknown setting", "tickhost --help"],
    ),
    Case::new(
        "A key spelled as the variable is",
        Settings("TICKHOST_THROTTLE_MS = 50"),
        &["DIR/tickhost.toml:1", "did you mean throttle_ms?"],
    ),
    Case::new(
        "A section, as other programs have them",
        Settings("[server]\nwebsocket_port = 9000"),
        &["DIR/tickhost.toml:1: server", "without sections"],
    ),
    Case::new(
        "A key given twice",
        Settings("throttle_ms = 50\nthrottle_ms = 100"),
        &["DIR/tickhost.toml:2", "throttle_ms", "twice"],
    ),
    Case::new("A line that is no TOML", Settings("throttle_ms 50"), &["DIR/tickhost.toml:1", "name = value"]),
    Case::new("A text without quotes", Settings("log = info"), &["DIR/tickhost.toml:1", "quotes"]),
    Case::new(
        "A value of another type",
        Settings("websocket_port = 2026-01-01"),
        &["DIR/tickhost.toml:1: websocket_port", "must be a whole number from 0 to 65535, not a date"],
    ),
    Case::new(
        "Several mistakes at once",
        Settings("websocket_port = 99999\nthrotle_ms = 5\nflat_fields = \"maybe\"\nlog_format = \"xml\""),
        &[":1: websocket_port", ":2: throtle_ms", ":3: flat_fields", ":4: log_format", "4 problems"],
    ),
    Case::new(
        "The name of another file in the file",
        Settings("config = \"other.toml\""),
        &["DIR/tickhost.toml:1: config", "TICKHOST_CONFIG", "--config"],
    ),
    Case::new(
        "A file that is not there",
        By(|bench| bench.refused_with(&["--config", "nowhere.toml"])),
        &["--config", "DIR/nowhere.toml", "no such file"],
    ),
    Case::new(
        "A folder instead of a file",
        By(|bench| {
            bench.shell("mkdir conf.d");
            bench.refused_with(&["--config", "conf.d"]);
        }),
        &["--config", "DIR/conf.d", "a folder, not a file"],
    ),
    Case::new(
        "A file that this user may not read",
        ByNobody(|bench| {
            bench.file("tickhost.toml", "throttle_ms = 50");
            bench.shell("chmod 000 tickhost.toml");
            bench.refused();
        }),
        &["DIR/tickhost.toml", "may not read it"],
    ),
    Case::new(
        "A file that is not UTF-8",
        By(|bench| {
            bench.bytes(
                "tickhost.toml",
                "a text in UTF-16, as some editors of Windows write it",
                b"\xff\xfel\0o\0g\0",
            );
            bench.refused();
        }),
        &["DIR/tickhost.toml", "not UTF-8", "save it as UTF-8"],
    ),
    Case::new(
        "A file that is far too long",
        By(|bench| {
            bench.shell("yes '# nothing' | head -c 2000000 > tickhost.toml");
            bench.refused();
        }),
        &["DIR/tickhost.toml", "at most 1 MiB"],
    ),
    Case::new(
        "A secret in a file that others can read",
        By(|bench| {
            bench.file("tickhost.toml", "broker_api_secret = \"hunter2-hunter2-hunter2-hunter2-hunter2\"");
            bench.shell("chmod 644 tickhost.toml");
            bench.warned();
        }),
        &["warning", "DIR/tickhost.toml", "chmod 600"],
    ),
];

pub(super) const ENVIRONMENT: &[Case] = &[
    Case::new(
        "A variable that is misspelt",
        Variable("TICKHOST_THROTLE_MS", "50"),
        &["environment: TICKHOST_THROTLE_MS", "did you mean TICKHOST_THROTTLE_MS?"],
    ),
    Case::new(
        "A name of OpenAlgo with the prefix of the host",
        Variable("TICKHOST_WEBSOCKET_PORT", "8765"),
        &["environment: TICKHOST_WEBSOCKET_PORT", "did you mean WEBSOCKET_PORT?"],
    ),
    Case::new(
        "A name of OpenAlgo and the host's own for the same thing",
        By(|bench| {
            bench.env("WS_MAX_QUEUE", "2048");
            bench.env("TICKHOST_CONTROL_BYTES", "1048576");
            bench.warned();
        }),
        &["warning", "WS_MAX_QUEUE", "TICKHOST_CONTROL_BYTES"],
    ),
    Case::new(
        "A bad value",
        Variable("TICKHOST_MAX_CONNECTIONS", "lots"),
        &["environment: TICKHOST_MAX_CONNECTIONS = \"lots\"", "must be a whole number from 1 to 1000000"],
    ),
    Case::new(
        "An empty variable counts as not set",
        By(|bench| {
            bench.env("TICKHOST_MAX_CONNECTIONS", "");
            bench.run(&["check"]);
        }),
        &["No problems found"],
    ),
    Case::new(
        "A value with its unit",
        Variable("TICKHOST_THROTTLE_MS", "50ms"),
        &["TICKHOST_THROTTLE_MS = \"50ms\"", "whole milliseconds"],
    ),
    Case::new(
        "A flag that does not exist",
        By(|bench| _ = bench.run(&["run", "--websocket-prot", "9000"])),
        &["--websocket-prot", "--websocket-port"],
    ),
    Case::new("A command that does not exist", By(|bench| _ = bench.run(&["checks"])), &["checks", "check"]),
    Case::new(
        "A secret as a flag",
        By(|bench| _ = bench.run(&["run", "--broker-api-secret", "x"])),
        &["--broker-api-secret", "environment"],
    ),
    Case::new(
        "A bad value of a flag",
        Flags(&["--throttle-ms", "-5"]),
        &["flag: --throttle-ms = \"-5\"", "whole milliseconds from 0 to 60000"],
    ),
];

pub(super) const VALUES: &[Case] = &[
    Case::new(
        "A port that cannot be",
        Settings("websocket_port = 70000"),
        &["tickhost.toml:1: websocket_port = \"70000\"", "from 0 to 65535"],
    ),
    Case::new(
        "A host name instead of an address",
        Settings("websocket_host = \"my-server\""),
        &["tickhost.toml:1: websocket_host = \"my-server\"", "an IP address"],
    ),
    Case::new(
        "A log level that is none",
        Variable("TICKHOST_LOG", "verbose"),
        &["TICKHOST_LOG = \"verbose\"", "off, error, warn, info, debug, trace"],
    ),
    Case::new(
        "A log level of a module that is none",
        Variable("TICKHOST_LOG", "info,tickhost=loud"),
        &["TICKHOST_LOG = \"info,tickhost=loud\"", "off, error, warn, info, debug, trace"],
    ),
    Case::new(
        "A log format that is none",
        Variable("TICKHOST_LOG_FORMAT", "xml"),
        &["TICKHOST_LOG_FORMAT = \"xml\"", "text or json"],
    ),
    Case::new(
        "Every page as an origin",
        Settings("allowed_origins = [\"*\"]"),
        &["tickhost.toml:1: allowed_origins = \"*\"", "leave it out"],
    ),
    Case::new(
        "An origin with a path",
        Settings("allowed_origins = \"https://app.example/chart\""),
        &["allowed_origins = \"https://app.example/chart\"", "without a path"],
    ),
    Case::new(
        "An origin without a scheme",
        Settings("allowed_origins = \"app.example\""),
        &["allowed_origins = \"app.example\"", "https://app.example"],
    ),
    Case::new(
        "A time of day that is none",
        Variable("SESSION_EXPIRY_TIME", "3 am"),
        &["SESSION_EXPIRY_TIME = \"3 am\"", "from 00:00 to 23:59"],
    ),
    Case::new(
        "Names with blanks",
        Variable("TICKHOST_LOSSLESS_FOR", "alice bob"),
        &["TICKHOST_LOSSLESS_FOR = \"alice bob\"", "separated by commas"],
    ),
    Case::new(
        "Longer messages before the log-in than after it",
        Settings("max_frame_bytes = 2048\nmax_frame_bytes_before_auth = 4096"),
        &[
            "tickhost.toml:2: max_frame_bytes_before_auth = \"4096\"",
            "TICKHOST_MAX_FRAME_BYTES, which is 2048",
        ],
    ),
    Case::new(
        "A folder of libraries that is not there",
        By(|bench| {
            bench.env("TICKHOST_PLUGIN_DIR", "nowhere");
            bench.warned();
        }),
        &["TICKHOST_PLUGIN_DIR", "DIR/nowhere", "no such folder"],
    ),
];
