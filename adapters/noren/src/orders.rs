//! The socket of order updates of Alice Blue, which has them apart from prices.

use std::{cell::Cell, path::Path, rc::Rc};

use adapter_sdk::{
    AdapterError, ErrorCode,
    net::{Heartbeat, Http, WebSocket, WebSocketRequest},
    serde_json::{Value, json},
    session::OrderSocket,
    tracing::info,
};

use crate::{REFUSALS, account::Account, config::Settings, login};

/// Answers without a token, as accounts without the feature get them, after which nobody asks any more.
const MOST_EMPTY: u8 = 5;

/// What it takes to open the socket.
struct Opener {
    http: Http,
    settings: Settings,
    account: Rc<Account>,
    empty: Cell<u8>,
}

/// The socket, if the broker has one. The folder is one that all connections of the account share.
pub(crate) fn socket(
    http: &Http,
    settings: &Settings,
    account: &Rc<Account>,
    folder: &Path,
) -> Option<OrderSocket> {
    let url = settings.order_url.clone()?;
    let (http, settings) = (http.clone(), settings.clone());
    let opener = Rc::new(Opener { http, settings, account: Rc::clone(account), empty: Cell::new(0) });
    let open = move || {
        let (opener, url) = (Rc::clone(&opener), url.clone());
        async move { opener.open(&url).await }
    };
    Some(OrderSocket::opened_by(open, folder, account.user()))
}

impl Opener {
    /// Opens the socket, which is below the address of the interface.
    async fn open(&self, url: &str) -> Result<WebSocket, AdapterError> {
        if self.empty.get() >= MOST_EMPTY {
            info!("No order updates: the broker has no token for them for this account");
            std::future::pending::<()>().await;
        }
        let token = self.token(url).await.inspect_err(|error| {
            self.empty.set(self.empty.get() + u8::from(error.code() == ErrorCode::PROTOCOL));
        })?;
        let user = self.account.user();
        let beat = json!({ "heartbeat": "h", "userId": user }).to_string();
        // `http` becomes `ws`, and `https` becomes `wss`.
        let request = WebSocketRequest::new(format!("ws{}/websocket", url.trim_start_matches("http")))
            .heartbeat(Heartbeat::WithPing(beat.into(), self.settings.heartbeat))
            .stall_after(self.settings.stall);
        let hello = json!({ "orderToken": token, "userId": user }).to_string();
        let opened = self.settings.network.websocket(request).await;
        let mut socket = opened.map_err(|error| error.explain(&REFUSALS))?;
        socket.queue(hello);
        Ok(socket)
    }

    async fn token(&self, url: &str) -> Result<String, AdapterError> {
        let request = self.http.get(&format!("{url}/ws/createWsToken"));
        let request = request.header("Authorization", &self.account.bearer());
        let answer = login::answer(request, "or the account may not have order updates").await?;
        let result = answer.pointer("/result/0").unwrap_or(&Value::Null);
        login::member(result, &["orderToken"]).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use adapter_sdk::{
        net::RateLimit,
        testing::{FileServer, credentials},
    };

    use super::*;
    use crate::{brand::Brand, config::Config};

    #[tokio::test]
    async fn an_account_without_order_updates_is_not_asked_for_ever() {
        let files = FileServer::start().unwrap();
        let brand = Brand::named("aliceblue").unwrap();
        let config: Config = serde_json::from_value(brand.defaults()).unwrap();
        let settings = config.check().unwrap();
        let fields = credentials(r#"{"user_id":"FA0001","access_token":"canary"}"#);
        let http = settings.network.http(RateLimit::per_second(1_000.0));
        let account = Rc::new(Account::read(brand, &fields).unwrap());
        let (opener, url) = (Opener { http, settings, account, empty: Cell::new(0) }, files.url(""));
        for body in ["", "<html></html>", "[]", "{}", r#"{"result":[{"orderToken":7}]}"#] {
            files.show("/ws/createWsToken", body);
            let error = opener.open(&url).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::PROTOCOL, "{body}");
        }
        // There is one now, and nobody asks.
        files.show("/ws/createWsToken", r#"{"status":"Ok","result":[{"orderToken":"t"}]}"#);
        assert_eq!(opener.token(&url).await.unwrap(), "t");
        let opened = tokio::time::timeout(Duration::from_millis(200), opener.open(&url)).await;
        assert!(opened.is_err(), "it went on");
    }
}
