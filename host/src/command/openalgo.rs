//! The database of OpenAlgo, as the settings name it.

use std::path::Path;

use crate::{accounts::openalgo::OpenAlgoSettings, config::Settings};

/// How the OpenAlgo database of the settings is opened; none when they name none, or lack its pepper.
pub(super) fn settings_of(settings: &Settings, working_dir: &Path) -> Option<OpenAlgoSettings> {
    let keys = [
        ("api_key", &settings.broker_api_key),
        ("api_secret", &settings.broker_api_secret),
        ("api_key_market", &settings.broker_api_key_market),
        ("api_secret_market", &settings.broker_api_secret_market),
    ];
    Some(OpenAlgoSettings {
        path: working_dir.join(settings.database_url.as_ref()?.path()),
        pepper: settings.api_key_pepper.clone()?,
        fernet_salt: settings.fernet_salt.clone(),
        broker_keys: keys.into_iter().filter_map(|(name, key)| Some((name, key.clone()?))).collect(),
    })
}
