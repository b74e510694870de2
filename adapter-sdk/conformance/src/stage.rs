//! What a case plays on: the adapter, a venue when the profile has one, and steps that many cases share.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Map, Value as Json};
use tempfile::TempDir;

use crate::{
    host::{Kind, Record, Recorder},
    isolate::SCRATCH,
    profile::{CredentialSet, Profile, credentials_json},
    running::{Running, Wanted},
    subject::Subject,
    value::{Unit, VALUES, Value},
    venue::{Packet, Venue},
    verdict::{Check, Stop, ensure, fail, skip},
};

/// Longest wait for what a sound adapter does at once, on a machine that is busy.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Time in which something that must not happen would have happened.
pub(crate) const A_WHILE: Duration = Duration::from_secs(2);

/// What a case plays on.
pub(crate) struct Stage<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) profile: &'a Profile,
    venue: Option<Venue>,
    /// Where the adapter may write. It ends with the case.
    scratch: TempDir,
    keeps_lists: bool,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(subject: &'a Subject, profile: &'a Profile, venue: Option<Venue>) -> Check<Self> {
        if let Some(venue) = &venue
            && venue.needs(&["accept"]).is_ok()
        {
            // A venue that accepts nobody unless told otherwise would need this in every case.
            venue.accept(&[&profile.credentials.valid])?;
        }
        let scratch = tempfile::Builder::new().prefix(SCRATCH).tempdir();
        let scratch = scratch.map_err(|error| Stop::Failed(format!("cannot make a folder: {error}")))?;
        let keeps_lists = Profile::has_cache_dir(&subject.module().metadata()().config_schema_json);
        Ok(Self { subject, profile, venue, scratch, keeps_lists })
    }

    /// The venue, if the profile has one.
    pub(crate) fn venue(&self) -> Option<&Venue> {
        self.venue.as_ref()
    }

    /// The venue with these commands; skips the case without.
    pub(crate) fn venue_with(&self, commands: &[&str]) -> Check<&Venue> {
        match &self.venue {
            Some(venue) => venue.needs(commands).map(|()| venue),
            None => skip("it needs a fake venue, which the profile does not have"),
        }
    }

    /// An instance that was told to connect, with the valid credentials.
    pub(crate) fn start(&self) -> Check<Running> {
        self.start_with(&self.profile.credentials.valid, None)
    }

    /// An instance that is connected.
    pub(crate) fn connected(&self) -> Check<Running> {
        let running = self.start()?;
        running.wait_connected(1)?;
        Ok(running)
    }

    /// An instance with the settings of a condition; skips the case when the profile does not have it.
    pub(crate) fn start_in(&self, condition: &str) -> Check<Running> {
        if !self.profile.conditions.contains_key(condition) {
            return skip(format!(
                "it needs a fake venue, or settings for it in [conditions.{condition}], and the profile has neither"
            ));
        }
        self.start_with(&self.profile.credentials.valid, Some(condition))
    }

    /// An instance with these credentials, told to connect.
    pub(crate) fn start_with(&self, set: &CredentialSet, condition: Option<&str>) -> Check<Running> {
        let address = self.venue.as_ref().map_or("127.0.0.1:9", Venue::address);
        let running = self.create(address, set, condition)?;
        running.connect()?;
        Ok(running)
    }

    /// An instance that was told nothing yet.
    pub(crate) fn create(
        &self,
        address: &str,
        set: &CredentialSet,
        condition: Option<&str>,
    ) -> Check<Running> {
        let overlay = condition.and_then(|name| self.profile.conditions.get(name));
        let config = self.config_json(address, overlay);
        let recorder = Recorder::new(credentials_json(set));
        let made = self.subject.create(&config, recorder.handle());
        match made.into_result() {
            Ok(adapter) => Ok(Running::new(recorder, adapter)),
            Err(error) => fail(format!("it refuses the profile's config: {}", error.message)),
        }
    }

    /// The settings for a venue at an address, with what is laid over them.
    pub(crate) fn config_json(&self, address: &str, overlay: Option<&Map<String, Json>>) -> String {
        self.profile.config_in(address, overlay, self.scratch.path(), self.keeps_lists)
    }

    /// The instrument at a place of the profile with its number, in a mode.
    pub(crate) fn wanted(&self, place: usize, kind: Kind) -> Wanted<'a> {
        Wanted::at(place, self.profile.instrument(place), kind)
    }

    /// The least that the adapter publishes: last prices, where the broker has them.
    pub(crate) fn lowest(&self) -> Kind {
        self.kinds().first().copied().unwrap_or(Kind::Ltp)
    }

    /// The most that the adapter publishes.
    pub(crate) fn highest(&self) -> Kind {
        self.kinds().last().copied().unwrap_or(Kind::Ltp)
    }

    /// The kinds that the adapter says it publishes, lowest first.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        self.subject.kinds()
    }

    /// The kind, if the adapter says that it publishes it; skips the case if not.
    pub(crate) fn needs_kind(&self, kind: Kind) -> Check {
        if self.kinds().contains(&kind) {
            Ok(())
        } else {
            skip(format!("the adapter's manifest does not name the capability {kind:?}"))
        }
    }

    /// Subscribes, and waits until everything is taken and, with a venue, has reached it in its mode.
    pub(crate) fn subscribe(&self, running: &Running, wanted: &[Wanted<'_>]) -> Check {
        for (one, outcome) in wanted.iter().zip(running.subscribe(wanted)?) {
            ensure(outcome.code.is_taken(), || {
                format!("{} exists, but was refused: {}", one.instrument.name(), outcome.message)
            })?;
        }
        self.wait_at_venue(wanted)
    }

    /// Waits until everything is subscribed at the venue, in its mode.
    pub(crate) fn wait_at_venue(&self, wanted: &[Wanted<'_>]) -> Check {
        let Some(venue) = &self.venue else { return Ok(()) };
        for one in wanted {
            let mode = venue.serves(one.kind);
            let what = format!("a subscription of {} in mode {mode}", one.instrument.name());
            venue.until(&what, SOON, |report| report.mode_of(one.instrument) == Some(mode))?;
        }
        Ok(())
    }

    /// The price of an instrument by its place and a step, far from those of others, in the profile's
    /// decimals.
    pub(crate) fn price(&self, place: usize, step: usize) -> String {
        let whole = (place + 1) * 1_000 + step;
        match self.profile.limits.price_decimals {
            0 => whole.to_string(),
            1 => format!("{whole}.5"),
            _ => format!("{whole}.05"),
        }
    }

    /// Values of a quote that the venue can carry, each with a number of its own.
    pub(crate) fn sample(&self, venue: &Venue, place: usize) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        for (step, value) in VALUES.iter().enumerate() {
            let number = match value.unit {
                Unit::Price => self.price(place, step),
                Unit::Count => (1_000 * (place + 1) + step).to_string(),
                Unit::Time => continue,
            };
            if value.name == "ltp" || venue.carries(value.name) {
                values.insert(value.name.to_owned(), number);
            }
        }
        values
    }
}

/// Waits for something outside the instance.
pub(crate) fn until(what: &str, limit: Duration, holds: impl Fn() -> bool) -> Check {
    let deadline = Instant::now() + limit;
    while !holds() {
        if Instant::now() >= deadline {
            return fail(format!("waited {limit:?} for {what}, in vain"));
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    Ok(())
}

/// A packet of the kind in which an instrument is wanted, without a book.
pub(crate) fn packet<'v>(one: Wanted<'_>, values: impl IntoIterator<Item = (&'v str, &'v str)>) -> Packet {
    Packet {
        exchange: one.instrument.exchange.clone(),
        symbol: one.instrument.symbol.clone(),
        kind: one.kind.name().to_owned(),
        values: values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        bids: Vec::new(),
        asks: Vec::new(),
    }
}

/// The last price of a record.
pub(crate) fn ltp_of(record: &Record) -> Option<i64> {
    VALUES.iter().find(|value| value.name == "ltp").and_then(|value| value.of(&record.quote))
}

/// A decimal price in the ABI's units.
pub(crate) fn price(decimal: &str) -> Check<i64> {
    crate::value::nanos(decimal).ok_or_else(|| Stop::Failed(format!("`{decimal}` is no price")))
}

/// A value by name.
pub(crate) fn value(name: &str) -> Check<&'static Value> {
    Value::named(name).ok_or_else(|| Stop::Failed(format!("there is no value `{name}`")))
}
