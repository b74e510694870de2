//! A venue that says what to publish: lines of JSON over TCP, each with a number of its own.

use std::{collections::HashMap, time::Duration};

use adapter_sdk::{AdapterError, Price, Subscription, Tick, TickSink};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

/// Longest wait for the venue to take a connection or a request.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest line that is read.
const LINE_BYTES: usize = 4_096;

/// Room for one read.
const READ_BYTES: usize = 64 * 1_024;

/// A connection to the venue.
#[derive(Debug)]
pub(crate) struct Venue {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    /// What was read and not published.
    buffer: Vec<u8>,
    /// Numbers of what is subscribed, by symbol.
    instruments: HashMap<String, u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Request<'a> {
    Subscribe(&'a [&'a str]),
    Unsubscribe(&'a [&'a str]),
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    symbol: std::borrow::Cow<'a, str>,
    seq: u64,
    ts_ns: u64,
}

impl Venue {
    pub(crate) async fn connect(address: &str) -> Result<Self, AdapterError> {
        let stream = timeout(PATIENCE, TcpStream::connect(address))
            .await
            .map_err(|_| AdapterError::network(format!("the venue at {address} does not answer")))?
            .map_err(|error| AdapterError::network(format!("the venue at {address}: {error}")))?;
        stream.set_nodelay(true).map_err(AdapterError::network)?;
        let (reader, writer) = stream.into_split();
        Ok(Self { reader, writer, buffer: Vec::new(), instruments: HashMap::new() })
    }

    pub(crate) async fn subscribe(&mut self, subscriptions: &[Subscription]) -> Result<(), AdapterError> {
        let mut symbols = Vec::with_capacity(subscriptions.len());
        for Subscription { instrument, symbol, .. } in subscriptions {
            if self.instruments.insert(symbol.clone(), *instrument).is_none() {
                symbols.push(symbol.as_str());
            }
        }
        if symbols.is_empty() {
            return Ok(());
        }
        self.send(&Request::Subscribe(&symbols)).await
    }

    pub(crate) async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        let gone: Vec<(String, u32)> =
            self.instruments.extract_if(|_, instrument| instruments.contains(instrument)).collect();
        let symbols: Vec<&str> = gone.iter().map(|(symbol, _)| symbol.as_str()).collect();
        if symbols.is_empty() {
            return Ok(());
        }
        self.send(&Request::Unsubscribe(&symbols)).await
    }

    async fn send(&mut self, request: &Request<'_>) -> Result<(), AdapterError> {
        let mut line = serde_json::to_vec(request).map_err(AdapterError::protocol)?;
        line.push(b'\n');
        timeout(PATIENCE, self.writer.write_all(&line))
            .await
            .map_err(|_| AdapterError::network("the venue does not read"))?
            .map_err(AdapterError::network)
    }

    /// Waits for the venue to say something. Cancel safe.
    pub(crate) async fn wait(&mut self) -> Result<(), AdapterError> {
        self.buffer.reserve(READ_BYTES);
        match self.reader.read_buf(&mut self.buffer).await {
            Ok(0) => Err(AdapterError::network("the venue closed the connection")),
            Ok(_) => Ok(()),
            Err(error) => Err(AdapterError::network(error)),
        }
    }

    /// Publishes each whole line that was read.
    pub(crate) fn publish(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        let mut lines = self.buffer.split(|byte| *byte == b'\n');
        let rest = lines.next_back().map_or(0, <[u8]>::len);
        for line in lines {
            match serde_json::from_slice::<Line<'_>>(line).ok().and_then(|line| line.price().zip(Some(line)))
            {
                Some((price, Line { symbol, seq, ts_ns })) => {
                    // A line that was under way when its symbol was unsubscribed says nothing to anybody.
                    if let Some(instrument) = self.instruments.get(symbol.as_ref()) {
                        let volume = i64::try_from(seq).unwrap_or(i64::MAX);
                        sink.ltp(&Tick::new(*instrument).ltp(price).volume(volume).exchange_ts_ns(ts_ns));
                    }
                }
                None => sink.undecodable(),
            }
        }
        self.buffer.drain(..self.buffer.len() - rest);
        if rest > LINE_BYTES {
            return Err(AdapterError::protocol(format!("the venue sent a line of over {LINE_BYTES} bytes")));
        }
        Ok(())
    }
}

impl Line<'_> {
    /// One more than the number, so that there is always a price; `None` when it is too large for one.
    fn price(&self) -> Option<Price> {
        Price::from_scaled(i64::try_from(self.seq).ok()?.checked_add(1)?, 0)
    }
}
