//! How far the processes of adapters are confined on this machine, for the log, `tickhost check` and
//! `tickhost adapters`.

use crate::{
    adapters::process::Support,
    config::{AdapterEntry, Confine, Isolation, PluginsFile},
};

/// What holds for the adapters of a file, and what does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Confinement {
    /// In a sentence.
    pub(super) holds: String,
    /// One sentence each, for the operator.
    pub(super) lacks: Vec<String>,
}

impl Confinement {
    /// For the adapters of this file, on this machine.
    pub(super) fn of(plugins: &PluginsFile) -> Self {
        Self::with(plugins, Support::of_system())
    }

    fn with(plugins: &PluginsFile, support: Support) -> Self {
        let names = |is_so: fn(&AdapterEntry) -> bool| {
            let adapters = plugins.enabled().filter(|entry| is_so(entry));
            adapters.map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let runs_apart = |entry: &AdapterEntry| entry.isolation == Isolation::Process;
        let mut lacks = Vec::new();
        // Those that require more than there is are refused, with the reason.
        if plugins.enabled().any(|entry| runs_apart(entry) && entry.cage.confine == Confine::Auto) {
            lacks.extend(support.lacks());
        }
        let not_confined =
            names(|entry| entry.isolation == Isolation::Process && entry.cage.confine == Confine::Off);
        if !not_confined.is_empty() {
            lacks.push(format!(
                "not confined, because plugins.toml says so (confine = \"off\"): {not_confined}; such a library can do what \
                 the host's user can"
            ));
        }
        Self { holds: support.holds(), lacks }
    }
}

/// Writes it to the log.
pub(super) fn announce(plugins: &PluginsFile) {
    let Confinement { holds, lacks } = Confinement::of(plugins);
    tracing::info!(holds, "Adapters in processes of their own are confined");
    for detail in lacks {
        tracing::warn!(detail, "Adapters are not confined as far as could be");
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Settings, Sources, plugins_file::LibraryPlaces};

    fn plugins(text: &str) -> PluginsFile {
        let path = Path::new("/nowhere/plugins.toml");
        let (settings, _) = Settings::load_lenient(&Sources::default());
        PluginsFile::parse(path, text, &LibraryPlaces::new(&settings, path)).unwrap()
    }

    #[test]
    fn the_operator_hears_what_does_not_hold_for_the_adapters_that_there_are() {
        let full = Support { landlock: 7, seccomp: true };
        let none = Support { landlock: 0, seccomp: false };
        let one = |more: &str| plugins(&format!("[[adapter]]\nname = \"x\"\nlibrary = \"x\"\n{more}\n"));
        assert!(Confinement::with(&one(""), full).lacks.is_empty());
        assert_eq!(Confinement::with(&one(""), none).lacks.len(), 2);
        assert!(Confinement::with(&one("isolation = \"in-process\""), none).lacks.is_empty());
        assert!(Confinement::with(&one("confine = \"required\""), none).lacks.is_empty());
        let off = Confinement::with(&one("confine = \"off\""), full).lacks;
        assert!(off.len() == 1 && off[0].contains("says so (confine = \"off\"): x;"), "{off:?}");
    }
}
