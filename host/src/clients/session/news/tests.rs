use serde_json::{Value, json};
use tickhost_core::{
    calendar::{Calendar, Hours, date::Date},
    model::{DepthClass, InstrumentId, Mode, Variant},
};

use super::*;

const SILENT_AFTER: Duration = Duration::from_secs(10);

fn key(number: u32) -> Key {
    Key { instrument: InstrumentId(number), variant: Variant::new(Mode::Ltp, DepthClass::Five, false) }
}

fn name(number: u32) -> SymbolName {
    SymbolName { exchange: "NSE".into(), symbol: format!("S{number:04}").into(), suffix: None }
}

fn always() -> Audience {
    Audience::new(Hours::Always, Calendar::built_in().into())
}

struct Rig {
    news: News,
    start: Instant,
}

impl Rig {
    fn new() -> Self {
        let mut news = News::default();
        news.want(true);
        Self { news, start: Instant::now() }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    fn ask(&mut self, number: u32, request: &Rc<RequestId>) {
        self.news.track(key(number), name(number), request, self.start, SILENT_AFTER);
    }

    /// States and symbols of each frame that is due, with the wall clock at this moment of a feed.
    fn due(&mut self, ms: u64, now_ns: u64, audience: Option<Audience>) -> Vec<Vec<(String, String)>> {
        let at = self.at(ms);
        let frames = self.news.due(at, now_ns, SILENT_AFTER, "acme", || audience);
        let entry = |entry: &Value| {
            (entry["state"].as_str().unwrap().to_owned(), entry["symbol"].as_str().unwrap().to_owned())
        };
        frames
            .iter()
            .map(|frame| {
                let frame: Value = serde_json::from_slice(frame).unwrap();
                assert_eq!(
                    (&frame["type"], &frame["broker"]),
                    (&json!("subscription_status"), &json!("acme"))
                );
                frame["subscriptions"].as_array().unwrap().iter().map(entry).collect()
            })
            .collect()
    }
}

fn said(state: &str, numbers: impl IntoIterator<Item = u32>) -> Vec<(String, String)> {
    numbers.into_iter().map(|number| (state.to_owned(), format!("S{number:04}"))).collect()
}

#[test]
fn whoever_did_not_ask_holds_nothing() {
    let mut news = News::default();
    news.track(key(1), name(1), &Rc::default(), Instant::now(), SILENT_AFTER);
    assert_eq!((news.waiting(), news.next()), (0, None));
}

#[test]
fn first_ticks_of_a_while_make_one_frame_for_each_request() {
    let mut rig = Rig::new();
    let (one, other) = (Rc::default(), Rc::default());
    (0..4).for_each(|number| rig.ask(number, if number < 2 { &one } else { &other }));
    let now = rig.at(1_000);
    rig.news.activated(vec![key(1), key(0)], now);
    let later = rig.at(1_050);
    rig.news.activated(vec![key(3), key(9)], later);
    assert!(rig.due(1_099, 0, None).is_empty(), "it gathers");
    assert_eq!(rig.due(1_100, 0, None), [said("active", [1, 0]), said("active", [3])]);
    assert_eq!(rig.news.waiting(), 1);
    assert!(rig.due(1_200, 0, None).is_empty(), "everything is said once");
}

#[test]
fn thousands_of_symbols_make_a_few_bounded_frames() {
    let mut rig = Rig::new();
    let request = Rc::default();
    (0..3_000).for_each(|number| rig.ask(number, &request));
    let now = rig.at(0);
    rig.news.activated((0..3_000).map(key).collect(), now);
    let frames = rig.due(100, 0, None);
    assert_eq!(frames.len(), 3_000 / ENTRIES_PER_FRAME);
    assert_eq!(frames.concat(), said("active", 0..3_000));
}

#[test]
fn what_brings_nothing_is_called_silent_once_and_active_when_it_comes_after_all() {
    let mut rig = Rig::new();
    let request = Rc::default();
    (0..3).for_each(|number| rig.ask(number, &request));
    let now = rig.at(500);
    rig.news.activated(vec![key(1)], now);
    rig.due(600, 0, None);
    assert!(rig.due(9_999, 0, Some(always())).is_empty());
    assert!(rig.due(10_000, 0, Some(always())).is_empty(), "it gathers");
    assert_eq!(rig.due(10_100, 0, Some(always())), [said("silent", [0, 2])]);
    assert_eq!(rig.news.next(), None, "nothing is looked for any more");
    let now = rig.at(20_000);
    rig.news.activated(vec![key(2)], now);
    assert_eq!(rig.due(20_100, 0, Some(always())), [said("active", [2])]);
}

#[test]
fn a_closed_exchange_or_a_feed_that_is_down_makes_no_symbol_silent() {
    let mut rig = Rig::new();
    rig.ask(0, &Rc::default());
    let at = |time: &str| "2026-11-25".parse::<Date>().unwrap().at(time.parse().unwrap());
    let by_exchange = || Some(Audience::new(Hours::Exchange, Calendar::built_in().into()));
    assert!(rig.due(10_000, at("12:00"), None).is_empty());
    for (ms, time) in [(20_000, "08:00"), (30_000, "09:15"), (40_000, "09:16")] {
        assert!(rig.due(ms, at(time), by_exchange()).is_empty(), "{time}");
        assert!(rig.due(ms + 100, at(time), by_exchange()).is_empty(), "{time}");
    }
    assert!(rig.due(50_000, at("09:17"), by_exchange()).is_empty());
    assert_eq!(rig.due(50_100, at("09:17"), by_exchange()), [said("silent", [0])]);
}

#[test]
fn a_failure_is_said_with_its_request_and_what_ended_is_forgotten() {
    let mut rig = Rig::new();
    (0..2).for_each(|number| rig.ask(number, &Rc::default()));
    rig.news.untrack(key(1));
    let now = rig.at(0);
    let said_by_broker = || (ErrorCode::SubscriptionError, Arc::from("broker refused"));
    rig.news.failed((key(0), name(0)), None, said_by_broker(), now);
    assert_eq!(rig.due(100, 0, None), [said("failed", [0])]);
    assert_eq!(rig.news.waiting(), 0);
    rig.news.failed((key(5), name(5)), Some(Rc::default()), said_by_broker(), now);
    rig.news.want(false);
    assert!(rig.due(1_000, 0, None).is_empty(), "it is not wanted any more");
}

#[test]
fn what_waits_for_a_connection_is_pending_until_it_ticks_and_is_not_called_silent() {
    let mut rig = Rig::new();
    let request = Rc::default();
    (0..3).for_each(|number| rig.ask(number, &request));
    let now = rig.at(0);
    rig.news.activated(vec![key(0)], now);
    rig.due(100, 0, None);
    let why: Arc<str> = "the account's connections to the broker are full".into();
    let is_concerned = |key: Key| key.instrument.0 < 2;
    let now = rig.at(1_000);
    assert_eq!(rig.news.pending(is_concerned, &why, now), [key(0), key(1)]);
    assert_eq!(rig.due(1_100, 0, None), [said("pending", [0, 1])]);
    rig.due(10_000, 0, Some(always()));
    assert_eq!(rig.due(10_100, 0, Some(always())), [said("silent", [2])]);
    let now = rig.at(20_000);
    rig.news.activated(vec![key(0)], now);
    assert_eq!(rig.due(20_100, 0, None), [said("active", [0])]);
}
