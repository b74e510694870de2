//! Everything that a user can misconfigure, made for real, and what the program answers: the list in
//! `host/MISTAKES.md` is written from exactly these runs.

mod adapters;
mod bench;
mod client;
mod data;
mod network;
mod operation;
mod settings;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use self::bench::{Answer, Bench, SECRET, Shared};

/// Cases at one time: most of a case is waiting for programs.
const WORKERS: usize = 6;

/// One mistake.
struct Case {
    /// What the document calls it.
    name: &'static str,
    make: Make,
    /// What the answers say between them: what is wrong, where, and what to do.
    says: &'static [&'static str],
}

/// How a mistake is made.
enum Make {
    /// As the text of `tickhost.toml`; both `check` and `run` refuse it.
    Settings(&'static str),
    /// As a variable; both refuse it.
    Variable(&'static str, &'static str),
    /// As flags; both refuse them.
    Flags(&'static [&'static str]),
    /// As the text of `plugins.toml`; both refuse it.
    Plugins(&'static str),
    /// As what a client says to a host that is as it should be.
    Client(&'static [&'static str]),
    /// The same, after it has logged in.
    LoggedIn(&'static [&'static str]),
    /// In another way.
    By(fn(&mut Bench)),
    /// By a user without rights. On a machine that has no such user, or gives the right to everybody, it is
    /// left out, and its part of the document stays as it is.
    ByNobody(fn(&mut Bench)),
}

/// A heading of the document with its cases.
struct Area {
    title: &'static str,
    cases: &'static [Case],
}

const AREAS: &[Area] = &[
    Area { title: "Settings file", cases: settings::FILE },
    Area { title: "Environment and flags", cases: settings::ENVIRONMENT },
    Area { title: "Values of settings", cases: settings::VALUES },
    Area { title: "Ports and addresses", cases: network::PORTS },
    Area { title: "Certificate of the client port", cases: network::TLS },
    Area { title: "Data folder", cases: data::FOLDER },
    Area { title: "OpenAlgo's database", cases: data::OPENALGO },
    Area { title: "Users, keys and accounts", cases: data::ACCOUNTS },
    Area { title: "plugins.toml", cases: adapters::FILE },
    Area { title: "Libraries of adapters", cases: adapters::LIBRARIES },
    Area { title: "Settings and credentials of an adapter", cases: adapters::SETTINGS },
    Area { title: "Calendar of the exchanges", cases: operation::CALENDAR },
    Area { title: "Log, files and tools", cases: operation::TOOLS },
    Area { title: "While the host runs", cases: operation::RELOAD },
    Area { title: "Clients", cases: client::REQUESTS },
    Area { title: "Publishers on the bus", cases: client::BUS },
];

impl Case {
    const fn new(name: &'static str, make: Make, says: &'static [&'static str]) -> Self {
        Self { name, make, says }
    }

    /// Makes the mistake, and gives its part of the document; what happened until then, when an answer is not
    /// good.
    fn run(&self, shared: &OnceLock<Shared>) -> Result<String, String> {
        let mut bench = Bench::new();
        let made = catch_unwind(AssertUnwindSafe(|| {
            self.make(&mut bench, shared);
            self.judge(bench.answers());
        }));
        let record = bench.finish();
        made.map(|()| record.clone()).map_err(|_| record)
    }

    fn make(&self, bench: &mut Bench, shared: &OnceLock<Shared>) {
        match self.make {
            Make::Settings(text) => {
                bench.file("tickhost.toml", text);
                bench.refused();
            }
            Make::Variable(name, value) => {
                bench.env(name, value);
                bench.refused();
            }
            Make::Flags(flags) => bench.refused_with(flags),
            Make::Plugins(text) => {
                bench.file("plugins.toml", text);
                bench.refused();
            }
            Make::Client(says) => {
                bench.serve(shared.get_or_init(Shared::start));
                bench.client(says);
            }
            Make::LoggedIn(says) => {
                let shared = shared.get_or_init(Shared::start);
                bench.serve(shared);
                bench.client(&[&[client::authenticate(&shared.key).as_str()], says].concat());
            }
            Make::By(make) => make(bench),
            Make::ByNobody(make) => {
                bench.as_nobody();
                make(bench);
            }
        }
    }

    /// What must hold of every answer, and what of those of this case.
    fn judge(&self, answers: &[Answer]) {
        let all = answers.iter().map(|answer| answer.text.as_str()).collect::<Vec<_>>().join("\n");
        for said in self.says {
            assert!(all.contains(said), "{}: nothing says {said:?}:\n{all}", self.name);
        }
        assert!(!all.contains(SECRET), "{}: a secret is shown:\n{all}", self.name);
        assert!(!all.contains("panicked") && !all.contains("RUST_BACKTRACE"), "{}:\n{all}", self.name);
        for answer in answers {
            // 1 is "no", 2 is a command line that cannot be understood; all else is an accident.
            assert!(answer.code.is_none_or(|code| (0..=2).contains(&code)), "{}:\n{all}", self.name);
            assert!(!answer.text.is_empty(), "{}: a command says nothing:\n{all}", self.name);
            answer.text.lines().for_each(|line| self.judge_line(line));
        }
    }

    /// A line names the thing that the system refused, says nothing twice, and ends.
    fn judge_line(&self, line: &str) {
        let names_something = || ["DIR", "PORT", "127.0.0.1", "/"].iter().any(|place| line.contains(place));
        assert!(!line.contains("(os error") || names_something(), "{}: of what? {line}", self.name);
        let parts: Vec<&str> = line.split(": ").filter(|part| part.len() > 8).collect();
        let is_repeated = parts.windows(2).any(|pair| pair[0] == pair[1]);
        assert!(!is_repeated, "{}: a cause is repeated: {line}", self.name);
    }
}

/// `UPDATE_DOCUMENTS=1` writes the document instead of comparing it.
#[test]
fn every_mistake_is_answered_as_the_document_says() {
    // Before the cases, each of which has some seconds: what is not built yet is built by the first that
    // needs it.
    integration_tests::sim_library();
    integration_tests::library("adapter_zerodha");
    integration_tests::abi::fixture(integration_tests::abi::Variant::Major);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../host/MISTAKES.md");
    let wanted = std::env::var("MISTAKE").unwrap_or_default();
    let cases: Vec<&Case> = AREAS.iter().flat_map(|area| area.cases).collect();
    let can_be_nobody = bench::can_be_nobody();
    let is_possible = |case: &&Case| can_be_nobody || !matches!(case.make, Make::ByNobody(_));
    let cases: Vec<&Case> =
        cases.into_iter().filter(|case| case.name.contains(&wanted)).filter(is_possible).collect();
    let records = run_all(&cases);
    if !wanted.is_empty() {
        let shown: Vec<&str> = records.values().map(String::as_str).collect();
        panic!("only {wanted:?} was tried:\n{}", shown.join("\n"));
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    let text = document(&records, &written);
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let differs = text.lines().zip(written.lines()).find(|(now, before)| now != before);
    assert!(
        text == written,
        "host/MISTAKES.md has {:?}; run UPDATE_DOCUMENTS=1 cargo test -p integration-tests --test it mistakes",
        differs.map(|(now, before)| format!("{before:?} where now is {now:?}"))
    );
}

#[test]
fn every_mistake_has_a_name_of_its_own() {
    let names: Vec<&str> = AREAS.iter().flat_map(|area| area.cases).map(|case| case.name).collect();
    let different: std::collections::BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), different.len());
}

/// Runs the cases side by side; what failed is said together.
fn run_all(cases: &[&Case]) -> BTreeMap<&'static str, String> {
    let next = AtomicUsize::new(0);
    let shared = OnceLock::new();
    let records = Mutex::new(BTreeMap::new());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match case.run(&shared) {
                        Ok(record) => _ = records.lock().unwrap().insert(case.name, record),
                        Err(record) => failed.lock().unwrap().push(format!("### {}\n{record}", case.name)),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} cases failed:\n{}", failed.len(), failed.join("\n"));
    records.into_inner().unwrap()
}

const HEAD: &str = "\
# Mistakes and what the host answers

<!-- Made from the runs of `tests/it/mistakes.rs`. `UPDATE_DOCUMENTS=1 cargo test -p integration-tests --test it mistakes` writes it again. -->

What can be misconfigured, how it looks, and what the program says, word for word. Search here for what you see.

- Each mistake was made in a folder `DIR` with the settings, `plugins.toml` and data of a newcomer, but for what is shown.
  `PROGRAM_DIR` is where the program lies, `PORT` a port, `HASH` a hash.
- `tickhost check` tells of everything at once and starts nothing. Lines that begin with `ok`, for what it found good, are left
  out here.
- Exit codes: 0 all is well, warnings included; 1 no; 2 the command line cannot be understood.
- Of a running host only the lines of its log that matter are shown; `>` is what a client says, `<` what it hears.
";

/// The document. `written` is the one before, for what this machine cannot try.
fn document(records: &BTreeMap<&'static str, String>, written: &str) -> String {
    let mut text = HEAD.to_owned();
    text.push('\n');
    for area in AREAS {
        _ = writeln!(text, "- [{}](#{})", area.title, anchor(area.title));
    }
    for area in AREAS {
        _ = write!(text, "\n## {}\n", area.title);
        for case in area.cases {
            let head = format!("\n### {}\n\n```text\n", case.name);
            let before = || written.split_once(&head).and_then(|(_, rest)| rest.split_once("\n```\n"));
            let record = records.get(case.name).map(|record| record.trim_end());
            let record = record.or_else(|| before().map(|(record, _)| record)).unwrap_or_default();
            _ = write!(text, "{head}{record}\n```\n");
        }
    }
    text
}

/// The address of a heading, as GitHub makes it.
fn anchor(title: &str) -> String {
    let letters = title
        .to_lowercase()
        .chars()
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect::<String>();
    letters.chars().filter(|letter| letter.is_alphanumeric() || *letter == '-').collect()
}
