//! Log-ins against a host that takes its users from OpenAlgo's database (`integration_tests::openalgo`): many
//! at once after a restart, and behind a flood of wrong keys from the same address.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use integration_tests::{Client, openalgo::key_of};
use serde_json::{Value, json};

/// Longest wait for an answer: beyond it a client counts as refused.
const PATIENCE: Duration = Duration::from_mins(2);

/// What came of the good log-ins.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Log-ins that succeeded.
    pub(crate) accepted: u32,
    /// Answers of the others, or nothing for one that had none in time.
    pub(crate) refused: Vec<Value>,
    /// Longest wait for an answer.
    pub(crate) slowest: Duration,
}

/// So many clients connect, and log in at once with so many different keys in turn.
pub(crate) async fn restart(address: SocketAddr, clients: usize, keys: usize) -> Outcome {
    let clients = join_all((0..clients).map(|_| Client::connect(address))).await;
    log_in(clients.into_iter().enumerate().map(|(number, client)| (client, number % keys)).collect()).await
}

/// Clients with the keys of so many users log in while a flood is under way.
pub(crate) async fn newcomers(address: SocketAddr, users: usize) -> Outcome {
    let clients = join_all((0..users).map(|_| Client::connect(address))).await;
    log_in(clients.into_iter().zip(0..).collect()).await
}

/// Connections that send wrong keys, each other ones, without waiting for answers. The flood lasts while they
/// are held.
pub(crate) async fn wrong_keys(address: SocketAddr, connections: u32) -> Vec<Client> {
    join_all((0..connections).map(|number| async move {
        let mut client = Client::connect(address).await;
        for attempt in 0..20 {
            let key = format!("wrong-{number}-{attempt}");
            client.send(&json!({"action": "authenticate", "api_key": key})).await;
        }
        client
    }))
    .await
}

/// All of them at once, each with the key of this user.
async fn log_in(clients: Vec<(Client, usize)>) -> Outcome {
    let began = Instant::now();
    let answers = clients.into_iter().map(|(mut client, user)| async move {
        client.send(&json!({"action": "authenticate", "api_key": key_of(user)})).await;
        let answer = client.next_within(PATIENCE).await;
        // The connection stays until all are answered, as those of real clients do.
        (answer, began.elapsed(), client)
    });
    let mut outcome = Outcome::default();
    for (answer, took, _client) in join_all(answers).await {
        outcome.slowest = outcome.slowest.max(took);
        match answer {
            Some(answer) if answer["status"] == "success" => outcome.accepted += 1,
            other => outcome.refused.push(other.unwrap_or_default()),
        }
    }
    outcome
}
