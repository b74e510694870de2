//! A small data socket that keeps what it hears, and says what a test wants.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use adapter_sdk::testing::SOON;
use parking_lot::{Condvar, Mutex};
use tokio_tungstenite::tungstenite::{
    Error, Message, WebSocket, accept_hdr,
    handshake::server::{ErrorResponse, Request, Response},
};

/// Shares of NSE, and an index.
const LIST: &str = "\
10100000003045,STATE BANK OF INDIA,0,1,0.05,,:,2026-10-03,,NSE:SBIN-EQ,10,10,3045,SBIN,3045,-1.0,XX
10100000001594,INFOSYS,0,1,0.05,,:,2026-10-03,,NSE:INFY-EQ,10,10,1594,INFY,1594,-1.0,XX
101000000026000,NIFTY 50,10,1,0.05,,:,2026-10-03,,NSE:NIFTY50-INDEX,10,10,26000,NIFTY,26000,-1.0,XX
";

/// Frames of data after which one is to be acknowledged.
pub(crate) const ACKNOWLEDGE_EVERY: u32 = 3;

/// How long a connection listens before it looks for something to say.
const TURN: Duration = Duration::from_millis(5);

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Names of the headers of each handshake.
    pub(crate) handshakes: Vec<Vec<String>>,
    /// What came, but for pings.
    pub(crate) heard: Vec<Vec<u8>>,
    pub(crate) pings: usize,
    /// What is to be said.
    to_say: Vec<Vec<u8>>,
    /// Topics of which nothing is said.
    silent: Vec<String>,
    number: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Server {
    shared: Arc<(Mutex<State>, Condvar)>,
    address: String,
}

impl Server {
    pub(crate) fn start(silent: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let silent = silent.iter().map(|topic| (*topic).to_owned()).collect();
        let state = State { silent, number: 100, ..State::default() };
        let server = Self { shared: Arc::new((Mutex::new(state), Condvar::new())), address };
        let inside = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, server) = (stream.unwrap(), inside.clone());
                thread::spawn(move || server.serve(stream));
            }
        });
        server
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Waits until `find` finds something.
    pub(crate) fn wait<T>(&self, what: &str, find: impl Fn(&State) -> Option<T>) -> T {
        let (state, changed) = &*self.shared;
        let deadline = Instant::now() + SOON;
        let mut state = state.lock();
        loop {
            if let Some(found) = find(&state) {
                return found;
            }
            let is_late = changed.wait_until(&mut state, deadline).timed_out();
            assert!(!is_late, "waited {SOON:?} for {what}: {state:?}");
        }
    }

    /// Waits for so many messages but the log-in and the modes; gives them as words.
    pub(crate) fn requests(&self, count: usize) -> Vec<String> {
        self.wait("requests", |state| {
            let requests: Vec<String> = state.heard.iter().filter_map(|bytes| words(bytes)).collect();
            (requests.len() >= count).then_some(requests)
        })
    }

    /// Says something on every connection.
    pub(crate) fn say(&self, bytes: Vec<u8>) {
        self.shared.0.lock().to_say.push(bytes);
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut head = [0; 4_096];
        let length = stream.peek(&mut head).unwrap();
        let text = String::from_utf8_lossy(&head[..length]).to_lowercase();
        if text.contains("upgrade: websocket") {
            self.talk(stream);
            return;
        }
        _ = stream.read(&mut head);
        let body = if text.starts_with("get /nse_cm.csv") { LIST } else { "{}" };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        _ = stream.write_all(format!("{head}{body}").as_bytes());
    }

    fn note<T>(&self, note: impl FnOnce(&mut State) -> T) -> T {
        let noted = note(&mut self.shared.0.lock());
        self.shared.1.notify_all();
        noted
    }

    fn talk(&self, stream: TcpStream) {
        stream.set_read_timeout(Some(TURN)).unwrap();
        let inside = self.clone();
        #[expect(clippy::result_large_err, reason = "the type of the handshake's callback")]
        let callback = move |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            let names = request.headers().keys().map(ToString::to_string).collect();
            inside.note(|state| state.handshakes.push(names));
            Ok(response)
        };
        let Ok(mut socket) = accept_hdr(stream, callback) else { return };
        loop {
            for bytes in self.note(|state| std::mem::take(&mut state.to_say)) {
                say(&mut socket, bytes);
            }
            match socket.read() {
                Ok(Message::Binary(bytes)) => self.answer(&mut socket, &bytes),
                Ok(Message::Close(_)) => return,
                Ok(_) => {}
                Err(Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return,
            }
        }
    }

    fn answer(&self, socket: &mut WebSocket<TcpStream>, bytes: &[u8]) {
        match bytes[2] {
            11 => self.note(|state| state.pings += 1),
            1 => {
                self.note(|state| state.heard.push(bytes.to_vec()));
                let mut verdict = vec![0, 0, 1, 2, 1, 0, 1, b'K', 2, 0, 4];
                verdict.extend(ACKNOWLEDGE_EVERY.to_be_bytes());
                say(socket, verdict);
            }
            3 => self.note(|state| state.heard.push(bytes.to_vec())),
            kind => {
                say(socket, vec![0, 0, kind, 1, 1, 0, 1, b'K']);
                // Noted when it is answered, so that a test that has seen it can go on.
                let silent = self.note(|state| state.silent.clone());
                let topics = if kind == 4 { topics(bytes) } else { Vec::new() };
                for topic in topics.iter().filter(|topic| !silent.contains(topic)) {
                    let number = self.note(|state| {
                        state.number += 1;
                        state.number
                    });
                    say(socket, snapshot(number, topic));
                }
                self.note(|state| state.heard.push(bytes.to_vec()));
            }
        }
    }
}

fn say(socket: &mut WebSocket<TcpStream>, bytes: Vec<u8>) {
    // Whoever is gone has heard enough.
    _ = socket.send(Message::binary(bytes));
}

fn topics(bytes: &[u8]) -> Vec<String> {
    let count = u16::from_be_bytes([bytes[7], bytes[8]]);
    let mut rest = &bytes[9..];
    let mut topics = Vec::new();
    for _ in 0..count {
        let (topic, after) = rest[1..].split_at(usize::from(rest[0]));
        topics.push(String::from_utf8(topic.to_vec()).unwrap());
        rest = after;
    }
    topics
}

/// `+11 sf|nse_cm|3045`: what is done, on which channel, with which topics.
pub(crate) fn words(bytes: &[u8]) -> Option<String> {
    let sign = match bytes[2] {
        4 => '+',
        5 => '-',
        _ => return None,
    };
    Some(format!("{sign}{} {}", bytes.last().unwrap(), topics(bytes).join(" ")))
}

/// The number of a topic: of prices and of books of a share they differ.
pub(crate) fn id(topic: &str) -> u16 {
    topic.bytes().fold(7, |id, byte| id.wrapping_mul(31).wrapping_add(byte.into()))
}

/// A first record: 625.00 and whatever follows, in steps of 1.
fn snapshot(number: u32, topic: &str) -> Vec<u8> {
    let count = match &topic[..2] {
        "sf" => 21,
        "if" => 6,
        _ => 30_u8,
    };
    let mut frame = vec![0, 0, 6];
    frame.extend(number.to_be_bytes());
    frame.extend([0, 1, b'S']);
    frame.extend(id(topic).to_be_bytes());
    frame.push(u8::try_from(topic.len()).unwrap());
    frame.extend(topic.as_bytes());
    frame.push(count);
    (0..count).for_each(|place| frame.extend((62_500 + i32::from(place) * 100).to_be_bytes()));
    frame.extend([0, 0, 0, 1, 2, 0, 0, 0]);
    frame
}

/// A last price, in a frame with this number.
pub(crate) fn lite(number: u32, topic: &str, price: i32) -> Vec<u8> {
    let mut frame = vec![0, 0, 6];
    frame.extend(number.to_be_bytes());
    frame.extend([0, 1, b'L']);
    frame.extend(id(topic).to_be_bytes());
    frame.extend(price.to_be_bytes());
    frame
}
