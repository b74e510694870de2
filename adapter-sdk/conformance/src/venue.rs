//! The fake venue, which the suite tells what to do over the control protocol.

mod process;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub use self::process::serve;
pub(crate) use self::process::start;
use crate::{
    profile::{CredentialSet, Instrument},
    verdict::{Check, Stop, fail, skip},
};

/// Version of the control protocol.
pub const PROTOCOL: u32 = 1;

/// Longest pause between two looks at the venue's report.
const POLL: Duration = Duration::from_millis(5);

/// Somebody who plays the venue: a program of its own, which calls [`serve`], or a part of a test.
pub trait Control: Send {
    /// What the venue says of itself when it starts.
    fn hello(&self) -> Hello;

    /// Carries a command out. One at a time.
    fn obey(&mut self, command: Command) -> Answer;
}

/// What the suite asks of a venue.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Command {
    /// Accept log-ins with these credentials, and no others, from now on. Connections that are open stay.
    Accept {
        /// Each set is good by itself.
        sets: Vec<CredentialSet>,
    },
    /// Send a packet on every connection that knows the instrument, even when it is no longer subscribed there.
    Tick {
        /// The packet, which stands for a whole state of its kind.
        packet: Packet,
    },
    /// Send a packet with nothing but what changed.
    Partial {
        /// The packet. The values that it does not have are as before.
        packet: Packet,
    },
    /// Send several packets in one frame.
    Frame {
        /// The packets, in order.
        packets: Vec<Packet>,
    },
    /// End every connection.
    Disconnect,
    /// Say nothing more on the connections that are open now, not even heartbeats, but leave them open.
    Mute,
    /// Send frames that make no sense: random bytes, and packets that are cut or changed.
    Garbage {
        /// What they follow from, so that a failure can be repeated.
        seed: u64,
        /// How many.
        frames: u32,
    },
    /// Say what was seen so far.
    Report,
}

/// What a venue answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// It is done.
    Done,
    /// What was seen so far.
    Report(Report),
    /// The broker's protocol has no way to do that, for a reason. The case is skipped.
    Unsupported(String),
    /// The venue could not do it, for a reason. The case fails.
    Error(String),
}

impl Command {
    /// Its name, as [`Hello::commands`] lists it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Accept { .. } => "accept",
            Self::Tick { .. } => "tick",
            Self::Partial { .. } => "partial",
            Self::Frame { .. } => "frame",
            Self::Disconnect => "disconnect",
            Self::Mute => "mute",
            Self::Garbage { .. } => "garbage",
            Self::Report => "report",
        }
    }
}

/// The first line that a venue prints.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the control protocol, [`PROTOCOL`].
    pub venue: u32,
    /// Where the adapter is to connect, as `127.0.0.1:PORT`.
    pub listening: String,
    /// Commands that it understands.
    pub commands: Vec<String>,
    /// Names of the values that its quotes can carry. Its last prices carry at least `ltp`.
    pub values: Vec<String>,
    /// Whether the broker's quotes and books have a place for each of their values and none can be left out: one that was
    /// not sent is a zero there, which is the broker's word.
    #[serde(default)]
    pub fixed_layout: bool,
}

/// A packet that the venue is to send.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Packet {
    /// Exchange code of the instrument.
    pub exchange: String,
    /// Symbol, as a client writes it.
    pub symbol: String,
    /// `ltp`, `quote` or `depth`: what kind of packet it is.
    pub kind: String,
    /// Values by name, as exact decimals; what is not here must not be sent.
    pub values: BTreeMap<String, String>,
    /// Bids, best first, of a packet of kind `depth`.
    #[serde(default)]
    pub bids: Vec<Row>,
    /// Asks, best first.
    #[serde(default)]
    pub asks: Vec<Row>,
}

/// A level of a book: price as an exact decimal, quantity, number of orders.
pub type Row = (String, i64, u32);

/// What the venue saw so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Connections opened since it started.
    pub opened: u64,
    /// Connections that are open now.
    pub open: u64,
    /// Log-ins, in order: whether each was accepted.
    pub log_ins: Vec<bool>,
    /// Subscribe messages on the newest connection, in order: how many instruments each had.
    pub subscribes: Vec<u64>,
    /// What is subscribed on the newest connection.
    pub subscribed: Vec<Subscribed>,
}

/// An instrument that is subscribed at the venue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribed {
    /// Exchange code of the instrument.
    pub exchange: String,
    /// Symbol, as a client writes it.
    pub symbol: String,
    /// `ltp`, `quote` or `depth`.
    pub mode: String,
}

/// A venue that is running. Commands that it does not have end a case as skipped.
pub(crate) struct Venue {
    hello: Hello,
    control: Mutex<Box<dyn Control>>,
}

impl Venue {
    pub(crate) fn new(control: Box<dyn Control>) -> Self {
        Self { hello: control.hello(), control: Mutex::new(control) }
    }

    pub(crate) fn address(&self) -> &str {
        &self.hello.listening
    }

    /// Skips the case unless the venue has all of these commands.
    pub(crate) fn needs(&self, commands: &[&str]) -> Check {
        let has = |name: &&&str| self.hello.commands.iter().any(|command| command == **name);
        match commands.iter().find(|name| !has(name)) {
            Some(missing) => skip(format!("the fake venue has no command `{missing}`")),
            None => Ok(()),
        }
    }

    /// Whether its quotes can carry a value.
    pub(crate) fn carries(&self, value: &str) -> bool {
        self.hello.values.iter().any(|name| name == value)
    }

    /// Whether a quote without a value cannot be told from one in which it is zero.
    pub(crate) const fn has_fixed_layout(&self) -> bool {
        self.hello.fixed_layout
    }

    pub(crate) fn accept(&self, sets: &[&CredentialSet]) -> Check {
        self.order(Command::Accept { sets: sets.iter().map(|&set| set.clone()).collect() })
    }

    pub(crate) fn tick(&self, packet: &Packet) -> Check {
        self.order(Command::Tick { packet: packet.clone() })
    }

    pub(crate) fn partial(&self, packet: &Packet) -> Check {
        self.order(Command::Partial { packet: packet.clone() })
    }

    pub(crate) fn frame(&self, packets: Vec<Packet>) -> Check {
        self.order(Command::Frame { packets })
    }

    pub(crate) fn disconnect(&self) -> Check {
        self.order(Command::Disconnect)
    }

    pub(crate) fn mute(&self) -> Check {
        self.order(Command::Mute)
    }

    pub(crate) fn garbage(&self, seed: u64, frames: u32) -> Check {
        self.order(Command::Garbage { seed, frames })
    }

    /// What it saw so far.
    pub(crate) fn report(&self) -> Check<Report> {
        match self.ask(Command::Report)? {
            Answer::Report(report) => Ok(report),
            answer => fail(format!("the fake venue answered `report` with {answer:?}")),
        }
    }

    /// Waits until its report shows something.
    pub(crate) fn until(
        &self,
        what: &str,
        limit: Duration,
        holds: impl Fn(&Report) -> bool,
    ) -> Check<Report> {
        let deadline = Instant::now() + limit;
        loop {
            let report = self.report()?;
            if holds(&report) {
                return Ok(report);
            }
            if Instant::now() >= deadline {
                return fail(format!(
                    "waited {limit:?} for {what} at the venue, in vain; {}",
                    shown(&report)
                ));
            }
            std::thread::park_timeout(POLL);
        }
    }

    fn order(&self, command: Command) -> Check {
        self.ask(command).map(drop)
    }

    fn ask(&self, command: Command) -> Check<Answer> {
        let name = command.name();
        match self.control.lock().obey(command) {
            Answer::Unsupported(reason) => skip(format!("the fake venue cannot: {reason}")),
            Answer::Error(reason) => {
                Err(Stop::Failed(format!("the fake venue failed at `{name}`: {reason}")))
            }
            answer => Ok(answer),
        }
    }
}

impl Report {
    /// The mode in which an instrument is subscribed.
    pub(crate) fn mode_of(&self, instrument: &Instrument) -> Option<&str> {
        let mut all = self.subscribed.iter();
        all.find(|one| one.exchange == instrument.exchange && one.symbol == instrument.symbol)
            .map(|one| one.mode.as_str())
    }
}

fn shown(report: &Report) -> String {
    format!(
        "it saw {} connections of which {} are open, {} log-ins, {} instruments subscribed",
        report.opened,
        report.open,
        report.log_ins.len(),
        report.subscribed.len()
    )
}
