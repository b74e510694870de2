//! The bus over real sockets: publishers of the zeromq crate, and attackers that write bytes.

use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use zeromq::{PubSocket, Socket as _, SocketSend as _, ZmqMessage};

use super::{zmtp::tests as wire, *};

const SOON: Duration = Duration::from_secs(10);

/// Writes down what reaches it.
struct Notebook(Sender<String>);

impl BusSink for Notebook {
    fn tick(&mut self, exchange: &str, symbol: &str, mode: Mode, tick: TickView<'_>) -> BusVerdict {
        assert!(tick.quote.received_ts_ns > 0);
        let price = tick.quote.ltp / 1_000_000_000;
        _ = self.0.send(format!("{exchange}:{symbol} {mode} {price} {}/{}", tick.buy.len(), tick.sell.len()));
        if symbol == "UNWANTED" { BusVerdict::NotSubscribed } else { BusVerdict::Accepted }
    }

    fn order_update(&mut self, user_id: &str, update: &OrderUpdate<'_>) -> OrderVerdict {
        let frame = update.frame(user_id, "sim");
        _ = self.0.send(format!("order of {user_id}: {}", String::from_utf8_lossy(&frame)));
        OrderVerdict::Forwarded
    }

    fn cache_invalidate(&mut self, scope: CacheScope, user_id: &str) -> Invalidated {
        _ = self.0.send(format!("{scope:?} of {user_id}"));
        Invalidated::Noted
    }

    fn flush(&mut self) {}
}

struct Fixture {
    bus: Bus,
    notes: Receiver<String>,
    dir: tempfile::TempDir,
}

impl Fixture {
    fn start(change: impl FnOnce(&mut BusSettings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = BusSettings::new(([127, 0, 0, 1], 0).into(), dir.path().to_owned());
        change(&mut settings);
        let (sender, notes) = channel();
        let bus = Bus::start(settings, Box::new(Notebook(sender))).unwrap();
        Self { bus, notes, dir }
    }

    async fn publisher(&self) -> PubSocket {
        let mut publisher = PubSocket::new();
        publisher.connect(&format!("tcp://{}", self.bus.local_addr())).await.unwrap();
        publisher
    }

    /// A connection that has said `bytes`.
    async fn raw(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.bus.local_addr()).await.unwrap();
        // The guard may close before everything is written.
        _ = stream.write_all(bytes).await;
        stream
    }

    fn note(&self) -> String {
        self.notes.recv_timeout(SOON).expect("something reaches the sink")
    }

    fn count(&self, pick: fn(&BusCounters) -> &AtomicU64) -> u64 {
        pick(&self.bus.counters).load(Ordering::Relaxed)
    }

    async fn counted(&self, what: &str, pick: fn(&BusCounters) -> &AtomicU64, expected: u64) {
        let reached = async {
            while self.count(pick) < expected {
                tokio::task::yield_now().await;
            }
        };
        let reached = tokio::time::timeout(SOON, reached).await;
        assert!(reached.is_ok(), "{what}: {} of {expected}", self.count(pick));
    }
}

fn opening() -> Vec<u8> {
    [wire::greeting(), wire::ready(&[("Socket-Type", "PUB")])].concat()
}

fn good() -> Vec<u8> {
    wire::message(b"NSE_SBIN_LTP", br#"{"ltp":7}"#)
}

/// Waits until the other side has closed.
async fn closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await;
    assert!(end.is_ok(), "the guard closes the connection");
}

/// Publishes until the first message comes through: a publisher loses what it sends before it is subscribed
/// to.
async fn publish_until_heard(fixture: &Fixture, publisher: &mut PubSocket) {
    let heard = async {
        loop {
            publish(publisher, "NSE_FIRST_LTP", r#"{"ltp":1}"#).await;
            if fixture.notes.recv_timeout(Duration::from_millis(20)).is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, heard).await.expect("the bus subscribes");
    publish(publisher, "NSE_LAST_LTP", r#"{"ltp":2}"#).await;
    while fixture.note() != "NSE:LAST LTP 2 0/0" {}
}

async fn publish(publisher: &mut PubSocket, topic: &str, body: &str) {
    let mut message = ZmqMessage::from(topic);
    message.push_back(body.to_owned().into());
    publisher.send(message).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn messages_of_a_publisher_reach_the_sink() {
    let fixture = Fixture::start(|settings| settings.known_brokers.push("dhan".to_owned()));
    let mut publisher = fixture.publisher().await;
    publish_until_heard(&fixture, &mut publisher).await;
    for (topic, body) in [
        ("NSE_SBIN_QUOTE", r#"{"ltp":625}"#),
        ("NSE_SBIN_DEPTH", r#"{"depth":{"buy":[{"price":1,"quantity":1}],"sell":[]}}"#),
        ("NSE_SBIN_DEPTH", r#"{"ltp":626}"#),
        ("x_y_LTP", r#"[{"exchange":"BSE","symbol":"TCS","ltp":3},{"ltp":4}]"#),
        ("UPSTOX_al_ice_orders", r#"{"user_id":"al_ice","price":null}"#),
        ("CACHE_INVALIDATE_AUTH_bob", r#"{"user_id":"bob","cache_type":"AUTH"}"#),
        ("CACHE_INVALIDATE_ALL_bob", r#"{"user_id":"bob"}"#),
        ("NSE_UNWANTED_LTP", r#"{"ltp":1}"#),
    ] {
        publish(&mut publisher, topic, body).await;
    }
    let expected = [
        "NSE:SBIN Quote 625 0/0",
        "NSE:SBIN Depth 0 1/0",
        "NSE:SBIN Depth 626 0/0",
        "BSE:TCS LTP 3 0/0",
        r#"order of al_ice: {"type":"order_update","user_id":"al_ice","mode":"live","broker":"sim","price":null}"#,
        "Auth of bob",
        "All of bob",
        "NSE:UNWANTED LTP 1 0/0",
    ];
    for expected in expected {
        assert_eq!(fixture.note(), expected);
    }
    fixture.counted("unwanted", |counters| &counters.not_subscribed, 1).await;
    assert_eq!(fixture.count(|counters| &counters.bad_element), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_malformed_is_counted_by_reason_and_the_next_message_passes() {
    let fixture = Fixture::start(|settings| settings.known_brokers.push("dhan".to_owned()));
    let mut publisher = fixture.publisher().await;
    publish_until_heard(&fixture, &mut publisher).await;
    for (topic, body) in [
        ("NSE_LTP", "{}"),
        ("NSE_SBIN_LTP", "{"),
        ("NSE_SBIN_LTP", "{}"),
        ("NSE_SBIN_LTP", r#"{"ltp":"x"}"#),
        ("U_orders", r#"{"user_id":""}"#),
        ("CACHE_INVALIDATE_ALL_x", "{}"),
        ("CACHE_INVALIDATE_ALL_x", r#"{"user_id":"x","cache_type":"SOME"}"#),
        ("u_positions", "{}"),
        ("dhan_NSE_SBIN_LTP", r#"{"ltp":1}"#),
        ("NSE_SBIN_LTP", r#"{"ltp":9}"#),
    ] {
        publish(&mut publisher, topic, body).await;
    }
    assert_eq!(fixture.note(), "NSE:SBIN LTP 9 0/0");
    let counters = fixture.bus.counters();
    let count = |reason: (&str, &str)| {
        counters
            .snapshot()
            .into_iter()
            .find(|(area, name, _)| (*area, *name) == reason)
            .map(|(.., count)| count)
    };
    for (reason, expected) in [
        (("malformed", "topic"), 1),
        (("malformed", "json"), 1),
        (("malformed", "element"), 2),
        (("malformed", "number"), 1),
        (("malformed", "order"), 1),
        (("malformed", "invalidation"), 2),
        (("message", "ignored"), 1),
        (("message", "legacy_topic"), 1),
    ] {
        assert_eq!(count(reason), Some(expected), "{reason:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_attack_ends_its_own_connection_only() {
    let fixture = Fixture::start(|_| {});
    let mut bystander = fixture.publisher().await;
    publish_until_heard(&fixture, &mut bystander).await;
    let endless_parts = [&[1, 1, b'x'][..]; 3].concat();
    let attacks: [(&str, Vec<u8>); 8] = [
        ("another protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("no publisher", [wire::greeting(), wire::ready(&[("Socket-Type", "SUB")])].concat()),
        ("a message before READY", [wire::greeting(), good()].concat()),
        ("32 GiB in nine bytes", [opening(), vec![2, 0, 0, 0, 8, 0, 0, 0, 0]].concat()),
        ("2^64 - 1 in nine bytes", [opening(), vec![2, 255, 255, 255, 255, 255, 255, 255, 255]].concat()),
        ("parts without end", [opening(), endless_parts].concat()),
        ("reserved bits", [opening(), vec![0x80, 1, b'x']].concat()),
        ("a giant command", [opening(), vec![6, 0, 0, 0, 0, 0, 1, 0, 0], vec![0; 65_536]].concat()),
    ];
    for (_, bytes) in &attacks {
        closed(fixture.raw(bytes).await).await;
    }
    fixture.counted("frames", |counters| &counters.closed_frame, 4).await;
    fixture.counted("handshakes", |counters| &counters.refused_handshake, 3).await;
    fixture.counted("parts", |counters| &counters.closed_parts, 1).await;
    publish(&mut bystander, "NSE_SBIN_LTP", r#"{"ltp":3}"#).await;
    assert_eq!(fixture.note(), "NSE:SBIN LTP 3 0/0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_came_before_a_violation_is_delivered() {
    let fixture = Fixture::start(|_| {});
    let bytes = [opening(), good(), vec![2, 0, 0, 0, 8, 0, 0, 0, 0]].concat();
    closed(fixture.raw(&bytes).await).await;
    assert_eq!(fixture.note(), "NSE:SBIN LTP 7 0/0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_handshake_that_takes_too_long_ends() {
    let fixture = Fixture::start(|settings| settings.handshake_timeout = Duration::from_millis(50));
    for bytes in [Vec::new(), wire::greeting()[..40].to_vec(), wire::greeting()] {
        closed(fixture.raw(&bytes).await).await;
    }
    fixture.counted("late", |counters| &counters.refused_late, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn more_publishers_that_speak_than_allowed_are_refused_and_a_free_place_is_given_again() {
    let fixture = Fixture::start(|settings| settings.max_connections = 2);
    let first = fixture.raw(&[opening(), good()].concat()).await;
    let _second = fixture.raw(&[opening(), good()].concat()).await;
    fixture.counted("heard", |counters| &counters.received, 2).await;
    closed(fixture.raw(&opening()).await).await;
    fixture.counted("refused", |counters| &counters.refused_full, 1).await;
    drop(first);
    let free = async {
        while fixture.count(|counters| &counters.open) > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, free).await.expect("the place is given back");
    let _third = fixture.raw(&[opening(), good()].concat()).await;
    fixture.counted("heard", |counters| &counters.received, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn publishers_that_say_nothing_keep_nobody_out() {
    let fixture = Fixture::start(|settings| settings.max_connections = 4);
    let mut speaking = fixture.raw(&[opening(), good()].concat()).await;
    assert_eq!(fixture.note(), "NSE:SBIN LTP 7 0/0");
    // Some finish their handshake and some do not.
    let mut silent = Vec::new();
    for number in 0..40 {
        let bytes = if number % 2 == 0 { opening() } else { wire::greeting() };
        silent.push(fixture.raw(&bytes).await);
    }
    fixture.counted("displaced", |counters| &counters.displaced, 17).await;
    let mut newcomer = fixture.publisher().await;
    publish_until_heard(&fixture, &mut newcomer).await;
    closed(silent.swap_remove(0)).await;
    speaking.write_all(&good()).await.unwrap();
    while fixture.note() != "NSE:SBIN LTP 7 0/0" {}
    assert_eq!(fixture.count(|counters| &counters.refused_full), 0);
}

fn secretive(settings: &mut BusSettings) {
    settings.secret = Some(SECRET.into());
}

const SECRET: &str = "correct horse battery staple";

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_bus_with_a_secret_hears_nobody_who_does_not_know_it() {
    let fixture = Fixture::start(secretive);
    let plain = wire::plain_opening("tickhost", "correct horse battery stable");
    for bytes in [[opening(), good()].concat(), [plain, good()].concat()] {
        closed(fixture.raw(&bytes).await).await;
    }
    fixture.counted("refused", |counters| &counters.refused_secret, 2).await;
    let _knows = fixture.raw(&[wire::plain_opening("tickhost", SECRET), good()].concat()).await;
    assert_eq!(fixture.note(), "NSE:SBIN LTP 7 0/0");
    assert_eq!(fixture.count(|counters| &counters.received), 1);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn programs_of_this_user_come_in_by_a_unix_socket() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.sock");
    // What a killed host left there is no hindrance.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let fixture = Fixture::start(|settings| settings.socket = Some(path.clone()));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mut publisher = PubSocket::new();
    publisher.connect(&format!("ipc://{}", path.display())).await.unwrap();
    publish_until_heard(&fixture, &mut publisher).await;
    let refused = |path: PathBuf| {
        let mut settings = BusSettings::new(([127, 0, 0, 1], 0).into(), fixture.dir.path().to_owned());
        settings.socket = Some(path);
        Bus::start(settings, Box::new(Notebook(channel().0))).unwrap_err().to_string()
    };
    let said = refused(path.clone());
    assert!(said.contains("TICKHOST_BUS_SOCKET") && said.contains("another program listens there"), "{said}");
    let file = dir.path().join("notes");
    std::fs::write(&file, "mine").unwrap();
    assert!(refused(file.clone()).contains("no socket"));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "mine");
    fixture.bus.stop(SOON);
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_identity_pushes_nobody_out_and_heartbeats_are_answered() {
    let fixture = Fixture::start(|_| {});
    let thief = [wire::greeting(), wire::ready(&[("Socket-Type", "PUB"), ("Identity", "same")])].concat();
    let mut first = fixture.raw(&[thief.clone(), good()].concat()).await;
    let _second = fixture.raw(&[thief, good()].concat()).await;
    assert_eq!(
        (fixture.note().as_str(), fixture.note().as_str()),
        ("NSE:SBIN LTP 7 0/0", "NSE:SBIN LTP 7 0/0")
    );
    first.write_all(b"\x04\x09\x04PING\0\x0aab").await.unwrap();
    first.write_all(&good()).await.unwrap();
    assert_eq!(fixture.note(), "NSE:SBIN LTP 7 0/0");
    // Greeting, READY, the subscription, and then the answer, whole.
    let mut said = Vec::new();
    let answered = async {
        while !said.ends_with(b"\x04\x07\x04PONGab") {
            let mut byte = [0];
            assert_eq!(first.read(&mut byte).await.unwrap(), 1);
            said.push(byte[0]);
        }
    };
    tokio::time::timeout(SOON, answered).await.expect("the PING is answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_flood_is_slowed_and_loses_nothing() {
    let fixture = Fixture::start(|settings| settings.max_messages_per_second = 2_000);
    let mut bytes = opening();
    (0..3_000).for_each(|_| bytes.extend(good()));
    let _publisher = fixture.raw(&bytes).await;
    for _ in 0..3_000 {
        fixture.note();
    }
    assert!(fixture.count(|counters| &counters.slowed) > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn long_messages_cost_more_than_short_ones() {
    let fixture = Fixture::start(|settings| settings.max_messages_per_second = 2_000);
    let long = format!("{{{}\"ltp\":7}}", " ".repeat(60_000));
    let mut bytes = opening();
    (0..10).for_each(|_| bytes.extend(wire::message(b"NSE_SBIN_LTP", long.as_bytes())));
    let _publisher = fixture.raw(&bytes).await;
    for _ in 0..10 {
        fixture.note();
    }
    assert!(fixture.count(|counters| &counters.slowed) > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn whoever_goes_on_with_order_updates_beyond_the_bound_is_slowed() {
    let fixture = Fixture::start(|settings| settings.max_messages_per_second = 40_000);
    let mut bytes = opening();
    // Of nobody, so that the sink is not asked for them.
    (0..12_000).for_each(|_| bytes.extend(wire::message(b"U_orders", b"{}")));
    bytes.extend(good());
    let _publisher = fixture.raw(&bytes).await;
    assert_eq!(fixture.note(), "NSE:SBIN LTP 7 0/0");
    assert!(fixture.count(|counters| &counters.dropped_orders) > 0);
    assert!(fixture.count(|counters| &counters.slowed) > 0);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let settings = BusSettings::new(address, std::env::temp_dir());
    let (sender, _notes) = channel();
    let said = Bus::start(settings, Box::new(Notebook(sender))).unwrap_err().to_string();
    assert!(said.contains(&address.to_string()) && said.contains("ZMQ_PORT"), "{said}");
}

#[test]
fn a_path_that_is_too_long_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("x".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    let settings = BusSettings::new(([127, 0, 0, 1], 0).into(), deep);
    let (sender, _notes) = channel();
    let said = Bus::start(settings, Box::new(Notebook(sender))).unwrap_err().to_string();
    assert!(said.contains("TICKHOST_DATA_DIR"), "{said}");
}

#[test]
fn a_stopped_bus_leaves_no_file() {
    let fixture = Fixture::start(|_| {});
    let files = |dir: &tempfile::TempDir| std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files(&fixture.dir), usize::from(cfg!(unix)));
    let Fixture { bus, dir, .. } = fixture;
    bus.stop(SOON);
    assert_eq!(files(&dir), 0);
}
