//! Clients that count what they miss of ticks that are numbered: `volume` counts the ticks of an instrument.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use crate::{Client, Host, SOON};

/// Clients that read until they are dropped or leave.
#[derive(Debug)]
pub struct Readers {
    readers: Vec<Reader>,
}

#[derive(Debug)]
struct Reader {
    seen: Arc<Seen>,
    reading: JoinHandle<()>,
}

/// What one client has seen.
#[derive(Debug, Default)]
struct Seen {
    frames: AtomicU64,
    lost: AtomicU64,
    repeated: AtomicU64,
    longest_gap_us: AtomicU64,
    is_gone: AtomicBool,
    again: std::sync::Mutex<Option<Instant>>,
    last: std::sync::Mutex<HashMap<Box<str>, u64>>,
}

/// What clients have seen together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames of market data.
    pub frames: u64,
    /// Numbers that were left out.
    pub lost: u64,
    /// Numbers that came again, or after a later one.
    pub repeated: u64,
    /// Clients that lost their connection.
    pub gone: u64,
}

impl Totals {
    /// What came after `before`. The snapshot that follows a subscription may repeat the tick before it, so
    /// that whoever measures begins after that.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            frames: self.frames - before.frames,
            lost: self.lost.saturating_sub(before.lost),
            repeated: self.repeated - before.repeated,
            gone: self.gone,
        }
    }
}

impl Readers {
    /// Connects clients with one key; the client of each number subscribes to these symbols, in mode LTP.
    pub async fn start(host: &Host, key: &str, count: usize, symbols: impl Fn(usize) -> Vec<String>) -> Self {
        let mut readers = Vec::with_capacity(count);
        for number in 0..count {
            let mut client = Client::login(host.websocket, key).await;
            let symbols = symbols(number);
            let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
            let answer = client.subscribe(&symbols, "LTP").await;
            assert_eq!(answer["status"], "success", "{answer}");
            let seen = Arc::<Seen>::default();
            let reading = tokio::spawn(read(client, Arc::clone(&seen)));
            readers.push(Reader { seen, reading });
        }
        Self { readers }
    }

    /// What they have seen so far.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for Reader { seen, .. } in &self.readers {
            totals.frames += seen.frames.load(Ordering::Relaxed);
            // Numbers that a garbled feed makes up leave gaps of any size.
            totals.lost = totals.lost.saturating_add(seen.lost.load(Ordering::Relaxed));
            totals.repeated += seen.repeated.load(Ordering::Relaxed);
            totals.gone += u64::from(seen.is_gone.load(Ordering::Relaxed));
        }
        totals
    }

    /// Waits until each has this many frames more than now; false when that takes too long.
    pub async fn hear(&self, frames: u64) -> bool {
        let wanted: Vec<u64> = self.frames().map(|before| before + frames).collect();
        let deadline = Instant::now() + SOON;
        while self.frames().zip(&wanted).any(|(frames, wanted)| frames < *wanted) {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }

    fn frames(&self) -> impl Iterator<Item = u64> {
        self.readers.iter().map(|reader| reader.seen.frames.load(Ordering::Relaxed))
    }

    /// Forgets that numbers came again, and how long the longest gap was.
    pub fn forget(&self) {
        for Reader { seen, .. } in &self.readers {
            *seen.again.lock().unwrap() = None;
            seen.longest_gap_us.store(0, Ordering::Relaxed);
        }
    }

    /// When the last of them first saw a number again, as after the start of a new instance; none while one
    /// has not.
    pub fn all_began_again(&self) -> Option<Instant> {
        let moments: Option<Vec<Instant>> =
            self.readers.iter().map(|reader| *reader.seen.again.lock().unwrap()).collect();
        moments?.into_iter().max()
    }

    /// The longest time between two frames of one client.
    pub fn longest_gap(&self) -> Duration {
        let gaps = self.readers.iter().map(|reader| reader.seen.longest_gap_us.load(Ordering::Relaxed));
        Duration::from_micros(gaps.max().unwrap_or(0))
    }

    /// Numbers of this symbol's end that did not reach each of them, when `last` was the last one.
    pub fn missing_at_end(&self, symbol: &str, last: u64) -> u64 {
        let of = |reader: &Reader| reader.seen.last.lock().unwrap().get(symbol).copied().unwrap_or(0);
        self.readers.iter().map(|reader| last.saturating_sub(of(reader))).sum()
    }

    /// Ends their connections; gives those that were lost before.
    pub fn leave(self) -> u64 {
        self.totals().gone
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn read(mut client: Client, seen: Arc<Seen>) {
    let mut heard_at: Option<Instant> = None;
    while let Some(text) = client.next_text().await {
        let Some((symbol, number)) = numbered(&text) else { continue };
        let now = Instant::now();
        if let Some(before) = heard_at.replace(now) {
            let gap = u64::try_from(now.duration_since(before).as_micros()).unwrap_or(u64::MAX);
            seen.longest_gap_us.fetch_max(gap, Ordering::Relaxed);
        }
        seen.note(symbol, number, now);
    }
    seen.is_gone.store(true, Ordering::Relaxed);
}

impl Seen {
    fn note(&self, symbol: &str, number: u64, now: Instant) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last.lock().unwrap();
        let Some(before) = last.get_mut(symbol) else {
            last.insert(symbol.into(), number);
            return;
        };
        if number > *before {
            self.lost.fetch_add(number - *before - 1, Ordering::Relaxed);
        } else {
            self.repeated.fetch_add(1, Ordering::Relaxed);
            self.again.lock().unwrap().get_or_insert(now);
        }
        *before = number;
    }
}

/// Symbol and number of a frame of market data. Parsed by hand: a client must keep up with tens of thousands
/// a second.
fn numbered(text: &str) -> Option<(&str, u64)> {
    let symbol = text.split_once("\"symbol\":\"")?.1.split_once('"')?.0;
    let number = text.split_once("\"volume\":")?.1;
    let digits = number.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(number.len());
    Some((symbol, number.get(..digits)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_left_out_and_that_come_again_are_counted() {
        let seen = Seen::default();
        for number in [5, 6, 9, 9, 10, 1] {
            let frame = format!(
                r#"{{"type":"market_data","symbol":"SBIN","data":{{"ltp":1.5,"volume":{number},"x":1}}}}"#
            );
            let (symbol, number) = numbered(&frame).unwrap();
            seen.note(symbol, number, Instant::now());
        }
        assert_eq!(numbered(r#"{"type":"pong"}"#), None);
        let counted = [&seen.frames, &seen.lost, &seen.repeated].map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counted, [6, 2, 2]);
        assert!(seen.again.lock().unwrap().is_some());
    }
}
