//! A connection: its ticks, and the fault when its moment comes.

use std::time::{SystemTime, UNIX_EPOCH};

use adapter_sdk::{AdapterError, Connection, Credentials, Subscription, TickSink};
use tokio::time::Instant;

use crate::{
    config::{Fault, Settings},
    misdeed::{self, Ongoing},
    ticker::Ticker,
    trap::Trap,
    venue::Venue,
};

/// A connection of the adapter.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    ticker: Ticker,
    venue: Option<Venue>,
    trap: Trap,
    /// A fault that goes on.
    ongoing: Option<Ongoing>,
    /// Credentials, kept only by the fault that shows them.
    secrets: Vec<String>,
}

impl Session {
    pub(crate) fn new(settings: &Settings, venue: Option<Venue>, credentials: &Credentials) -> Self {
        let keeps_secrets = settings.fault == Some(Fault::LogSecret);
        Self {
            settings: settings.clone(),
            ticker: Ticker::new(settings.interval),
            venue,
            trap: Trap::set(settings, Instant::now()),
            ongoing: None,
            secrets: if keeps_secrets { misdeed::values_of(credentials) } else { Vec::new() },
        }
    }

    /// Does what it was told to do wrong.
    fn misbehave(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        let Some(fault) = self.settings.fault else { return Ok(()) };
        match fault {
            Fault::Segfault => misdeed::write_to_nowhere(),
            Fault::Abort => std::process::abort(),
            Fault::Exit => misdeed::end_process(),
            Fault::PanicTask => misdeed::panic_in("next"),
            Fault::PanicEscape => misdeed::panic_through_c(),
            Fault::EndlessLoop => misdeed::compute_for_ever(),
            Fault::SleepInNext => misdeed::block_thread(),
            Fault::StdoutNoise => misdeed::make_noise(),
            Fault::EndLink => {
                misdeed::end_link();
                // With the next tick its process would notice.
                self.ticker = Ticker::new(self.settings.interval);
            }
            Fault::LogSecret => return Err(misdeed::show(&self.secrets, &self.ticker, sink)),
            // They happen elsewhere.
            Fault::PanicCallback | Fault::SleepInConnect => {}
            Fault::MemoryLeak
            | Fault::DescriptorLeak
            | Fault::ThreadLeak
            | Fault::TickFlood
            | Fault::GarbageRecords
            | Fault::StrayIds => self.ongoing = Ongoing::begin(&self.settings, Instant::now()),
        }
        Ok(())
    }
}

impl Connection for Session {
    async fn subscribe(
        &mut self,
        subscriptions: &[Subscription],
        _sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        let now = Instant::now();
        subscriptions.iter().for_each(|subscription| self.ticker.subscribe(subscription, now));
        match &mut self.venue {
            Some(venue) => venue.subscribe(subscriptions).await,
            None => Ok(()),
        }
    }

    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        instruments.iter().for_each(|instrument| self.ticker.unsubscribe(*instrument));
        match &mut self.venue {
            Some(venue) => venue.unsubscribe(instruments).await,
            None => Ok(()),
        }
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        loop {
            let Self { ticker, venue, trap, ongoing, .. } = &mut *self;
            // Each future only waits, or has put what it read where it stays: nothing is lost with those that
            // are dropped.
            tokio::select! {
                biased;
                () = trap.wait() => {
                    if trap.springs(Instant::now()) {
                        self.misbehave(sink)?;
                    }
                }
                () = wait_until(ongoing.as_ref().map(Ongoing::next_step)) => {
                    let now = Instant::now();
                    let Some(fault) = ongoing else { continue };
                    let did_publish = fault.step(now, unix_nanos(), ticker, sink);
                    if fault.is_over(now) {
                        *ongoing = None;
                    }
                    if did_publish {
                        return Ok(());
                    }
                }
                published = publish_next(venue.as_mut(), ticker, sink) => return published,
            }
        }
    }
}

/// Waits for the next ticks, from wherever they come, and publishes them.
async fn publish_next(
    venue: Option<&mut Venue>,
    ticker: &mut Ticker,
    sink: &mut TickSink,
) -> Result<(), AdapterError> {
    if let Some(venue) = venue {
        venue.wait().await?;
        return venue.publish(sink);
    }
    wait_until(ticker.next_wake()).await;
    ticker.advance(Instant::now(), unix_nanos(), sink);
    Ok(())
}

/// Waits until a moment; for ever when there is none.
async fn wait_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
