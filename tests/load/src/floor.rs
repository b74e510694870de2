//! The floor: a server that does what no server can do without. It sends frames that were encoded before, one
//! send for each client and interval (a millisecond, if not said otherwise), and looks at nothing: no bus, no
//! parsing, no index, no bounds.

use std::{
    io::{BufRead as _, ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use anyhow::{Context as _, bail};

use crate::{
    clock::{now_us, sleep_until},
    process,
    shape::{Schedule, Shape},
};

/// Digits of a tick's number, as most have them in a measurement.
const SEQ_DIGITS: usize = 4;

/// Serves the clients of a shape. Says its port on standard output, waits for the start time on standard
/// input, and sends until that is closed.
pub(crate) fn run(shape: &Shape, interval_us: u64, burst: u64) -> anyhow::Result<()> {
    process::sleep_precisely()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr()?)?;
    out.flush()?;
    let mut clients = Vec::with_capacity(shape.clients);
    for _ in 0..shape.clients {
        let (stream, _) = listener.accept()?;
        clients.push(Client { stream: upgrade(stream)?, out: Vec::new() });
    }
    let mut holders = vec![Vec::new(); shape.symbols];
    for (number, client) in clients.iter_mut().enumerate() {
        answer(&mut client.stream)?;
        client.stream.set_nonblocking(true)?;
        for symbol in shape.symbols_of(number) {
            if let Some(holders) = holders.get_mut(symbol) {
                holders.push(number);
            }
        }
    }
    let mut frames: Vec<Encoded> =
        (0..shape.symbols).map(|symbol| Encoded::new(symbol, shape.mode)).collect();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let start_us = line.trim().parse().context("the start time")?;
    let schedule =
        Schedule { start_us, ticks_per_second: shape.ticks_per_second(), symbols: shape.symbols, burst };
    let is_over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let watched = std::sync::Arc::clone(&is_over);
    std::thread::spawn(move || {
        let mut rest = String::new();
        let _end = std::io::stdin().read_to_string(&mut rest);
        watched.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let mut sent = 0;
    let mut next = start_us;
    while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
        sleep_until(next);
        let now = now_us();
        while schedule.tick(sent).us <= now {
            let due = schedule.tick(sent);
            sent += 1;
            let (Some(frame), Some(holders)) = (frames.get_mut(due.symbol), holders.get(due.symbol)) else {
                continue;
            };
            frame.stamp(due.us, due.seq);
            for holder in holders {
                if let Some(client) = clients.get_mut(*holder) {
                    client.out.extend_from_slice(&frame.bytes);
                }
            }
        }
        clients.iter_mut().try_for_each(Client::send)?;
        next = (next + interval_us).max(now);
        if clients.iter().all(|client| client.out.is_empty()) {
            next = next.max(schedule.tick(sent).us);
        }
    }
    // Whoever reads slowly may still read.
    clients.iter_mut().try_for_each(|client| {
        client.stream.set_nonblocking(false)?;
        client.stream.write_all(&client.out)
    })?;
    writeln!(out, "{sent}")?;
    out.flush()?;
    // The other side reads what is left, and then closes.
    clients.iter_mut().for_each(|client| {
        let _shut = client.stream.shutdown(std::net::Shutdown::Write);
        let _rest = client.stream.read(&mut [0]);
    });
    Ok(())
}

struct Client {
    stream: TcpStream,
    out: Vec<u8>,
}

impl Client {
    fn send(&mut self) -> std::io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        match self.stream.write(&self.out) {
            Ok(written) if written == self.out.len() => self.out.clear(),
            Ok(written) => drop(self.out.drain(..written)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// A frame of one symbol with room for its numbers, as long as the host's.
struct Encoded {
    bytes: Vec<u8>,
    due: Vec<usize>,
    due_digits: usize,
    seq: Vec<usize>,
}

impl Encoded {
    fn new(symbol: usize, mode: u8) -> Self {
        // As many digits as the clock has now: the frame is then as long as the host's.
        let due = "D".repeat(now_us().to_string().len());
        let seq = "Q".repeat(SEQ_DIGITS);
        let text = text(symbol, mode, &due, &seq);
        let mut bytes = vec![0x81];
        if let (false, Ok(length)) = (text.len() < 126, u16::try_from(text.len())) {
            bytes.push(126);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        let head = bytes.len();
        bytes.extend_from_slice(text.as_bytes());
        let places = |needle: &str| text.match_indices(needle).map(|(place, _)| head + place).collect();
        Self { due: places(&due), due_digits: due.len(), seq: places(&seq), bytes }
    }

    fn stamp(&mut self, due_us: u64, seq: u64) {
        let Self { bytes, due, due_digits, seq: seqs } = self;
        due.iter().for_each(|place| overwrite(bytes, *place, *due_digits, due_us));
        seqs.iter().for_each(|place| overwrite(bytes, *place, SEQ_DIGITS, seq));
    }
}

fn overwrite(bytes: &mut [u8], place: usize, digits: usize, mut number: u64) {
    for digit in bytes.get_mut(place..place + digits).unwrap_or_default().iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// What the host sends for the publisher's ticks. A test of the figures compares the lengths.
fn text(symbol: usize, mode: u8, due: &str, seq: &str) -> String {
    let head = format!(
        r#"{{"type":"market_data","symbol":"S{symbol}","exchange":"NSE","mode":{mode},"broker":"bus","topic":"S{symbol}.NSE","ltp":523.05"#
    );
    let time = r#","timestamp":"2026-11-24T00:23:20.000+05:30""#;
    let data =
        format!(r#","data":{{"symbol":"S{symbol}","exchange":"NSE","ltp":523.05,"timestamp":1795460000000"#);
    let day = r#","open":620.0,"high":628.0,"low":618.5,"close":622.0"#;
    let more = r#","average_price":621.4,"avg_trade_price":621.4,"total_buy_quantity":4000,"total_sell_quantity":5000,"change":3.5,"change_percent":0.56,"oi":12"#;
    let side = |levels: [(&str, &str); 5]| {
        let levels = levels
            .map(|(price, quantity)| format!(r#"{{"price":{price},"quantity":{quantity},"orders":3}}"#));
        format!("[{}]", levels.join(","))
    };
    let buy = side([("99.95", "120"), ("99.9", "500"), ("99.85", "300"), ("99.8", "900"), ("99.75", "50")]);
    let sell =
        side([("100.1", "80"), ("100.15", "700"), ("100.2", "250"), ("100.25", "640"), ("100.3", "75")]);
    let numbers = format!(r#","volume":{due},"last_trade_quantity":{seq}"#);
    match mode {
        1 => format!("{head}{time}{data}{numbers}}}}}"),
        2 => format!("{head}{day},\"volume\":{due}{time}{data}{day}{numbers}{more}}}}}"),
        _ => format!(
            r#"{head}{day},"volume":{due},"depth":{{"buy":{buy},"sell":{sell}}}{time}{data}{day}{numbers}{more},"depth":{{"buy":{buy},"sell":{sell}}},"bids":{buy},"asks":{sell}}}}}"#
        ),
    }
}

fn upgrade(mut stream: TcpStream) -> anyhow::Result<TcpStream> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 || request.len() > 8_192 {
            bail!("a client did not upgrade");
        }
        request.extend_from_slice(&byte);
    }
    stream.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    )?;
    Ok(stream)
}

/// Takes what a client asks for as read when some of it has come, and says that it got it.
fn answer(stream: &mut TcpStream) -> std::io::Result<()> {
    let _some = stream.read(&mut [0; 4_096])?;
    let text = br#"{"type":"subscribe","status":"success"}"#;
    stream.write_all(&[0x81, text.len() as u8])?;
    stream.write_all(text)
}
