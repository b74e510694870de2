//! What the operator decides: the settings and `plugins.toml`.
//!
//! A setting is one row of [`TABLE`]. The row makes the field of [`Settings`], the environment variable, the
//! key of `tickhost.toml`, the flag, the lines of `--help` and of `SETTINGS.md`, and the text of the errors,
//! so that none of them can differ from the others. Flags win over the environment, the environment over the
//! file, the file over the default. All mistakes are reported together, and no report shows a secret.

pub mod calendar_file;
mod confinement;
mod document;
mod file;
mod finish;
mod limits;
mod machine;
mod origins;
pub mod plugins_file;
mod problem;
mod sources;
mod table;
mod tls;
mod trust;
mod value;

/// The row with this key.
fn find(key: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.key == key)
}

#[cfg(test)]
mod tests;

pub use self::{
    confinement::{Allowed, Cage, Confine, ResourceLimits},
    document::markdown,
    limits::{BrokerLimits, LimitOverrides},
    origins::Origins,
    plugins_file::{AdapterEntry, BusSection, Isolation, PluginsFile, Trust},
    problem::{Origin, Problem, Problems},
    sources::{Environment, Flags, Sources},
    table::{Settings, TABLE},
    tls::TlsFiles,
    trust::{IntegrityRules, NoSigner, Signer},
    value::{DatabaseUrl, Kind, LogFilter, LogFormat, Setting, TimeOfDay},
};

impl Settings {
    /// Reads the settings from all sources and validates them.
    ///
    /// # Errors
    /// Every mistake in every source, when there is at least one.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let (settings, problems) = Self::load_lenient(sources);
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// As [`Settings::load`], but gives settings in any case: a setting with a mistake has its default. For
    /// `tickhost check`, which goes on to look at everything else.
    pub fn load_lenient(sources: &Sources) -> (Self, Problems) {
        let (values, mut problems) = sources::Values::collect(sources);
        let mut settings = Self::build(&values, &mut problems);
        settings.finish(&values, sources, &mut problems);
        problems.sort();
        (settings, problems)
    }
}
