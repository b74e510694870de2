//! The suite has to be able to fail: an adapter with one vice at a time, and the case that must find it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::tests_outside_test_module,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "an integration test, with a broker of its own"
)]

mod broker;

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use adapter_conformance::{
    Answer, CASES, Case, CaseResult, Command, Control, CredentialSets, Hello, Profile, Report, Suite,
    Verdict, run_side_by_side,
};
use adapter_sdk::testing;

use self::broker::{
    adapter::{Broker, Vice},
    blocking,
    venue::{Manner, Memory},
};

const PROFILE: &str = r#"
    instruments = [
        { exchange = "NSE", symbol = "A" },
        { exchange = "NSE", symbol = "B" },
        { exchange = "NSE", symbol = "C" },
    ]
    odd = [{ exchange = "NSE", symbol = "D_E" }, { exchange = "NSE", symbol = "F-G" }, { exchange = "NSE", symbol = "H I" }]
    unknown = { exchange = "NSE", symbol = "NOSUCH" }
    [config]
    venue = "{venue}"
    [credentials]
    valid = { token = "of today" }
    renewed = { token = "of tomorrow" }
    wrong = { token = "of yesterday" }
    [login]
    fields = { secret = "secret of the app" }
    wrong = { secret = "secret of another" }
    [bulk]
    exchange = "NSE"
    pattern = "S{n}"
    count = 100
    largest_message = 50
    [limits]
    stall_ms = 300
    depth = 20
    price_decimals = 4
    time_resolution_ns = 1
    reconnects = 200
"#;

/// Adapters with a vice that run at the same time. Most of their time is spent in waiting for what does not
/// come; more of them than this keep each other from answering.
const AT_ONCE: usize = 21;

/// The case that counts what is open in the whole process. The others wait for it, and it for them.
const ALONE: &str = "C12";

/// Which case finds what, and what it says.
const CAUGHT: [(&str, Vice, &str); 44] = [
    ("C01", Vice::KeepsHandles, "the price of another instrument"),
    ("C02", Vice::InventsZeros, "says that volume is 0"),
    ("C03", Vice::WipesOnPartial, "high was published as 0"),
    ("C04", Vice::ReadsFirstPacketOnly, "and published at 1000.05"),
    ("C05", Vice::KeepsToken, "did not log in with them"),
    ("C06", Vice::RetriesBlindly, "and went on"),
    ("C07", Vice::NoticesNoStall, "a word that the connection fell silent"),
    ("C08", Vice::SubscribesOneByOne, "with 100 messages, where 2 would do"),
    ("C09", Vice::NeverLowersModes, "a subscription of NSE:A in mode ltp"),
    ("C09", Vice::PublishesAbove, "a Quote record is published although nothing above Ltp is wanted"),
    ("C09", Vice::PublishesBelow, "a price of NSE:A for those who hold Depth"),
    ("C09", Vice::PublishesGreeksAbove, "greeks are published although nothing above Ltp is wanted"),
    ("C10", Vice::HangsUpAtZero, "hung up when nothing was subscribed"),
    ("C11", Vice::StopsSlowly, "told to stop while ticks come"),
    ("C12", Vice::LeaksDescriptors, "more descriptors are open"),
    ("C13", Vice::SendsLocalTime, "exchange_ts_ns is off by 19800s"),
    ("C14", Vice::CutsSymbols, "a subscription of NSE:D_E"),
    ("C15", Vice::TakesQuietForDead, "on which only heartbeats came"),
    ("C16", Vice::PromisesDepth, "it granted 30"),
    ("C16", Vice::PromisesBooks, "it has 3 books of more than 5 levels on a connection, and granted 5"),
    ("C16", Vice::CutsNoBooks, "it granted 5 levels, and a deeper book arrived with 20: it is not cut"),
    ("C17", Vice::CountsInFloats, "published as 625.049987793"),
    ("C17", Vice::MisscalesGreeks, "delta was published as 52.34, which it cannot be"),
    ("C18", Vice::LogsTokens, "stands in a log line"),
    ("C19", Vice::PanicsAtNonsense, "panicked: nonsense"),
    ("C19", Vice::HidesNonsense, "neither counted nonsense nor hung up"),
    ("C20", Vice::TakesAnySetting, "a setting that does not exist"),
    ("C21", Vice::ForgetsAdditions, "a subscription of NSE:C"),
    ("C22", Vice::KnowsEverySymbol, "a refusal of NSE:NOSUCH"),
    ("C23", Vice::BlocksCalls, "`subscribe` took"),
    ("C24", Vice::AsksAgain, "asks for `code`, which it was given already"),
    ("C24", Vice::RetriesLogIns, "the refusal of a log-in has code"),
    ("C24", Vice::ShowsSecrets, "stands in the question for `code`"),
    ("C25", Vice::ZeroesOrders, "quantity of an order was sent as null, and published as 0"),
    ("C25", Vice::DropsOddOrders, "for the order update"),
    ("C25", Vice::ForgetsOthersInOrders, "and filled_quantity was lost by that"),
    ("C26", Vice::KeepsList, "a word that the new list does not have NSE:C"),
    ("C26", Vice::KeepsKeys, "and its price was shown under that"),
    ("C27", Vice::BelievesTornLists, "was believed, and NSE:"),
    ("C28", Vice::LeavesSessions, "the old one was left open"),
    ("C28", Vice::FightsSessions, "the two throw each other out"),
    ("C29", Vice::TakesImagesForUpdates, "left it standing"),
    ("C29", Vice::TakesUpdatesForImages, "took it away"),
    ("C30", Vice::RemembersDays, "of the day before is published"),
];

/// The suite for an adapter with a vice, or without.
fn suite(vice: Option<Vice>) -> Suite {
    let mut profile = Profile::parse(PROFILE, Path::new(".")).unwrap();
    if let Some(vice) = vice {
        profile.config.insert("vice".to_owned(), format!("{vice:?}").into());
    }
    let module =
        if vice == Some(Vice::BlocksCalls) { blocking::module() } else { testing::module::<Broker>().into() };
    Suite::new(module, profile).with_venue(|| Ok(Box::new(Memory::start(Manner::Plain))))
}

fn run(id: &str, vice: Option<Vice>) -> CaseResult {
    let case = CASES.iter().find(|case| case.id == id).unwrap();
    suite(vice).run(case)
}

#[test]
fn every_vice_is_caught_by_its_case_and_an_adapter_without_passes_all() {
    let sound = suite(None).run_all();
    assert_eq!(sound.count(Verdict::Passed), CASES.len(), "{sound}");
    let caught = |(id, vice, said): &(&str, Vice, &str)| {
        let result = run(id, Some(*vice));
        assert_eq!(result.verdict, Verdict::Failed, "{vice:?}: {result}");
        assert!(result.reason.contains(said), "{vice:?}: {result}");
    };
    let (alone, beside): (Vec<_>, Vec<_>) = CAUGHT.iter().partition(|(id, ..)| *id == ALONE);
    alone.into_iter().for_each(caught);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(some) = beside.get(next.fetch_add(1, Ordering::Relaxed)) {
                    caught(some);
                }
            });
        }
    });
}

/// Brokers as they are: each passes what has a meaning there, and nothing is skipped for another reason.
#[test]
fn brokers_with_other_channels_or_without_a_log_in_pass_what_has_a_meaning_for_them() {
    for (manner, skipped) in [
        (Manner::OneChannel, &[][..]),
        (Manner::Apart, &["C04"]),
        (Manner::Open, &["C05", "C06", "C18", "C24"]),
    ] {
        let mut profile = Profile::parse(PROFILE, Path::new(".")).unwrap();
        if manner == Manner::Open {
            profile.credentials = CredentialSets::default();
            profile.login = None;
        }
        if manner == Manner::OneChannel {
            profile.limits.modes = ["quote", "depth"].map(str::to_owned).into();
        }
        let suite = Suite::new(testing::module::<Broker>(), profile)
            .with_venue(move || Ok(Box::new(Memory::start(manner))));
        let cases: Vec<&Case> = CASES.iter().filter(|case| case.id != ALONE).collect();
        let mut report = Report { adapter: format!("{manner:?}"), results: Vec::new() };
        run_side_by_side(&cases, |case| suite.run(case), |result| report.results.push(result));
        assert!(report.is_success(), "{report}");
        let others = report.results.iter().filter(|result| result.verdict == Verdict::Skipped);
        assert_eq!(others.map(|result| result.id.as_str()).collect::<Vec<_>>(), skipped, "{report}");
    }
}

#[cfg(unix)]
#[test]
fn a_venue_that_does_not_start_is_one_failure_with_the_beginning_of_what_was_said() {
    let script =
        "echo 'linking with `cc` failed' >&2; printf '%04000d\n' 7 >&2; echo 'cannot find -lx' >&2; exit 101";
    let mut profile = Profile::parse(PROFILE, Path::new(".")).unwrap();
    profile.venue = Some(["sh", "-c", script].map(str::to_owned).into());
    let report = Suite::new(testing::module::<Broker>(), profile).run_all();
    let [result] = &report.results[..] else { panic!("{report}") };
    assert_eq!((result.id.as_str(), result.verdict, report.is_success()), ("C00", Verdict::Failed, false));
    assert!(result.reason.contains("linking with `cc` failed\n"), "{report}");
    assert!(result.reason.contains("0… (4000 bytes)\n"), "{report}");
    assert!(result.reason.ends_with("cannot find -lx") && result.reason.len() < 500, "{report}");
}

/// A venue whose broker sends nothing but whole packets, and which complains.
struct Whole(Memory);

impl Control for Whole {
    fn hello(&self) -> Hello {
        let mut hello = self.0.hello();
        hello.commands.retain(|command| command != "partial");
        hello
    }

    fn execute(&mut self, command: Command) -> Answer {
        let mut answer = self.0.execute(command);
        if let Answer::Report(report) = &mut answer {
            report.complaints.push("it spoke in riddles".to_owned());
        }
        answer
    }
}

#[test]
fn images_are_tried_where_there_are_no_updates_and_a_venue_s_complaint_is_quoted() {
    let case = CASES.iter().find(|case| case.id == "C29").unwrap();
    let run = |vice| suite(vice).with_venue(|| Ok(Box::new(Whole(Memory::start(Manner::Plain))))).run(case);
    let sound = run(None);
    assert_eq!((sound.verdict, sound.reason.as_str()), (Verdict::Passed, ""));
    let caught = run(Some(Vice::TakesImagesForUpdates));
    assert_eq!(caught.verdict, Verdict::Failed);
    assert!(caught.reason.contains("left it standing"), "{caught}");
    assert!(caught.reason.ends_with("; the fake venue hung up because it spoke in riddles"), "{caught}");
}
