use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

const LIMITS: ConnectionLimits =
    ConnectionLimits { total: 3, per_address: 2, strangers: 4, strangers_per_address: 2 };

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

fn admissions(limits: ConnectionLimits) -> Arc<Admissions> {
    Admissions::new(limits, Arc::default())
}

fn member(admissions: &Arc<Admissions>, from: u8) -> Result<Admission, CloseReason> {
    let mut admission = admissions.admit(address(from), Instant::now())?;
    admission.begin_check();
    admission.join().map(|()| admission)
}

fn reason(admission: &Admission) -> Option<CloseReason> {
    admission.signal()?.raised()
}

#[test]
fn each_limit_of_members_is_named_and_a_place_is_given_back() {
    let admissions = admissions(LIMITS);
    let first = member(&admissions, 1).unwrap();
    let _second = member(&admissions, 1).unwrap();
    assert_eq!(member(&admissions, 1).unwrap_err(), CloseReason::TooManyFromAddress);
    let _third = member(&admissions, 2).unwrap();
    assert_eq!(member(&admissions, 2).unwrap_err(), CloseReason::TooManyConnections);
    drop(first);
    assert_eq!((admissions.open(), admissions.without_key()), (2, 0));
    assert!(member(&admissions, 1).is_ok());
}

#[test]
fn strangers_keep_nobody_out() {
    let admissions = admissions(ConnectionLimits { total: 100, per_address: 100, ..LIMITS });
    let now = Instant::now();
    let flood: Vec<_> = (0..1_000).map(|_| admissions.admit(address(1), now).unwrap()).collect();
    let alive = flood.iter().filter(|admission| reason(admission).is_none()).count();
    assert_eq!((alive, admissions.open()), (104, 104));
    assert!(flood.iter().rev().take(104).all(|admission| reason(admission).is_none()), "the oldest go");
    assert_eq!(admissions.counters.displaced.get(), 896);
    // One of the same address, and one of another, which has fewest: its strangers stay.
    let mut same = admissions.admit(address(1), now).unwrap();
    let other = admissions.admit(address(2), now).unwrap();
    let _more: Vec<_> = (0..50).map(|_| admissions.admit(address(1), now).unwrap()).collect();
    assert_eq!((reason(&same), reason(&other)), (None, None));
    same.begin_check();
    same.join().unwrap();
    drop(flood);
    assert_eq!(admissions.taken.lock().leaving, 0);
}

#[test]
fn members_are_never_displaced_and_leave_strangers_room() {
    let admissions = admissions(ConnectionLimits { per_address: 100, ..LIMITS });
    let _members: Vec<_> = (0..2).map(|_| member(&admissions, 1).unwrap()).collect();
    let strangers: Vec<_> = (0..9).map(|_| admissions.admit(address(1), Instant::now()).unwrap()).collect();
    let alive = strangers.iter().filter(|admission| reason(admission).is_none()).count();
    assert_eq!((alive, admissions.without_key()), (5, 5));
    let last = member(&admissions, 1).unwrap();
    assert_eq!(reason(&last), None);
    let full = admissions.admit(address(1), Instant::now()).unwrap_err();
    assert_eq!(full, CloseReason::TooManyConnections);
}

#[test]
fn who_waits_for_a_check_stays_while_strangers_go() {
    let admissions = admissions(ConnectionLimits { total: 10, per_address: 10, ..LIMITS });
    let now = Instant::now();
    let mut waiting: Vec<_> = (0..10).map(|_| admissions.admit(address(1), now).unwrap()).collect();
    waiting.iter_mut().for_each(Admission::begin_check);
    let _flood: Vec<_> = (0..100).map(|_| admissions.admit(address(1), now).unwrap()).collect();
    assert!(waiting.iter().all(|admission| reason(admission).is_none()));
    admissions.tidy(now + HASTE);
    assert!(waiting.iter().all(|admission| reason(admission).is_none()));
    // One whose key was wrong is a stranger again, and the oldest.
    waiting[3].end_check();
    let _newcomers: Vec<_> = (0..4).map(|_| admissions.admit(address(1), now).unwrap()).collect();
    assert_eq!(reason(&waiting[3]), Some(CloseReason::TooManyConnections));
}

#[test]
fn who_waits_for_a_check_does_not_fill_the_host() {
    let admissions = admissions(ConnectionLimits { total: 10, per_address: 10, ..LIMITS });
    let now = Instant::now();
    let keep = |mut admission: Admission| {
        admission.begin_check();
        admission
    };
    let waiting: Vec<_> = (0..100).map(|_| keep(admissions.admit(address(1), now).unwrap())).collect();
    let strangers: Vec<_> = (0..4).map(|_| admissions.admit(address(1), now).unwrap()).collect();
    assert!(strangers.iter().all(|admission| reason(admission).is_none()));
    let alive = waiting.iter().filter(|admission| reason(admission).is_none()).count();
    assert_eq!(alive, 10);
}

#[test]
fn strangers_beyond_their_quota_have_less_time() {
    let admissions = admissions(ConnectionLimits { total: 100, per_address: 100, ..LIMITS });
    let start = Instant::now();
    let three: Vec<_> = (0..3).map(|_| admissions.admit(address(1), start).unwrap()).collect();
    let others: Vec<_> = (2..5).map(|last| admissions.admit(address(last), start).unwrap()).collect();
    let gone = |all: &[Admission]| all.iter().filter_map(reason).collect::<Vec<_>>();
    admissions.tidy(start + HASTE / 2);
    assert_eq!((gone(&three), gone(&others)), (vec![], vec![]));
    admissions.tidy(start + HASTE);
    // Two of an address may stay, and four in all.
    assert_eq!(gone(&three), [CloseReason::TooManyFromAddress, CloseReason::TooManyConnections]);
    assert_eq!((gone(&others), admissions.open()), (vec![], 4));
    admissions.tidy(start + HASTE * 100);
    assert_eq!(admissions.open(), 4);
}

#[test]
fn a_network_of_ipv6_is_one_address() {
    let admissions = admissions(LIMITS);
    let address = |host| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host));
    let mut held = Vec::new();
    for host in 0..2 {
        let mut admission = admissions.admit(address(host), Instant::now()).unwrap();
        admission.join().unwrap();
        held.push(admission);
    }
    let third = admissions.admit(address(3), Instant::now());
    assert_eq!(third.unwrap_err(), CloseReason::TooManyFromAddress);
}

#[test]
fn smaller_limits_keep_new_ones_out_and_nobody_in() {
    let admissions = admissions(LIMITS);
    let held = [member(&admissions, 1).unwrap(), member(&admissions, 1).unwrap()];
    admissions.limit(ConnectionLimits { total: 1, per_address: 1, ..LIMITS });
    assert_eq!(admissions.open(), 2);
    assert!(admissions.admit(address(2), Instant::now()).is_err());
    drop(held);
    assert!(admissions.admit(address(2), Instant::now()).is_ok());
}

#[test]
fn only_so_many_are_told_why_they_are_refused() {
    let admissions = admissions(LIMITS);
    let told: Vec<_> = std::iter::from_fn(|| admissions.refuse()).collect();
    assert_eq!(told.len(), REFUSALS_AT_ONCE);
    drop(told);
    assert!(admissions.refuse().is_some());
    let turned_away: Vec<_> = std::iter::from_fn(|| admissions.turn_away()).collect();
    assert_eq!(turned_away.len(), TURNED_AWAY_AT_ONCE);
    drop(turned_away);
    assert!(admissions.turn_away().is_some());
}

#[test]
fn only_so_many_are_told_why_they_have_to_go() {
    let admissions = admissions(ConnectionLimits { total: 100, per_address: 100, ..LIMITS });
    let mut leaving: Vec<_> =
        (0..=PARTINGS_AT_ONCE).map(|_| admissions.admit(address(1), Instant::now()).unwrap()).collect();
    let told = leaving.iter_mut().filter_map(|admission| admission.part().then_some(())).count();
    assert_eq!((told, admissions.open()), (PARTINGS_AT_ONCE, 1));
    assert!(leaving[0].signal().is_none());
    drop(leaving);
    assert_eq!((admissions.open(), admissions.taken.lock().partings), (0, 0));
}
