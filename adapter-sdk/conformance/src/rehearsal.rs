//! The fake venue for an adapter that runs in a host: it lets the adapter in and sends prices that move, for
//! somebody who watches. Nothing is judged here.

use std::{
    collections::BTreeMap,
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    profile::{Instrument, Profile},
    value::{Unit, VALUES, decimal},
    venue::{Answer, Command, Control, Packet, Process, start},
};

/// Kinds of packets in the order in which they are tried: a broker may not have all of them.
const KINDS: [&str; 3] = ["quote", "ltp", "depth"];

/// Steps of a price before it starts over.
const STEPS: u64 = 40;

/// A venue of a profile, and what it has been told.
pub struct Rehearsal {
    profile: Profile,
    venue: Option<Process>,
    address: String,
    values: Vec<String>,
    /// Place in [`KINDS`] of what the broker has.
    kind: usize,
    step: u64,
}

impl fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rehearsal").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Rehearsal {
    /// Starts the profile's venue, if it has one, which accepts the first two sets of credentials. It ends
    /// when this is dropped.
    ///
    /// # Errors
    /// Why it does not start.
    pub fn start(profile: Profile) -> Result<Self, String> {
        let mut venue = profile.venue.as_ref().map(|command| start(command, &profile.dir)).transpose()?;
        let hello = venue.as_ref().map(Control::hello);
        let (address, values) = hello.map_or_else(Default::default, |hello| (hello.listening, hello.values));
        if let Some(venue) = &mut venue {
            let sets = vec![profile.credentials.valid.clone(), profile.credentials.renewed.clone()];
            // A broker without a log-in has nothing to accept.
            if let Answer::Error(reason) = venue.execute(Command::Accept { sets }) {
                return Err(format!("the fake venue failed at `accept`: {reason}"));
            }
        }
        Ok(Self { profile, venue, address, values, kind: 0, step: 0 })
    }

    /// The adapter's settings, with the venue's address, as a JSON object.
    pub fn settings(&self) -> String {
        self.profile.config_json(&self.address, None)
    }

    /// Sends a packet of each of the profile's first instruments, whose prices have moved since the last
    /// time. Nothing happens without a venue: then the adapter makes its ticks itself.
    ///
    /// # Errors
    /// Why the venue could not.
    pub fn tick(&mut self) -> Result<(), String> {
        self.step += 1;
        for place in 0..self.profile.instruments.len() {
            let Some(venue) = &mut self.venue else { return Ok(()) };
            let Some(instrument) = self.profile.instruments.get(place) else { continue };
            let mut reason = String::new();
            while let Some(kind) = KINDS.get(self.kind) {
                let packet = packet(&self.profile, &self.values, instrument, place, kind, self.step);
                match venue.execute(Command::Tick { packet }) {
                    Answer::Unsupported(why) => reason = why,
                    Answer::Error(why) => return Err(format!("the fake venue failed at `tick`: {why}")),
                    _ => break,
                }
                self.kind += 1;
            }
            if self.kind >= KINDS.len() {
                self.kind = 0;
                return Err(format!("the fake venue sends no ticks: {reason}"));
            }
        }
        Ok(())
    }
}

fn packet(
    profile: &Profile,
    carried: &[String],
    instrument: &Instrument,
    place: usize,
    kind: &str,
    step: u64,
) -> Packet {
    let price = |offset: i64| price(profile, place, step, offset);
    let mut values = BTreeMap::new();
    for value in VALUES {
        let is_carried = carried.iter().any(|name| name == value.name);
        if value.name != "ltp" && (kind == "ltp" || !is_carried) {
            continue;
        }
        let text = match (value.name, value.unit) {
            ("open" | "close" | "average_price", _) => price(-(step_of(step))),
            ("high", _) => price(50),
            ("low", _) => price(-50),
            // A difference of two prices; the host knows better.
            ("change" | "change_percent", _) => continue,
            (_, Unit::Price) => price(0),
            (_, Unit::Count) => (1_000 + step).to_string(),
            (_, Unit::Time) => now(profile).to_string(),
        };
        values.insert(value.name.to_owned(), text);
    }
    let side = |sign: i64| {
        let levels = if kind == "depth" { 5.min(i64::from(profile.limits.depth)) } else { 0 };
        (1..=levels).map(|level| (price(sign * level), 10 * level, 1)).collect()
    };
    let (exchange, symbol) = (instrument.exchange.clone(), instrument.symbol.clone());
    Packet { exchange, symbol, kind: kind.to_owned(), values, bids: side(-1), asks: side(1) }
}

/// Where in its way up and down a price is.
fn step_of(step: u64) -> i64 {
    let step = step % STEPS;
    i64::try_from(step.min(STEPS - step)).unwrap_or_default()
}

/// A price of the broker's decimals: its base, which is far from those of others, and some of the smallest
/// steps.
fn price(profile: &Profile, place: usize, step: u64, offset: i64) -> String {
    let smallest = 10_i64.pow(9_u32.saturating_sub(profile.limits.price_decimals.min(9)));
    let base = i64::try_from(place + 1).unwrap_or(1).saturating_mul(1_000_000_000_000);
    decimal(base.saturating_add(smallest.saturating_mul(step_of(step) + offset)))
}

/// Nanoseconds since the Unix epoch, as fine as the broker's times are.
fn now(profile: &Profile) -> i64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let resolution = profile.limits.time_resolution_ns.max(1);
    i64::try_from(nanos).unwrap_or(i64::MAX) / resolution * resolution
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn prices_have_the_broker_s_decimals_and_move() {
        let text = "[limits]\nprice_decimals = 2\ntime_resolution_ns = 1000000";
        let profile = format!(
            "instruments = [{}]\n{text}",
            ["A", "B", "C"].map(|name| format!("{{ exchange = \"NSE\", symbol = \"{name}\" }}")).join(", ")
        );
        let profile = Profile::parse(&profile, Path::new(".")).unwrap();
        let at = |step, place| price(&profile, place, step, 0);
        assert_eq!([at(0, 0), at(1, 0), at(1, 1)], ["1000", "1000.01", "2000.01"]);
        assert_eq!(at(STEPS, 0), at(0, 0));
        assert_eq!(now(&profile) % 1_000_000, 0);
        let carried = ["volume".to_owned(), "high".to_owned()];
        let one = packet(&profile, &carried, &profile.instruments[0], 0, "quote", 3);
        assert_eq!(one.values.keys().collect::<Vec<_>>(), ["high", "ltp", "volume"]);
        let last = packet(&profile, &carried, &profile.instruments[0], 0, "ltp", 3);
        assert_eq!(last.values.len(), 1);
        let book = packet(&profile, &[], &profile.instruments[0], 0, "depth", 0);
        assert_eq!((book.bids[0].0.as_str(), book.asks.len()), ("999.99", 5));
    }

    #[test]
    fn without_a_venue_the_adapter_is_on_its_own() {
        let text = "config = { rate = 1 }\ninstruments = [{ exchange = \"A\", symbol = \"1\" }, \
                    { exchange = \"A\", symbol = \"2\" }, { exchange = \"A\", symbol = \"3\" }]";
        let mut rehearsal = Rehearsal::start(Profile::parse(text, Path::new(".")).unwrap()).unwrap();
        assert_eq!(rehearsal.settings(), r#"{"rate":1}"#);
        assert_eq!(rehearsal.tick(), Ok(()));
    }
}
