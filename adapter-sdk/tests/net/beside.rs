//! A socket beside the first.

use std::time::Duration;

use adapter_sdk::{
    AdapterError, Backoff,
    abi::ErrorCode,
    net::{Beside, BesideEvent, Message, Network, NetworkConfig, WebSocketRequest},
};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message as Frame};

use super::server;

const SOON: Duration = Duration::from_secs(10);

fn backoff() -> Backoff {
    Backoff { first: Duration::from_millis(5), longest: Duration::from_millis(20), ..Backoff::default() }
}

async fn next(beside: &mut Beside) -> BesideEvent {
    tokio::time::timeout(SOON, beside.next()).await.unwrap()
}

/// A socket beside a broker that takes every connection, and the broker's ends of them.
async fn beside_a_broker() -> (Beside, mpsc::Receiver<WebSocketStream<TcpStream>>) {
    let (ready, accepted) = mpsc::channel(10);
    let address = server::serve(move |stream| {
        let ready = ready.clone();
        async move { _ = ready.send(accept_async(stream).await.unwrap()).await }
    })
    .await;
    let network = Network::new(NetworkConfig::default()).unwrap();
    let beside = Beside::new(backoff(), move || {
        let (network, url) = (network.clone(), format!("ws://{address}/"));
        async move { Ok(network.websocket(WebSocketRequest::new(url)).await?) }
    });
    (beside, accepted)
}

#[tokio::test]
async fn it_is_open_while_something_is_wanted_and_comes_back_when_it_is_lost() {
    let (mut beside, mut accepted) = beside_a_broker().await;
    let idle = tokio::time::timeout(Duration::from_millis(50), beside.next()).await;
    assert!(idle.is_err() && accepted.try_recv().is_err() && beside.socket().is_none());
    beside.want();
    for _ in 0..2 {
        assert!(matches!(next(&mut beside).await, BesideEvent::Opened));
        let mut broker = accepted.recv().await.unwrap();
        // It is open already, and stays so.
        beside.want();
        beside.socket().unwrap().queue("hello");
        broker.send(Frame::text("deep")).await.unwrap();
        let BesideEvent::Message(Message::Text(text)) = next(&mut beside).await else { panic!("no text") };
        assert_eq!(text.as_str(), "deep");
        drop(broker);
        let BesideEvent::Lost(error) = next(&mut beside).await else { panic!("it is not lost") };
        assert!(error.is_retryable() && beside.socket().is_none(), "{error}");
    }
    assert!(matches!(next(&mut beside).await, BesideEvent::Opened));
    let mut broker = accepted.recv().await.unwrap();
    beside.leave();
    let end = tokio::time::timeout(SOON, async { while let Some(Ok(_)) = broker.next().await {} }).await;
    assert!(end.is_ok(), "the broker counts sockets");
}

#[tokio::test]
async fn one_that_cannot_be_had_is_tried_again() {
    let attempts = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = std::rc::Rc::clone(&attempts);
    let mut beside = Beside::new(backoff(), move || {
        count.set(count.get() + 1);
        std::future::ready(Err(AdapterError::auth("the token is dead")))
    });
    beside.want();
    for attempt in 1..=3 {
        let BesideEvent::Lost(error) = next(&mut beside).await else { panic!("it is open") };
        assert_eq!((error.code(), attempts.get()), (ErrorCode::AUTH, attempt));
    }

    // Who leaves it and wants it again does not get around the pause.
    let patient = Backoff { longest: Duration::from_mins(10), ..backoff() };
    let mut beside =
        Beside::new(patient, || std::future::ready(Err(AdapterError::auth("the token is dead"))));
    beside.want();
    assert!(matches!(next(&mut beside).await, BesideEvent::Lost(_)));
    beside.leave();
    beside.want();
    assert!(tokio::time::timeout(Duration::from_millis(100), beside.next()).await.is_err());
}

#[tokio::test]
async fn a_broker_that_counts_sockets_is_told_before_the_next_one_is_opened() {
    let (mut beside, mut accepted) = beside_a_broker().await;
    beside.part("nobody hears this");
    beside.want();
    assert!(matches!(next(&mut beside).await, BesideEvent::Opened));
    let mut broker = accepted.recv().await.unwrap();
    beside.part("bye");
    beside.want();
    assert!(beside.socket().is_none() && accepted.try_recv().is_err());
    // It is opened again, after the goodbye.
    assert!(matches!(next(&mut beside).await, BesideEvent::Opened));
    assert_eq!(broker.next().await.unwrap().unwrap(), Frame::text("bye"));
    assert!(matches!(broker.next().await, Some(Ok(Frame::Close(_)))));

    // Who parts and wants nothing is idle, and says goodbye at the end as well.
    let mut broker = accepted.recv().await.unwrap();
    beside.part("bye");
    beside.close().await;
    assert_eq!(broker.next().await.unwrap().unwrap(), Frame::text("bye"));
    assert!(matches!(broker.next().await, Some(Ok(Frame::Close(_)))));
}

#[tokio::test]
async fn what_the_broker_says_before_it_hangs_up_decides_on_the_pause() {
    let (beside, mut accepted) = beside_a_broker().await;
    let mut beside = beside.patient(Duration::from_mins(10));
    beside.lose(&AdapterError::rate_limited("it is not open"));
    beside.want();
    assert!(matches!(next(&mut beside).await, BesideEvent::Opened));
    let _first = accepted.recv().await.unwrap();
    beside.lose(&AdapterError::network("trouble of its own"));
    assert!(matches!(next(&mut beside).await, BesideEvent::Opened));
    beside.lose(&AdapterError::rate_limited("too many sockets"));
    assert!(beside.socket().is_none());
    assert!(tokio::time::timeout(Duration::from_millis(100), beside.next()).await.is_err());
}
