//! Subscribe requests, as a client's session makes them.

use tickhost_core::{
    model::{Key, Variant},
    protocol::codes::ErrorCode,
};
use tokio::sync::oneshot;

use super::{Command, Feed, Grant, Refusal, Want};

impl Feed {
    /// Asks for instruments; the answers stand in the order of `wants`. What is granted must be released.
    ///
    /// # Cancel Safety
    /// When the future is dropped, what would have been granted is released.
    pub async fn subscribe(&self, wants: Vec<Want>) -> Vec<Result<Grant, Refusal>> {
        let count = wants.len();
        let variants = wants.iter().map(|want| want.variant).collect();
        let (reply, answer) = oneshot::channel();
        self.0.commands.push(Command::Subscribe { wants, user: self.1.clone(), reply });
        let mut question = Question { feed: self, variants, answer };
        (&mut question.answer).await.unwrap_or_else(|_| {
            let refusal = Refusal::new(ErrorCode::BrokerError, "The feed has just ended; subscribe again");
            vec![Err(refusal); count]
        })
    }
}

/// A subscribe whose answer may come after whoever asked has gone.
struct Question<'a> {
    feed: &'a Feed,
    /// What was asked for, in order.
    variants: Vec<Variant>,
    answer: oneshot::Receiver<Vec<Result<Grant, Refusal>>>,
}

impl Drop for Question<'_> {
    /// Gives back what an answer granted that nobody has read. The feed takes care of an answer that is still
    /// to come: it finds the channel closed.
    fn drop(&mut self) {
        self.answer.close();
        let Ok(answers) = self.answer.try_recv() else { return };
        let granted = self.variants.iter().zip(answers).filter_map(|(variant, answer)| {
            Some(Key { instrument: answer.ok()?.instrument, variant: *variant })
        });
        self.feed.release(granted.collect());
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use tickhost_core::model::{DepthClass, InstrumentId, Mode};

    use super::*;
    use crate::feeds::feed::stub::FeedStub;

    const LTP: Variant = Variant::new(Mode::Ltp, DepthClass::Five, false);

    fn wants(count: usize) -> Vec<Want> {
        (0..count)
            .map(|number| Want { exchange: "NSE".into(), symbol: format!("S{number}").into(), variant: LTP })
            .collect()
    }

    #[test]
    fn what_was_granted_to_one_who_left_before_reading_the_answer_is_released() {
        let feed = FeedStub::new(1);
        let mut context = Context::from_waker(Waker::noop());
        for is_read in [false, true] {
            let mut question = Box::pin(feed.feed().subscribe(wants(3)));
            assert!(question.as_mut().poll(&mut context).is_pending());
            let refusal = Refusal::new(ErrorCode::SymbolNotFound, "no");
            feed.answer(vec![Ok(7), Err(refusal), Ok(9)]);
            assert!(!is_read || question.as_mut().poll(&mut context).is_ready());
            drop(question);
            let key = |instrument| Key { instrument: InstrumentId(instrument), variant: LTP };
            let expected = if is_read { vec![] } else { vec![key(7), key(9)] };
            assert_eq!(feed.released(), expected, "read: {is_read}");
        }
    }
}
