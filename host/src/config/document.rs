//! The table of settings as a document.

use std::fmt::Write as _;

use super::{Kind, TABLE};

const HEAD: &str = "\
# Settings

<!-- Made from the table in `src/config/table.rs`. `UPDATE_DOCUMENTS=1 cargo test -p tickhost settings_document` writes it again. -->

Each setting has an environment variable, a key in `tickhost.toml` (the variable in lower case, without `TICKHOST_`), and
a flag (the key with dashes: `throttle_ms` is `--throttle-ms`). Flags win over the environment, the environment over the
file, the file over the default. Secrets have no flag, because every program on a machine can read the arguments of the
others.

- Values are trimmed, and one pair of quotes around them is taken off. An empty variable counts as not set.
- The file is plain TOML without sections: `websocket_port = 8765`. Paths in it count from its folder, other paths from
  the folder the program is started in.
- An unknown `TICKHOST_` variable or key is a mistake. `tickhost check` reports every mistake at once.
- What each broker's adapter does is decided in `plugins.toml`.

## Changes while the host runs

SIGHUP (`systemctl reload tickhost`) makes the host read the settings file again and look at every file below at once. The
environment and the flags are those of the start. The last line that it logs then says how many settings it follows, how
many wait for a restart, and how much it could not follow; the lines before name each of them.

| what | followed | a mistake |
|---|---|---|
| settings with `reload` in the tables below | at SIGHUP; sessions keep what they began with | all settings stay as they are |
| settings with `restart` | at the next start; the log names those that wait | all settings stay as they are |
| `plugins.toml` and the libraries | by itself when they change, and at SIGHUP | what runs stays; `tickhost adapters` says what is wrong |
| the file of `TICKHOST_CALENDAR` | by itself within 5 s, and at SIGHUP | the calendar before stays |
| the files of `TICKHOST_TLS_CERT` and `TICKHOST_TLS_KEY` | by itself within 5 s, and at SIGHUP; connections stay | the certificate before stays |
| encryption of the client port, on or off | at the next start | |
| users, keys and accounts | by themselves | |

Adapters that run keep the log level that they were started with.
";

/// `SETTINGS.md`.
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    let mut group = "";
    for setting in TABLE {
        // Writing to a string cannot fail.
        if setting.group != group {
            group = setting.group;
            _ = write!(
                text,
                "\n## {group}\n\n| variable | value | default | change | meaning |\n|---|---|---|---|---|\n"
            );
        }
        let allowed = match setting.kind {
            Kind::Secret => "secret; no flag".to_owned(),
            kind => kind.allowed(),
        };
        let default = setting.default.map_or_else(|| setting.unset.to_owned(), |text| format!("`{text}`"));
        let change = if setting.is_live { "reload" } else { "restart" };
        _ = writeln!(text, "| `{}` | {allowed} | {default} | {change} | {} |", setting.env, setting.help);
    }
    text
}
