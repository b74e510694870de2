use proptest::prelude::*;

use super::*;

const NANOS: u64 = 1_000_000_000;

/// A moment in Indian time.
fn at(date: &str, time: &str) -> u64 {
    date.parse::<Date>().unwrap().at(time.parse().unwrap())
}

fn open_since(date: &str, time: &str) -> Phase {
    Phase::Open { since_ns: at(date, time) }
}

fn closed_until(date: &str, time: &str) -> Phase {
    Phase::Closed { opens_ns: Some(at(date, time)) }
}

#[test]
fn the_built_in_calendar_knows_hours_weekends_and_holidays() {
    let calendar = Calendar::built_in();
    // A Wednesday.
    let day = "2026-11-25";
    let pre_open = Phase::PreOpen { opens_ns: at(day, "09:15") };
    for exchange in ["NSE", "BSE", "NFO", "BFO", "NSE_INDEX", "BSE_INDEX"] {
        let phase = |date, time| calendar.phase(exchange, at(date, time));
        assert_eq!(phase(day, "08:59"), closed_until(day, "09:15"));
        assert_eq!(phase(day, "09:00"), pre_open);
        assert_eq!(phase(day, "09:14"), pre_open);
        assert_eq!(phase(day, "09:15"), open_since(day, "09:15"));
        assert_eq!(phase(day, "15:29"), open_since(day, "09:15"));
        assert_eq!(phase(day, "15:30"), closed_until("2026-11-26", "09:15"));
        // Friday evening, Saturday and Sunday all wait for Monday.
        for (date, time) in [("2026-11-27", "15:30"), ("2026-11-28", "12:00"), ("2026-11-29", "23:59")] {
            assert_eq!(phase(date, time), closed_until("2026-11-30", "09:15"), "{date} {time}");
        }
        // Guru Nanak Jayanti, a Tuesday; Christmas, a Friday, and the weekend after it.
        assert_eq!(phase("2026-11-24", "11:00"), closed_until("2026-11-25", "09:15"));
        assert_eq!(phase("2026-12-25", "11:00"), closed_until("2026-12-28", "09:15"));
        // The budget of 2026 was on a Sunday on which the exchanges traded.
        assert_eq!(phase("2026-02-01", "11:00"), open_since("2026-02-01", "09:15"));
    }
    assert_eq!(calendar.phase("CDS", at(day, "16:59")), open_since(day, "09:00"));
    assert_eq!(calendar.phase("BCD", at(day, "17:00")), closed_until("2026-11-26", "09:00"));
    for exchange in ["MCX", "NCO", "MCX_INDEX"] {
        // Winter and summer of the United States.
        assert_eq!(calendar.phase(exchange, at(day, "23:54")), open_since(day, "09:00"));
        assert_eq!(calendar.phase(exchange, at("2026-07-01", "23:29")), open_since("2026-07-01", "09:00"));
        assert_eq!(calendar.phase(exchange, at("2026-07-01", "23:30")), closed_until("2026-07-02", "09:00"));
        // A holiday with an evening session.
        assert_eq!(calendar.phase(exchange, at("2026-11-24", "11:00")), closed_until("2026-11-24", "17:00"));
        assert_eq!(calendar.phase(exchange, at("2026-11-24", "20:00")), open_since("2026-11-24", "17:00"));
    }
    for exchange in ["CRYPTO", "MARS"] {
        assert_eq!(calendar.phase(exchange, at("2026-11-29", "03:00")), Phase::Open { since_ns: 0 });
    }
}

#[test]
fn exchanges_together_are_as_open_as_the_most_open_one() {
    let calendar = Calendar::built_in();
    let all =
        |exchanges: &[&str], date, time| calendar.phase_of_all(exchanges.iter().copied(), at(date, time));
    let day = "2026-11-25";
    assert_eq!(all(&[], day, "12:00"), None);
    assert_eq!(all(&["NSE", "MCX"], day, "16:00"), Some(MarketPhase::Open));
    assert_eq!(all(&["MCX", "NSE"], day, "16:00"), Some(MarketPhase::Open));
    assert_eq!(
        all(&["NSE", "MCX"], day, "08:00"),
        Some(MarketPhase::Closed { opens_ns: Some(at(day, "09:00")) })
    );
    let pre_open = Some(MarketPhase::PreOpen { opens_ns: at(day, "09:15") });
    assert_eq!(all(&["NSE", "NCDEX"], day, "09:05"), pre_open);
    assert_eq!(all(&["NCDEX", "NSE"], day, "09:05"), pre_open);
    assert_eq!(all(&["NSE", "CRYPTO"], "2026-11-29", "03:00"), Some(MarketPhase::Open));
}

#[test]
fn silence_counts_from_a_while_after_the_first_opening() {
    let calendar = Calendar::built_in();
    let audible =
        |exchanges: &[&str], time| calendar.audible_since(exchanges.iter().copied(), at("2026-11-25", time));
    let since = |time| Some(at("2026-11-25", time));
    assert_eq!(audible(&["NSE"], "09:10"), None);
    assert_eq!(audible(&["NSE"], "09:15"), None, "the grace is not over");
    assert_eq!(audible(&["NSE"], "09:16"), since("09:16"));
    assert_eq!(audible(&["NSE", "MCX"], "09:15"), since("09:01"));
    assert_eq!(audible(&["NSE", "MCX"], "16:00"), since("09:01"));
    assert_eq!(audible(&["NSE"], "16:00"), None);
    assert_eq!(audible(&["NSE", "CRYPTO"], "03:00"), Some(0));
}

const MARKET: &str = r#"
covers = { from = "2026-01-01", to = "2026-12-31" }
[[market]]
name = "one"
exchanges = ["XA"]
sessions = ["09:00-12:00", "13:00-15:00"]
"#;

#[test]
fn a_file_may_say_more_than_the_built_in_one() {
    let calendar = Calendar::parse(&format!(
        "{MARKET}days = [\"sun\"]\nholidays = [\"2026-11-22\"]\nspecial = [{{ date = \"2026-11-24\", sessions = [\"18:00-19:00\"] }}]"
    ))
    .unwrap();
    let phase = |date, time| calendar.phase("XA", at(date, time));
    assert_eq!(phase("2026-11-29", "10:00"), open_since("2026-11-29", "09:00"));
    assert_eq!(phase("2026-11-29", "12:30"), closed_until("2026-11-29", "13:00"));
    assert_eq!(phase("2026-11-22", "10:00"), closed_until("2026-11-24", "18:00"));
    assert_eq!(phase("2026-11-24", "18:30"), open_since("2026-11-24", "18:00"));
    assert_eq!(phase("2026-11-25", "10:00"), closed_until("2026-11-29", "09:00"));
}

/// A market that opens at this time after a pre-open of half an hour; never, without one.
fn market(exchange: &str, opens: Option<&str>) -> String {
    let days = if opens.is_some() { "" } else { "days = []\n" };
    let opens = opens.unwrap_or("09:00");
    format!(
        "[[market]]\nname = \"{exchange}\"\nexchanges = [\"{exchange}\"]\nsessions = [\"{opens}-15:00\"]\n\
         pre_open_minutes = 30\n{days}"
    )
}

#[test]
fn of_several_openings_the_earliest_counts_in_whatever_order_they_are_named() {
    let covers = "covers = { from = \"2026-01-01\", to = \"2026-12-31\" }\n".to_owned();
    let markets = [("XA", Some("09:15")), ("XB", Some("09:30")), ("XC", None)];
    let text = markets.into_iter().fold(covers, |text, (exchange, opens)| text + &market(exchange, opens));
    let calendar = Calendar::parse(&text).unwrap();
    let day = "2026-11-25";
    let opens_ns = at(day, "09:15");
    for order in [["XA", "XB", "XC"], ["XC", "XB", "XA"], ["XB", "XC", "XA"], ["XA", "XC", "XB"]] {
        let all = |time| calendar.phase_of_all(order, at(day, time));
        assert_eq!(all("08:00"), Some(MarketPhase::Closed { opens_ns: Some(opens_ns) }), "{order:?}");
        assert_eq!(all("09:05"), Some(MarketPhase::PreOpen { opens_ns }), "{order:?}");
    }
    assert_eq!(calendar.phase_of_all(["XC"], at(day, "08:00")), Some(MarketPhase::Closed { opens_ns: None }));
}

#[test]
fn a_season_lasts_from_its_first_day_to_its_last() {
    let season = "seasons = [{ from = \"2026-11-24\", to = \"2026-11-26\", sessions = [\"18:00-19:00\"] }]";
    let calendar = Calendar::parse(&format!("{MARKET}{season}")).unwrap();
    for (date, expected) in [
        ("2026-11-23", "09:00"),
        ("2026-11-24", "18:00"),
        ("2026-11-25", "18:00"),
        ("2026-11-26", "18:00"),
        ("2026-11-27", "09:00"),
    ] {
        assert_eq!(calendar.phase("XA", at(date, "06:00")), closed_until(date, expected), "{date}");
    }
}

#[test]
fn mistakes_are_named_with_what_is_allowed() {
    let without_sessions = MARKET.replace("sessions = [\"09:00-12:00\", \"13:00-15:00\"]\n", "");
    for (text, words) in [
        (String::new(), "covers"),
        (MARKET.replace("09:00-12:00", "9-12"), "a time of day such as 09:15"),
        (MARKET.replace("09:00-12:00", "09:00"), "a session such as"),
        (MARKET.replace("09:00-12:00", "12:00-09:00"), "ends before it begins"),
        (MARKET.replace("13:00-15:00", "11:00-15:00"), "begins before"),
        (MARKET.replace("2026-12-31", "2025-12-31"), "is after"),
        (MARKET.replace("2026-12-31", "tomorrow"), "a date such as"),
        (format!("{MARKET}holidays = [\"2026-02-30\"]"), "a date such as"),
        (format!("{MARKET}holidays = [\"2026-02-20\", \"2026-02-20\"]"), "named twice"),
        (format!("{MARKET}special = [{{ date = \"2026-02-20\", sessions = [] }}]"), "has no hours"),
        (format!("{MARKET}days = [\"monday\"]"), "days are mon"),
        (format!("{MARKET}always_open = true"), "always_open"),
        (format!("{MARKET}holydays = []"), "unknown field"),
        (format!("{MARKET}pre_open_minutes = 900"), "at most 240"),
        (format!("grace_seconds = 9999\n{MARKET}"), "at most 3600"),
        (without_sessions, "needs sessions"),
        (MARKET.replace("[\"XA\"]", "[\"XA\", \"XA\"]"), "named twice"),
        ("x".repeat(MAX_FILE_BYTES + 1), "longer than"),
    ] {
        let error = Calendar::parse(&text).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

proptest! {
    /// Whatever the moment: what is closed opens later, at a moment at which it is open, and not before.
    #[test]
    fn the_next_opening_is_the_next(seconds in 1_767_225_600_u64..1_798_761_600, place in 0_usize..6) {
        let calendar = Calendar::built_in();
        let exchange = ["NSE", "CDS", "MCX", "NCDEX", "GLOBAL_INDEX", "CRYPTO"][place];
        let now = seconds * NANOS;
        match calendar.phase(exchange, now) {
            Phase::Open { since_ns } => prop_assert!(since_ns <= now),
            Phase::PreOpen { opens_ns } | Phase::Closed { opens_ns: Some(opens_ns) } => {
                prop_assert!(opens_ns > now);
                prop_assert_eq!(calendar.phase(exchange, opens_ns), Phase::Open { since_ns: opens_ns });
                let is_open_before =
                    matches!(calendar.phase(exchange, u64::midpoint(now, opens_ns)), Phase::Open { .. });
                prop_assert!(!is_open_before);
            }
            Phase::Closed { opens_ns: None } => prop_assert!(false, "nothing closes for 40 days"),
        }
    }
}
