//! stub
use secrecy::SecretString;
use std::sync::Arc;
use zeroize::Zeroizing;
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserName(Arc<str>);
impl UserName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(Arc<str>);
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(Arc<str>);
#[derive(Clone, Debug)]
pub struct Account {
    pub id: AccountId,
    pub user: UserName,
    pub broker: Arc<str>,
}
#[derive(Clone, Debug)]
pub struct Verified {
    pub user: UserName,
    pub key: KeyId,
    pub account: Option<Account>,
}
#[derive(Clone, Debug)]
pub struct Accounts;
pub struct Credentials;
impl Credentials {
    pub fn to_json(&self) -> Zeroizing<String> {
        Zeroizing::default()
    }
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct AccountsError;
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("x")]
    Unknown,
    #[error("x")]
    Revoked,
    #[error("x")]
    Busy,
    #[error("x")]
    Storage(AccountsError),
}
impl Accounts {
    pub async fn verify_key(&self, _key: &SecretString) -> Result<Verified, VerifyError> {
        Err(VerifyError::Unknown)
    }
    pub async fn credentials(&self, _a: &Account) -> Result<Credentials, AccountsError> {
        Ok(Credentials)
    }
    pub async fn check_keys(&self, keys: Vec<KeyId>) -> Result<Vec<bool>, AccountsError> {
        Ok(vec![true; keys.len()])
    }
    pub async fn current_account(&self, _u: &UserName) -> Result<Option<Account>, AccountsError> {
        Ok(None)
    }
}
