//! The WebSocket client.

use std::time::{Duration, Instant};

use adapter_sdk::{
    AdapterError,
    abi::ErrorCode,
    net::{Closed, HandshakeError, Heartbeat, Message, Network, NetworkConfig, WebSocket, WebSocketRequest},
};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{
        Message as Frame,
        protocol::frame::{CloseFrame, coding::CloseCode},
    },
};

use super::server;

const SOON: Duration = Duration::from_secs(10);

fn network() -> Network {
    Network::new(NetworkConfig { connect_timeout_seconds: 2.0, ..NetworkConfig::default() }).unwrap()
}

async fn open<F: Future<Output = ()> + Send + 'static>(
    request: impl FnOnce(String) -> WebSocketRequest,
    mut broker: impl FnMut(WebSocketStream<TcpStream>) -> F + Send + 'static,
) -> WebSocket {
    let (ready, mut accepted) = mpsc::channel(100);
    let address = server::serve(move |stream| {
        let ready = ready.clone();
        async move { _ = ready.send(accept_async(stream).await.unwrap()).await }
    })
    .await;
    let socket = network().websocket(request(format!("ws://{address}/feed?token=secret-1"))).await.unwrap();
    let accepted = accepted.recv().await.unwrap();
    tokio::spawn(broker(accepted));
    socket
}

async fn next(socket: &mut WebSocket) -> Result<Message, AdapterError> {
    tokio::time::timeout(SOON, socket.next()).await.unwrap()
}

#[tokio::test]
async fn a_refusal_says_all_that_the_broker_said_and_shows_no_token() {
    let address = server::serve(|mut stream| async move {
        let request = server::request(&mut stream).await;
        assert!(request.contains("x-feed-token: secret-2\r\n"), "{request}");
        server::answer(
            &mut stream,
            "401 Unauthorized",
            "x-error-message: Invalid Feed Token\r\n",
            b"no: secret-2",
        )
        .await;
    })
    .await;
    let request = WebSocketRequest::new(format!("ws://{address}/?access_token=secret-1"))
        .header("x-feed-token", "secret-2");
    let shown = format!("{request:?}");
    let error = network().websocket(request).await.unwrap_err();
    assert_eq!((error.status(), error.header("X-Error-Message")), (Some(401), Some("Invalid Feed Token")));
    let HandshakeError::Refused(refused) = &error else { panic!("{error}") };
    assert_eq!(refused.body(), "no: secret-2");
    let shown = format!("{shown} {error} {error:?}");
    let error = AdapterError::from(error);
    assert_eq!(error.code(), ErrorCode::AUTH);
    assert!(!format!("{shown} {error} {error:?}").contains("secret"), "{shown}");
}

#[tokio::test]
async fn each_status_has_its_class() {
    let classes = [
        ("403 Forbidden", ErrorCode::AUTH),
        ("429 Too Many Requests", ErrorCode::RATE_LIMITED),
        ("400 Bad Request", ErrorCode::PROTOCOL),
        ("200 OK", ErrorCode::NETWORK),
        ("302 Found", ErrorCode::NETWORK),
        ("503 Service Unavailable", ErrorCode::NETWORK),
    ];
    for (status, class) in classes {
        let address = server::serve(move |mut stream| async move {
            server::request(&mut stream).await;
            server::answer(&mut stream, status, "Location: /elsewhere\r\n", b"").await;
        })
        .await;
        let error = network().websocket(WebSocketRequest::new(format!("ws://{address}"))).await.unwrap_err();
        assert_eq!(AdapterError::from(error).code(), class, "{status}");
    }
}

#[tokio::test]
async fn who_never_answers_or_answers_as_somebody_else_is_no_broker() {
    let silent = server::serve(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let network =
        Network::new(NetworkConfig { connect_timeout_seconds: 0.2, ..NetworkConfig::default() }).unwrap();
    let error = AdapterError::from(
        network.websocket(WebSocketRequest::new(format!("ws://{silent}"))).await.unwrap_err(),
    );
    assert!(error.code() == ErrorCode::NETWORK && error.to_string().contains("within 200ms"), "{error}");

    let wrong_key = server::serve(|mut stream| async move {
        server::request(&mut stream).await;
        let headers = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: AAAA\r\n";
        server::answer(&mut stream, "101 Switching Protocols", headers, b"").await;
    })
    .await;
    let error = AdapterError::from(
        network.websocket(WebSocketRequest::new(format!("ws://{wrong_key}"))).await.unwrap_err(),
    );
    assert_eq!(error.to_string(), "what answers is no WebSocket");

    let error =
        AdapterError::from(network.websocket(WebSocketRequest::new("http://127.0.0.1:1")).await.unwrap_err());
    assert_eq!(error.code(), ErrorCode::CONFIG);
}

#[tokio::test]
async fn what_is_queued_goes_in_order_and_at_the_broker_s_pace_while_ticks_come() {
    let (said, mut heard) = mpsc::channel(100);
    let mut socket = open(
        |url| WebSocketRequest::new(url).pace(Duration::from_millis(60)),
        move |socket| {
            let said = said.clone();
            async move {
                let (mut sink, mut stream) = socket.split();
                tokio::spawn(async move {
                    let mut number = 0_u8;
                    while sink.send(Frame::Binary(vec![number].into())).await.is_ok() {
                        number = number.wrapping_add(1);
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                });
                while let Some(Ok(Frame::Text(text))) = stream.next().await {
                    _ = said.send((Instant::now(), text.to_string())).await;
                }
            }
        },
    )
    .await;
    (0..4).for_each(|number| socket.queue(format!("batch {number}")));
    assert_eq!(socket.queued(), 4);
    let mut ticks = 0;
    while socket.queued() > 0 || ticks < 100 {
        assert_eq!(next(&mut socket).await.unwrap(), Message::Binary(vec![ticks].into()));
        ticks += 1;
    }
    let mut times = Vec::new();
    for number in 0..4 {
        let (at, text) = heard.recv().await.unwrap();
        assert_eq!(text, format!("batch {number}"));
        times.push(at);
    }
    // The server may see two of them closer together than they were sent, but not all of them.
    assert!(times[3] - times[0] >= Duration::from_millis(120), "{times:?}");
}

#[tokio::test]
async fn a_broker_that_does_not_read_ends_the_connection_and_not_the_memory() {
    let mut socket = open(
        |url| WebSocketRequest::new(url).pace(Duration::from_secs(10)),
        |socket| async move {
            let _held = socket;
            std::future::pending::<()>().await;
        },
    )
    .await;
    (0..20_000).for_each(|number| socket.queue(format!("batch {number}")));
    let error = next(&mut socket).await.unwrap_err();
    assert!(error.to_string().contains("16384 messages wait"), "{error}");
}

#[tokio::test]
async fn nothing_is_lost_when_waiting_is_given_up_again_and_again() {
    let mut socket = open(WebSocketRequest::new, |mut socket| async move {
        for number in 0..2_000_u32 {
            socket.feed(Frame::Text(number.to_string().into())).await.unwrap();
            if number % 7 == 0 {
                socket.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
        }
        socket.flush().await.unwrap();
        let mut heard = Vec::new();
        while let Some(Ok(Frame::Text(text))) = socket.next().await {
            heard.push(text.to_string());
            if heard.len() == 100 {
                socket.send(Frame::Text(heard.join(",").into())).await.unwrap();
            }
        }
    })
    .await;
    let mut received = 0_u32;
    let mut sent = 0;
    while received < 2_000 {
        if sent < 100 {
            socket.queue(sent.to_string());
            sent += 1;
        }
        match socket.next().now_or_never() {
            Some(message) => {
                assert_eq!(message.unwrap(), Message::Text(received.to_string().into()));
                received += 1;
            }
            None => tokio::task::yield_now().await,
        }
    }
    let echoed = (0..100).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(next(&mut socket).await.unwrap(), Message::Text(echoed.into()));
}

#[tokio::test]
async fn heartbeats_keep_a_connection_that_says_nothing_else() {
    let every = Duration::from_millis(50);
    let account = 4_711;
    for heartbeat in [
        Heartbeat::Text("ping", every),
        Heartbeat::Ping(every),
        Heartbeat::Message(format!("{{\"h\":{account}}}").into(), every),
        Heartbeat::Message(vec![0, 1, 2].into(), every),
        // As fast as it may be, which keeps nothing else waiting.
        Heartbeat::Text("ping", Duration::ZERO),
    ] {
        let said = heartbeat.clone();
        let mut socket = open(
            |url| WebSocketRequest::new(url).heartbeat(said).stall_after(Duration::from_millis(400)),
            |mut socket| async move {
                let mut beats = 0;
                while let Some(Ok(frame)) = socket.next().await {
                    match frame {
                        Frame::Binary(bytes) => {
                            assert_eq!(bytes.as_ref(), [0, 1, 2]);
                            socket.send(Frame::Ping("still there?".into())).await.unwrap();
                        }
                        Frame::Text(text) => {
                            assert!(["ping", "{\"h\":4711}"].contains(&text.as_str()), "{text}");
                            socket.send(Frame::Ping("still there?".into())).await.unwrap();
                        }
                        Frame::Ping(_) => socket.flush().await.unwrap(),
                        Frame::Pong(pong) => {
                            assert_eq!(pong, "still there?");
                            continue;
                        }
                        other => panic!("{other:?}"),
                    }
                    beats += 1;
                    if beats == 20 {
                        socket.send(Frame::Text("twenty".into())).await.unwrap();
                        return;
                    }
                }
            },
        )
        .await;
        // Twenty beats take 1 s, more than the silence that it stands.
        assert_eq!(next(&mut socket).await.unwrap(), Message::Text("twenty".into()), "{heartbeat:?}");
    }
}

#[tokio::test]
async fn a_heartbeat_that_nobody_answers_has_a_ping_with_it() {
    let heartbeat = Heartbeat::WithPing("h".into(), Duration::from_millis(50));
    let mut socket = open(
        |url| WebSocketRequest::new(url).heartbeat(heartbeat).stall_after(Duration::from_millis(400)),
        |mut socket| async move {
            let (mut texts, mut pings) = (0, 0);
            while texts.min(pings) < 20
                && let Some(Ok(frame)) = socket.next().await
            {
                match frame {
                    Frame::Text(text) => {
                        assert_eq!(text.as_str(), "h");
                        texts += 1;
                    }
                    Frame::Ping(_) => {
                        pings += 1;
                        // With the answer.
                        socket.flush().await.unwrap();
                    }
                    other => panic!("{other:?}"),
                }
            }
            socket.send(Frame::Text("twenty".into())).await.unwrap();
        },
    )
    .await;
    assert_eq!(next(&mut socket).await.unwrap(), Message::Text("twenty".into()));
}

#[tokio::test]
async fn silence_is_noticed_and_so_is_an_end() {
    let mut socket = open(
        |url| WebSocketRequest::new(url).stall_after(Duration::from_millis(150)),
        |socket| async move {
            let _mute = socket;
            std::future::pending::<()>().await;
        },
    )
    .await;
    let error = next(&mut socket).await.unwrap_err();
    assert!(
        error.to_string().contains("said nothing for 150ms") && error.code() == ErrorCode::NETWORK,
        "{error}"
    );

    let mut socket = open(WebSocketRequest::new, |mut socket| async move {
        let frame = CloseFrame { code: CloseCode::Policy, reason: "token secret-3".into() };
        socket.close(Some(frame)).await.unwrap();
    })
    .await;
    let error = next(&mut socket).await.unwrap_err();
    assert_eq!(error.to_string(), "the broker closed the connection with code 1008");
    assert_eq!(Closed::of(&error).map(Closed::code), Some(Some(1008)));

    let mut socket = open(WebSocketRequest::new, |mut socket| async move {
        socket.close(None).await.unwrap();
    })
    .await;
    let error = next(&mut socket).await.unwrap_err();
    assert_eq!(error.to_string(), "the broker closed the connection");
    assert_eq!(Closed::of(&error).map(Closed::code), Some(None));

    let mut socket = open(WebSocketRequest::new, |socket| async move { drop(socket) }).await;
    let error = next(&mut socket).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::PROTOCOL, "it ended without a goodbye");
    assert_eq!(Closed::of(&error), None);
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_connection_and_not_the_memory() {
    let mut socket = open(
        |url| WebSocketRequest::new(url).max_message_bytes(1_000),
        |mut socket| async move {
            socket.send(Frame::Binary(vec![0; 1_000].into())).await.unwrap();
            _ = socket.send(Frame::Binary(vec![0; 1_001].into())).await;
        },
    )
    .await;
    assert!(next(&mut socket).await.is_ok());
    assert_eq!(next(&mut socket).await.unwrap_err().code(), ErrorCode::PROTOCOL);
}
