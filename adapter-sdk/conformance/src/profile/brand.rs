//! `[brand.NAME]`: what differs at one of several brokers.

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::{Bulk, CredentialSets, Instrument, Limits, LogIn, Profile, lay_over};

/// Stands in the command of the fake venue for the broker that it plays.
const BRAND_PLACEHOLDER: &str = "{brand}";

/// What differs at one broker; what is left out is as for the others.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrandProfile {
    /// Command that starts its fake venue.
    pub venue: Option<Vec<String>>,
    /// Settings, laid over those for all.
    pub config: Map<String, Json>,
    /// What it logs in with.
    pub credentials: Option<CredentialSets>,
    /// How it logs in.
    pub login: Option<LogIn>,
    /// Instruments that exist there, at least three.
    pub instruments: Option<Vec<Instrument>>,
    /// Its unusual instruments.
    pub odd: Option<Vec<Instrument>>,
    /// An instrument that does not exist there.
    pub unknown: Option<Instrument>,
    /// Many instruments.
    pub bulk: Option<Bulk>,
    /// What is special about it.
    pub limits: Option<Limits>,
}

impl Profile {
    /// The profile of one broker of a library that serves several: what it says of the broker over what it
    /// says of all, and the broker's name for `{brand}` in the venue's command.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn for_brand(&self, name: &str) -> Result<Self, String> {
        let mut profile = self.clone();
        let own = profile.brands.remove(name).unwrap_or_default();
        let BrandProfile { venue, config, credentials, login, instruments, odd, unknown, bulk, limits } = own;
        let mut laid = Json::Object(std::mem::take(&mut profile.config));
        lay_over(&mut laid, &Json::Object(config));
        if let Json::Object(laid) = laid {
            profile.config = laid;
        }
        profile.venue = venue.or(profile.venue);
        for word in profile.venue.iter_mut().flatten() {
            *word = word.replace(BRAND_PLACEHOLDER, name);
        }
        profile.credentials = credentials.unwrap_or(profile.credentials);
        profile.login = login.or(profile.login);
        profile.instruments = instruments.unwrap_or(profile.instruments);
        profile.odd = odd.unwrap_or(profile.odd);
        profile.unknown = unknown.or(profile.unknown);
        profile.bulk = bulk.or(profile.bulk);
        profile.limits = limits.unwrap_or(profile.limits);
        profile.check().map_err(|problem| format!("[brand.{name}]: {problem}"))?;
        Ok(profile)
    }
}
