//! A many-producer, one-consumer inbox that hands over everything at once: one wake-up and one lock for many
//! messages.
//!
//! Used between threads where a message must not be lost and the producer must not wait. Each use says what
//! bounds it: either the producers hold only so much that they can say, or they call [`Inbox::try_push`] with
//! a limit.

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Messages for which room is kept.
pub const KEPT_MESSAGES: usize = 4_096;

/// Messages for one consumer. The lock is held for a push or a swap, never over an await, and nothing is
/// locked inside.
#[derive(Debug)]
pub struct Inbox<T> {
    messages: Mutex<Vec<T>>,
    notify: Notify,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self { messages: Mutex::new(Vec::new()), notify: Notify::new() }
    }
}

impl<T> Inbox<T> {
    /// Adds a message.
    pub fn push(&self, message: T) {
        self.messages.lock().push(message);
        self.notify.notify_one();
    }

    /// Adds messages.
    pub fn extend(&self, messages: impl IntoIterator<Item = T>) {
        self.messages.lock().extend(messages);
        self.notify.notify_one();
    }

    /// Adds a message unless `limit` of them wait.
    ///
    /// # Errors
    /// Gives the message back when the inbox is full.
    pub fn try_push(&self, message: T, limit: usize) -> Result<(), T> {
        {
            let mut messages = self.messages.lock();
            if messages.len() >= limit {
                return Err(message);
            }
            messages.push(message);
        }
        self.notify.notify_one();
        Ok(())
    }

    /// Moves all messages to the end of `into`, without waiting.
    pub fn take(&self, into: &mut Vec<T>) {
        let mut messages = self.messages.lock();
        into.append(&mut messages);
        // A burst must not keep its memory for ever.
        messages.shrink_to(KEPT_MESSAGES);
    }

    /// Waits until something was pushed. A push that came before is not missed; a wake-up may find nothing.
    ///
    /// # Cancel Safety
    /// A notification that is not returned stays.
    pub async fn filled(&self) {
        self.notify.notified().await;
    }
}
