//! A library with the settings of one broker of `plugins.toml`: makes instances for feeds.

use std::{sync::Arc, time::Duration};

use zeroize::Zeroizing;

use super::{AdapterEvents, AdapterFailure, AdapterInstance, Assignment, Library, LoginStep, driver::Driven};
use crate::feeds::feed::{Connector, secrets_of_settings};
use tickhost_core::intake::Intake;

/// Makes instances that run in this process.
#[derive(Clone)]
pub struct LibraryConnector {
    /// The library.
    pub library: Library,
    /// Its settings, a JSON object that it found valid.
    pub config_json: Zeroizing<String>,
}

impl std::fmt::Debug for LibraryConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LibraryConnector").field("library", &self.library).finish_non_exhaustive()
    }
}

impl Connector for LibraryConnector {
    fn create(
        &self,
        assignment: &Assignment,
        label: &str,
        events: Arc<dyn AdapterEvents>,
        _intake: &Arc<Intake>,
    ) -> Result<Box<dyn AdapterInstance>, AdapterFailure> {
        let (connector, assignment) = (self.clone(), assignment.clone());
        let (owned_label, heard) = (label.to_owned(), Arc::clone(&events));
        let create =
            move || connector.library.create(&assignment, &connector.config_json, &owned_label, heard);
        Ok(Box::new(Driven::start(label, events, create)?))
    }

    fn secrets(&self) -> Vec<Zeroizing<String>> {
        secrets_of_settings(&self.config_json)
    }

    fn log_in(
        &self,
        assignment: &Assignment,
        fields_json: &str,
        deadline: Duration,
    ) -> Result<LoginStep, AdapterFailure> {
        self.library.log_in(assignment, &self.config_json, fields_json, deadline)
    }
}
