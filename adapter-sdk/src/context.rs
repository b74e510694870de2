//! What an instance is told of its place: which broker, account and connection it serves.

use adapter_abi::abi_stable::std_types::RStr;
use serde::Deserialize;

use crate::{AdapterError, ListReporter, Manifest};

/// What the host says that an instance serves; nothing of it before ABI 1.2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) broker: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) connection: Option<u32>,
}

impl Assignment {
    /// Reads what the host hands over. Members that are not known are those of a newer host.
    ///
    /// # Errors
    /// When it is no such object.
    pub(crate) fn read(json: RStr<'_>) -> Result<Self, AdapterError> {
        serde_json::from_str(json.as_str())
            .map_err(|_| AdapterError::config("the host does not say in a readable way what is to be served"))
    }

    /// At this broker, without an account.
    #[cfg(feature = "testing")]
    pub(crate) fn at(broker: &str) -> Self {
        Self { broker: Some(broker.to_owned()), ..Self::default() }
    }
}

/// What an instance may know about where it runs, and for whom.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Context {
    pub(crate) lists: ListReporter,
    pub(crate) broker: String,
    pub(crate) account: Option<String>,
    pub(crate) connection: u32,
}

impl Context {
    /// The context of an assignment in an adapter with this manifest.
    pub(crate) fn new(assignment: Assignment, manifest: &Manifest, lists: ListReporter) -> Self {
        let Assignment { broker, account, connection } = assignment;
        let only = manifest.brands.first().map_or(manifest.name, |brand| brand.name);
        Self {
            lists,
            broker: broker.unwrap_or_else(|| only.to_owned()),
            account,
            connection: connection.unwrap_or_default(),
        }
    }

    /// Where the state of the list of instruments is said. `instruments::Master` takes it.
    pub fn lists(&self) -> ListReporter {
        self.lists.clone()
    }

    /// The broker that is served: one of [`Manifest::brand`], and in a library without brands the name under
    /// which the operator has listed it. The manifest's own name where the host does not say, which is one
    /// before ABI 1.2.
    pub fn broker(&self) -> &str {
        &self.broker
    }

    /// An opaque name of the account: up to 64 letters and digits, the same for all its connections and after
    /// each start, and another for each account. It is no secret and says nothing of the person. None while
    /// settings are checked, and where the host does not say.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The number of the connection within the account, from 0. While another build takes over there are two
    /// of a number.
    pub const fn connection(&self) -> u32 {
        self.connection
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Brand;

    fn context(json: &str, manifest: &Manifest) -> Context {
        Context::new(Assignment::read(json.into()).unwrap(), manifest, ListReporter::default())
    }

    #[test]
    fn an_instance_knows_what_the_host_says_and_what_it_does_not_know_is_ignored() {
        let manifest = Manifest::new("family", "1.0.0").brand(Brand::new("one")).brand(Brand::new("two"));
        let told = context(r#"{"broker":"two","account":"00c0ffee","connection":2,"later":{}}"#, &manifest);
        assert_eq!((told.broker(), told.account(), told.connection()), ("two", Some("00c0ffee"), 2));
        let checked = context(r#"{"broker":"two"}"#, &manifest);
        assert_eq!((checked.broker(), checked.account(), checked.connection()), ("two", None, 0));
    }

    #[test]
    fn without_a_word_of_the_host_it_is_the_only_broker() {
        assert_eq!(context("{}", &Manifest::new("acme", "1.0.0")).broker(), "acme");
        assert_eq!(context("{}", &Manifest::new("acme", "1.0.0").brand(Brand::new("one"))).broker(), "one");
        assert_eq!(context(r#"{"broker":"alias"}"#, &Manifest::new("acme", "1.0.0")).broker(), "alias");
        for nonsense in ["", "[]", r#"{"broker":1}"#, r#"{"connection":-1}"#] {
            assert!(Assignment::read(nonsense.into()).is_err(), "{nonsense}");
        }
    }
}
