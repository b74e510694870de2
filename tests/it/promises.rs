//! The documents of security name a test for each promise. Each name has to be that of a test, or of a module
//! of tests.

use std::{fs, path::Path};

/// All Rust sources below a folder, one after another.
fn sources(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push_str(&sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
    all
}

/// Names in code style within parentheses, such as (`doors`, `bus::places::tests`).
fn tests_named_in(document: &str) -> Vec<String> {
    let mut depth = 0;
    let mut names = Vec::new();
    for (place, part) in document.split('`').enumerate() {
        if place % 2 == 0 {
            let count = |wanted: char| i32::try_from(part.matches(wanted).count()).unwrap();
            depth += count('(') - count(')');
        } else if depth > 0
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':')
        {
            names.push(part.to_owned());
        }
    }
    names
}

#[test]
fn each_promise_names_tests_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["host/src", "host/core/src", "tests/it"];
    let code: String = folders.iter().map(|folder| sources(&root.join(folder))).collect();
    let document = fs::read_to_string(root.join("host/SECURITY.md")).unwrap();
    let names = tests_named_in(&document);
    assert!(names.len() > 30, "{names:?}");
    let is_there = |name: &&String| {
        name.split("::").all(|part| {
            [format!("fn {part}"), format!("mod {part};"), format!("mod {part} {{")]
                .iter()
                .any(|item| code.contains(item.as_str()))
        })
    };
    let missing: Vec<&String> = names.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "SECURITY.md names tests that are not there: {missing:?}");
}

#[test]
fn names_are_found_in_parentheses_only() {
    let text = "`no` (`one`, `two::three`) of `TICKHOST_X` (`A`, see [x](y.md), `four`) and `no`";
    assert_eq!(tests_named_in(text), ["one", "two::three", "four"]);
}
