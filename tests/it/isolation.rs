//! What an adapter does wrong stays its own affair: its clients keep their connections and get their ticks
//! back without asking, and others notice nothing. `tests/adapters/README.md` says what each fault does.

mod bystander;
mod ends;
mod faults;
mod hostile;
mod in_process;
mod process;
mod secrets;
mod swaps;

use std::{fmt::Write as _, path::Path};

/// The user whose client must notice nothing, at the synthetic exchange.
const BYSTANDER: &str = "bystander";

/// `plugins.toml`: the bystander's exchange, and an adapter for each of these.
fn plugins(isolation: &str, entries: &[Entry], dir: &Path) -> String {
    let mut text = format!(
        "[bus]\nbrokers = [\"bus\"]\n\n[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_sim\"\n\
         isolation = \"{isolation}\"\n[adapter.config]\nseed = 42\nstamps = true\nrate_hz = 50.0\n"
    );
    for Entry { library, fault, more } in entries {
        let name = name_of(library, fault);
        let trigger = trigger_of(dir, &name);
        _ = write!(
            text,
            "\n[[adapter]]\nname = \"{name}\"\nlibrary = \"{library}\"\nisolation = \"{isolation}\"\n\
             writable = ['{}']\n{more}\n[adapter.config]\nfault = \"{fault}\"\ntrigger = '{}'\n",
            dir.display(),
            trigger.display()
        );
    }
    text
}

/// An adapter that can do one thing wrong.
#[derive(Clone, Copy, Debug)]
struct Entry {
    library: &'static str,
    fault: &'static str,
    /// Lines of its entry.
    more: &'static str,
}

/// Name of the adapter, its broker and its user.
fn name_of(library: &str, fault: &str) -> String {
    format!("{}_{fault}", library.trim_start_matches("adapter_"))
}

/// The file that lets the fault loose.
fn trigger_of(dir: &Path, name: &str) -> std::path::PathBuf {
    dir.join(format!("{name}.trigger"))
}
