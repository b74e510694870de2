//! The order of the layers: a folder of the host uses those before it in the list, and none after it.

#![allow(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "an integration test"
)]

use std::{
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

/// First names after `crate::` in a text, with their lines: those of paths, and those of the braces of a `use`.
fn names(text: &str) -> Vec<(usize, String)> {
    let lines = code(text);
    let text = lines.join("\n");
    let line_of = |offset: usize| text[..offset].matches('\n').count() + 1;
    let mut found = Vec::new();
    for (offset, _) in text.match_indices("crate::") {
        // `$crate::`, which macros write, is the same; `other_crate::` is not.
        let is_other = text[..offset].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        if is_other {
            continue;
        }
        let start = offset + "crate::".len();
        let Some(rest) = text[start..].strip_prefix('{') else {
            found.push((line_of(offset), first_name(&text[start..])));
            continue;
        };
        let mut depth = 1;
        let mut begins = true;
        for (at, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => begins = true,
                c if begins && depth == 1 && !c.is_whitespace() => {
                    begins = false;
                    found.push((line_of(start + 1 + at), first_name(&rest[at..])));
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
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
    let forbidden = |(line, name): (usize, String)| {
        let named = LAYERS.iter().position(|layer| *layer == name);
        let rule = match named {
            Some(named) if named <= own => return None,
            Some(_) => format!("{} is built before {name}, and may not use it", LAYERS[own]),
            None => format!("{name} is no layer: name an item by crate:: and the layer where it is defined"),
        };
        Some(Broken { file: path.display().to_string(), line, name, rule })
    };
    names(text).into_iter().chain(climbs(path, text)).filter_map(forbidden).collect()
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
