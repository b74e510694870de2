//! Runs cases in this process.

use std::{sync::OnceLock, time::Instant};

use adapter_abi::AdapterModuleRef;
use parking_lot::RwLock;

use crate::{
    cases::{CASES, Case},
    profile::Profile,
    report::Report,
    side_by_side::run_side_by_side,
    stage::Stage,
    subject::Subject,
    venue::{Control, Venue, start, without_cargo},
    verdict::{CaseResult, Check, Stop, Verdict},
};

/// Makes a venue for one case.
type MakeVenue = dyn Fn() -> Result<Box<dyn Control>, String> + Send + Sync;

/// Held by each case that runs in this process, and by one that may run beside no other, of whatever suite,
/// for itself.
static RUNNING: RwLock<()> = RwLock::new(());

/// An adapter with its profile. Every case gets a new instance and, if the profile has one, a new fake venue.
pub struct Suite {
    subject: Subject,
    profile: Profile,
    make_venue: Option<Box<MakeVenue>>,
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suite").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Suite {
    /// A suite for an adapter of one broker, whose fake venue is the profile's command.
    pub fn new(module: impl Into<AdapterModuleRef>, profile: Profile) -> Self {
        Self::of(Subject::new(module.into()), profile)
    }

    /// A suite for one of the [brokers](crate::brands) of an adapter, with what the profile says of it.
    ///
    /// # Errors
    /// When the adapter does not serve that broker, or the profile has a mistake in what it says of it.
    pub fn for_brand(
        module: impl Into<AdapterModuleRef>,
        profile: &Profile,
        brand: &str,
    ) -> Result<Self, String> {
        Ok(Self::of(Subject::at(module.into(), brand)?, profile.for_brand(brand)?))
    }

    fn of(subject: Subject, profile: Profile) -> Self {
        let make_venue = profile.venue.clone().map(|command| {
            let dir = profile.dir.clone();
            let built = OnceLock::<Vec<String>>::new();
            Box::new(move || {
                let venue = start(built.get().unwrap_or(&command), &dir)?;
                if let Some(program) = without_cargo(&command, &venue) {
                    _ = built.set(program);
                }
                Ok(Box::new(venue) as Box<dyn Control>)
            }) as Box<MakeVenue>
        });
        Self { subject, profile, make_venue }
    }

    /// The same with a venue in this process.
    #[must_use]
    pub fn with_venue(
        mut self,
        make: impl Fn() -> Result<Box<dyn Control>, String> + Send + Sync + 'static,
    ) -> Self {
        self.make_venue = Some(Box::new(make));
        self
    }

    /// Runs one case.
    pub fn run(&self, case: &Case) -> CaseResult {
        let _beside_none = case.is_alone.then(|| RUNNING.write());
        let _beside_others = (!case.is_alone).then(|| RUNNING.read());
        let started = Instant::now();
        let (verdict, reason) = match self.play(case) {
            Ok(()) => (Verdict::Passed, String::new()),
            Err(Stop::Failed(reason)) => (Verdict::Failed, reason),
            Err(Stop::Skipped(reason)) => (Verdict::Skipped, reason),
        };
        let (id, slug) = (case.id.to_owned(), case.slug.to_owned());
        CaseResult { id, slug, verdict, reason, elapsed_ms: elapsed_ms(started) }
    }

    /// Runs all cases, some of them side by side. A venue that does not start, such as one that does not
    /// compile, is the only failure then, under the number `C00`.
    ///
    /// # Panics
    /// When a case does.
    pub fn run_all(&self) -> Report {
        let adapter = self.subject.name();
        // The first start builds it, which costs no case its time.
        if let Some(result) = self.venue_failure() {
            return Report { adapter, results: vec![result] };
        }
        let cases: Vec<&Case> = CASES.iter().collect();
        let mut results = Vec::with_capacity(cases.len());
        run_side_by_side(&cases, |case| self.run(case), |result| results.push(result));
        Report { adapter, results }
    }

    /// What is said of a venue that does not start; none when it does, and where there is none.
    fn venue_failure(&self) -> Option<CaseResult> {
        let started = Instant::now();
        let reason = self.make_venue.as_ref()?().err()?;
        let (id, slug) = ("C00".to_owned(), "venue-starts".to_owned());
        Some(CaseResult { id, slug, verdict: Verdict::Failed, reason, elapsed_ms: elapsed_ms(started) })
    }

    fn play(&self, case: &Case) -> Check {
        let venue = match &self.make_venue {
            Some(make) => Some(Venue::new(make().map_err(Stop::Failed)?, &self.profile.limits.modes)),
            None => None,
        };
        let stage = Stage::new(&self.subject, &self.profile, venue)?;
        (case.run)(&stage).map_err(|stop| match (stop, stage.venue()) {
            (Stop::Failed(reason), Some(venue)) => Stop::Failed(venue.quoted(reason)),
            (stop, _) => stop,
        })
    }
}

fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Starts the profile's fake venue once and ends it, so that building it costs no case its time and one that
/// does not start is one message instead of many. Gives the command that starts it from now on: where the
/// profile's is a `cargo run`, the program that cargo built, if the system tells.
///
/// # Errors
/// Why it does not start.
pub fn try_venue(profile: &Profile) -> Result<Option<Vec<String>>, String> {
    let Some(command) = &profile.venue else { return Ok(None) };
    let venue = start(command, &profile.dir)?;
    Ok(Some(without_cargo(command, &venue).unwrap_or_else(|| command.clone())))
}
