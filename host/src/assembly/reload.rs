//! Follows what the operator changed, when the host is told to (SIGHUP, `systemctl reload`).
//!
//! The settings are read again from the same flags and environment and the present file. Those that
//! [`Setting::is_live`] marks are followed; the others are named in the log, because they wait for a restart.
//! With a mistake anywhere in the settings none of them is followed. The files that the host watches anyway
//! (`plugins.toml`, the calendar, the certificate) are looked at at once.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::{
    assembly::{
        host::Live,
        plan::{connection_limits, session_policy},
    },
    base::span::{self, operation},
    clients::tls::Looked,
    config::{Setting, Settings, Sources},
    feeds::catalog::Outcome,
    operator::telemetry::LogControl,
};

/// What is to be followed, and who follows it.
#[derive(Debug)]
pub struct Reload {
    /// Where settings come from.
    pub sources: Sources,
    /// Those that the host was started with: what needs a restart stays as they say.
    pub started: Settings,
    /// Those that are in force.
    pub present: Settings,
    /// The log; none when it is another's.
    pub log: Option<LogControl>,
    /// The running host.
    pub live: Live,
    /// Asks for a look at the calendar.
    pub calendar: Arc<Notify>,
}

/// What a reload came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Settings that are followed from now on.
    pub followed: usize,
    /// Settings that wait for a restart.
    pub waiting: usize,
    /// Things that could not be followed; the log says which and why.
    pub refused: usize,
}

impl Reload {
    /// Looks at everything again. Blocks while files are read and libraries are looked at.
    pub fn run(&mut self) -> Reloaded {
        let span = operation!(
            "host.reload",
            "internal",
            tickhost.followed = tracing::field::Empty,
            tickhost.waiting = tracing::field::Empty,
            tickhost.refused = tracing::field::Empty
        );
        let reloaded = span.in_scope(|| self.look());
        let Reloaded { followed, waiting, refused } = reloaded;
        span.record("tickhost.followed", followed).record("tickhost.waiting", waiting);
        span.record("tickhost.refused", refused);
        span::end(&span, if refused == 0 { Ok(()) } else { Err("refused") });
        tracing::info!(followed, waiting, refused, "Reloaded");
        reloaded
    }

    fn look(&mut self) -> Reloaded {
        let mut reloaded = Reloaded::default();
        match Settings::load(&self.sources) {
            Ok(fresh) => self.follow(fresh, &mut reloaded),
            Err(problems) => {
                reloaded.refused += problems.as_slice().len();
                for problem in problems.as_slice() {
                    tracing::error!(%problem, "A setting has a mistake");
                }
                tracing::error!("The settings have mistakes; all stay as they are until they are mended");
            }
        }
        let Outcome { failed, .. } = self.live.catalog.reconcile(None, &self.live.hub);
        reloaded.refused += failed.len();
        self.calendar.notify_one();
        if let Some(tls) = &self.live.tls {
            reloaded.refused += usize::from(tls.look(None) == Looked::Refused);
        }
        reloaded
    }

    fn follow(&mut self, mut fresh: Settings, reloaded: &mut Reloaded) {
        for warning in &fresh.warnings {
            tracing::warn!(detail = %warning, "Setting needs attention");
        }
        for setting in
            self.started.changes(&fresh).into_iter().filter(|setting| !self.is_followed(setting, &fresh))
        {
            reloaded.waiting += 1;
            tracing::warn!(setting = setting.env, "A setting has changed that only a restart follows");
        }
        let changes = self.present.changes(&fresh);
        let changed = |key: &str| changes.iter().any(|setting| setting.key == key);
        if changed("log")
            && let Err(error) = self.log.as_ref().map_or(Ok(()), |log| log.set(&fresh.log))
        {
            reloaded.refused += 1;
            tracing::error!(%error, "The log stays as it is");
            fresh.log.clone_from(&self.present.log);
        }
        if let (Some(tls), Some(files)) = (&self.live.tls, fresh.tls_files())
            && (changed("tls_cert") || changed("tls_key"))
            && tls.look(Some(files)) == Looked::Refused
        {
            // The look that follows reports it; these are tried again at the next reload.
            fresh.tls_cert.clone_from(&self.present.tls_cert);
            fresh.tls_key.clone_from(&self.present.tls_key);
            reloaded.refused += 1;
        }
        self.live.sessions.policy.store(Arc::new(session_policy(&fresh)));
        self.live.sessions.memory.limit(fresh.waiting_bytes());
        self.live.admissions.limit(connection_limits(&fresh));
        for setting in
            self.present.changes(&fresh).into_iter().filter(|setting| self.is_followed(setting, &fresh))
        {
            reloaded.followed += 1;
            tracing::info!(setting = setting.env, "A setting has changed");
        }
        self.present = fresh;
    }

    /// Whether the host follows this setting. Encryption itself is neither begun nor ended under way.
    fn is_followed(&self, setting: &Setting, fresh: &Settings) -> bool {
        let keeps_encryption = self.live.tls.is_some() == fresh.tls_files().is_some();
        setting.is_live && (keeps_encryption || !matches!(setting.key, "tls_cert" | "tls_key"))
    }
}
