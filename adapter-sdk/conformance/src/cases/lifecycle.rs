//! Whether the instance begins, answers and ends as a host needs it.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use adapter_abi::{ABI_VERSION, StatusKind};
use serde_json::{Value as Json, json};

use crate::{
    running::Running,
    stage::{A_WHILE, SOON, Stage, packet},
    verdict::{Check, Stop, ensure, fail},
};

/// Time that an instance has to end.
const STOP: Duration = Duration::from_secs(2);

/// Longest time for a call that must not wait, on a machine that is busy.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Ticks that are on their way when an instance is told to stop.
const TICKS: usize = 200;

pub(super) fn clean_stop(stage: &Stage<'_>) -> Check {
    // Before it was told anything, while it connects, while it waits to try again, and in the middle of
    // ticks.
    let idle = stage.create("127.0.0.1:9", &stage.profile.credentials.valid, None)?;
    ends(&idle, "before it was told to connect")?;
    let connecting = stage.start()?;
    ends(&connecting, "while it connects")?;
    if stage.venue().is_some() {
        let waiting = stage.create(&closed_port()?, &stage.profile.credentials.valid, None)?;
        waiting.connect()?;
        waiting.wait_status(StatusKind::DISCONNECTED, "a word that nobody can be reached", 1, SOON)?;
        ends(&waiting, "while it waits to try again")?;
    }
    let running = stage.connected()?;
    let three = [0, 1, 2].map(|place| stage.wanted(place, stage.lowest()));
    stage.subscribe(&running, &three)?;
    if let Some(venue) = stage.venue() {
        venue.needs(&["tick", "report"])?;
        for step in 0..TICKS {
            for (place, one) in three.iter().enumerate() {
                venue.tick(&packet(*one, [("ltp", stage.price(place, step).as_str())]))?;
            }
        }
        // Without this an adapter that has not come to its first tick yet would be told to stop while it is
        // idle.
        running.wait("the first of many ticks", SOON, |heard| (!heard.records.is_empty()).then_some(()))?;
    }
    ends(&running, "while ticks come")?;
    if let Some(venue) = stage.venue() {
        venue.until("the end of all connections", SOON, |report| report.open == 0)?;
    }
    running.settle()
}

/// Shuts an instance down, and makes sure that it is silent afterwards.
fn ends(running: &Running, when: &str) -> Check {
    let took = running.shut_down(STOP);
    running.settle()?;
    let is_stopped = running.recorder.look(|heard| heard.count(StatusKind::STOPPED) > 0);
    ensure(took < STOP && is_stopped, || {
        let said = if is_stopped { "" } else { " and did not say that it had stopped" };
        format!("told to stop {when}, it took {took:?} of {STOP:?}{said}")
    })?;
    let mark = running.mark();
    running.recorder.watch(A_WHILE / 8, |heard| {
        (heard.records.len() > mark)
            .then(|| format!("told to stop {when}, it published after it had stopped"))
    })
}

pub(super) fn settings_checked(stage: &Stage<'_>) -> Check {
    let metadata = stage.subject.module().metadata()();
    let name = metadata.name.as_str();
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    ensure(!name.is_empty() && name.bytes().all(is_plain), || {
        format!("its name `{name}` must be made of a-z, 0-9, - and _")
    })?;
    ensure(metadata.version.split('.').count() >= 3, || {
        format!("its version `{}` is none of three numbers", metadata.version)
    })?;
    let major = |version: &str| version.split('.').next().map(str::to_owned);
    ensure(major(&metadata.abi_version) == major(ABI_VERSION), || {
        format!("it says that it was built for ABI {}", metadata.abi_version)
    })?;
    ensure(!stage.kinds().is_empty(), || "its manifest names no kind of tick".to_owned())?;
    ensure(stage.subject.has_fit_defaults(), || "the settings of its brand are no JSON object".to_owned())?;
    let credentials_schema = stage.subject.credentials_schema();
    for (what, schema) in
        [("settings", metadata.config_schema_json.as_str()), ("credentials", credentials_schema.as_str())]
    {
        let is_fine =
            schema.is_empty() || serde_json::from_str::<Json>(schema).is_ok_and(|schema| schema.is_object());
        ensure(is_fine, || format!("its schema of {what} is no JSON object"))?;
    }
    let check = |config: &str| stage.subject.validate(config);
    let config = stage.profile.config_json("127.0.0.1:9", None);
    if let Err(error) = check(&config) {
        return fail(format!("it refuses the profile's config: {}", error.message));
    }
    let mut misspelt: Json = serde_json::from_str(&config)
        .map_err(|error| Stop::Failed(format!("the config is no JSON: {error}")))?;
    if let Json::Object(members) = &mut misspelt {
        members.insert("conformance_no_such_setting".to_owned(), json!(1));
    }
    match check(&misspelt.to_string()) {
        Ok(()) => return fail("it takes a setting that does not exist: use #[serde(deny_unknown_fields)]"),
        Err(error) => ensure(error.message.contains("conformance_no_such_setting"), || {
            format!("it refuses a misspelt setting without naming it: {}", error.message)
        })?,
    }
    for nonsense in ["", "17", "{", "\"text\"", "null"] {
        ensure(check(nonsense).is_err(), || format!("it takes `{nonsense}` for settings"))?;
    }
    Ok(())
}

pub(super) fn calls_return(stage: &Stage<'_>) -> Check {
    let (address, _listener) = black_hole()?;
    let running = stage.create(&address, &stage.profile.credentials.valid, None)?;
    let one = stage.wanted(0, stage.lowest());
    at_once("connect", || running.connect())?;
    for _ in 0..50 {
        at_once("subscribe", || running.send_subscribe(&[one]).map(drop))?;
        at_once("unsubscribe", || running.unsubscribe(&[one.number]))?;
        at_once("health", || {
            running.health();
            Ok(())
        })?;
        at_once("credentials_changed", || {
            running.renew(&stage.profile.credentials.valid, true);
            Ok(())
        })?;
    }
    ends(&running, "while the broker accepts connections and answers nothing")?;
    running.settle()
}

fn at_once(call: &str, body: impl FnOnce() -> Check) -> Check {
    let started = Instant::now();
    body()?;
    let took = started.elapsed();
    ensure(took < AT_ONCE, || format!("`{call}` took {took:?}; it must hand a message over and return"))
}

/// A port on which nobody listens any more.
fn closed_port() -> Check<String> {
    black_hole().map(|(address, _closed_here)| address)
}

/// A port on which connections are taken up by the system, and nobody answers.
fn black_hole() -> Check<(String, TcpListener)> {
    let listener = TcpListener::bind("127.0.0.1:0");
    listener
        .and_then(|listener| Ok((listener.local_addr()?.to_string(), listener)))
        .map_err(|error| Stop::Failed(format!("cannot open a port: {error}")))
}
