//! Several brokers by one library: each account meets its own, and no other.

use integration_tests::{
    Client, HostBuilder,
    chain::{NorenAccount, add_user},
    host::assert_ok,
    library, wait_until,
};
use serde_json::{Value, json};
use venues::{
    Broker, Mode, Options, Venue,
    noren::{Brand, Definedge, Noren, Shoonya, Zebu},
};

async fn venue<B: Brand>(token: &[(&str, &str)]) -> Venue<Noren<B>> {
    let options = Options { rate_hz: 0.0, instruments: 500, ..Options::default() };
    Venue::start(options.accepting(token)).await.unwrap()
}

fn settings<B: Brand>(venue: &Venue<Noren<B>>) -> String {
    let addresses = Noren::<B>::addresses(venue.address()).into_iter();
    let lines: Vec<String> = addresses.map(|(name, value)| format!("{name} = '{value}'\n")).collect();
    format!("[adapter.brand.{}.config]\n{}", B::RULES.name, lines.concat())
}

/// What a venue of the family refuses is a token that it does not know, or a log-in in another broker's form:
/// there is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_one_broker_of_the_family_never_reaches_another() {
    let tokens = [Shoonya::CREDENTIALS, Definedge::CREDENTIALS];
    let (shoonya, definedge) = (venue::<Shoonya>(tokens[0]).await, venue::<Definedge>(tokens[1]).await);
    // It is served, and nobody has an account there.
    let zebu = venue::<Zebu>(&[]).await;
    let builder = HostBuilder::new();
    let plugins = format!(
        "[[adapter]]\nname = 'noren'\nlibrary = '{}'\nbrokers = ['shoonya', 'definedge', 'zebu']\ncalendar = 'always'\n\
         [adapter.config]\ncache_dir = '{}'\n{}{}{}",
        library("adapter_noren").display(),
        builder.dir().join("cache").display(),
        settings(&shoonya),
        settings(&definedge),
        settings(&zebu),
    );
    let host = builder.plugins(&plugins).start();
    let mut clients = Vec::new();
    for (user, broker, token) in [("alice", "shoonya", tokens[0]), ("erin", "definedge", tokens[1])] {
        let key = add_user(&host, user, broker);
        let fields: Value = token.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        assert_ok(&host.run(&["account", "set", user, broker], &fields.to_string()));
        let mut client = Client::login(host.websocket, &key).await;
        client.send(&json!({"action": "subscribe", "symbols": ["NSE:SBIN"], "mode": 2})).await;
        client.find(|message| message["type"] == "market_data").await;
        let expected = if broker == "shoonya" {
            shoonya.sent("NSE", "SBIN", Mode::Quote)
        } else {
            definedge.sent("NSE", "SBIN", Mode::Quote)
        };
        assert!(expected.is_some(), "{broker}");
        clients.push(client);
    }
    wait_until("both are connected", || async {
        shoonya.report().subscribed.len() == 1 && definedge.report().subscribed.len() == 1
    })
    .await;
    let log_ins = [shoonya.report().log_ins, definedge.report().log_ins, zebu.report().log_ins];
    assert_eq!(log_ins, [vec![true], vec![true], vec![]]);
}
