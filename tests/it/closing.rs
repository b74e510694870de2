//! What the host answers to a close frame, byte by byte: a library of a client would hide it.

use integration_tests::{Host, SOON};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Everything that comes after the upgrade, when a client sends a close frame with this payload.
async fn answer(host: &Host, payload: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(host.websocket).await.unwrap();
    socket.write_all(UPGRADE.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    // Masked with zeros, which changes nothing.
    let mut frame = vec![0x88, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    socket.write_all(&frame).await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(SOON, socket.read_to_end(&mut rest)).await.expect("the host closes").unwrap();
    rest
}

/// The code of a close frame, and its reason. A frame without a payload has neither.
fn read(frame: &[u8]) -> Option<(u16, String)> {
    assert_eq!(frame.first(), Some(&0x88), "a close frame and nothing before it: {frame:?}");
    assert_eq!(frame.len(), 2 + usize::from(frame[1]), "and nothing after it: {frame:?}");
    let code = u16::from_be_bytes(frame.get(2..4)?.try_into().unwrap());
    Some((code, String::from_utf8(frame[4..].to_vec()).unwrap()))
}

#[tokio::test]
async fn a_close_code_that_may_not_be_sent_is_answered_with_1002() {
    let host = Host::start();
    let refused = [0, 1, 999, 1_004, 1_005, 1_006, 1_014, 1_015, 1_016, 1_100, 2_000, 2_999, 5_000, 65_535];
    for code in refused {
        let said = read(&answer(&host, &u16::to_be_bytes(code)).await);
        assert_eq!(said.map(|(code, _)| code), Some(1_002), "{code}");
    }
    assert_eq!(read(&answer(&host, &[3]).await).map(|(code, _)| code), Some(1_002), "half a code");
    let no_utf8 = [&1_000_u16.to_be_bytes()[..], b"\xff"].concat();
    assert_eq!(
        read(&answer(&host, &no_utf8).await).map(|(code, _)| code),
        Some(1_007),
        "a reason that is no UTF-8"
    );
    for code in [1_000, 1_001, 1_003, 1_011, 3_000, 4_999] {
        let payload = [&u16::to_be_bytes(code)[..], b"bye"].concat();
        assert_eq!(read(&answer(&host, &payload).await), Some((code, "bye".to_owned())), "an echo");
    }
    assert_eq!(read(&answer(&host, &[]).await), None, "who names no code gets none");
}
