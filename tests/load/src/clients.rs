//! Thousands of WebSocket clients on one thread: they connect, subscribe, read, and check what they get.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};
use rustix::{io::Errno, net::RecvFlags};
use serde_json::json;

use crate::{
    clock::now_us,
    frame::{self, Frame},
    shape::{Behaviour, Shape},
};

/// Bytes read at a time.
const READ_BYTES: usize = 256 * 1_024;

/// A slow reader reads this much, this often.
const SLOW: (usize, u64) = (4 * 1_024, 100_000);

/// What the healthy clients saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// From the moment a tick was due to its receipt, in microseconds.
    pub(crate) latency_us: Histogram<u64>,
    /// Ticks received that were due within the measured time.
    pub(crate) delivered: u64,
    /// Bytes received in that time.
    pub(crate) bytes: u64,
    /// Bytes that clients took without looking, in that time.
    pub(crate) blind_bytes: u64,
    /// Numbers missing between ticks of a symbol: conflated or lost.
    pub(crate) skipped: u64,
    /// Ticks that came after a newer one of their symbol.
    pub(crate) backwards: u64,
    /// Ticks of symbols that the client does not hold.
    pub(crate) foreign: u64,
}

/// All clients.
pub(crate) struct Clients {
    poll: Poll,
    all: Vec<Client>,
    scratch: Vec<u8>,
    pub(crate) seen: Seen,
    window: Window,
    slow_at: u64,
}

/// Which ticks are counted; microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    from: u64,
    until: u64,
    /// Added to the clock before it is compared with what ticks carry.
    shift: u64,
}

struct Client {
    stream: mio::net::TcpStream,
    behaviour: Behaviour,
    /// The front part of a frame that is not there as a whole.
    rest: Vec<u8>,
    /// First of its symbols, and how many follow it.
    first: usize,
    last_seq: Vec<u64>,
    is_subscribed: bool,
    is_closed: Option<String>,
}

impl Clients {
    /// Connects and subscribes all; returns how long that took, in seconds, from the first connect to the
    /// last answer.
    pub(crate) fn connect(server: SocketAddr, key: &str, shape: &Shape) -> anyhow::Result<(Self, f64)> {
        let started = now_us();
        let poll = Poll::new()?;
        let mut clients = Vec::with_capacity(shape.clients);
        for number in 0..shape.clients {
            let mut stream = connect(server).with_context(|| format!("client {number}"))?;
            // Both at once, as real clients do.
            let symbols: Vec<_> = shape
                .symbols_of(number)
                .map(|symbol| json!({"exchange": "NSE", "symbol": format!("S{symbol}")}))
                .collect();
            let log_in = json!({"action": "authenticate", "api_key": key}).to_string();
            let subscribe =
                json!({"action": "subscribe", "symbols": symbols, "mode": shape.mode}).to_string();
            let requests =
                [frame::from_client(1, log_in.as_bytes()), frame::from_client(1, subscribe.as_bytes())];
            stream.write_all(&requests.concat())?;
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
            clients.push(Client {
                stream,
                behaviour: shape.behaviour(number),
                rest: Vec::new(),
                first: number * shape.held % shape.symbols,
                last_seq: vec![0; shape.held],
                is_subscribed: false,
                is_closed: None,
            });
        }
        let seen = Seen {
            latency_us: Histogram::new_with_bounds(1, 60_000_000, 3)?,
            delivered: 0,
            bytes: 0,
            blind_bytes: 0,
            skipped: 0,
            backwards: 0,
            foreign: 0,
        };
        let mut these = Self {
            poll,
            all: clients,
            scratch: vec![0; READ_BYTES],
            seen,
            window: Window::default(),
            slow_at: 0,
        };
        let deadline = now_us() + 60_000_000;
        while these.all.iter().any(|client| !client.is_subscribed) {
            if now_us() > deadline {
                bail!("not every client was answered within a minute");
            }
            these.turn(Duration::from_millis(20), shape, true)?;
        }
        // From here on, those who are to stop stop.
        let stops = |client: &&mut Client| matches!(client.behaviour, Behaviour::Slow | Behaviour::Stopped);
        for client in these.all.iter_mut().filter(stops) {
            these.poll.registry().deregister(&mut client.stream)?;
        }
        Ok((these, (now_us() - started) as f64 / 1e6))
    }

    /// Ticks that are due in this time are counted. They carry it with `shift_us` added.
    pub(crate) fn measure(&mut self, from_us: u64, until_us: u64, shift_us: u64) {
        self.window = Window { from: from_us + shift_us, until: until_us + shift_us, shift: shift_us };
    }

    /// Number of the newest tick of each symbol that any client has.
    pub(crate) fn newest_of_each(&self, shape: &Shape) -> Vec<u64> {
        let mut newest = vec![0; shape.symbols];
        for client in &self.all {
            for (place, last) in client.last_seq.iter().enumerate() {
                if let Some(newest) = newest.get_mut((client.first + place) % shape.symbols) {
                    *newest = (*last).max(*newest);
                }
            }
        }
        newest
    }

    /// Reads until the clock shows this.
    pub(crate) fn read_until(&mut self, until_us: u64, shape: &Shape) -> anyhow::Result<()> {
        loop {
            let now = now_us();
            if now >= until_us {
                return Ok(());
            }
            let next = if shape.slow > 0 { until_us.min(self.slow_at.max(now + 1)) } else { until_us };
            self.turn(Duration::from_micros((next - now).max(1_000)), shape, false)?;
            if shape.slow > 0 && now_us() >= self.slow_at {
                self.slow_at = now_us() + SLOW.1;
                self.read_slowly(shape)?;
            }
        }
    }

    /// Lets those who stopped read again, and all others go on, until nothing more comes for a while.
    pub(crate) fn drain(&mut self, shape: &Shape) -> anyhow::Result<()> {
        for (number, client) in self.all.iter_mut().enumerate() {
            if matches!(client.behaviour, Behaviour::Slow | Behaviour::Stopped) {
                let interest = Interest::READABLE;
                self.poll.registry().register(&mut client.stream, Token(number), interest)?;
            }
        }
        let mut quiet_since = now_us();
        while now_us() - quiet_since < 1_000_000 {
            if self.turn(Duration::from_millis(50), shape, true)? > 0 {
                quiet_since = now_us();
            }
        }
        Ok(())
    }

    /// Pairs of client and symbol whose last tick is the newest one, of all, by behaviour.
    pub(crate) fn newest(
        &self,
        shape: &Shape,
        newest_of: impl Fn(usize) -> u64,
        behaviour: Behaviour,
    ) -> (usize, usize) {
        let mut right = 0;
        let mut all = 0;
        for client in self.all.iter().filter(|client| client.behaviour == behaviour) {
            for (place, last) in client.last_seq.iter().enumerate() {
                all += 1;
                right += usize::from(*last == newest_of((client.first + place) % shape.symbols));
            }
        }
        (right, all)
    }

    /// What servers said when they closed connections, with how often.
    pub(crate) fn closed(&self) -> std::collections::BTreeMap<String, usize> {
        let mut reasons = std::collections::BTreeMap::new();
        for reason in self.all.iter().filter_map(|client| client.is_closed.as_ref()) {
            *reasons.entry(reason.clone()).or_default() += 1;
        }
        reasons
    }

    fn turn(&mut self, wait: Duration, shape: &Shape, everybody: bool) -> anyhow::Result<usize> {
        let mut events = Events::with_capacity(1_024);
        match self.poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(0),
            other => other?,
        }
        let mut total = 0;
        for event in &events {
            let Some(client) = self.all.get_mut(event.token().0) else { continue };
            if client.behaviour == Behaviour::Blind && client.is_subscribed {
                while let Some(thrown_away) = client.throw_away(&mut self.scratch) {
                    total += thrown_away;
                    if (self.window.from..self.window.until).contains(&(now_us() + self.window.shift)) {
                        self.seen.blind_bytes += thrown_away as u64;
                    }
                }
                continue;
            }
            if everybody || client.behaviour == Behaviour::Reads {
                while let Some(read) =
                    client.read(&mut self.scratch, READ_BYTES, &mut self.seen, self.window, shape)?
                {
                    total += read;
                }
            }
        }
        Ok(total)
    }

    fn read_slowly(&mut self, shape: &Shape) -> anyhow::Result<()> {
        for client in self.all.iter_mut().filter(|client| client.behaviour == Behaviour::Slow) {
            client.read(&mut self.scratch, SLOW.0, &mut self.seen, self.window, shape)?;
        }
        Ok(())
    }
}

impl Client {
    /// Takes what there is without having it copied; none when there is nothing.
    fn throw_away(&mut self, scratch: &mut [u8]) -> Option<usize> {
        match rustix::net::recv(&self.stream, scratch, RecvFlags::TRUNC) {
            Ok((_, 0)) => {
                self.is_closed.get_or_insert_with(|| "end of stream".to_owned());
                None
            }
            Ok((_, thrown_away)) => Some(thrown_away),
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(error) => {
                self.is_closed.get_or_insert_with(|| error.to_string());
                None
            }
        }
    }

    /// Reads once; none when there is nothing to read.
    fn read(
        &mut self,
        scratch: &mut [u8],
        limit: usize,
        seen: &mut Seen,
        window: Window,
        shape: &Shape,
    ) -> anyhow::Result<Option<usize>> {
        let kept = self.rest.len();
        if kept + limit > scratch.len() && kept * 2 > scratch.len() {
            bail!("a frame is longer than {} bytes", scratch.len() / 2);
        }
        let end = (kept + limit).min(scratch.len());
        let Some(space) = scratch.get_mut(..end) else { return Ok(None) };
        let (front, space) = space.split_at_mut(kept);
        front.copy_from_slice(&self.rest);
        let read = match self.stream.read(space) {
            Ok(0) => {
                self.is_closed.get_or_insert_with(|| "end of stream".to_owned());
                return Ok(None);
            }
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(None);
            }
            Err(error) => {
                self.is_closed.get_or_insert_with(|| error.to_string());
                return Ok(None);
            }
        };
        let now = now_us() + window.shift;
        let bytes = scratch.get(..kept + read).unwrap_or_default();
        let mut taken = 0;
        while let Some((frame, length)) = frame::read(bytes.get(taken..).unwrap_or_default()) {
            taken += length;
            match frame {
                Frame::Text(text) => self.text(text, length, now, seen, window, shape),
                Frame::Ping(body) => {
                    // A full socket means that the server is not waiting for this.
                    let _sent = self.stream.write(&frame::from_client(10, body));
                }
                Frame::Close(body) => {
                    self.is_closed =
                        Some(String::from_utf8_lossy(body.get(2..).unwrap_or_default()).into_owned());
                }
                Frame::Other => {}
            }
        }
        self.rest.clear();
        self.rest.extend_from_slice(bytes.get(taken..).unwrap_or_default());
        Ok(Some(read))
    }

    fn text(&mut self, text: &[u8], length: usize, now: u64, seen: &mut Seen, window: Window, shape: &Shape) {
        let Some(tick) = frame::tick(text) else {
            self.is_subscribed |= text.starts_with(br#"{"type":"subscribe""#);
            return;
        };
        let place = (tick.symbol + shape.symbols - self.first) % shape.symbols;
        let Some(last) = self.last_seq.get_mut(place) else {
            seen.foreign += 1;
            return;
        };
        let before = std::mem::replace(last, tick.seq.max(*last));
        if self.behaviour != Behaviour::Reads {
            return;
        }
        if tick.seq < before {
            seen.backwards += 1;
        }
        if (window.from..window.until).contains(&tick.due_us) {
            seen.delivered += 1;
            seen.bytes += length as u64;
            // The first tick of a symbol may have any number.
            seen.skipped += if before == 0 { 0 } else { tick.seq.saturating_sub(before + 1) };
            seen.latency_us.saturating_record(now.saturating_sub(tick.due_us).max(1));
        }
    }
}

/// Connects and upgrades.
fn connect(server: SocketAddr) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut bytes = [0; 512];
        let read = stream.read(&mut bytes)?;
        if read == 0 || answer.len() > 8_192 {
            bail!("the server does not upgrade: {}", String::from_utf8_lossy(&answer));
        }
        answer.extend_from_slice(bytes.get(..read).unwrap_or_default());
    }
    if !answer.starts_with(b"HTTP/1.1 101") {
        bail!("the server does not upgrade: {}", String::from_utf8_lossy(&answer));
    }
    Ok(stream)
}
