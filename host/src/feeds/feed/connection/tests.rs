use super::*;

fn status(kind: StatusKind) -> StatusEvent {
    StatusEvent { kind, code: ErrorCode::NONE, request: 0, retry_in_ms: 0, message: "gone".into() }
}

#[test]
fn a_dead_instance_is_to_be_replaced_and_one_that_dies_all_the_time_says_when_it_is_tried_again() {
    let mut connection = Connection::default();
    let now = Moment::now();
    for kind in [StatusKind::FAILED, StatusKind::STOPPED] {
        assert_eq!(connection.observe(&status(kind), now), Consequence::Replace);
    }
    connection.fail("gone", now);
    assert_eq!((connection.link(), connection.last_error().unwrap().as_ref()), (Link::Failed, "gone"));
    (0..5).for_each(|_| connection.fail("gone", now));
    assert!(connection.last_error().unwrap().contains("next attempt in"));
    assert!(connection.next_attempt().is_some());
    // What still ends has to be gone before.
    connection.succession.note_ending();
    assert_eq!(connection.next_attempt(), None);
    assert!(!connection.take_attempt(now.at + Duration::from_hours(1)));
    connection.succession.note_ended();
    assert!(connection.take_attempt(now.at + Duration::from_hours(1)));
}

#[test]
fn a_loss_is_counted_once_and_explained() {
    let mut connection = Connection::default();
    let now = Moment::now();
    connection.observe(&status(StatusKind::CONNECTED), now);
    connection.observe(&status(StatusKind::DISCONNECTED), now);
    connection.observe(&status(StatusKind::DISCONNECTED), now);
    assert_eq!((connection.disconnects, connection.last_error.as_deref()), (1, Some("gone")));
    connection.observe(&status(StatusKind::CONNECTED), now);
    assert_eq!(connection.last_error, None);
    for (retry_in_ms, retry_at) in [(250, Some(now.at + Duration::from_millis(250))), (0, None)] {
        connection.observe(&StatusEvent { retry_in_ms, ..status(StatusKind::DISCONNECTED) }, now);
        assert_eq!(connection.retry_at, retry_at);
    }
    connection.observe(&StatusEvent { retry_in_ms: u64::MAX, ..status(StatusKind::DISCONNECTED) }, now);
    connection.observe(&status(StatusKind::CONNECTING), now);
    assert_eq!(connection.retry_at, None);
}

#[test]
fn attempts_are_counted_until_one_succeeds() {
    let mut connection = Connection::default();
    let now = Moment::now();
    connection.fail("no such file", now);
    assert_eq!(connection.attempts(), 1, "it could not even be made");
    // As of an instance that began.
    connection.attempts.begin();
    connection.restarts.begin(now.at);
    for attempts in [2, 3, 4] {
        connection.observe(&status(StatusKind::CONNECTING), now);
        assert_eq!(connection.attempts(), attempts);
        connection.observe(&status(StatusKind::DISCONNECTED), now);
    }
    connection.fail("crashed", now);
    assert_eq!(connection.attempts(), 4, "this attempt was counted when it began");
    connection.observe(&status(StatusKind::CONNECTED), now);
    assert_eq!(connection.attempts(), 0);
}

#[test]
fn the_load_knows_its_exchanges_and_since_when_there_is_any() {
    let mut connection = Connection::default();
    let exchanges = |connection: &Connection| connection.status(0).exchanges.join(",");
    for exchange in ["NSE", "NSE", "MCX"] {
        connection.carry(&exchange.into(), Moment::now());
    }
    assert_eq!((connection.instruments(), exchanges(&connection)), (3, "MCX,NSE".to_owned()));
    connection.drop_one("NSE");
    connection.drop_one("BSE");
    assert_eq!((connection.instruments(), exchanges(&connection)), (2, "MCX,NSE".to_owned()));
    connection.drop_one("NSE");
    connection.drop_one("MCX");
    assert_eq!((connection.instruments(), exchanges(&connection)), (0, String::new()));
    assert!(connection.status(0).listening_since_ns > 0);
}
