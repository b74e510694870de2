//! The credentials of the account: read, and told to the instances when they differ.

use std::time::Instant;

use super::Actor;
use crate::{base::log_rate::outside_line, feeds::feed::connection::Link};

impl Actor {
    pub(super) async fn fetch_credentials(&mut self) {
        let Some(account) = self.spec().account.clone() else { return };
        match self.context.accounts.credentials(&account).await {
            Ok(credentials) => {
                self.credentials.replace(credentials.to_json());
                self.renewal.note_read(false);
            }
            Err(error) => {
                // A database that cannot be read for a while is no reason to connect with nothing.
                self.renewal.note_unread(Instant::now());
                let adapter = &*self.spec().adapter;
                outside_line!(error, adapter, %error, "Could not read the account's credentials; trying again");
            }
        }
    }

    pub(super) async fn refresh(&mut self, even_if_same: bool) {
        self.fetch_credentials().await;
        if even_if_same {
            self.renewal.note_read(true);
        }
    }

    /// Lets the instances connect again, if there are other credentials and it is time.
    pub(super) fn renew_when_due(&mut self, now: Instant) {
        if !self.renewal.is_due(&self.credentials.json(), now) {
            return;
        }
        tracing::info!(adapter = %self.spec().adapter, feed = self.feed.id().0, "Connecting again with new credentials");
        for connection in &mut self.connections {
            // What the broker refused is no longer what it is going to be offered.
            if connection.link() == Link::AuthFailed {
                connection.set_link(Link::Connecting);
            }
            let standby = connection.standby.as_ref().map(|standby| &standby.instance);
            for instance in connection.instance.iter().chain(standby) {
                instance.credentials_changed();
            }
        }
    }
}
