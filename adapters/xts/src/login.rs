//! Logging in: an app key and its secret buy the token of the day, without a person.

use adapter_sdk::{
    Credentials, Login,
    login::{self, Unfinished},
};

use crate::{
    account::{APP_KEY, SECRET_KEY},
    rest::Rest,
};

/// Where a log-in of the market data API is.
const PATH: &str = "auth/login";

/// One step of logging in.
pub(crate) async fn step(rest: &Rest, fields: &Credentials) -> Result<Login, Unfinished> {
    let app = login::answer(fields, &APP_KEY, "App key of the market data API", false)?;
    let secret = login::answer(fields, &SECRET_KEY, "Secret key of the same", true)?;
    let [token, user] = rest.log_in(PATH, [app, secret]).await?;
    Ok(Login::done([("access_token", token), ("user_id", user)]))
}
