//! Logging in at a broker that wants more than a stored token.

mod page;
mod ticket;

use std::{collections::BTreeMap, fmt};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};

pub use self::{
    page::by_page,
    ticket::{answer_to_ticket, ask_for_ticket},
};
use crate::{AdapterError, Credentials};

/// What a step of logging in came to.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// Something is missing that a person has to give.
    Ask(Question),
    /// Logged in: these fields are stored with the account, over those of the same name. Others stay as they
    /// are.
    Done(Fields),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(question) => f.debug_tuple("Ask").field(question).finish(),
            Self::Done(fields) => f.debug_tuple("Done").field(fields).finish(),
        }
    }
}

impl Login {
    /// Asks a person for a field: with a page to open first, and hidden while it is typed.
    pub fn ask(field: &str, message: &str, url: Option<String>, is_secret: bool) -> Self {
        Self::Ask(Question::new(field, message, url, is_secret))
    }

    /// Logged in, with these fields to store.
    pub fn done<const N: usize>(fields: [(&str, String); N]) -> Self {
        Self::Done(Fields(fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()))
    }
}

/// Why a step of logging in ends before its end, for the operator `?`: something has to be asked, or it
/// failed.
///
/// ```
/// use adapter_sdk::{AdapterError, Credentials, Login, login::{self, Unfinished}};
///
/// async fn step(fields: &Credentials) -> Result<Login, AdapterError> {
///     log_in(fields).await.or_else(Unfinished::into_login)
/// }
///
/// async fn log_in(fields: &Credentials) -> Result<Login, Unfinished> {
///     let user = login::answer(fields, &["client_code", "user_id"], "Client code", false)?;
///     let pin = login::answer(fields, &["pin"], "PIN of the account", true)?;
///     let token = ask_the_broker(user, pin).await?;
///     Ok(Login::done([("access_token", token)]))
/// }
/// # async fn ask_the_broker(_: &str, _: &str) -> Result<String, AdapterError> { Ok(String::new()) }
/// ```
#[derive(Clone, Debug)]
pub enum Unfinished {
    /// Something is missing that a person has to give.
    Ask(Question),
    /// It failed.
    Failed(AdapterError),
}

impl Unfinished {
    /// What [`Adapter::login`](crate::Adapter::login) says then.
    ///
    /// # Errors
    /// When it failed.
    pub fn into_login(self) -> Result<Login, AdapterError> {
        match self {
            Self::Ask(question) => Ok(Login::Ask(question)),
            Self::Failed(error) => Err(error),
        }
    }
}

impl From<AdapterError> for Unfinished {
    fn from(error: AdapterError) -> Self {
        Self::Failed(error)
    }
}

/// The field that is filled under the first of these names: stored, or answered before.
///
/// # Errors
/// [`Unfinished::Ask`] for the first name when none is, with this message, and hidden while it is typed if it
/// `is_secret`.
pub fn answer<'a>(
    fields: &'a Credentials,
    names: &[&str],
    message: &str,
    is_secret: bool,
) -> Result<&'a str, Unfinished> {
    let field = names.first().copied().unwrap_or_default();
    let question = || Question::new(field, message, None, is_secret);
    names.iter().find_map(|name| fields.filled(name)).ok_or_else(|| Unfinished::Ask(question()))
}

/// The one-time password of now: what a person has typed as `totp`, or else what `totp_secret` gives.
///
/// # Errors
/// [`Unfinished::Ask`] when there is neither, and what [`one_time_password`] says.
#[cfg(feature = "net")]
pub fn totp(fields: &Credentials, now: std::time::SystemTime) -> Result<SecretString, Unfinished> {
    match (fields.filled("totp"), fields.filled("totp_secret")) {
        (None, Some(secret)) => Ok(one_time_password(secret, now)?),
        _ => answer(fields, &["totp"], "The six digits that your authenticator app shows", true)
            .map(SecretString::from),
    }
}

/// The value of `name` in what people copy after a log-in: the value itself, `name=value`, or the whole
/// address to which the broker's page led. None when it is not there, empty, longer than `max_bytes`, or has
/// a byte that `is_plain` refuses.
pub fn copied<'a>(
    answer: &'a str,
    name: &str,
    max_bytes: usize,
    is_plain: impl Fn(u8) -> bool,
) -> Option<&'a str> {
    let of_name = |pair: &'a str| pair.strip_prefix(name)?.strip_prefix('=');
    let value = match answer.split_once('?') {
        Some((_, query)) => query.split('#').next().unwrap_or_default().split('&').find_map(of_name)?,
        None => of_name(answer).unwrap_or(answer),
    };
    ((1..=max_bytes).contains(&value.len()) && value.bytes().all(is_plain)).then_some(value)
}

/// The SHA-256 of texts, one after the other, in hexadecimal digits: what many brokers want of an app's key,
/// its secret and a code.
///
/// ```
/// let checksum = adapter_sdk::login::checksum(&["a", "bc"]);
/// assert_eq!(checksum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
/// ```
#[cfg(feature = "net")]
pub fn checksum(parts: &[&str]) -> String {
    use std::fmt::Write as _;

    use sha2::{Digest as _, Sha256};

    let hash = parts.iter().fold(Sha256::new(), Sha256::chain_update).finalize();
    hash.iter().fold(String::new(), |mut digits, byte| {
        // A text takes whatever is written into it.
        _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// The six digits that authenticator apps show at a time (RFC 6238), for accounts that store their secret as
/// `totp_secret`.
///
/// # Errors
/// When the secret is no base32 text. It is not shown.
#[cfg(feature = "net")]
pub fn one_time_password(secret: &str, now: std::time::SystemTime) -> Result<SecretString, AdapterError> {
    use totp_rs::{Builder, Secret};
    use zeroize::Zeroize as _;

    // Brokers show it in capitals; people copy it with spaces.
    let mut plain: String = secret.chars().filter(|one| !one.is_whitespace() && *one != '=').collect();
    plain.make_ascii_uppercase();
    let decoded = Secret::try_from_base32(&plain);
    plain.zeroize();
    let secret = decoded.map_err(|_| {
        AdapterError::auth(
            "totp_secret is no base32 text: set what the broker showed when TOTP was switched on",
        )
    })?;
    let seconds = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    // Secrets of brokers may be shorter than the standard wants.
    let totp = Builder::new().with_secret(secret).build_noncompliant();
    Ok(totp.generate(seconds).to_string().into())
}

/// Something that a person has to give: the answer comes back as a field of this name in the next step, and
/// is not stored unless [`Login::Done`] has it. [`Login::ask`] makes one, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Question {
    /// Name of the field, such as `request_token`.
    pub field: String,
    /// What to do and what to give, in a sentence or two.
    pub message: String,
    /// A page to open first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether nobody is to see what is typed.
    #[serde(default)]
    pub is_secret: bool,
}

impl Question {
    /// Asks for a field in these words: with a page to open first, and hidden while it is typed.
    pub fn new(field: &str, message: &str, url: Option<String>, is_secret: bool) -> Self {
        Self { field: field.to_owned(), message: message.to_owned(), url, is_secret }
    }
}

/// Fields to store. Wiped from memory when dropped, and never shown. They are serialised once, on their way
/// to the host.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fields(#[serde(serialize_with = "exposed")] BTreeMap<String, SecretString>);

fn exposed<S: Serializer>(fields: &BTreeMap<String, SecretString>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(fields.iter().map(|(name, value)| (name, value.expose_secret())))
}

impl Fields {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.expose_secret()))
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_in_what_people_copy() {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric();
        for answer in [
            "abc9",
            "code=abc9",
            "https://127.0.0.1/?code=abc9",
            "http://app.example/done?state=code&code=abc9&x=1#code=no",
        ] {
            assert_eq!(copied(answer, "code", 4, is_plain), Some("abc9"), "{answer}");
        }
        for answer in ["", "abc99", "a b", "https://x/?state=1", "https://x/", "?code=", "xcode=abc9", "é"] {
            assert_eq!(copied(answer, "code", 4, is_plain), None, "{answer}");
        }
    }

    #[test]
    fn fields_to_store_go_to_the_host_and_are_shown_nowhere() {
        let done = Login::done([("access_token", "canary".to_owned())]);
        assert_eq!(format!("{done:?}"), r#"Done({"access_token"})"#);
        assert_eq!(serde_json::to_string(&done).unwrap(), r#"{"done":{"access_token":"canary"}}"#);
    }

    #[test]
    fn what_is_there_is_not_asked_for() {
        let fields = Credentials::from_json(r#"{"user_id":" A1 ","pin":""}"#);
        let user = answer(&fields, &["client_code", "user_id"], "Client code", false);
        assert_eq!(user.unwrap(), "A1");
        let asked = answer(&fields, &["pin", "password"], "PIN", true).unwrap_err().into_login().unwrap();
        let Login::Ask(question) = asked else { panic!("{asked:?}") };
        assert_eq!((question.field.as_str(), question.message.as_str()), ("pin", "PIN"));
        assert!(question.is_secret && question.url.is_none());
        let failed = Unfinished::from(AdapterError::network("no route")).into_login().unwrap_err();
        assert_eq!(failed, AdapterError::network("no route"));
    }

    #[cfg(feature = "net")]
    #[test]
    fn a_typed_one_time_password_comes_before_that_of_the_secret() {
        use std::time::{Duration, UNIX_EPOCH};

        let at = UNIX_EPOCH + Duration::from_secs(59);
        let totp =
            |json: &str| totp(&Credentials::from_json(json), at).map(|totp| totp.expose_secret().to_owned());
        assert_eq!(totp(r#"{"totp":"123456","totp_secret":"GEZDGNBV"}"#).unwrap(), "123456");
        assert_eq!(totp(r#"{"totp_secret":"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}"#).unwrap(), "287082");
        assert!(matches!(totp("{}"), Err(Unfinished::Ask(question)) if question.field == "totp"));
        assert!(matches!(totp(r#"{"totp_secret":"?"}"#), Err(Unfinished::Failed(_))));
    }

    #[cfg(feature = "net")]
    #[test]
    fn one_time_passwords_are_those_of_the_standard() {
        use std::time::{Duration, UNIX_EPOCH};

        // RFC 6238, appendix B, for SHA-1; the last six of its eight digits.
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        let at = |seconds, secret: &str| {
            one_time_password(secret, UNIX_EPOCH + Duration::from_secs(seconds))
                .unwrap()
                .expose_secret()
                .to_owned()
        };
        assert_eq!(at(59, secret), "287082");
        assert_eq!(at(1_111_111_109, secret), "081804");
        assert_eq!(at(20_000_000_000, secret), "353130");
        assert_eq!(at(59, "gezd gnbv gy3t qojq gezd gnbv gy3t qojq"), "287082");
        assert_eq!(at(59, "GEZDGNBV").len(), 6);
        let error = one_time_password("not base32!", UNIX_EPOCH).unwrap_err().to_string();
        assert!(error.contains("totp_secret") && !error.contains("not base32!"), "{error}");
    }
}
