//! The socket of order updates of Alice Blue, which has them apart from prices.

use std::{cell::Cell, path::Path, rc::Rc, time::Duration};

use adapter_sdk::{
    AdapterError, ErrorCode,
    net::{Heartbeat, Http, Network, WebSocket, WebSocketRequest},
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
    network: Network,
    /// Of the interface; the socket is below it too.
    url: String,
    /// The broker ends the connection after a minute without one.
    heartbeat: Duration,
    stall: Duration,
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
    let opener = Rc::new(Opener {
        http: http.clone(),
        network: settings.network.clone(),
        url: settings.order_url.clone()?,
        heartbeat: settings.heartbeat,
        stall: settings.stall,
        account: Rc::clone(account),
        empty: Cell::new(0),
    });
    let open = move || {
        let opener = Rc::clone(&opener);
        async move { opener.open().await }
    };
    Some(OrderSocket::opened_by(open, folder, account.user()))
}

impl Opener {
    async fn open(&self) -> Result<WebSocket, AdapterError> {
        if self.empty.get() >= MOST_EMPTY {
            info!("No order updates: the broker has no token for them for this account");
            std::future::pending::<()>().await;
        }
        let token = self.token().await.inspect_err(|error| {
            self.empty.set(self.empty.get() + u8::from(error.code() == ErrorCode::PROTOCOL));
        })?;
        let user = self.account.user();
        let beat = json!({ "heartbeat": "h", "userId": user }).to_string();
        // `http` becomes `ws`, and `https` becomes `wss`.
        let url = format!("ws{}/websocket", self.url.trim_start_matches("http"));
        let request = WebSocketRequest::new(url)
            .heartbeat(Heartbeat::WithPing(beat.into(), self.heartbeat))
            .stall_after(self.stall);
        let hello = json!({ "orderToken": token, "userId": user }).to_string();
        let mut socket = self.network.websocket(request).await.map_err(|error| error.explain(&REFUSALS))?;
        socket.queue(hello);
        Ok(socket)
    }

    async fn token(&self) -> Result<String, AdapterError> {
        let request = self.http.get(&format!("{}/ws/createWsToken", self.url));
        let request = request.header("Authorization", &self.account.bearer());
        let answer = login::answer(request, "or the account may not have order updates").await?;
        let result = answer.pointer("/result/0").unwrap_or(&Value::Null);
        login::member(result, &["orderToken"]).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use adapter_sdk::{
        net::{NetworkConfig, RateLimit},
        testing::{FileServer, credentials},
    };

    use super::*;
    use crate::brand::Brand;

    #[tokio::test]
    async fn an_account_without_order_updates_is_not_asked_for_ever() {
        let files = FileServer::start().unwrap();
        files.show("/ws/createWsToken", "");
        let network = Network::new(NetworkConfig::default()).unwrap();
        let fields = credentials(r#"{"user_id":"FA0001","access_token":"canary"}"#);
        let opener = Opener {
            http: network.http(RateLimit::per_second(1_000.0)),
            network,
            url: files.url(""),
            heartbeat: Duration::from_secs(30),
            stall: Duration::from_secs(120),
            account: Account::read(Brand::named("aliceblue").unwrap(), &fields).unwrap().into(),
            empty: Cell::new(0),
        };
        for body in ["", "<html></html>", "[]", "{}", r#"{"result":[{"orderToken":7}]}"#] {
            files.show("/ws/createWsToken", body);
            let error = opener.open().await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::PROTOCOL, "{body}");
        }
        // There is one now, and nobody asks.
        files.show("/ws/createWsToken", r#"{"status":"Ok","result":[{"orderToken":"t"}]}"#);
        assert_eq!(opener.token().await.unwrap(), "t");
        let opened = tokio::time::timeout(Duration::from_millis(200), opener.open()).await;
        assert!(opened.is_err(), "it went on");
    }
}
