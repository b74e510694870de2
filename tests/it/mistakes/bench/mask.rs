//! What of an answer differs from run to run, and does not belong to it.

use std::fmt::Write as _;

use serde_json::Value;

/// What `check` found good, and what is said of a calendar that changes with the day, and of the kernel of
/// this machine.
pub(super) fn is_aside(line: &str) -> bool {
    const ASIDE: [&str; 5] = [
        "ok       ",
        "Confined, in processes of their own",
        "warning  calendar of the exchanges (the built-in one)",
        "warning  the kernel has",
        "warning  system calls cannot be filtered",
    ];
    ASIDE.iter().any(|beginning| line.starts_with(beginning))
}

/// A line of a log without the moment in front.
pub(super) fn without_time(line: &str) -> &str {
    let is_time = |word: &str| word.len() > 20 && word.ends_with('Z') && word.starts_with("20");
    match line.split_once(' ') {
        Some((first, rest)) if is_time(first) => rest.trim_start(),
        _ => line,
    }
}

/// Hashes differ from build to build.
pub(super) fn without_hashes(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut word = String::new();
    for letter in text.chars().chain(std::iter::once('\n')) {
        if letter.is_ascii_hexdigit() {
            word.push(letter);
            continue;
        }
        masked.push_str(if word.len() == 64 { "HASH" } else { &word });
        word.clear();
        masked.push(letter);
    }
    masked.pop();
    masked
}

/// Dates with times of day, as lists show when something was changed, without those.
pub(super) fn without_moments(text: &str) -> String {
    const FORM: &str = "0000-00-00 00:00:00";
    let letters: Vec<char> = text.chars().collect();
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let is_moment = letters.len() - at >= FORM.len()
            && letters[at..].iter().zip(FORM.chars()).all(|(letter, form)| match form {
                '0' => letter.is_ascii_digit(),
                form => *letter == form,
            });
        if is_moment {
            masked.push_str("YYYY-MM-DD HH:MM:SS");
            at += FORM.len();
        } else {
            masked.push(letters[at]);
            at += 1;
        }
    }
    masked
}

/// A line of the log as people read it.
pub(super) fn line_of(line: &Value) -> String {
    let mut text =
        format!("{} {}", line["level"].as_str().unwrap(), line["fields"]["message"].as_str().unwrap());
    for (name, value) in line["fields"].as_object().unwrap().iter().filter(|(name, _)| *name != "message") {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        _ = write!(text, " {name}={value}");
    }
    text
}

/// An argument as a shell wants it.
pub(super) fn quoted(arg: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,@".contains(letter);
    if !arg.is_empty() && arg.chars().all(is_plain) { arg.to_owned() } else { format!("'{arg}'") }
}
