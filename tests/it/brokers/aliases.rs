//! Two spellings of one instrument, held by different clients: one stream of the broker's serves both.

use integration_tests::{
    chain::{Chain, Compared, Profile, Watcher, compare_values},
    wait_until,
};
use serde_json::json;
use venues::{Mode, angel::Smart, dhan::Dhan, fyers::Fyers, zerodha::Kite};

/// Waits until a client has under this spelling what the broker sent last under that name.
async fn has<B: Profile>(chain: &Chain<B>, watcher: &mut Watcher, spelling: &str, name: &str, mode: Mode) {
    loop {
        let mut compared = Compared::default();
        if let Some(data) = watcher.latest("NSE", spelling) {
            let sent = chain.venue.sent("NSE", name, mode).unwrap();
            compare_values(&mut compared, data, &sent, mode, false, false);
            if compared.mismatches.is_empty() {
                return;
            }
        }
        let tick = watcher.client.find(|message| message["type"] == "market_data").await;
        assert_eq!(tick["symbol"], spelling, "as the client wrote it: {:?}", compared.mismatches);
        watcher.note(&tick);
    }
}

async fn leave(watcher: &mut Watcher, spelling: &str, mode: Mode) {
    let number = match mode {
        Mode::Ltp => 1,
        Mode::Quote => 2,
        Mode::Full | Mode::Deep(_) => 3,
    };
    let name = format!("NSE:{spelling}");
    watcher.client.send(&json!({"action": "unsubscribe", "symbols": [name], "mode": number})).await;
    let answer = watcher.client.find(|message| message["type"] == "unsubscribe").await;
    assert_eq!(answer["status"], "success", "{answer}");
}

async fn both_spellings_tick_and_end_apart<B: Profile>() {
    let chain = Chain::<B>::start(500).await;
    let shares = chain.venue.some("NSE", 50);
    let share = shares.iter().find(|one| !one.symbol.contains('-') && B::key(one).is_some()).unwrap();
    let (name, alias) = (share.symbol.as_str(), format!("{}-EQ", share.symbol));
    let of = |symbol: &str| vec![("NSE".to_owned(), symbol.to_owned())];
    let subscribed = || chain.venue.report().subscribed.len();
    for mode in [Mode::Ltp, Mode::Quote, Mode::Full] {
        let (mut one, _) = chain.watch(&of(name), mode).await;
        has(&chain, &mut one, name, name, mode).await;
        // The second has its state at once, although nothing is traded.
        let (mut other, _) = chain.watch(&of(&alias), mode).await;
        has(&chain, &mut other, &alias, name, mode).await;
        assert_eq!(subscribed(), 1, "one instrument at the broker");
        chain.venue.trade();
        has(&chain, &mut one, name, name, mode).await;
        has(&chain, &mut other, &alias, name, mode).await;

        // The end of one is not that of the other.
        leave(&mut other, &alias, mode).await;
        for _ in 0..2 {
            chain.venue.trade();
            has(&chain, &mut one, name, name, mode).await;
        }
        assert_eq!(subscribed(), 1);
        // Whoever comes back under the alias gets what is known now, and goes on when the name is left.
        let (mut again, _) = chain.watch(&of(&alias), mode).await;
        has(&chain, &mut again, &alias, name, mode).await;
        leave(&mut one, name, mode).await;
        for _ in 0..2 {
            chain.venue.trade();
            has(&chain, &mut again, &alias, name, mode).await;
        }
        let (mut newcomer, _) = chain.watch(&of(name), mode).await;
        has(&chain, &mut newcomer, name, name, mode).await;
        while let Some(late) = other.client.next_within(std::time::Duration::ZERO).await {
            assert_ne!(late["type"], "market_data", "after the end of its subscription: {late}");
        }

        leave(&mut newcomer, name, mode).await;
        leave(&mut again, &alias, mode).await;
        wait_until("nothing is subscribed at the broker", || async { subscribed() == 0 }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_spellings_are_one_instrument_at_angel() {
    both_spellings_tick_and_end_apart::<Smart>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_spellings_are_one_instrument_at_dhan() {
    both_spellings_tick_and_end_apart::<Dhan>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_spellings_are_one_instrument_at_fyers() {
    both_spellings_tick_and_end_apart::<Fyers>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_spellings_are_one_instrument_at_zerodha() {
    both_spellings_tick_and_end_apart::<Kite>().await;
}
