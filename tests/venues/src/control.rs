//! The control protocol of the conformance suite, with more commands of our own.

use std::io::{self, BufRead, Read as _, Write};

use adapter_conformance::{Answer, Command, Hello, Packet, Row};
use adapter_venue::Refusal;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    broker::{Broker, Cause},
    model::{Level, MOST_LEVELS, Mode, Side, Values, price},
    venue::Venue,
};

/// Longest command.
const LINE_BYTES: u64 = 1024 * 1024;

/// Commands beyond those of the suite; the README describes them.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Extra {
    Expire { now: bool },
    Deafen,
    HalfOpen { on: bool },
    Refuse { status: u16, times: u64, rest: bool },
    Storm { after_ms: Option<u64> },
    Split { bytes: usize },
    Fragment { on: bool },
    Stack { on: bool },
    Stray { packet: Packet },
    Binary { hex: String },
    Own { command: Value },
    Text { text: String },
    Order { data: Value },
    Reuse { exchange: String, one: String, other: String },
    Trade,
    Sent { exchange: String, symbol: String, kind: String },
}

/// Carries out commands until the input ends.
///
/// # Errors
/// When input or output fail.
pub fn run<B: Broker>(venue: &Venue<B>, mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    writeln!(output, "{}", serde_json::to_string(&hello(venue))?)?;
    output.flush()?;
    loop {
        let mut line = Vec::new();
        if input.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let answer = match (serde_json::from_slice(&line), serde_json::from_slice(&line)) {
            (Ok(command), _) => serde_json::to_value(execute(venue, command))?,
            (_, Ok(extra)) => more(venue, extra),
            (_, Err(error)) => error_of(format!("that is no command: {error}")),
        };
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
}

fn error_of(reason: impl Into<String>) -> Value {
    json!({ "error": reason.into() })
}

fn hello<B: Broker>(venue: &Venue<B>) -> Hello {
    let mut commands = vec![
        "accept",
        "tick",
        "frame",
        "disconnect",
        "mute",
        "garbage",
        "list",
        "answer",
        "replace",
        "report",
    ];
    if !B::HAS_FIXED_LAYOUT {
        commands.push("partial");
    }
    if !B::ORDER.is_empty() {
        commands.push("order");
    }
    let hello = Hello::new(venue.address().to_string(), &commands, B::QUOTE);
    hello.fixed_layout(B::HAS_FIXED_LAYOUT).order(B::ORDER)
}

fn execute<B: Broker>(venue: &Venue<B>, command: Command) -> Answer {
    match command {
        Command::Accept { sets } => venue.accept(sets),
        Command::Tick { packet } => return send(venue, &[packet], Cause::Whole),
        Command::Partial { .. } if B::HAS_FIXED_LAYOUT => {
            return Answer::Unsupported("every packet of this broker says all of its kind".to_owned());
        }
        Command::Partial { packet } => return send(venue, &[packet], Cause::Partial),
        Command::Frame { packets } => return send(venue, &packets, Cause::Whole),
        Command::Disconnect => venue.disconnect(),
        Command::Mute => venue.mute(),
        Command::Garbage { seed, frames } => venue.garbage(seed, frames),
        Command::Order { order } if !B::ORDER.is_empty() => venue.order(&B::order_data(&order)),
        Command::List(edition) => match venue.list(&edition) {
            Ok(()) => {}
            Err(reason) => return Answer::Error(reason),
        },
        Command::Answer { field, url } => match venue.answer(&field, url.as_deref()) {
            Some(text) => return Answer::Said(text),
            None => return Answer::Unsupported(format!("nobody can answer what `{field}` asks for")),
        },
        Command::Replace if venue.replace() => {}
        Command::Report => return Answer::Report(venue.report()),
        command => return Answer::Unsupported(format!("the broker has no `{}`", command.name())),
    }
    Answer::Done
}

fn send<B: Broker>(venue: &Venue<B>, packets: &[Packet], cause: Cause) -> Answer {
    let mut ready = Vec::with_capacity(packets.len());
    for packet in packets {
        let Some(mode) = Mode::named(&packet.kind) else {
            return Answer::Error(format!("there is no kind {}", packet.kind));
        };
        match values(packet, B::HAS_FIXED_LAYOUT) {
            Ok(values) => ready.push((packet.exchange.as_str(), packet.symbol.as_str(), mode, values)),
            Err(reason) => return Answer::Error(reason),
        }
    }
    let result = match cause {
        Cause::Stray => venue.stray(&ready),
        Cause::Partial => venue.send_partial(&ready),
        _ => venue.send(&ready),
    };
    result.map_or_else(Answer::Error, |()| Answer::Done)
}

/// The values of a packet. What it does not have is zero where packets have a fixed layout: zero is what
/// these brokers write for nothing.
fn values(packet: &Packet, has_fixed_layout: bool) -> Result<Values, String> {
    let mut values = if has_fixed_layout { Values::default() } else { Values::absent() };
    for (name, text) in &packet.values {
        let (value, is_price) = values.named(name).ok_or_else(|| format!("there is no value {name}"))?;
        let parsed = if is_price { price(text) } else { text.parse().ok() };
        *value = parsed.ok_or_else(|| format!("`{text}` is no {name}"))?;
    }
    values.bids = side(&packet.bids)?;
    values.asks = side(&packet.asks)?;
    Ok(values)
}

fn side(rows: &[Row]) -> Result<Side, String> {
    if rows.len() > MOST_LEVELS {
        return Err(format!("a side has {} levels, no broker sends more than {MOST_LEVELS}", rows.len()));
    }
    let level = |(text, quantity, orders): &Row| {
        let price = price(text).ok_or_else(|| format!("`{text}` is no price"))?;
        Ok(Level { price, quantity: *quantity, orders: *orders })
    };
    rows.iter().map(level).collect()
}

fn more<B: Broker>(venue: &Venue<B>, extra: Extra) -> Value {
    match extra {
        Extra::Expire { now } => {
            venue.expire();
            if now {
                venue.disconnect();
            }
        }
        Extra::Deafen => venue.deafen(),
        Extra::HalfOpen { on } => venue.set_half_open(on),
        Extra::Refuse { status, times, rest } => venue.refuse(Refusal { status, times, is_rest: rest }),
        Extra::Storm { after_ms } => venue.set_storm(after_ms.map(std::time::Duration::from_millis)),
        Extra::Split { bytes } => venue.set_split(bytes),
        Extra::Fragment { on } => venue.set_fragmented(on),
        Extra::Stack { on } => venue.set_stacked(on),
        Extra::Binary { hex } => match hex::decode(hex) {
            Ok(bytes) => venue.binary(&bytes),
            Err(error) => return error_of(error.to_string()),
        },
        Extra::Own { command } => {
            if let Err(reason) = venue.own(&command) {
                return error_of(reason);
            }
        }
        Extra::Stray { packet } => return json!(send(venue, &[packet], Cause::Stray)),
        Extra::Order { data } => venue.order(&data),
        Extra::Text { text } => venue.text(&text),
        Extra::Reuse { exchange, one, other } => {
            if let Err(reason) = venue.reuse(&exchange, &one, &other) {
                return error_of(reason);
            }
        }
        Extra::Trade => venue.trade(),
        Extra::Sent { exchange, symbol, kind } => {
            let Some(mode) = Mode::named(&kind) else { return error_of(format!("there is no kind {kind}")) };
            return json!({ "sent": venue.sent(&exchange, &symbol, mode).map(Values::to_json) });
        }
    }
    json!("done")
}
