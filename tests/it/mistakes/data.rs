//! The data folder, databases, and who may connect.

use super::{
    Case,
    Make::{By, ByNobody},
    bench::Bench,
};

pub(super) const FOLDER: &[Case] = &[
    Case::new(
        "A data folder that this user may not write",
        ByNobody(|bench| {
            bench.shell("mkdir locked && chmod 555 locked");
            bench.env("TICKHOST_DATA_DIR", "locked/data");
            bench.refused();
        }),
        &["environment: TICKHOST_DATA_DIR", "DIR/locked/data", "give this user the right"],
    ),
    Case::new(
        "A data folder that is a file",
        By(|bench| {
            bench.shell("touch data.file");
            bench.env("TICKHOST_DATA_DIR", "data.file");
            bench.refused();
        }),
        &["environment: TICKHOST_DATA_DIR", "DIR/data.file", "not a folder"],
    ),
    Case::new(
        "A data folder with a long path",
        By(|bench| {
            let folder = bench.path(&"long".repeat(25)).display().to_string();
            bench.env("TICKHOST_DATA_DIR", &folder);
            bench.refused();
        }),
        &["environment: TICKHOST_DATA_DIR", "is too long a path", "shorter path"],
    ),
    Case::new(
        "A database that others can read",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.shell("chmod 644 data/tickhost.db");
            bench.refused();
        }),
        &["DIR/data/tickhost.db", "mode 644", "chmod 600"],
    ),
    Case::new(
        "A key of the database that others can read",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.shell("chmod 644 data/master.key");
            bench.refused();
        }),
        &["DIR/data/master.key", "mode 644", "chmod 600"],
    ),
    Case::new(
        "A data folder that everybody may enter becomes private again",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.shell("chmod 777 data");
            bench.warned();
            bench.run(&["user", "list"]);
            bench.shell("test $(stat -c %a data) = 700");
        }),
        &["warning", "DIR/data", "mode 777"],
    ),
    Case::new(
        "A database that is none",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.shell("rm data/tickhost.db*");
            bench.file(
                "data/tickhost.db",
                "this was a database once, and then somebody edited it with an editor",
            );
            bench.shell("chmod 600 data/tickhost.db");
            bench.refused();
        }),
        &["DIR/data/tickhost.db", "is no database", "backup"],
    ),
    Case::new(
        "A database of a newer version",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.sql("data/tickhost.db", "PRAGMA user_version = 99");
            bench.refused();
        }),
        &["DIR/data/tickhost.db", "newer", "99"],
    ),
    Case::new(
        "A database that another program holds",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            let _lock = bench.lock("data/tickhost.db");
            bench.run(&["user", "add", "bob"]);
        }),
        &["DIR/data/tickhost.db", "another program", "5 s"],
    ),
    Case::new(
        "A key of the database that is none",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.file("data/master.key", "oops");
            bench.refused();
        }),
        &["DIR/data/master.key", "64 hex digits", "backup"],
    ),
    Case::new(
        "A key of another database",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.prepare(&["account", "set", "alice", "sim"], "{\"pin\":\"1\"}");
            bench.shell("rm data/master.key");
            bench.warned();
        }),
        &["warning", "DIR/data/tickhost.db", "alice at sim", "master.key is not the one", "set them again"],
    ),
    Case::new(
        "A token of the console that is none",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.file("data/console.token", "open sesame");
            bench.shell("chmod 600 data/console.token");
            bench.refused();
        }),
        &["DIR/data/console.token", "is no token", "remove it"],
    ),
    Case::new(
        "A token of the console that others can read",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.bytes("data/console.token", "the token of the console", "0123456789abcdef0123456789abcdef");
            bench.shell("chmod 644 data/console.token");
            bench.refused();
        }),
        &["DIR/data/console.token", "mode 644", "chmod 600"],
    ),
    Case::new(
        "A second host with the data folder of another",
        By(|bench| {
            bench.start();
            let pid = bench.host().pid().to_string();
            bench.mask(&format!("process {pid}"), "process PID");
            bench.refused();
        }),
        &["TICKHOST_DATA_DIR", "DIR/data", "another host (process PID)", "one of its own"],
    ),
    Case::new(
        "A question to a host that does not run",
        By(|bench| _ = bench.run(&["alive"])),
        &["DIR/data", "no host", "tickhost run"],
    ),
];

pub(super) const OPENALGO: &[Case] = &[
    Case::new(
        "A database that is not there",
        By(|bench| {
            openalgo(bench);
            bench.shell("rm openalgo.db");
            bench.refused();
        }),
        &["environment: DATABASE_URL", "openalgo.db", "no such file"],
    ),
    Case::new(
        "A folder instead of a database",
        By(|bench| {
            openalgo(bench);
            bench.shell("rm openalgo.db && mkdir openalgo.db");
            bench.refused();
        }),
        &["environment: DATABASE_URL", "DIR/openalgo.db", "a folder, not a file"],
    ),
    Case::new(
        "An address of another kind of database",
        By(|bench| {
            bench.env("DATABASE_URL", "postgresql://me:hunter2-hunter2-hunter2-hunter2-hunter2@db/openalgo");
            bench.refused();
        }),
        &["environment: DATABASE_URL", "sqlite:///relative/path or sqlite:////absolute/path"],
    ),
    Case::new(
        "No pepper",
        By(|bench| {
            openalgo(bench);
            bench.env("API_KEY_PEPPER", "");
            bench.refused();
        }),
        &["API_KEY_PEPPER", "is needed with DATABASE_URL", ".env"],
    ),
    Case::new(
        "A pepper that is too short",
        By(|bench| {
            openalgo(bench);
            bench.env("API_KEY_PEPPER", "salt");
            bench.refused();
        }),
        &["environment: API_KEY_PEPPER", "at least 32 characters, and has 4"],
    ),
    Case::new(
        "The pepper of another installation",
        By(|bench| {
            openalgo(bench);
            bench.sql(
                "openalgo.db",
                "INSERT INTO auth (name, broker, auth, is_revoked) VALUES ('alice', 'sim', 'gAAAAABnabcdef', 0)",
            );
            bench.warned();
        }),
        &["warning", "API_KEY_PEPPER", "FERNET_SALT", "openalgo.db"],
    ),
    Case::new(
        "A salt that is none",
        By(|bench| {
            openalgo(bench);
            bench.env("FERNET_SALT", "sea salt");
            bench.warned();
        }),
        &["warning", "FERNET_SALT", "32 or more hex digits", ".env"],
    ),
    Case::new(
        "Secrets for OpenAlgo's database without the database",
        By(|bench| {
            bench.env("BROKER_API_KEY", "abc");
            bench.env("API_KEY_PEPPER", "0123456789abcdef0123456789abcdef");
            bench.warned();
        }),
        &["warning", "API_KEY_PEPPER, BROKER_API_KEY", "DATABASE_URL", "tickhost account set"],
    ),
    Case::new(
        "A file that is no database",
        By(|bench| {
            openalgo(bench);
            bench.file("openalgo.db", "this was a database once, and then somebody edited it with an editor");
            bench.refused();
        }),
        &["openalgo.db", "is no database"],
    ),
    Case::new(
        "A database of another program",
        By(|bench| {
            openalgo(bench);
            bench.sql("openalgo.db", "DROP TABLE api_keys");
            bench.refused();
        }),
        &["openalgo.db", "no OpenAlgo database", "api_keys"],
    ),
    Case::new(
        "A user for the host's own database, beside OpenAlgo's",
        By(|bench| {
            openalgo(bench);
            bench.run(&["user", "add", "alice"]);
        }),
        &["DATABASE_URL", "OpenAlgo"],
    ),
];

pub(super) const ACCOUNTS: &[Case] = &[
    Case::new(
        "A user that does not exist",
        By(|bench| _ = bench.run(&["key", "create", "alicia"])),
        &["there is no user alicia", "tickhost user add alicia"],
    ),
    Case::new(
        "A user that exists already",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.run(&["user", "add", "alice"]);
        }),
        &["alice", "already"],
    ),
    Case::new(
        "A name that is none",
        By(|bench| _ = bench.run(&["user", "add", "alice smith"])),
        &["alice smith", "letters, digits"],
    ),
    Case::new(
        "A key that does not exist",
        By(|bench| _ = bench.run(&["key", "revoke", "0a1b2c3d"])),
        &["there is no key 0a1b2c3d", "tickhost key list"],
    ),
    Case::new(
        "A whole key instead of its identity",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            let key = bench.prepare(&["key", "create", "alice"], "");
            bench.mask(&key, "KEY");
            bench.run(&["key", "revoke", &key]);
        }),
        &["tickhost key list", "first part"],
    ),
    Case::new(
        "A broker that nothing serves",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.run_with(&["account", "set", "alice", "zerodah"], "{}");
        }),
        &["Note: nothing in plugins.toml serves zerodah", "it serves sim, bus"],
    ),
    Case::new(
        "A broker that cannot be",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.run_with(&["account", "set", "alice", "Zerodha Kite"], "{}");
        }),
        &["Zerodha Kite", "a-z"],
    ),
    Case::new(
        "Credentials that are no JSON",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.file("credentials.json", "{\"pin\": 1234, }");
            bench.run(&["account", "set", "alice", "sim", "--from-file", "credentials.json"]);
        }),
        &["credentials.json: ", "line 1", "object of strings"],
    ),
    Case::new(
        "Credentials in a file that is not there",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.run(&["account", "set", "alice", "sim", "--from-file", "nowhere.json"]);
        }),
        &["nowhere.json", "no such file"],
    ),
    Case::new(
        "An account while plugins.toml has mistakes",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.file("plugins.toml", "[[adapter]]\nname = \"sim\"\nlibary = \"adapter_sim\"");
            bench.run_with(&["account", "set", "alice", "sim"], "{}");
        }),
        &["Note: plugins.toml", "tickhost check"],
    ),
    Case::new(
        "A log-in without an account",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.run(&["account", "login", "alice"]);
        }),
        &["alice has no account", "tickhost account set alice BROKER"],
    ),
    Case::new(
        "Another account that does not exist",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.run(&["account", "activate", "alice", "sim"]);
        }),
        &["alice has no account at sim", "tickhost account list"],
    ),
];

/// An empty database with OpenAlgo's tables, and the settings that name it.
fn openalgo(bench: &mut Bench) {
    bench.env("DATABASE_URL", "sqlite:///openalgo.db");
    bench.quietly("API_KEY_PEPPER", "0123456789abcdef0123456789abcdef");
    bench.settle_sql(
        "openalgo.db",
        "CREATE TABLE api_keys (id INTEGER PRIMARY KEY, user_id TEXT, api_key_hash TEXT);
         CREATE TABLE auth (id INTEGER PRIMARY KEY, name TEXT, auth TEXT, feed_token TEXT, broker TEXT, user_id TEXT,
                            is_revoked BOOLEAN)",
    );
}
