//! Where settings come from, and which source wins.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Origin, Problem, Problems, TABLE, file, find,
    problem::unknown,
    value::{FromText, Kind, Setting},
};
use crate::base::{clock, run_dir};

/// Variables with the host's prefix that are no settings: one for the tools that connect as a client, one for
/// where adapters keep lists of instruments, the others for the tests of this workspace, some of which hand
/// their environment on to the programs they start.
const OTHER_VARIABLES: [&str; 5] = [
    "TICKHOST_API_KEY",
    run_dir::CACHE_VARIABLE,
    "TICKHOST_PYTHON",
    "TICKHOST_REQUIRE_CLIENTS",
    clock::Shift::VARIABLE,
];

/// Name of the settings file that is read when it lies in the working folder.
const FILE_NAME: &str = "tickhost.toml";

/// What the command line said, by key of the setting.
#[derive(Clone, Debug, Default)]
pub struct Flags(BTreeMap<&'static str, OsString>);

impl Flags {
    /// Takes every flag of the table that was given. `matches` may come from any command that has the flags
    /// of [`crate::command`].
    pub fn from_matches(matches: &clap::ArgMatches) -> Self {
        let given = TABLE.iter().filter_map(|setting| {
            let value = matches.try_get_one::<OsString>(setting.key).ok().flatten()?;
            Some((setting.key, value.clone()))
        });
        Self(given.collect())
    }

    /// Flags by key of the table, for programs that start a host themselves. Unknown keys are ignored.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let known =
            pairs.into_iter().filter_map(|(key, value)| Some((find(key)?.key, OsString::from(value))));
        Self(known.collect())
    }
}

/// The environment: the values of known settings, and the names of others that carry the host's prefix.
#[derive(Clone, Default)]
pub struct Environment {
    values: BTreeMap<&'static str, Option<SecretString>>,
    unknown: Vec<String>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.values.keys()).entries(&self.unknown).finish()
    }
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self::from_pairs(std::env::vars_os())
    }

    /// An environment made of names and values.
    pub fn from_pairs<N: AsRef<OsStr>, V: AsRef<OsStr>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in pairs {
            let Some(name) = name.as_ref().to_str() else { continue };
            if let Some(setting) = TABLE.iter().find(|setting| setting.env == name) {
                let text = value.as_ref().to_str().map(SecretString::from);
                environment.values.insert(setting.env, text);
            } else if name.starts_with("TICKHOST_") && !OTHER_VARIABLES.contains(&name) {
                environment.unknown.push(name.to_owned());
            }
        }
        environment
    }
}

/// Everything that decides the settings.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Wins over all.
    pub flags: Flags,
    /// Wins over the file.
    pub environment: Environment,
    /// Paths of flags and environment count from here, and `tickhost.toml` and `plugins.toml` are looked for
    /// here.
    pub working_dir: PathBuf,
    /// The running program; `plugins.toml` and adapter libraries may lie beside it.
    pub executable: Option<PathBuf>,
    /// The platform's folder for a program's data, if it has one.
    pub platform_data_dir: Option<PathBuf>,
}

impl Sources {
    /// The sources of this process.
    pub fn of_process(flags: Flags) -> Self {
        Self {
            flags,
            environment: Environment::of_process(),
            working_dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            executable: std::env::current_exe().ok(),
            platform_data_dir: platform_data_dir(|name| std::env::var_os(name)),
        }
    }
}

fn platform_data_dir(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // The specification of these variables says that a relative path is to be ignored.
    let folder = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        folder("XDG_DATA_HOME").or_else(|| Some(folder("HOME")?.join("Library/Application Support")))
    } else {
        folder("XDG_DATA_HOME").or_else(|| Some(folder("HOME")?.join(".local/share")))
    };
    base.map(|base| base.join("tickhost"))
}

/// One value as it stands in its source.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) text: SecretString,
    pub(super) origin: Origin,
    /// The name in the spelling of that source.
    pub(super) name: String,
}

/// Where the settings that somebody gave stand, as problems that want a message.
#[derive(Clone, Default)]
pub(super) struct Given(BTreeMap<&'static str, Problem>);

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Given(..)")
    }
}

impl Given {
    /// A problem with a setting that shows only when something is done with it.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        let message = message.into();
        match self.0.get(key) {
            Some(place) => Problem { message, ..place.clone() },
            None => Problem::new(Origin::Default, find(key).map_or("", |setting| setting.env), message),
        }
    }

    /// Whether somebody gave this setting a value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}

/// For each setting the value of the source that wins.
#[derive(Debug, Default)]
pub(super) struct Values {
    raw: BTreeMap<&'static str, Raw>,
    /// The settings file that was read.
    pub(super) file: Option<PathBuf>,
}

impl Values {
    pub(super) fn collect(sources: &Sources) -> (Self, Problems) {
        let (mut values, mut problems) = (Self::default(), Problems::default());
        values.add_flags(sources, &mut problems);
        values.add_environment(sources, &mut problems);
        values.add_file(sources, &mut problems);
        (values, problems)
    }

    fn add_flags(&mut self, sources: &Sources, problems: &mut Problems) {
        for (key, value) in &sources.flags.0 {
            let Some(setting) = find(key) else { continue };
            let name = setting.flag().unwrap_or_default();
            match value.to_str() {
                Some(text) => self.add(setting, &sources.working_dir, Origin::Flag, name, text.trim()),
                None => problems.push(Problem::new(Origin::Flag, name, "must be UTF-8 text")),
            }
        }
    }

    fn add_environment(&mut self, sources: &Sources, problems: &mut Problems) {
        for (name, text) in &sources.environment.values {
            let Some(setting) = TABLE.iter().find(|setting| setting.env == *name) else { continue };
            let Some(text) = text else {
                problems.push(Problem::new(Origin::Environment, *name, "must be UTF-8 text"));
                continue;
            };
            // An empty variable is how a shell or a container says that there is none.
            let text = unquoted(text.expose_secret());
            if !text.is_empty() {
                self.add(setting, &sources.working_dir, Origin::Environment, (*name).to_owned(), text);
            }
        }
        for name in &sources.environment.unknown {
            let known = TABLE.iter().map(|setting| setting.env);
            let message = unknown("setting", name, known, "tickhost --help lists them all");
            problems.push(Problem::new(Origin::Environment, name.as_str(), message));
        }
    }

    fn add_file(&mut self, sources: &Sources, problems: &mut Problems) {
        let named = self.raw.get("config").map(|raw| PathBuf::from(raw.text.expose_secret()));
        let path = named.or_else(|| Some(sources.working_dir.join(FILE_NAME)).filter(|path| path.is_file()));
        let Some(path) = path else { return };
        let text = match file::read(&path) {
            Ok(text) => text,
            Err(problem) => {
                let named = find("config").filter(|setting| self.is_given(setting.key));
                problems
                    .push(named.map_or(problem.clone(), |setting| self.problem(setting, &problem.message)));
                return;
            }
        };
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let source: Arc<Path> = Arc::from(path.as_path());
        for (setting, line, text) in file::parse(&source, text.expose_secret(), problems) {
            let origin = Origin::File(Arc::clone(&source), line);
            self.add(setting, &folder, origin, setting.key.to_owned(), unquoted(text.expose_secret()));
        }
        self.file = Some(path);
    }

    /// Keeps a value unless a stronger source, which comes earlier, has one.
    fn add(&mut self, setting: &'static Setting, folder: &Path, origin: Origin, name: String, text: &str) {
        let text = match setting.kind {
            Kind::Path if !text.is_empty() => folder.join(text).to_str().unwrap_or(text).to_owned(),
            _ => text.to_owned(),
        };
        self.raw.entry(setting.key).or_insert(Raw { text: text.into(), origin, name });
    }

    /// The typed value of a setting; its default when there is none or a wrong one, which is then a problem.
    pub(super) fn take<T: FromText>(&self, key: &'static str, problems: &mut Problems) -> T {
        if let (Some(raw), Some(setting)) = (self.raw.get(key), find(key)) {
            match T::from_text(raw.text.expose_secret(), setting.kind) {
                Some(value) => return value,
                None => problems.push(self.problem(setting, &format!("must be {}", setting.kind.allowed()))),
            }
        }
        default(key)
    }

    /// A problem with the value of a setting, wherever it came from.
    pub(super) fn problem(&self, setting: &Setting, message: &str) -> Problem {
        let Some(raw) = self.raw.get(setting.key) else {
            return Problem::new(Origin::Default, setting.env, message)
                .with_value(setting.default.unwrap_or_default());
        };
        let problem = Problem::new(raw.origin.clone(), raw.name.as_str(), message);
        match setting.kind {
            Kind::Secret | Kind::Database => problem,
            Kind::Path => problem.with_path(raw.text.expose_secret()),
            _ => problem.with_value(raw.text.expose_secret()),
        }
    }

    /// Where each value stands.
    pub(super) fn given(&self) -> Given {
        let given = self.raw.keys().filter_map(|key| Some((*key, self.problem(find(key)?, ""))));
        Given(given.collect())
    }

    /// Whether somebody gave a value.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.raw.contains_key(key)
    }

    /// Keys whose value came from a file.
    pub(super) fn keys_of_file(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.raw.iter().filter(|(_, raw)| matches!(raw.origin, Origin::File(..))).map(|(key, _)| *key)
    }
}

#[expect(
    clippy::expect_used,
    reason = "the test `every_default_is_allowed` makes every default of the table"
)]
fn default<T: FromText>(key: &str) -> T {
    let setting = find(key).expect("a row makes its own field");
    setting
        .default
        .map_or_else(T::absent, |text| T::from_text(text, setting.kind))
        .expect("defaults are allowed values")
}

/// The text without blanks and one pair of quotes around it, as people write values for `.env` files.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('\'').or_else(|| inner('"')).unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pair_of_quotes_and_blanks_are_taken_off() {
        for (text, expected) in
            [(" '8765' ", "8765"), ("\"a b\"", "a b"), ("'", "'"), ("''", ""), ("'a", "'a"), ("''a''", "'a'")]
        {
            assert_eq!(unquoted(text), expected, "{text}");
        }
    }

    #[test]
    #[cfg(all(unix, not(target_os = "macos")))]
    fn data_goes_where_the_platform_wants_it() {
        let folder = |pairs: &[(&str, &str)]| {
            platform_data_dir(|name| {
                pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
            })
        };
        assert_eq!(folder(&[("XDG_DATA_HOME", "/x"), ("HOME", "/h")]), Some("/x/tickhost".into()));
        assert_eq!(
            folder(&[("XDG_DATA_HOME", "relative"), ("HOME", "/h")]),
            Some("/h/.local/share/tickhost".into())
        );
        assert_eq!(folder(&[]), None);
    }

    #[test]
    fn no_value_of_the_environment_shows_in_debug_output() {
        let environment =
            Environment::from_pairs([("API_KEY_PEPPER", "hunter2"), ("TICKHOST_PEPER", "hunter3")]);
        let shown = format!("{environment:?}");
        assert!(shown.contains("API_KEY_PEPPER") && !shown.contains("hunter"), "{shown}");
    }
}
