//! The fake venue, which the suite tells what to do over the control protocol.

mod process;
mod protocol;

use std::time::{Duration, Instant};

use parking_lot::Mutex;

pub(crate) use self::process::{Process, start, without_cargo};
pub use self::{
    process::serve,
    protocol::{Answer, Command, Edition, Hello, Name, PROTOCOL, Packet, Report, Row, Subscribed},
};
use crate::{
    host::Kind,
    profile::{CredentialSet, Instrument},
    verdict::{Check, Stop, fail, skip},
};

/// Longest pause between two looks at the venue's report.
const POLL: Duration = Duration::from_millis(5);

/// Somebody who plays the venue: a program of its own, which calls [`serve`], or a part of a test.
pub trait Control: Send {
    /// What the venue says of itself when it starts.
    fn hello(&self) -> Hello;

    /// Carries a command out. One at a time.
    fn execute(&mut self, command: Command) -> Answer;
}

/// A venue that is running. Commands that it does not have end a case as skipped.
pub(crate) struct Venue {
    hello: Hello,
    /// The broker's own, if it has fewer than clients.
    modes: Vec<String>,
    control: Mutex<Box<dyn Control>>,
}

impl Venue {
    pub(crate) fn new(control: Box<dyn Control>, modes: &[String]) -> Self {
        Self { hello: control.hello(), modes: modes.to_vec(), control: Mutex::new(control) }
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

    /// Whether a whole packet says of what it does not have that it is gone.
    pub(crate) const fn sends_images(&self) -> bool {
        self.hello.images || self.hello.fixed_layout
    }

    /// Names of what its order updates have.
    pub(crate) fn order_members(&self) -> &[String] {
        &self.hello.order
    }

    /// The name of the broker's mode in which what is wanted in a mode is subscribed: the same one, or the
    /// next higher that the broker has.
    pub(crate) fn serves(&self, kind: Kind) -> &'static str {
        let has = |kind: &Kind| self.modes.is_empty() || self.modes.iter().any(|mode| mode == kind.name());
        let mut enough = Kind::ALL.into_iter().filter(|other| *other >= kind);
        enough.find(has).unwrap_or(kind).name()
    }

    /// A packet of the kind in which the broker sends what is wanted of it.
    fn served(&self, packet: &Packet) -> Packet {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == packet.kind);
        let kind = kind.map_or(packet.kind.as_str(), |kind| self.serves(kind)).to_owned();
        Packet { kind, ..packet.clone() }
    }

    pub(crate) fn accept(&self, sets: &[&CredentialSet]) -> Check {
        self.execute(Command::Accept { sets: sets.iter().map(|&set| set.clone()).collect() })
    }

    pub(crate) fn tick(&self, packet: &Packet) -> Check {
        self.execute(Command::Tick { packet: self.served(packet) })
    }

    pub(crate) fn partial(&self, packet: &Packet) -> Check {
        self.execute(Command::Partial { packet: self.served(packet) })
    }

    pub(crate) fn frame(&self, packets: &[Packet]) -> Check {
        self.execute(Command::Frame { packets: packets.iter().map(|packet| self.served(packet)).collect() })
    }

    pub(crate) fn disconnect(&self) -> Check {
        self.execute(Command::Disconnect)
    }

    pub(crate) fn mute(&self) -> Check {
        self.execute(Command::Mute)
    }

    pub(crate) fn garbage(&self, seed: u64, frames: u32) -> Check {
        self.execute(Command::Garbage { seed, frames })
    }

    pub(crate) fn order(&self, order: &serde_json::Map<String, serde_json::Value>) -> Check {
        self.execute(Command::Order { order: order.clone().into_iter().collect() })
    }

    /// Serves another list of instruments.
    pub(crate) fn list(&self, edition: Edition) -> Check {
        self.execute(Command::List(edition))
    }

    /// Ends every connection as if the account had logged in elsewhere.
    pub(crate) fn replace(&self) -> Check {
        self.execute(Command::Replace)
    }

    /// What a person would answer to a question of a log-in.
    pub(crate) fn answer(&self, field: &str, url: Option<String>) -> Check<String> {
        match self.ask(Command::Answer { field: field.to_owned(), url })? {
            Answer::Said(text) => Ok(text),
            answer => fail(format!("the fake venue answered `answer` with {answer:?}")),
        }
    }

    /// What it saw so far.
    pub(crate) fn report(&self) -> Check<Report> {
        match self.ask(Command::Report)? {
            Answer::Report(report) => Ok(report),
            answer => fail(format!("the fake venue answered `report` with {answer:?}")),
        }
    }

    /// What happened, with what the venue has to say of it.
    pub(crate) fn quoted(&self, reason: String) -> String {
        let report = self.report().unwrap_or_default();
        // One that comes again and again is as good as one.
        match report.complaints.first() {
            Some(first) => format!("{reason}; the fake venue hung up because {first}"),
            None => reason,
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

    fn execute(&self, command: Command) -> Check {
        self.ask(command).map(drop)
    }

    fn ask(&self, command: Command) -> Check<Answer> {
        let name = command.name();
        match self.control.lock().execute(command) {
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
