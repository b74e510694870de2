//! Publishers: a PUB socket of the zeromq crate, or one that writes ZMTP itself and leaves the processor to
//! the clients. Or none: the `sim` adapter, in the host.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, bail};
use zeromq::{PubSocket, Socket as _, SocketSend as _, ZmqMessage};

use crate::{
    clock::{now_us, sleep_until},
    process,
    shape::{Due, Schedule},
};

/// What sends the ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// A PUB socket of the zeromq crate
    Zeromq,
    /// ZMTP written by hand: cheap, so that the load does not limit what is measured
    Wire,
    /// The synthetic exchange in the host itself, past the bus, at the same mean rate
    Sim,
}

/// How ticks are put into messages.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    pub(crate) kind: Kind,
    /// Ticks in a message; 1 sends an object, more a list of them.
    pub(crate) batch: usize,
    /// Mode in the topic.
    pub(crate) mode: u8,
    /// Pause between two looks at the schedule.
    pub(crate) granularity_us: u64,
}

/// Publishes the schedule until told to stop; returns how many ticks that was.
pub(crate) fn run(
    bus: SocketAddr,
    style: &Style,
    schedule: Schedule,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<u64> {
    process::sleep_precisely()?;
    let mut socket = Socket::connect(style.kind, bus)?;
    let mut sent = 0;
    let mut waiting = Vec::new();
    sleep_until(schedule.start_us);
    while !stop.load(Ordering::Relaxed) {
        let now = now_us();
        while schedule.tick(sent).us <= now {
            waiting.push(schedule.tick(sent));
            sent += 1;
            if waiting.len() >= 4_096 {
                break;
            }
        }
        for ticks in waiting.chunks(style.batch) {
            let (topic, body) = message(ticks, style);
            socket.push(&topic, &body)?;
        }
        waiting.clear();
        socket.flush()?;
        let next = schedule.tick(sent).us;
        if next > now_us() {
            sleep_until(next.max(now + style.granularity_us));
        }
    }
    Ok(sent)
}

fn message(ticks: &[Due], style: &Style) -> (String, String) {
    let mode = ["LTP", "QUOTE", "DEPTH"].get(usize::from(style.mode) - 1).copied().unwrap_or("LTP");
    let values = |due: &Due| {
        let Due { symbol, seq, us } = due;
        let price = 100 + seq % 900;
        let ltp = format!(
            "\"ltp\":{price}.05,\"volume\":{us},\"last_trade_quantity\":{seq},\"timestamp\":1795460000000"
        );
        let more = match style.mode {
            1 => String::new(),
            2 => QUOTE.to_owned(),
            _ => format!("{QUOTE},\"depth\":{{\"buy\":[{BUY}],\"sell\":[{SELL}]}}"),
        };
        (*symbol, format!("{ltp}{more}"))
    };
    if let ([only], 1) = (ticks, style.batch) {
        let (symbol, values) = values(only);
        return (format!("NSE_S{symbol}_{mode}"), format!("{{{values}}}"));
    }
    let elements = ticks.iter().map(|due| {
        let (symbol, values) = values(due);
        format!("{{\"exchange\":\"NSE\",\"symbol\":\"S{symbol}\",{values}}}")
    });
    (format!("NSE_BATCH_{mode}"), format!("[{}]", elements.collect::<Vec<_>>().join(",")))
}

const QUOTE: &str = r#","open":620.0,"high":628.0,"low":618.5,"close":622.0,"average_price":621.4,"total_buy_quantity":4000,"total_sell_quantity":5000,"change":3.5,"change_percent":0.56,"oi":12"#;

const BUY: &str = r#"{"price":99.95,"quantity":120,"orders":3},{"price":99.9,"quantity":500,"orders":4},{"price":99.85,"quantity":300,"orders":2},{"price":99.8,"quantity":900,"orders":9},{"price":99.75,"quantity":50,"orders":1}"#;

const SELL: &str = r#"{"price":100.1,"quantity":80,"orders":2},{"price":100.15,"quantity":700,"orders":5},{"price":100.2,"quantity":250,"orders":3},{"price":100.25,"quantity":640,"orders":6},{"price":100.3,"quantity":75,"orders":1}"#;

/// A connected PUB socket that has been subscribed to.
enum Socket {
    Zeromq { runtime: tokio::runtime::Runtime, socket: PubSocket },
    Wire { stream: TcpStream, out: Vec<u8> },
}

impl Socket {
    fn connect(kind: Kind, bus: SocketAddr) -> anyhow::Result<Self> {
        match kind {
            Kind::Sim => bail!("the synthetic exchange publishes by itself"),
            Kind::Zeromq => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                // Its writers are tasks of this runtime.
                let entered = runtime.enter();
                let mut socket = PubSocket::new();
                drop(entered);
                runtime.block_on(async {
                    socket.connect(&format!("tcp://{bus}")).await?;
                    // The subscription comes in behind the handshake; what is sent before it is lost.
                    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                    anyhow::Ok(())
                })?;
                Ok(Self::Zeromq { runtime, socket })
            }
            Kind::Wire => {
                let mut stream = TcpStream::connect(bus)?;
                stream.set_nodelay(true)?;
                let mut opening = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0];
                opening.extend_from_slice(b"NULL");
                opening.resize(64, 0);
                let ready = b"\x05READY\x0bSocket-Type\0\0\0\x03PUB";
                opening.extend_from_slice(&[4, u8::try_from(ready.len())?]);
                opening.extend_from_slice(ready);
                stream.write_all(&opening)?;
                let mut said = Vec::new();
                // Greeting, READY, and a subscription to everything.
                while !(said.len() > 64 && said.ends_with(b"\0\x01\x01")) {
                    let mut bytes = [0; 256];
                    let read = stream.read(&mut bytes).context("the bus does not answer")?;
                    if read == 0 {
                        bail!("the bus closed the connection");
                    }
                    said.extend_from_slice(bytes.get(..read).unwrap_or_default());
                }
                Ok(Self::Wire { stream, out: Vec::new() })
            }
        }
    }

    fn push(&mut self, topic: &str, body: &str) -> anyhow::Result<()> {
        match self {
            Self::Zeromq { runtime, socket } => {
                let mut message = ZmqMessage::from(topic);
                message.push_back(body.to_owned().into());
                runtime.block_on(socket.send(message))?;
            }
            Self::Wire { out, .. } => {
                out.extend_from_slice(&[1, u8::try_from(topic.len())?]);
                out.extend_from_slice(topic.as_bytes());
                if let Ok(length) = u8::try_from(body.len()) {
                    out.extend_from_slice(&[0, length]);
                } else {
                    out.push(2);
                    out.extend_from_slice(&(body.len() as u64).to_be_bytes());
                }
                out.extend_from_slice(body.as_bytes());
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        match self {
            // Its writers are tasks, which run while this thread is in the runtime.
            Self::Zeromq { runtime, .. } => runtime.block_on(tokio::task::yield_now()),
            Self::Wire { stream, out } => {
                stream.write_all(out)?;
                out.clear();
            }
        }
        Ok(())
    }
}
