//! The socket of order updates of Alice Blue, which has them apart from prices.

use std::{path::Path, rc::Rc};

use adapter_sdk::{
    AdapterError, ExposeSecret as _,
    net::{Heartbeat, Http, WebSocket, WebSocketRequest},
    serde_json::{Value, json},
    session::OrderSocket,
};

use crate::{REFUSALS, account::Account, config::Settings, login};

/// Answers without a token, as accounts without the feature get them, after which nobody asks any more.
const MOST_EMPTY: u8 = 5;

/// The socket, if the broker has one. The folder is one that all connections of the account share.
pub(crate) fn socket(
    http: &Http,
    settings: &Settings,
    account: &Rc<Account>,
    folder: &Path,
) -> Option<OrderSocket> {
    let url = settings.order_url.clone()?;
    let all = Rc::new((http.clone(), settings.clone(), Rc::clone(account), url));
    let open = move || {
        let all = Rc::clone(&all);
        async move { open(&all.0, &all.1, &all.2, &all.3).await }
    };
    Some(OrderSocket::opened_by(open, folder, account.user()).giving_up_after(MOST_EMPTY))
}

/// Opens the socket, which is below the address of the interface.
async fn open(
    http: &Http,
    settings: &Settings,
    account: &Account,
    url: &str,
) -> Result<WebSocket, AdapterError> {
    let (token, user) = (token(http, account, url).await?, account.user());
    let beat = json!({ "heartbeat": "h", "userId": user }).to_string();
    // `http` becomes `ws`, and `https` becomes `wss`.
    let request = WebSocketRequest::new(format!("ws{}/websocket", url.trim_start_matches("http")))
        .heartbeat(Heartbeat::WithPing(beat.into(), settings.heartbeat))
        .stall_after(settings.stall);
    let opened = settings.network.websocket(request).await;
    let mut socket = opened.map_err(|error| error.explain(&REFUSALS))?;
    socket.queue(json!({ "orderToken": token, "userId": user }).to_string());
    Ok(socket)
}

async fn token(http: &Http, account: &Account, url: &str) -> Result<String, AdapterError> {
    let request = http
        .get(&format!("{url}/ws/createWsToken"))
        .header("Authorization", account.bearer().expose_secret());
    let answer = login::answer(request, "or the account may not have order updates").await?;
    let result = answer.pointer("/result/0").unwrap_or(&Value::Null);
    login::member(result, &["orderToken"]).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use adapter_sdk::{
        ErrorCode,
        net::RateLimit,
        testing::{FileServer, credentials},
    };

    use super::*;
    use crate::{brand::Brand, config::Config};

    #[tokio::test]
    async fn an_answer_without_a_token_is_one_that_makes_no_sense() {
        let files = FileServer::start().unwrap();
        let brand = Brand::named("aliceblue").unwrap();
        let config: Config = serde_json::from_value(brand.defaults()).unwrap();
        let http = config.check().unwrap().network.http(RateLimit::per_second(1_000.0));
        let fields = credentials(r#"{"user_id":"FA0001","access_token":"canary"}"#);
        let (account, url) = (Account::read(brand, &fields).unwrap(), files.url(""));
        for body in ["", "<html></html>", "[]", "{}", r#"{"result":[{"orderToken":7}]}"#] {
            files.show("/ws/createWsToken", body);
            let error = token(&http, &account, &url).await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::PROTOCOL, "{body}");
        }
        files.show("/ws/createWsToken", r#"{"status":"Ok","result":[{"orderToken":"t"}]}"#);
        assert_eq!(token(&http, &account, &url).await.unwrap(), "t");
    }
}
