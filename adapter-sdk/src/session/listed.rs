//! The list of instruments as a connection has it.

use std::{fmt, path::PathBuf, sync::Arc};

use crate::{
    AdapterError, Refusal, Subscription,
    instruments::{Access, List, Master, Renewal, Summary},
};

/// The list that is in force, and what brings the next one.
pub struct Listed<L> {
    pub(super) list: Arc<L>,
    pub(super) renewal: Option<Renewal<L>>,
}

impl<L: List> Listed<L> {
    /// The list of a [`Master`], which is renewed while the connection is up.
    ///
    /// # Errors
    /// When there is none yet: [`Master::prepare`] gets it.
    pub fn of(master: &Arc<Master<L>>, access: Access) -> Result<Self, AdapterError> {
        let list =
            master.list().ok_or_else(|| AdapterError::network("there is no list of instruments yet"))?;
        Ok(Self { list, renewal: Some(master.renewal(access)) })
    }

    /// A list that never changes.
    pub fn fixed(list: L) -> Self {
        Self { list: Arc::new(list), renewal: None }
    }

    /// Waits for the next list, and says whether it only repairs the last one. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<(Arc<L>, bool), AdapterError> {
        match &mut self.renewal {
            Some(renewal) => {
                let list = renewal.next().await?;
                Ok((list, renewal.is_repair()))
            }
            None => std::future::pending().await,
        }
    }

    /// Adds to a refusal that the list is incomplete, if it is.
    pub(super) fn explain(&self, wanted: &Subscription, refusal: Refusal) -> Refusal {
        match &self.renewal {
            Some(renewal) => renewal.explain(&wanted.exchange, &wanted.symbol, refusal),
            None => refusal,
        }
    }
}

impl Listed<NoList> {
    /// There is no list.
    pub fn none() -> Self {
        Self::fixed(NoList)
    }
}

impl<L> fmt::Debug for Listed<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listed").field("is_renewed", &self.renewal.is_some()).finish_non_exhaustive()
    }
}

/// The list of a broker that has none: its keys are made of the names alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoList;

impl List for NoList {
    fn read(_files: &[PathBuf]) -> Result<Self, AdapterError> {
        Ok(Self)
    }

    fn summary(&self) -> Summary {
        Summary::default()
    }

    fn hold(&mut self, _last: &Self, _is_held: &dyn Fn(&str, &str) -> bool) -> usize {
        0
    }
}
