//! Where the instances of a feed come from, and the simplest such place: a library with the settings of one
//! broker of `plugins.toml`, in this process.

use std::{fmt, sync::Arc, time::Duration};

use adapter_abi::ErrorCode as AdapterErrorCode;
use secrecy::{ExposeSecret as _, SecretString};
use tickhost_core::intake::Intake;

use super::{AdapterEvents, AdapterFailure, AdapterInstance, Assignment, Library, LoginStep, driver::Driven};
use crate::adapters::secrets::secrets_of_settings;

/// Where the instances of a feed come from: an adapter library, here or in a process of its own, or the bus.
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// Makes an instance for this connection, which has not connected yet. `label` names it in logs.
    ///
    /// # Errors
    /// What the adapter says against its configuration.
    fn create(
        &self,
        assignment: &Assignment,
        label: &str,
        events: Arc<dyn AdapterEvents>,
        intake: &Arc<Intake>,
    ) -> Result<Box<dyn AdapterInstance>, AdapterFailure>;

    /// Takes one step of logging in at the broker with what is known of the account, a JSON object of
    /// strings. Blocks up to the deadline and some seconds.
    ///
    /// # Errors
    /// What the adapter or the broker says against it.
    fn log_in(
        &self,
        _assignment: &Assignment,
        _fields_json: &str,
        _deadline: Duration,
    ) -> Result<LoginStep, AdapterFailure> {
        Err(AdapterFailure { code: AdapterErrorCode::CONFIG, message: "nothing here logs in".to_owned() })
    }

    /// Secrets in the adapter's settings, which nobody is to read in what the adapter says.
    fn secrets(&self) -> Vec<SecretString> {
        Vec::new()
    }
}

/// Makes instances that run in this process.
#[derive(Clone)]
pub struct LibraryConnector {
    /// The library.
    pub library: Library,
    /// Its settings, a JSON object that it found valid.
    pub config_json: SecretString,
}

impl fmt::Debug for LibraryConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let create = move || {
            connector.library.create(&assignment, connector.config_json.expose_secret(), &owned_label, heard)
        };
        Ok(Box::new(Driven::start(label, events, create)?))
    }

    fn secrets(&self) -> Vec<SecretString> {
        secrets_of_settings(self.config_json.expose_secret())
    }

    fn log_in(
        &self,
        assignment: &Assignment,
        fields_json: &str,
        deadline: Duration,
    ) -> Result<LoginStep, AdapterFailure> {
        self.library.log_in(assignment, self.config_json.expose_secret(), fields_json, deadline)
    }
}
