//! Which build serves, and which one comes back when it does not work.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::feeds::feed::Serving;

/// How long a build that was started after the old one had ended may fail before the old one is started
/// again.
pub(super) const TRIAL: Duration = Duration::from_secs(15);

/// What makes a feed's instances.
#[derive(Debug)]
pub(super) struct Builds {
    /// What makes instances, or why nothing does.
    present: Result<Serving, Arc<str>>,
    /// What did before, while it is not certain that its successor works.
    replaced: Option<Serving>,
    /// Why what the catalogue has does not serve, while what served before does.
    failure: Option<Arc<str>>,
    /// Until then a failure brings back what served before.
    trial_until: Option<Instant>,
}

impl Builds {
    /// This one serves.
    pub(super) const fn new(serving: Serving) -> Self {
        Self { present: Ok(serving), replaced: None, failure: None, trial_until: None }
    }

    /// What makes instances, or why nothing does.
    pub(super) const fn present(&self) -> Result<&Serving, &Arc<str>> {
        self.present.as_ref()
    }

    /// Why what the catalogue has does not serve, while what served before does.
    pub(super) const fn failure(&self) -> Option<&Arc<str>> {
        self.failure.as_ref()
    }

    /// This one makes instances from now on; says whether it is another build, and not the same within other
    /// limits.
    pub(super) fn follow(&mut self, serving: Serving, has_instances: bool) -> bool {
        let is_same =
            self.present.as_ref().is_ok_and(|present| Arc::ptr_eq(&present.connector, &serving.connector));
        let previous = std::mem::replace(&mut self.present, Ok(serving)).ok();
        if is_same {
            return false;
        }
        // Of builds that follow each other fast, the last one that worked is the one to go back to.
        let last_good = self.replaced.take().or(previous);
        self.failure = None;
        self.replaced = last_good.filter(|_| has_instances || self.trial_until.is_some());
        true
    }

    /// Nothing serves any more, for this reason.
    pub(super) fn close(&mut self, why: Arc<str>) {
        *self = Self { present: Err(why), replaced: None, failure: None, trial_until: None };
    }

    /// The build that serves could not stand by before it took over, so it has to prove itself now.
    pub(super) fn begin_trial(&mut self, now: Instant) {
        self.trial_until = Some(now + TRIAL);
    }

    /// An instance has failed; says whether what served before is to come back.
    pub(super) fn has_failed_trial(&mut self, now: Instant) -> bool {
        self.trial_until.take().is_some_and(|until| now < until) && self.replaced.is_some()
    }

    /// The build that serves does not take over, for this reason. What served before comes back, unless
    /// others still stand by.
    pub(super) fn note_failure(&mut self, why: &str, do_others_stand_by: bool) {
        self.failure = Some(format!("the new build did not take over: {why}; the old one serves").into());
        if !do_others_stand_by && let Some(replaced) = self.replaced.take() {
            self.present = Ok(replaced);
        }
    }

    /// When the new build serves everywhere, and has done so for a while where it could not stand by, the old
    /// one's library can go.
    pub(super) fn forget_replaced(&mut self, is_any_swap_under_way: bool) {
        if !is_any_swap_under_way && self.trial_until.is_none() {
            self.replaced = None;
        }
    }

    /// Ends a trial that was passed; says whether one was.
    pub(super) fn pass_trial(&mut self, now: Instant) -> bool {
        self.trial_until.take_if(|until| *until <= now).is_some()
    }

    /// When [`Self::pass_trial`] has something to do.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.trial_until
    }
}

#[cfg(test)]
mod tests {
    use tickhost_core::{calendar::Hours, pool::PoolLimits};

    use super::*;
    use crate::feeds::feed::stub::NoConnector;

    fn build() -> Serving {
        Serving {
            connector: Arc::new(NoConnector(0)),
            limits: PoolLimits::new(1, 1),
            throttle: Duration::ZERO,
            sessions: 1,
            hours: Hours::Always,
            logs_in: false,
        }
    }

    fn is_present(builds: &Builds, serving: &Serving) -> bool {
        Arc::ptr_eq(&builds.present().unwrap().connector, &serving.connector)
    }

    #[test]
    fn the_same_build_within_other_limits_is_no_other_build() {
        let old = build();
        let mut builds = Builds::new(old.clone());
        assert!(!builds.follow(Serving { sessions: 7, ..old }, true));
        assert_eq!(builds.present().unwrap().sessions, 7);
        assert!(builds.follow(build(), true));
    }

    #[test]
    fn a_trial_that_fails_brings_the_last_build_back_that_worked_and_one_that_was_passed_does_not() {
        let now = Instant::now();
        for (after, comes_back) in [(TRIAL / 2, true), (TRIAL, false)] {
            let old = build();
            let mut builds = Builds::new(old.clone());
            builds.follow(build(), true);
            builds.begin_trial(now);
            // While it has no instance another one comes.
            builds.follow(build(), false);
            assert_eq!(builds.due(), Some(now + TRIAL));
            assert_eq!(builds.pass_trial(now + after), !comes_back);
            builds.forget_replaced(false);
            assert_eq!(builds.has_failed_trial(now + after), comes_back);
            assert!(!builds.has_failed_trial(now + after), "once");
            builds.note_failure("crashed", false);
            assert_eq!(is_present(&builds, &old), comes_back);
            assert!(builds.failure().unwrap().contains("crashed"));
        }
    }

    #[test]
    fn what_served_before_is_kept_while_others_stand_by() {
        let old = build();
        let mut builds = Builds::new(old.clone());
        builds.follow(build(), true);
        builds.forget_replaced(true);
        builds.note_failure("one did not connect", true);
        assert!(!is_present(&builds, &old));
        builds.note_failure("nor did the other", false);
        assert!(is_present(&builds, &old));
        // Where nothing served there is nothing to go back to.
        builds.close("not listed".into());
        assert_eq!(builds.present().unwrap_err().as_ref(), "not listed");
        builds.follow(build(), false);
        builds.note_failure("crashed", false);
        assert!(!is_present(&builds, &old) && builds.present().is_ok());
    }
}
