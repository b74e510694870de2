//! Strangers who fill ports: what the operator, commands and adapters need stays there for them.

use std::{fs, net::SocketAddr, process::Command, time::Duration};

use integration_tests::{Client, HostBuilder, host::assert_ok, process, wait_until};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

/// Opens connections, as many as the other side lets in, and sends each the beginning of a request.
async fn crowd(address: SocketAddr, count: usize, head: &str) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for _ in 0..count {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            // It may be closed already.
            let _sent = stream.write_all(head.as_bytes()).await;
            crowd.push(stream);
        }
    }
    crowd
}

#[tokio::test]
async fn slow_requests_keep_neither_probes_nor_commands_from_the_host() {
    let host = HostBuilder::new().start();
    let slow = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ";
    let unread = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    for head in ["", slow, unread] {
        let held = crowd(host.admin, 200, head).await;
        let asked = tokio::time::Instant::now();
        assert_eq!(host.get("/livez").await.status, 200, "beside {head:?}");
        assert_ok(&host.run(&["alive"], ""));
        assert!(asked.elapsed() < Duration::from_secs(15));
        drop(held);
    }
    assert!(host.metric("tickhost_server_operator_ended_total").await >= 100.0);
}

#[tokio::test]
async fn commands_reach_the_host_when_nobody_else_can() {
    let host = HostBuilder::new().start();
    // Nobody has a place at the port: that its address leads elsewhere is the same to a command.
    let control = host.data_dir().join("run/control.json");
    let mut content: serde_json::Value = serde_json::from_slice(&fs::read(&control).unwrap()).unwrap();
    content["admin"] = "127.0.0.1:1".into();
    fs::write(&control, content.to_string()).unwrap();
    assert_ok(&host.run(&["alive"], ""));
    assert_ok(&host.run(&["adapters", "reload", "sim"], ""));
    let listed = host.run(&["account", "status"], "");
    assert!(!String::from_utf8_lossy(&listed.stdout).contains("No host runs"), "{listed:?}");
}

#[tokio::test]
async fn a_check_says_how_many_clients_fit_and_the_host_admits_no_more() {
    let builder = HostBuilder::new().descriptors(1_024);
    let checked = builder.run(&["check"], "");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_ok(&checked);
    let line =
        said.lines().find(|line| line.contains("descriptors 1024")).unwrap_or_else(|| panic!("{said}"));
    let fit = line.split("enough for ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let warning = said.lines().find(|line| line.starts_with("warning  TICKHOST_MAX_CONNECTIONS is 10000"));
    assert!(warning.is_some_and(|line| line.contains(fit) && line.contains("LimitNOFILE")), "{said}");
    let host = builder.start();
    assert_eq!(host.status().await["limits"]["connections"].to_string(), fit);
    let logged = host.messages("The descriptors of the host are shared out");
    assert_eq!(logged[0]["clients"].to_string(), fit, "{logged:?}");
    // Enough for all that the setting allows is no reason for a warning.
    let roomy = HostBuilder::new().env("TICKHOST_MAX_CONNECTIONS", 100).run(&["check"], "");
    assert!(!String::from_utf8_lossy(&roomy.stdout).contains("warning  TICKHOST_MAX"), "{roomy:?}");
}

#[tokio::test]
async fn a_crowd_of_connections_leaves_descriptors_for_adapters_the_operator_and_files() {
    let mut settings = HostBuilder::new().descriptors(256);
    for name in ["TICKHOST_MAX_CONNECTIONS", "TICKHOST_MAX_CONNECTIONS_PER_ADDRESS"] {
        settings = settings.env(name, 100_000);
    }
    let stats = settings.dir().join("stats.json");
    let host = settings.env("WS_PROXY_STATS_FILE", stats.display()).start();
    let admitted = host.status().await["limits"]["connections"].as_u64().unwrap();
    assert!((8..200).contains(&admitted), "{admitted}");
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    client.tick().await;
    let crowds = (crowd(host.websocket, 600, "").await, crowd(host.bus, 600, "").await);
    let open = || fs::read_dir(format!("/proc/{}/fd", host.pid())).unwrap().count();
    wait_until("half of the descriptors are left", || async { open() <= 128 + 16 }).await;

    // An adapter that dies is started again, and its clients get ticks.
    let before = process::adapters_of(host.pid());
    assert_eq!(before.len(), 1);
    assert!(Command::new("kill").args(["-9", &before[0].pid.to_string()]).status().unwrap().success());
    wait_until("the adapter is started again", || async {
        host.metric("tickhost_feed_restarts_total").await >= 1.0
    })
    .await;
    for _ in 0..3 {
        client.tick().await;
    }
    assert_ok(&host.run(&["alive"], ""));
    assert_eq!(host.get("/livez").await.status, 200);
    assert_ok(&host.run(&["key", "create", "demo"], ""));
    assert!(!host.log().contains("Too many open files"), "{}", host.log());
    drop(crowds);
}
