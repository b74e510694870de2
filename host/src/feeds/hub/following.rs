//! What of the hub follows when sources, accounts or credentials change.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use tokio_util::sync::CancellationToken;

use super::{Hub, Source, invalidations::LOOK_PAUSE};
use crate::{
    accounts::{KeyId, UserName},
    base::log_rate::outside_line,
    bus::Invalidated,
    feeds::{
        bulletin::Bulletin,
        feed::{Feed, Serving},
    },
};

impl Hub {
    /// Takes the sources of all brokers again, and lets each feed follow its own: to another connector, to
    /// other limits, or to an end when nothing serves its broker any more.
    pub fn follow_sources(&self, mut sources: FxHashMap<Arc<str>, Source>) {
        for source in sources.values_mut().filter(|source| source.is_bus) {
            source.connector.clone_from(&self.bus);
        }
        let sources = Arc::new(sources);
        // Under the lock of the feeds: one that starts at this moment starts with the old or the new sources,
        // and in the first case is among those that follow.
        let feeds: Vec<Feed> = {
            let feeds = self.feeds.lock();
            self.sources.store(Arc::clone(&sources));
            feeds.values().cloned().collect()
        };
        for feed in feeds {
            let source =
                sources.get(&feed.spec().broker).filter(|source| source.is_bus == feed.spec().repeats_modes);
            feed.serve(source.map_or_else(
                || Err("no adapter in plugins.toml serves this broker any more".into()),
                |source| source.connector.clone().map(|connector| Serving::new(source, connector)),
            ));
        }
    }

    /// Notes that a publisher says of a user that something remembered is outdated. Costs a look-up of the
    /// name; the rest is done by [`Self::follow_invalidations`].
    pub fn invalidate(&self, name: &str) -> Invalidated {
        self.logins.find(name).map_or(Invalidated::Unknown, |user| self.invalidations.add(user))
    }

    /// Looks at the accounts of those who were named in invalidations, about once a second, until `stop`.
    pub async fn follow_invalidations(self: Arc<Self>, stop: CancellationToken) {
        let following = async {
            loop {
                self.invalidations.added().await;
                let users = self.invalidations.take();
                if !users.is_empty() {
                    outside_line!(
                        info,
                        users = users.len(),
                        "Publishers say that credentials changed; looking at them"
                    );
                    self.look_at(|user| users.contains(user)).await;
                    tokio::time::sleep(LOOK_PAUSE).await;
                }
            }
        };
        stop.run_until_cancelled(following).await;
    }

    /// Looks at the accounts again after the database changed: closes sessions of revoked keys, moves those
    /// whose account changed, and lets feeds fetch their credentials.
    pub async fn follow_accounts(&self) {
        self.look_at(|_| true).await;
    }

    /// The same for some users.
    async fn look_at(&self, is_asked_for: impl Fn(&UserName) -> bool) {
        self.close_revoked(self.logins.keys(&is_asked_for)).await;
        let mut users: Vec<UserName> = Vec::new();
        for feed in self.feeds() {
            let Some(account) = feed.spec().account.as_ref().filter(|account| is_asked_for(&account.user))
            else {
                continue;
            };
            users.push(account.user.clone());
            feed.refresh();
        }
        users.sort();
        users.dedup();
        for user in users {
            let Ok(Some(account)) = self.accounts.current_account(&user).await else { continue };
            let key = self.feed_key(&account);
            let is_served = key.as_ref().is_some_and(|key| self.feeds.lock().contains_key(key));
            if !is_served && key.is_some() {
                self.tell_all(&Bulletin::Moved { user: user.clone() });
            }
        }
    }

    async fn close_revoked(&self, keys: Vec<KeyId>) {
        if keys.is_empty() {
            return;
        }
        match self.accounts.check_keys(keys.clone()).await {
            Ok(validity) => {
                let revoked: Arc<[KeyId]> = keys
                    .into_iter()
                    .zip(validity)
                    .filter(|(_, is_valid)| !is_valid)
                    .map(|(key, _)| key)
                    .collect();
                if !revoked.is_empty() {
                    tracing::info!(count = revoked.len(), "Closing the sessions of revoked keys");
                    self.tell_all(&Bulletin::Revoke(Arc::clone(&revoked)));
                }
            }
            Err(error) => outside_line!(error, %error, "Could not look at the API keys again"),
        }
    }
}
