//! Whether an account is treated with care: its tokens, its attempts to log in, its secrets.

use std::fmt::Write as _;

use adapter_abi::{ErrorCode, StatusKind, capability};
use serde::Deserialize;

use crate::{
    host::Heard,
    profile::{CredentialSet, credentials_json},
    running::Running,
    stage::{A_WHILE, SOON, Stage},
    venue::Venue,
    verdict::{Check, Stop, ensure, fail, skip},
};

/// Log-ins with one refused set of credentials before the adapter has to wait for another: brokers err during
/// their nightly change, and lock accounts soon after.
const ATTEMPTS: usize = 3;

/// Steps of one log-in, beyond which it goes round in circles.
const STEPS: usize = 8;

/// What a step of a log-in comes to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    Ask(Question),
    Done(CredentialSet),
}

/// What a person is asked.
#[derive(Debug, Deserialize)]
struct Question {
    field: String,
    message: String,
    url: Option<String>,
}

pub(super) fn fresh_token(stage: &Stage<'_>) -> Check {
    let sets = &stage.profile.credentials;
    let Some(venue) = stage.venue() else {
        let running = stage.start_in("log_in_refused_twice")?;
        wait_refused(&running)?;
        running.renew(&sets.renewed, true);
        running.wait_connected(1)?;
        return running.settle();
    };
    venue.needs(&["accept", "disconnect"])?;
    if sets.renewed == sets.valid {
        return skip("the profile has no renewed credentials");
    }
    let running = stage.connected()?;
    running.renew(&sets.renewed, false);
    venue.accept(&[&sets.renewed])?;
    venue.disconnect()?;
    if running.wait_connected(2).is_err() {
        return fail(format!(
            "the credentials were renewed while it was away, and it did not log in with them; {} of its log-ins were \
             refused",
            refused(venue)?
        ));
    }
    venue.accept(&[&sets.valid])?;
    running.renew(&sets.valid, true);
    running.wait_connected(3)?;
    running.settle()
}

fn refused(venue: &Venue) -> Check<usize> {
    Ok(venue.report()?.log_ins.iter().filter(|is_accepted| !**is_accepted).count())
}

pub(super) fn refused_login_stops(stage: &Stage<'_>) -> Check {
    let running = if let Some(venue) = stage.venue() {
        venue.needs(&["accept", "report"])?;
        if stage.profile.credentials.valid.is_empty() {
            return skip("the profile has no credentials");
        }
        venue.accept(&[])?;
        stage.start()?
    } else {
        stage.start_in("log_in_refused")?
    };
    let attempts = |heard: &Heard| heard.count(StatusKind::CONNECTING);
    let stopped = wait_refused(&running);
    let before = running.recorder.look(attempts);
    ensure(before <= ATTEMPTS, || format!("it tried refused credentials {before} times and went on"))?;
    stopped?;
    running.recorder.watch(A_WHILE, |heard| {
        (attempts(heard) > before).then(|| "it went on with refused credentials".to_owned())
    })?;
    if let Some(venue) = stage.venue() {
        let tried = refused(venue)?;
        ensure(tried <= ATTEMPTS, || format!("it sent refused credentials {tried} times"))?;
        let renewed = &stage.profile.credentials.renewed;
        venue.accept(&[renewed])?;
        running.renew(renewed, true);
        running.wait_connected(1)?;
    }
    running.settle()
}

/// Waits until the instance says that its credentials are refused and that it waits for others.
fn wait_refused(running: &Running) -> Check {
    let event = running.wait("the status that the log-in was refused", SOON, |heard| {
        heard.statuses.iter().find(|event| event.kind == StatusKind::AUTH_FAILED).cloned()
    })?;
    ensure(event.code == ErrorCode::AUTH && event.retry_in_ms == 0, || {
        format!("the status has code {} and a retry in {} ms", event.code.0, event.retry_in_ms)
    })?;
    ensure(!event.message.is_empty(), || "the status does not say what the operator has to do".to_owned())
}

pub(super) fn secrets_not_logged(stage: &Stage<'_>) -> Check {
    let sets = &stage.profile.credentials;
    let secrets = stage.profile.secrets();
    if secrets.is_empty() {
        return skip("the profile has no credentials that are secret");
    }
    let running = stage.start_with(&sets.wrong, None)?;
    if let Some(venue) = stage.venue() {
        wait_refused(&running)?;
        running.renew(&sets.valid, true);
        running.wait_connected(1)?;
        let one = stage.wanted(0, stage.lowest());
        stage.subscribe(&running, &[one])?;
        if venue.needs(&["garbage"]).is_ok() {
            venue.garbage(18, 20)?;
        }
        let connected = running.recorder.look(|heard| heard.count(StatusKind::CONNECTED));
        venue.disconnect()?;
        running.wait_connected(connected + 1)?;
    } else {
        running.wait_connected(1)?;
        running.subscribe(&[stage.wanted(0, stage.lowest())])?;
        running.renew(&sets.valid, true);
        running.wait_connected(2)?;
    }
    // Credentials where settings belong: the refusal must name the setting, not show its value.
    let misplaced = serde_json::json!({ "conformance_no_such_setting": sets.valid }).to_string();
    let refusal = stage.subject.validate(&misplaced);
    let refusal = refusal.map_or_else(|error| error.message.to_string(), |()| String::new());
    running.shut_down(A_WHILE);
    let shown = running.recorder.look(|heard| place_of_secret(heard, &refusal, &secrets));
    match shown {
        Some(place) => fail(format!("a secret of the profile stands in {place}")),
        None => running.settle(),
    }
}

/// The log-in as `tickhost account login` takes it: with what is stored, with answers, and with what is
/// refused.
pub(super) fn logs_in(stage: &Stage<'_>) -> Check {
    if !stage.subject.can(capability::LOGIN) {
        return skip("the adapter's manifest does not name the capability of logging in");
    }
    let Some(login) = &stage.profile.login else { return skip("the profile has no [login]") };
    let venue = stage.venue_with(&["accept"])?;
    venue.accept(&[&login.fields])?;
    let fields = match take_steps(stage, venue, &login.fields)? {
        Ok(done) => done,
        Err(refusal) => {
            return fail(format!("a log-in with the fields of the profile was refused: {refusal}"));
        }
    };
    let running = stage.start_with(&fields, None)?;
    if running.wait_connected(1).is_err() {
        return fail("what a log-in gave does not connect");
    }
    running.settle()?;
    if login.wrong.is_empty() {
        return Ok(());
    }
    let mut wrong = login.fields.clone();
    wrong.extend(login.wrong.clone());
    match take_steps(stage, venue, &wrong)? {
        Ok(_) => fail("a log-in that the venue refuses was told as one that worked"),
        Err(_) => Ok(()),
    }
}

/// Takes steps until the log-in is done, or refused for good with a sentence.
fn take_steps(
    stage: &Stage<'_>,
    venue: &Venue,
    fields: &CredentialSet,
) -> Check<Result<CredentialSet, String>> {
    let config = stage.config_json(venue.address(), None);
    // Codes that a person types are secrets as well, and single use: looked for, they would be found by
    // chance.
    let secrets = stage.profile.secrets();
    let mut fields = fields.clone();
    let mut answered = Vec::new();
    for _ in 0..STEPS {
        let step = match stage.subject.log_in(&config, &credentials_json(&fields), SOON) {
            Ok(step) => step,
            Err(error) => {
                ensure(error.code == ErrorCode::AUTH, || {
                    format!(
                        "the refusal of a log-in has code {}, so that it is tried again and again",
                        error.code.0
                    )
                })?;
                ensure(!error.message.is_empty(), || {
                    "the refusal of a log-in does not say what to do".to_owned()
                })?;
                ensure(!shows(&error.message, &secrets), || {
                    "a secret of the profile stands in the refusal of a log-in".to_owned()
                })?;
                return Ok(Err(error.message.into()));
            }
        };
        let step = serde_json::from_str(&step)
            .map_err(|error| Stop::Failed(format!("a step of its log-in is not readable: {error}")))?;
        let question: Question = match step {
            Step::Done(done) => {
                fields.retain(|name, _| !answered.contains(name));
                fields.extend(done);
                return Ok(Ok(fields));
            }
            Step::Ask(question) => question,
        };
        let Question { field, message, url } = question;
        ensure(!fields.contains_key(&field), || {
            format!("it asks for `{field}`, which it was given already")
        })?;
        ensure(!message.is_empty(), || format!("it asks for `{field}` without a word on how to get it"))?;
        let shown = format!("{message} {}", url.as_deref().unwrap_or_default());
        ensure(!shows(&shown, &secrets), || {
            format!("a secret of the profile stands in the question for `{field}`")
        })?;
        venue.needs(&["answer"])?;
        fields.insert(field.clone(), venue.answer(&field, url)?);
        answered.push(field);
    }
    fail(format!("after {STEPS} steps its log-in still asks"))
}

/// Whether one of these is to be seen, as it is or as it stands in a URL.
fn shows(text: &str, secrets: &[&str]) -> bool {
    secrets.iter().any(|secret| text.contains(*secret) || text.contains(&percent_encoded(secret)))
}

/// Where a secret is to be seen. The text itself is not repeated: reports are passed around.
fn place_of_secret(heard: &Heard, refusal: &str, secrets: &[&str]) -> Option<&'static str> {
    let shows = |text: &str| shows(text, secrets);
    if heard.logs.iter().any(|line| shows(line)) {
        return Some("a log line");
    }
    if heard.statuses.iter().any(|event| shows(&event.message)) {
        return Some("the message of a status event");
    }
    if heard.outcomes.iter().any(|(_, outcome)| shows(&outcome.message)) {
        return Some("the message of a subscription's outcome");
    }
    if heard.orders.iter().any(|update| shows(update)) {
        return Some("an order update");
    }
    shows(refusal).then_some("what it says against its settings")
}

/// As it would stand in a URL.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
