//! The socket of order updates, of the broker's interactive interface, which has keys of its own.

use std::{cell::Cell, path::Path, rc::Rc};

use adapter_sdk::{AdapterError, net::WebSocket, session::OrderSocket};

use crate::{account::Account, config::Settings, engine::Version, rest::Rest, socket};

/// Where a log-in of the interactive interface is.
const LOG_IN: &str = "user/session";

/// The socket, if the account has keys for it. The folder is one that all connections of the account share.
pub(crate) fn socket(
    rest: &Rest,
    settings: &Rc<Settings>,
    account: &Rc<Account>,
    works: &Rc<Cell<Version>>,
    folder: &Path,
) -> Option<OrderSocket> {
    account.interactive()?;
    let rest = Rest { http: rest.http.clone(), url: settings.order_url.clone()? };
    let all = Rc::new((rest, Rc::clone(settings), Rc::clone(account), Rc::clone(works)));
    let open = move || {
        let all = Rc::clone(&all);
        async move { open(&all.0, &all.1, &all.2, &all.3).await }
    };
    Some(OrderSocket::opened_by(open, folder, account.user()))
}

async fn open(
    rest: &Rest,
    settings: &Settings,
    account: &Account,
    works: &Cell<Version>,
) -> Result<WebSocket, AdapterError> {
    let keys = account.interactive().unwrap_or_default();
    let [token, user] = rest.log_in(LOG_IN, keys).await?;
    // `http` becomes `ws`, and `https` becomes `wss`.
    let url = format!("ws{}/socket.io/", rest.url.trim_start_matches("http"));
    let parameters = [("token", token.as_str()), ("userID", user.as_str()), ("apiType", "INTERACTIVE")];
    socket::open(settings, &url, &parameters, works).await
}
