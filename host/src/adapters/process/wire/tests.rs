//! Lines of both directions, and the version of what is said.

use super::*;

#[test]
fn every_message_survives_the_way() {
    let status = StatusEvent {
        kind: StatusKind::AUTH_FAILED,
        code: ErrorCode::AUTH,
        request: 3,
        retry_in_ms: 250,
        message: "no".into(),
    };
    let line = to_line(&FromChild::Status(Status::from(&status)));
    let FromChild::Status(read) = serde_json::from_slice(&line).unwrap() else { panic!() };
    assert_eq!(StatusEvent::from(read), status);

    let outcome = SubscriptionOutcome {
        instrument: 7,
        code: OutcomeCode::REFUSED,
        depth: 0,
        reserved: 0,
        message: "é".repeat(2_000).into(),
    };
    let line = to_line(&FromChild::Outcomes { request: 1, outcomes: vec![Outcome::from(&outcome)] });
    let FromChild::Outcomes { outcomes, .. } = serde_json::from_slice(&line).unwrap() else { panic!() };
    let read = SubscriptionOutcome::from(outcomes.into_iter().next().unwrap());
    assert_eq!((read.instrument, read.code), (7, OutcomeCode::REFUSED));
    assert_eq!(read.message.len(), MAX_TEXT_BYTES);

    let wanted = adapter_abi::Subscription {
        instrument: 9,
        mode: 3,
        reserved: 0,
        depth: 20,
        exchange: "NSE".into(),
        symbol: "M&M \"quoted\"\n".into(),
    };
    let line = to_line(&ToChild::Subscribe { request: 2, subscriptions: vec![(&wanted).into()] });
    assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
    let ToChild::Subscribe { subscriptions, .. } = serde_json::from_slice(&line).unwrap() else { panic!() };
    let read = subscriptions.into_iter().map(adapter_abi::Subscription::from).next().unwrap();
    assert_eq!(read, wanted);
}

#[test]
fn a_full_line_of_outcomes_fits() {
    // Two bytes for one are the worst that JSON makes of text without control characters.
    let worst = Outcome {
        instrument: u32::MAX,
        code: u32::MAX,
        depth: u16::MAX,
        message: tidy(&"\"\n".repeat(MAX_TEXT_BYTES)),
    };
    assert!(OUTCOMES_PER_LINE * (to_line(&worst).len() + 1) + 100 < MAX_LINE_BYTES);
}

fn begin() -> Begin {
    Begin {
        version: VERSION,
        label: "acme/7".to_owned(),
        assignment: Assignment { broker: "acme".into(), account: Some("0f".into()), connection: Some(0) },
        library: "/run/acme.so".into(),
        sha256: None,
        shown_as: "/opt/acme.so".into(),
        config_json: SecretString::from("{}"),
        credentials_json: SecretString::from("{}"),
        endpoint: Address::Unix("/run/0.sock".into()),
        token: "0".repeat(32).into(),
        limits: ResourceLimits::default(),
        others: 1,
        cage: Cage::default(),
        cache: None,
        log_level: 3,
    }
}

#[test]
fn a_host_of_another_release_is_told_apart_from_nonsense() {
    let line = |message: &ToChild| to_line(message).to_vec();
    let own = line(&ToChild::Begin(Box::new(begin())));
    assert_eq!(read_begin(&own).map(|begin| begin.label), Ok("acme/7".to_owned()));
    // Whatever else another version says.
    for theirs in [0, VERSION + 1] {
        let other = format!("{{\"begin\":{{\"more\":[{{}}],\"version\":{theirs}}}}}\n");
        let refused = read_begin(other.as_bytes()).map(drop);
        assert_eq!(refused, Err(NoBegin::OtherVersion(theirs)));
    }
    assert_eq!(read_begin(b"{\"begin\":{\"label\":\"a\"}}\n").map(drop), Err(NoBegin::OtherVersion(0)));
    let version_alone = format!("{{\"begin\":{{\"version\":{VERSION}}}}}\n");
    for nonsense in [&b""[..], b"\n", b"{}\n", b"\"credentials_changed\"\n", version_alone.as_bytes()] {
        assert_eq!(read_begin(nonsense).map(drop), Err(NoBegin::Nonsense), "{nonsense:?}");
    }
}

/// A line of each kind and a frame of each kind. When this changes, [`VERSION`] goes up by one, and the
/// snapshot gets the name of the new one.
#[test]
fn what_is_said_has_a_version() {
    let health = Health::from(HealthSnapshot::default());
    let outcome = Outcome { instrument: 1, code: 2, depth: 5, message: "no".to_owned() };
    let wanted = Subscription {
        instrument: 1,
        mode: 3,
        depth: 5,
        exchange: "NSE".to_owned(),
        symbol: "SBIN".to_owned(),
    };
    let status = Status { kind: 1, code: 2, request: 3, retry_in_ms: 4, message: "no".to_owned() };
    let empty = String::new;
    let lines = [
        to_line(&ToChild::Begin(Box::new(begin()))),
        to_line(&ToChild::Credentials(SecretString::from("{}"))),
        to_line(&ToChild::Connect { request: 1 }),
        to_line(&ToChild::Subscribe { request: 1, subscriptions: vec![wanted] }),
        to_line(&ToChild::Unsubscribe { request: 1, instruments: vec![1] }),
        to_line(&ToChild::CredentialsChanged),
        to_line(&ToChild::RenewList),
        to_line(&ToChild::Shutdown { deadline_ms: 1 }),
        to_line(&FromChild::Refused { code: 1, message: "no".to_owned() }),
        to_line(&FromChild::NotTaken { code: 1, message: "no".to_owned() }),
        to_line(&FromChild::Status(status)),
        to_line(&FromChild::Outcomes { request: 1, outcomes: vec![outcome] }),
        to_line(&FromChild::List { json: "{}".to_owned() }),
        to_line(&FromChild::Order { json: "{}".to_owned() }),
        to_line(&FromChild::Log { level: 1, target: empty(), message: empty(), fields: empty() }),
        to_line(&FromChild::Alive(Alive { health, ..Alive::default() })),
    ];
    let mut said = String::new();
    for line in lines {
        said += std::str::from_utf8(&line).unwrap();
    }
    said += &super::super::batch::samples().map(hex::encode).join("\n");
    insta::assert_snapshot!(format!("version_{VERSION}"), said);
}
