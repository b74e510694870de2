//! A library with the settings of one entry of `plugins.toml`: makes instances for feeds.

use std::sync::Arc;

use super::{AdapterEvents, AdapterFailure, AdapterInstance, Library};
use crate::{feed::Connector, intake::Intake};

/// Makes instances that run in this process.
#[derive(Clone, Debug)]
pub struct LibraryConnector {
    /// The library.
    pub library: Library,
    /// Its settings, a JSON object that it found valid.
    pub config_json: String,
}

impl Connector for LibraryConnector {
    fn create(
        &self,
        label: &str,
        events: Arc<dyn AdapterEvents>,
        _intake: &Arc<Intake>,
    ) -> Result<Box<dyn AdapterInstance>, AdapterFailure> {
        self.library.create(&self.config_json, label, events)
    }
}
