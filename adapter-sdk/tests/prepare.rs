//! What an adapter gets before it can say what exists, and how it logs in.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::{cell::RefCell, collections::BTreeSet, sync::mpsc::sync_channel, thread, time::Duration};

use adapter_sdk::{
    Adapter, AdapterError, Backoff, Capability, Connection, Context, Credentials, Grant, Login, Manifest,
    Mode, Price, Refusal, Subscription, Tick, TickSink,
    abi::{ErrorCode, OutcomeCode, StatusKind},
    testing::{Bench, log_in},
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

/// Its broker gives the list of instruments only to who has the field `list`.
struct Listed {
    list: RefCell<Option<BTreeSet<String>>>,
}

struct Session;

impl Adapter for Listed {
    type Config = Config;
    type Connection = Session;

    fn manifest() -> Manifest {
        let backoff = Backoff {
            first: Duration::from_millis(5),
            longest: Duration::from_millis(10),
            ..Backoff::default()
        };
        Manifest::new("listed", "1.0.0").capabilities(&[Capability::Ltp, Capability::Login]).backoff(backoff)
    }

    fn try_new(_config: Config, _context: Context) -> Result<Self, AdapterError> {
        Ok(Self { list: RefCell::default() })
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        let list = self.list.borrow();
        let list = list.as_ref().unwrap();
        if list.contains(wanted.symbol.as_str()) {
            Ok(Grant::as_asked(wanted))
        } else {
            Err(Refusal::UnknownInstrument(format!("no {}", wanted.symbol)))
        }
    }

    async fn prepare(&self, credentials: &Credentials) -> Result<(), AdapterError> {
        if credentials.get("slow").is_some() {
            // A list that takes its time, where it may.
            #[expect(clippy::disallowed_methods, reason = "as an adapter does")]
            let reading = tokio::task::spawn_blocking(|| {
                let (_kept, never) = sync_channel::<()>(1);
                never.recv_timeout(Duration::from_secs(5))
            });
            _ = reading.await.map_err(AdapterError::protocol)?;
        }
        let list = credentials.get("list").ok_or_else(|| AdapterError::network("no list today"))?;
        *self.list.borrow_mut() = Some(list.split(',').map(str::to_owned).collect());
        Ok(())
    }

    async fn connect(&self, _credentials: &Credentials) -> Result<Session, AdapterError> {
        Ok(Session)
    }

    async fn login(&self, fields: &Credentials) -> Result<Login, AdapterError> {
        if fields.get("pin").is_none() {
            return Ok(Login::ask("pin", "The PIN of your account", None, true));
        }
        if fields.get("pin") != Some("1234") {
            return Err(AdapterError::auth("the broker refused the PIN"));
        }
        Ok(Login::done([("list", "SBIN".to_owned())]))
    }
}

impl Connection for Session {
    async fn subscribe(&mut self, wanted: &[Subscription], sink: &mut TickSink) -> Result<(), AdapterError> {
        for subscription in wanted {
            sink.ltp(&Tick::new(subscription.instrument).ltp(Price::from_nanos(1)));
        }
        Ok(())
    }

    async fn unsubscribe(&mut self, _instruments: &[u32]) -> Result<(), AdapterError> {
        Ok(())
    }

    async fn next(&mut self, _sink: &mut TickSink) -> Result<(), AdapterError> {
        std::future::pending().await
    }
}

#[test]
fn subscriptions_wait_for_the_list_and_are_answered_from_it() {
    let bench = Bench::start_with::<Listed>("{}", "{}").unwrap();
    thread::scope(|scope| {
        let known = scope.spawn(|| bench.subscribe(1, "NSE", "SBIN", Mode::Ltp));
        let unknown = scope.spawn(|| bench.subscribe(2, "NSE", "BAD", Mode::Ltp));
        let lost = bench.wait_for_status(StatusKind::DISCONNECTED);
        assert_eq!((lost.code, lost.message.as_str()), (ErrorCode::NETWORK, "no list today"));
        bench.wait_for("more attempts", |heard| {
            let lost = heard.statuses.iter().filter(|event| event.kind == StatusKind::DISCONNECTED);
            (lost.count() >= 3).then_some(())
        });
        assert!(bench.heard().outcomes.is_empty(), "nothing is known yet");
        assert!(!known.is_finished() && !unknown.is_finished());
        bench.change_credentials(r#"{"list":"SBIN,TCS"}"#);
        assert!(known.join().unwrap().code.is_taken());
        assert_eq!(unknown.join().unwrap().code, OutcomeCode::UNKNOWN_INSTRUMENT);
    });
    bench.wait_for_ticks(1, 1);
    // From now on they need not wait.
    assert!(bench.subscribe(3, "NSE", "TCS", Mode::Ltp).code.is_taken());
    bench.wait_for_ticks(3, 1);
    assert!(bench.heard().ticks.iter().all(|tick| tick.instrument() != 2));
}

#[test]
fn a_list_that_is_still_being_read_does_not_delay_the_end() {
    let bench = Bench::start_with::<Listed>("{}", r#"{"slow":"yes"}"#).unwrap();
    bench.wait_for_status(StatusKind::CONNECTING);
    assert!(bench.shut_down(Duration::from_secs(2)), "it ends in time");
}

#[test]
fn a_log_in_asks_for_what_is_missing_and_gives_what_is_to_be_stored() {
    match log_in::<Listed>("{}", "{}").unwrap() {
        Login::Ask(question) => assert_eq!((question.field.as_str(), question.is_secret), ("pin", true)),
        Login::Done(fields) => panic!("{fields:?}"),
    }
    let refused = log_in::<Listed>("{}", r#"{"pin":"4321"}"#).unwrap_err();
    assert_eq!(
        (refused.code(), refused.to_string().as_str()),
        (ErrorCode::AUTH, "the broker refused the PIN")
    );
    match log_in::<Listed>("{}", r#"{"pin":"1234"}"#).unwrap() {
        Login::Done(fields) => {
            assert_eq!(fields.iter().collect::<Vec<_>>(), [("list", "SBIN")]);
            assert!(!format!("{fields:?}").contains("SBIN"));
        }
        Login::Ask(question) => panic!("{question:?}"),
    }
}
