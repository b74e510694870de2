//! The order of the layers: a folder of the host uses those before it in the list, and none after it.

#![allow(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "an integration test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// From the ground up. `tickhost_core` lies below all of them, and being another crate it cannot name them.
const LAYERS: [&str; 10] =
    ["base", "config", "accounts", "bus", "adapters", "feeds", "clients", "operator", "assembly", "command"];

/// What a line of code may not name, and why.
struct Broken {
    file: String,
    line: usize,
    name: String,
    rule: String,
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The layer of a file, by its path below `src`; none for the roots, which name all of them.
fn layer_of(path: &Path) -> Option<usize> {
    let first = path.components().next()?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    LAYERS.iter().position(|layer| *layer == name)
}

/// The code of a text without its comments, line by line.
fn code(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned()).collect()
}

/// Paths after `prefix` in a text, with their lines, each as far as two names: `a::b::c` is `[a, b]`. Braces
/// are taken apart, wherever they stand.
fn paths(text: &str, prefix: &str) -> Vec<(usize, Vec<String>)> {
    let text = code(text).join("\n");
    let mut found = Vec::new();
    for (offset, _) in text.match_indices(prefix) {
        // `$crate::`, which macros write, is the same; `other_crate::` and `super::super::` are not.
        let before = text[..offset].chars().next_back();
        if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            expand(&text, offset + prefix.len(), &[], &mut found);
        }
    }
    let line_of = |offset: usize| text[..offset].matches('\n').count() + 1;
    found.into_iter().map(|(offset, path)| (line_of(offset), path)).collect()
}

/// Adds the paths that begin at `at`, with those names before them; returns where they end.
fn expand(text: &str, at: usize, before: &[String], found: &mut Vec<(usize, Vec<String>)>) -> usize {
    let skip = |at: usize, is_skipped: fn(char) -> bool| {
        text[at..].find(|c| !is_skipped(c)).map_or(text.len(), |length| at + length)
    };
    let mut at = skip(at, char::is_whitespace);
    if text[at..].starts_with('{') {
        at += 1;
        loop {
            at = skip(at, |c| c.is_whitespace() || c == ',');
            if at == text.len() || text[at..].starts_with('}') {
                return (at + 1).min(text.len());
            }
            // Behind a path another name may stand for it.
            at = skip(expand(text, at, before, found), |c| c != ',' && c != '}');
        }
    }
    let (start, name) = (at, first_name(&text[at..]));
    let end = start + name.len();
    let mut path = before.to_vec();
    if path.len() < 2 {
        path.push(name);
    }
    if text[end..].starts_with("::") {
        return expand(text, end + 2, &path, found);
    }
    found.push((start, path));
    end
}

fn first_name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Lines with a path that climbs out of its layer by `super`, which hides what it names.
fn climbs(path: &Path, text: &str) -> Vec<(usize, String)> {
    let out = "super::".repeat(path.components().count());
    let lines = code(text).into_iter().enumerate().filter(|(_, line)| line.contains(&out));
    lines.map(|(number, _)| (number + 1, "super".to_owned())).collect()
}

fn broken(path: &Path, text: &str) -> Vec<Broken> {
    let Some(own) = layer_of(path) else { return Vec::new() };
    let first = |(line, path): (usize, Vec<String>)| (line, path.into_iter().next().unwrap_or_default());
    let forbidden = |(line, name): (usize, String)| {
        let named = LAYERS.iter().position(|layer| *layer == name);
        let rule = match named {
            Some(named) if named <= own => return None,
            Some(_) => format!("{} is built before {name}, and may not use it", LAYERS[own]),
            None => format!("{name} is no layer: name an item by crate:: and the layer where it is defined"),
        };
        Some(Broken { file: path.display().to_string(), line, name, rule })
    };
    let mut named: Vec<(usize, String)> = paths(text, "crate::").into_iter().map(first).collect();
    named.dedup();
    named.into_iter().chain(climbs(path, text)).filter_map(forbidden).collect()
}

/// The module of a layer that a file belongs to: the second name of its path.
fn module_of(path: &Path) -> Option<String> {
    let second = path.components().nth(1)?.as_os_str().to_str()?;
    Some(second.strip_suffix(".rs").unwrap_or(second).to_owned())
}

/// Which modules of its own layer a file names, itself excepted. Names that are no modules are items of the
/// layer.
fn neighbours(path: &Path, text: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let (Some(own), Some(layer)) = (module_of(path), layer_of(path).map(|layer| LAYERS[layer])) else {
        return BTreeSet::new();
    };
    let by_crate = paths(text, "crate::").into_iter().filter(|(_, path)| path[0] == layer);
    let by_crate = by_crate.filter_map(|(_, path)| path.into_iter().nth(1));
    let climb = "super::".repeat(path.components().count() - 1);
    let by_super = paths(text, &climb).into_iter().filter_map(|(_, path)| path.into_iter().next());
    by_crate.chain(by_super).filter(|name| *name != own && modules.contains(name)).collect()
}

/// The module of `host/core` that a file belongs to: the first name of its path; none for the root.
fn module_of_core(path: &Path) -> Option<String> {
    let first = path.components().next()?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "lib").then(|| name.to_owned())
}

/// Which modules of `host/core` a file of it names, its own excepted.
fn neighbours_in_core(path: &Path, text: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let Some(own) = module_of_core(path) else { return BTreeSet::new() };
    let climb = "super::".repeat(path.components().count());
    let named = [paths(text, "crate::"), paths(text, &climb)].concat();
    let named = named.into_iter().filter_map(|(_, path)| path.into_iter().next());
    named.filter(|name| *name != own && modules.contains(name)).collect()
}

/// Modules that reach themselves, each with a way.
fn circles(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let way_back = |start: &String| {
        let mut ways: Vec<Vec<&String>> = vec![vec![start]];
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.pop() {
            for next in way.last().and_then(|last| uses.get(*last)).into_iter().flatten() {
                if next == start {
                    let names: Vec<&str> = way.iter().copied().chain([start]).map(String::as_str).collect();
                    return Some(names.join(" uses "));
                }
                if seen.insert(next) {
                    ways.push(way.iter().copied().chain([next]).collect());
                }
            }
        }
        None
    };
    uses.keys().filter_map(way_back).collect()
}

#[test]
fn modules_of_a_layer_use_each_other_in_no_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for layer in LAYERS {
        let mut files = Vec::new();
        sources(&root.join(layer), &mut files);
        let relative: Vec<&Path> = files.iter().map(|file| file.strip_prefix(&root).unwrap()).collect();
        let modules: BTreeSet<String> = relative.iter().filter_map(|path| module_of(path)).collect();
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (file, path) in files.iter().zip(relative) {
            let named = neighbours(path, &fs::read_to_string(file).unwrap(), &modules);
            uses.entry(module_of(path).unwrap()).or_default().extend(named);
        }
        found.extend(circles(&uses).into_iter().map(|way| format!("{layer}: {way}")));
    }
    assert!(found.is_empty(), "modules that need each other:\n{}", found.join("\n"));
}

#[test]
fn modules_of_the_core_use_each_other_in_no_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("core/src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    // Tests build what they need out of any module.
    files.retain(|file| {
        let name = file.strip_prefix(&root).unwrap();
        !name.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
    });
    let relative: Vec<&Path> = files.iter().map(|file| file.strip_prefix(&root).unwrap()).collect();
    let modules: BTreeSet<String> = relative.iter().filter_map(|path| module_of_core(path)).collect();
    assert!(modules.contains("router") && modules.contains("metrics"), "{modules:?}");
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, path) in files.iter().zip(relative) {
        let Some(own) = module_of_core(path) else { continue };
        let text = fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        uses.entry(own).or_default().extend(neighbours_in_core(path, code, &modules));
    }
    let found = circles(&uses);
    assert!(found.is_empty(), "modules of the core that need each other:\n{}", found.join("\n"));
}

/// Tasks around code that is handed the time, and what is called by others' threads: the only files of these
/// layers that read a clock.
const TASKS: [&str; 11] = [
    "clients/listener.rs",
    "clients/session/run.rs",
    "clients/session/socket.rs",
    "clients/shard/idle.rs",
    "clients/shard/run.rs",
    "feeds/bus_feed.rs",
    "feeds/catalog/watch.rs",
    "feeds/feed/events.rs",
    "feeds/feed/task.rs",
    "feeds/hub.rs",
    "feeds/routing.rs",
];

/// Lines that read a clock, tests excepted.
fn clocks(path: &Path, text: &str) -> Vec<String> {
    if path.ends_with("tests.rs") || path.ends_with("rig.rs") {
        return Vec::new();
    }
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let reads = [
        "Instant::now",
        "Moment::now",
        "SystemTime::now",
        "Clock::start",
        "unix_nanos",
        "unix_millis",
        ".elapsed()",
    ];
    let lines = code(text).into_iter().enumerate();
    let lines = lines.filter(|(_, line)| reads.iter().any(|read| line.contains(read)));
    lines.map(|(number, line)| format!("src/{}:{}: {}", path.display(), number + 1, line.trim())).collect()
}

#[test]
fn clients_and_feeds_are_handed_the_time_by_their_tasks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for layer in ["clients", "feeds"] {
        sources(&root.join(layer), &mut files);
    }
    let (mut tasks, mut others) = (Vec::new(), Vec::new());
    for file in files {
        let path = file.strip_prefix(&root).unwrap();
        let found = clocks(path, &fs::read_to_string(&file).unwrap());
        if TASKS.iter().any(|task| Path::new(task) == path) {
            tasks.push(!found.is_empty());
        } else {
            others.extend(found);
        }
    }
    assert_eq!(tasks, [true; TASKS.len()], "what reads no clock is no exception");
    assert!(others.is_empty(), "a clock is read outside of {TASKS:?}:\n{}", others.join("\n"));
}

#[test]
fn each_layer_uses_those_before_it_and_none_after_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 200, "only {} files were found below {}", files.len(), root.display());
    let mut all = Vec::new();
    for file in files {
        let path = file.strip_prefix(&root).unwrap();
        assert!(
            layer_of(path).is_some() || path == Path::new("lib.rs") || path == Path::new("main.rs"),
            "{path:?} is in no layer"
        );
        all.extend(broken(path, &fs::read_to_string(&file).unwrap()));
    }
    all.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    let lines: Vec<String> = all
        .iter()
        .map(|Broken { file, line, name, rule }| format!("src/{file}:{line}: crate::{name}: {rule}"))
        .collect();
    assert!(lines.is_empty(), "{} uses against the order of the layers:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn the_roots_list_the_layers_in_their_order() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let listed: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(listed, LAYERS);
}

#[test]
fn the_drawing_of_the_layers_is_that_of_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let house = text.split("## The house").nth(1).unwrap();
    let drawing: Vec<&str> = house.split("```").nth(1).unwrap().lines().skip(1).collect();
    let first = |line: &&str| {
        line.strip_prefix(' ').unwrap_or_default().split(' ').next().unwrap_or_default().to_owned()
    };
    let mut drawn: Vec<String> =
        drawing.iter().map(first).filter(|name| LAYERS.contains(&name.as_str())).collect();
    drawn.reverse();
    assert_eq!(drawn, LAYERS, "from the ground up");
    // What a line lists after its colon is in that folder.
    for line in drawing {
        let Some((layer, listed)) =
            line.trim().split_once(' ').and_then(|(layer, rest)| Some((layer, rest.split_once(": ")?.1)))
        else {
            continue;
        };
        if matches!(layer, "feeds" | "clients" | "operator" | "adapters" | "assembly") {
            for name in listed.split(", ") {
                let (file, folder) =
                    (root.join(format!("src/{layer}/{name}.rs")), root.join(format!("src/{layer}/{name}")));
                assert!(file.is_file() || folder.is_dir(), "{layer} has no {name}");
            }
        }
    }
}

#[test]
fn files_that_the_document_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let mut files = Vec::new();
    for folder in ["src", "core/src", "tests", "../tests", "../adapter-sdk"] {
        sources(&root.join(folder), &mut files);
    }
    let named = text.split('`').skip(1).step_by(2).filter(|name| {
        Path::new(name).extension().is_some_and(|extension| extension == "rs")
            && name.chars().all(|c| c.is_alphanumeric() || "_/.-".contains(c))
    });
    let missing: Vec<&str> = named.filter(|name| !files.iter().any(|file| file.ends_with(name))).collect();
    assert!(missing.is_empty(), "no such files: {missing:?}");
}

#[test]
fn a_use_against_the_order_is_found_wherever_it_stands() {
    let rules = |path: &str, text: &str| -> Vec<(usize, String)> {
        broken(Path::new(path), text).into_iter().map(|broken| (broken.line, broken.name)).collect()
    };
    let nothing: Vec<(usize, String)> = Vec::new();
    assert_eq!(rules("feeds/hub.rs", "use crate::{\n    base::clock,\n    feeds::{feed, hub},\n};"), nothing);
    let found =
        rules("feeds/hub.rs", "use crate::{\n    base::clock,\n    clients::{shard::Inbox, tls},\n};");
    assert_eq!(found, [(3, "clients".to_owned())]);
    assert_eq!(rules("base.rs", "fn f() { crate::command::main() }"), [(1, "command".to_owned())]);
    assert_eq!(rules("bus/zmtp.rs", "\nfn f() -> crate::Elsewhere {}"), [(2, "Elsewhere".to_owned())]);
    assert_eq!(rules("base/clock.rs", "use super::super::command;"), [(1, "super".to_owned())]);
    assert_eq!(rules("base/clock/shift.rs", "use super::super::files;"), nothing);
    assert_eq!(rules("base/clock.rs", "// not crate::command\nuse tickhost_crate::command;"), nothing);
}

#[test]
fn a_circle_of_modules_is_found_however_it_is_written() {
    let modules: BTreeSet<String> = ["seat", "session", "shard"].map(str::to_owned).into();
    let named = |path: &str, text: &str| -> Vec<String> {
        neighbours(Path::new(path), text, &modules).into_iter().collect()
    };
    assert_eq!(
        named("clients/shard.rs", "use crate::{base::clock, clients::{seat::Seat, session::{self, run}}};"),
        ["seat", "session"]
    );
    assert_eq!(named("clients/shard/run.rs", "fn f() { super::super::session::run() }"), ["session"]);
    assert_eq!(named("clients/shard/run.rs", "use super::session;"), Vec::<String>::new(), "one of its own");
    assert_eq!(named("clients/shard.rs", "use super::{seat, Layer};\nuse crate::feeds::session;"), ["seat"]);
    let in_core: Vec<String> = neighbours_in_core(
        Path::new("session/news.rs"),
        "use crate::{seat::Seat, session};\nuse super::super::shard;",
        &modules,
    )
    .into_iter()
    .collect();
    assert_eq!(in_core, ["seat", "shard"]);
    let uses = |pairs: &[(&str, &str)]| {
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in pairs {
            uses.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        circles(&uses)
    };
    assert_eq!(uses(&[("session", "shard"), ("session", "seat"), ("shard", "seat")]), Vec::<String>::new());
    let found = uses(&[("session", "shard"), ("shard", "seat"), ("seat", "session"), ("tls", "session")]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[0], "seat uses session uses shard uses seat");
}
