//! From the document to its validated form.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tickhost_core::{calendar::Hours, text::line_at};
use toml::de::{DeTable, DeValue};

use super::{
    super::{
        LimitOverrides, Origin, Problem, Problems,
        file::{kind_of, parse_toml},
    },
    AdapterEntry, BusSection, Isolation, LibraryPlaces, PluginsFile, Trust, brand,
    section::Section,
    trust,
};
use crate::config::{Allowed, Cage, Confine, ResourceLimits};

/// Most adapters in one file, and most brokers of one adapter.
const MAX_ENTRIES: usize = 64;
const MAX_NAME_CHARS: usize = 32;
const MAX_LIBRARY_BYTES: usize = 1_024;
/// What systems take of a path.
const MAX_SOCKET_BYTES: usize = 100;
pub(super) const MAX_THROTTLE_MS: u32 = 60_000;
pub(crate) const MAX_SYMBOLS: u32 = 100_000;
pub(crate) const MAX_CONNECTIONS: u32 = 100;

/// What the bus is called where adapters have their names.
const BUS_NAME: &str = "bus";

const NAME: &str = "1 to 32 letters a-z, digits, _ and -";
const BROKERS: &str = "an array of 1 to 64 different names of letters a-z, digits, _ and -";
const ISOLATION: &str = "\"process\" (the default) or \"in-process\"";
const HOURS: &str = "\"exchange\" (the default) or \"always\"";
const CONFINE: &str = "\"auto\" (the default), \"required\" or \"off\"";
const ALLOWED: &str = "an array of \"processes\", \"unix-sockets\", \"listen\"";
const PATHS: &str = "an array of 1 to 64 different absolute paths";
const PORTS: &str = "an array of 1 to 64 different whole numbers from 1 to 65535";
const ADAPTER_KEYS: [&str; 24] = [
    "name",
    "library",
    "brokers",
    "enabled",
    "throttle_ms",
    "symbols_per_connection",
    "connections",
    "deep_books_per_connection",
    "calendar",
    "isolation",
    "memory_mb",
    "descriptors",
    "threads",
    "confine",
    "allow",
    "readable",
    "writable",
    "ports",
    "cache_mb",
    "socket",
    "sha256",
    "signature",
    "config",
    "brand",
];

/// Reads as much as can be read, and lists all that is wrong.
pub(super) fn document(source: &Arc<Path>, text: &str, places: &LibraryPlaces) -> (PluginsFile, Problems) {
    let (mut problems, mut plugins) = (Problems::default(), PluginsFile::default());
    let (table, _) = parse_toml(source, text, &mut problems);
    let root = Section { source, text, name: String::new(), line: 1, table: &table };
    root.allow(&["trust", "bus", "adapter"], &mut problems);
    match root.get("trust") {
        Some((DeValue::Table(table), line)) => {
            let section = Section { source, text, name: "trust".into(), line, table };
            plugins.trust = trust::trust(&section, &mut problems);
        }
        Some((other, _)) => {
            problems
                .push(root.problem("trust", format!("must be a section [trust], not {}", kind_of(other))));
        }
        None => {}
    }
    match root.get("bus") {
        Some((DeValue::Table(table), line)) => {
            plugins.bus = bus(&Section { source, text, name: "bus".into(), line, table }, &mut problems);
        }
        Some((other, _)) => {
            problems.push(root.problem("bus", format!("must be a section [bus], not {}", kind_of(other))));
        }
        None => {}
    }
    match root
        .table
        .iter()
        .find(|(key, _)| key.get_ref().as_ref() == "adapter")
        .map(|(_, value)| value.get_ref())
    {
        Some(DeValue::Array(entries)) => {
            if entries.len() > MAX_ENTRIES {
                problems.push(root.problem("adapter", format!("there may be at most {MAX_ENTRIES}")));
            }
            for (number, entry) in entries.iter().take(MAX_ENTRIES).enumerate() {
                let line = line_at(text, entry.span().start);
                let DeValue::Table(table) = entry.get_ref() else {
                    problems.push(root.problem("adapter", "must be sections [[adapter]]"));
                    continue;
                };
                let section = Section { source, text, name: adapter_name(table, number), line, table };
                plugins.adapters.extend(adapter(&section, places, &plugins.trust, &mut problems));
            }
        }
        Some(other) => {
            let message = format!("must be sections [[adapter]] in double brackets, not {}", kind_of(other));
            problems.push(root.problem("adapter", message));
        }
        None => {}
    }
    check_uniqueness(source, &root, &plugins, &mut problems);
    (plugins, problems)
}

/// How problems call an adapter: by its name, or by its place when it has none that can be shown.
fn adapter_name(table: &DeTable<'_>, number: usize) -> String {
    let name = table.iter().find(|(key, _)| key.get_ref().as_ref() == "name");
    match name.and_then(|(_, value)| value.get_ref().as_str()).filter(|name| is_name(name)) {
        Some(name) => format!("adapter {name}"),
        None => format!("adapter {}", number + 1),
    }
}

/// Whether adapters and brokers may be called that.
pub(crate) fn is_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    !text.is_empty() && text.len() <= MAX_NAME_CHARS && text.bytes().all(is_allowed)
}

fn bus(section: &Section<'_>, problems: &mut Problems) -> BusSection {
    section.allow(&["brokers", "calendar"], problems);
    let brokers = section.texts("brokers", BROKERS, problems, is_name).unwrap_or_default();
    BusSection {
        brokers: at_most(brokers, section, problems),
        hours: hours(section, problems).unwrap_or_default(),
    }
}

fn at_most(brokers: Vec<String>, section: &Section<'_>, problems: &mut Problems) -> Vec<String> {
    if brokers.len() > MAX_ENTRIES {
        problems.push(section.problem("brokers", format!("must be {BROKERS}")));
        return Vec::new();
    }
    brokers
}

/// The adapter, unless it has no usable name or library. With any mistake the file is refused as a whole; the
/// adapter is given so that what depends on several of them can be looked at as well.
fn adapter(
    section: &Section<'_>,
    places: &LibraryPlaces,
    trust: &Trust,
    problems: &mut Problems,
) -> Option<AdapterEntry> {
    section.allow(&ADAPTER_KEYS, problems);
    for key in ["name", "library"].into_iter().filter(|key| section.get(key).is_none()) {
        problems.push(section.problem(key, "is missing"));
    }
    let name = section.text("name", NAME, problems, is_name);
    if name.as_deref() == Some(BUS_NAME) {
        problems.push(section.problem("name", "is what the bus is called; choose another"));
    }
    let library = section.text("library", "the stem of a library, or a path", problems, |text| {
        !text.trim().is_empty() && text.len() <= MAX_LIBRARY_BYTES && !text.contains('\0')
    });
    let brokers = section.texts("brokers", BROKERS, problems, is_name);
    if brokers.as_ref().is_some_and(Vec::is_empty) {
        problems.push(section.problem("brokers", format!("must be {BROKERS}")));
    }
    let brokers = brokers.map(|brokers| at_most(brokers, section, problems));
    let is_enabled = section.switch("enabled", problems).unwrap_or(true);
    let throttle_ms = section.whole("throttle_ms", 0, MAX_THROTTLE_MS, problems);
    let limits = limits(section, problems);
    let hours = hours(section, problems).unwrap_or_default();
    let isolation = section.text("isolation", ISOLATION, problems, |text| isolation(text).is_some());
    let usual = ResourceLimits::default();
    let resources = ResourceLimits {
        memory_mb: section.whole("memory_mb", 64, 65_536, problems).unwrap_or(usual.memory_mb),
        descriptors: section.whole("descriptors", 32, 65_536, problems).unwrap_or(usual.descriptors),
        threads: section.whole("threads", 4, 4_096, problems).unwrap_or(usual.threads),
    };
    let cage = cage(section, problems);
    let socket = section.text("socket", "the absolute path of a socket", problems, |text| {
        Path::new(text).is_absolute() && text.len() <= MAX_SOCKET_BYTES && !text.contains('\0')
    });
    let config = section.json("config", problems).unwrap_or_default();
    let integrity = trust::rules(section, library.as_deref(), places, trust, problems);
    let (name, library) = (name?, library?);
    let brokers = brokers.unwrap_or_else(|| vec![name.clone()]);
    let brands = brand::brands(section, &brokers, &config, problems);
    Some(AdapterEntry {
        library_path: places.find(&library),
        integrity,
        brokers,
        brands,
        name,
        library,
        is_enabled,
        throttle: throttle_ms.map(|ms| Duration::from_millis(ms.into())),
        limits,
        hours,
        isolation: isolation.as_deref().and_then(self::isolation).unwrap_or_default(),
        resources,
        cage,
        socket: socket.map(PathBuf::from),
        config_json: Value::Object(config).to_string(),
        config_line: section.get("config").map_or(section.line, |(_, line)| line),
        line: section.line,
    })
}

fn cage(section: &Section<'_>, problems: &mut Problems) -> Cage {
    let find = |text: &str| {
        [Confine::Auto, Confine::Required, Confine::Off].into_iter().find(|confine| confine.label() == text)
    };
    let confine = section.text("confine", CONFINE, problems, |text| find(text).is_some());
    let allowed = section.texts("allow", ALLOWED, problems, |word| Allowed::WORDS.contains(&word));
    let mut paths = |key| {
        let is_path = |text: &str| Path::new(text).is_absolute() && !text.contains('\0');
        let paths = section.texts(key, PATHS, problems, is_path).unwrap_or_default();
        if paths.len() > MAX_ENTRIES {
            problems.push(section.problem(key, format!("must be {PATHS}")));
        }
        paths.into_iter().take(MAX_ENTRIES).map(PathBuf::from).collect()
    };
    let (readable, writable) = (paths("readable"), paths("writable"));
    let ports = section.wholes("ports", PORTS, problems, 1..=u32::from(u16::MAX)).unwrap_or_default();
    if ports.len() > MAX_ENTRIES {
        problems.push(section.problem("ports", format!("must be {PORTS}")));
    }
    let usual = Cage::default();
    Cage {
        confine: confine.as_deref().and_then(find).unwrap_or_default(),
        allowed: Allowed::parse(&allowed.unwrap_or_default()),
        readable,
        writable,
        ports: ports.into_iter().filter_map(|port| u16::try_from(port).ok()).collect(),
        cache_mb: section.whole("cache_mb", 1, 65_536, problems).unwrap_or(usual.cache_mb),
    }
}

fn isolation(text: &str) -> Option<Isolation> {
    [Isolation::Process, Isolation::InProcess].into_iter().find(|isolation| isolation.label() == text)
}

pub(super) fn limits(section: &Section<'_>, problems: &mut Problems) -> LimitOverrides {
    let mut number = |key, least, most| {
        section.whole(key, least, most, problems).and_then(|number| usize::try_from(number).ok())
    };
    LimitOverrides {
        symbols_per_connection: number("symbols_per_connection", 1, MAX_SYMBOLS),
        connections: number("connections", 1, MAX_CONNECTIONS),
        deep_books_per_connection: number("deep_books_per_connection", 0, MAX_SYMBOLS),
        deep_above_levels: None,
    }
}

pub(super) fn hours(section: &Section<'_>, problems: &mut Problems) -> Option<Hours> {
    let find = |text: &str| [Hours::Exchange, Hours::Always].into_iter().find(|hours| hours.label() == text);
    let text = section.text("calendar", HOURS, problems, |text| find(text).is_some());
    text.as_deref().and_then(find)
}

/// Names are unique among all adapters, brokers among what is switched on.
fn check_uniqueness(source: &Arc<Path>, root: &Section<'_>, plugins: &PluginsFile, problems: &mut Problems) {
    let at = |adapter: &AdapterEntry, key: &str, message: String| {
        let name = format!("adapter {}: {key}", adapter.name);
        Problem::new(Origin::File(Arc::clone(source), adapter.line), name, message)
    };
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for adapter in &plugins.adapters {
        match names.get(adapter.name.as_str()) {
            Some(line) => {
                let message = format!("is already taken by the adapter of line {line}; names are unique");
                problems.push(at(adapter, "name", message));
            }
            None => _ = names.insert(&adapter.name, adapter.line),
        }
    }
    let bus_line = root.get("bus").map_or(0, |(_, line)| line);
    let mut served: BTreeMap<&str, (String, usize)> = BTreeMap::new();
    for broker in &plugins.bus.brokers {
        served.insert(broker, ("the bus".to_owned(), bus_line));
    }
    for adapter in plugins.enabled() {
        for broker in &adapter.brokers {
            match served.get(broker.as_str()) {
                Some((by, line)) => {
                    let message =
                        format!("{broker} is already served by {by} (line {line}); leave it to one of them");
                    problems.push(at(adapter, "brokers", message));
                }
                None => _ = served.insert(broker, (format!("adapter {}", adapter.name), adapter.line)),
            }
        }
    }
}
