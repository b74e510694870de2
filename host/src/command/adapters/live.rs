//! What a running host says of its adapters, and `tickhost adapters reload`.
#![expect(clippy::indexing_slicing, reason = "a member that a JSON value does not have is null")]

use std::{
    io::{self, Write},
    net::SocketAddr,
    time::Duration,
};

use anyhow::{Context as _, bail};
use hyper::{
    Method, Request, StatusCode,
    body::Buf as _,
    client::conn::http1,
    header::{AUTHORIZATION, HOST},
};
use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::table::list;
use crate::{base::clock, config::Settings, operator::admin::RunningHost};

/// Longest wait for a running host to say how it is.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for it to load an adapter: copying, looking at it, and a margin.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest answer that is read.
const MAX_ANSWER_BYTES: usize = 16 * 1_024 * 1_024;

/// The status of the host that runs with this data folder; none when there is none.
///
/// # Errors
/// When a host answers with something that is no status.
pub(in crate::command) async fn status(settings: &Settings) -> anyhow::Result<Option<(SocketAddr, Value)>> {
    let Some(host) = RunningHost::find(&settings.data_dir).context("cannot read how to reach the host")?
    else {
        return Ok(None);
    };
    let asked = ask(&host, Method::GET, "/status");
    // A host that was killed leaves its file behind; then nobody answers, or another host that got its port.
    let Ok(Ok((status, body))) = tokio::time::timeout(STATUS_TIMEOUT, asked).await else { return Ok(None) };
    match status {
        StatusCode::OK => Ok(Some((host.admin, body))),
        StatusCode::UNAUTHORIZED => Ok(None),
        status => bail!("the host at {} answers {status}", host.admin),
    }
}

/// Where the host listens that says this of itself.
pub(in crate::command) fn listeners(status: &Value) -> Vec<SocketAddr> {
    let listeners = ["websocket", "admin", "bus"].map(|name| &status["listeners"][name]);
    listeners.into_iter().filter_map(|address| address.as_str()?.parse().ok()).collect()
}

/// Lets the running host load an adapter again, whatever has changed; true when it did.
///
/// # Errors
/// When no host runs with this data folder, or it does not answer.
pub(super) async fn reload(settings: &Settings, name: &str, out: &mut dyn Write) -> anyhow::Result<bool> {
    let no_host = || {
        format!(
            "no host runs with the data folder {} (TICKHOST_DATA_DIR); start one with `tickhost run`",
            settings.data_dir.display()
        )
    };
    let host = RunningHost::find(&settings.data_dir).context("cannot read how to reach the host")?;
    let host = host.with_context(no_host)?;
    // Names are letters, digits, - and _, or there is no such adapter.
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        bail!("there is no adapter {name:?} in plugins.toml; `tickhost adapters` lists those that there are");
    }
    let path = format!("/adapters/{name}/reload");
    let asked = ask(&host, Method::POST, &path);
    let no_answer =
        || format!("the host at {} did not answer; `tickhost adapters` says what became of it", host.admin);
    let asked = tokio::time::timeout(RELOAD_TIMEOUT, asked).await.with_context(no_answer)?;
    let (status, body) = asked.map_err(|error| match error.downcast_ref::<io::Error>() {
        Some(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => error.context(no_host()),
        _ => error.context(no_answer()),
    })?;
    let texts = |key: &str| -> Vec<&str> {
        body[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    };
    match status {
        StatusCode::OK => {
            writeln!(
                out,
                "Loaded {}; its feeds follow without a client noticing.",
                texts("loaded").join(", ")
            )?;
            say_asked(&body, out)?;
            Ok(true)
        }
        StatusCode::UNPROCESSABLE_ENTITY => {
            for failed in body["failed"].as_array().into_iter().flatten() {
                let text = |key: &str| failed[key].as_str().unwrap_or_default();
                writeln!(out, "{}: {}", text("name"), text("reason"))?;
            }
            writeln!(out, "Nothing was changed.")?;
            say_asked(&body, out)?;
            Ok(false)
        }
        StatusCode::NOT_FOUND => {
            bail!(
                "there is no adapter {name} in plugins.toml; `tickhost adapters` lists those that there are"
            )
        }
        StatusCode::UNAUTHORIZED => bail!(
            "another host answers at {}: the one that wrote {} has ended; name the data folder of the host that is meant \
             (TICKHOST_DATA_DIR), or start one with `tickhost run`",
            host.admin,
            host.file.display()
        ),
        status => {
            bail!("the host refused ({status}): {}", body["error"].as_str().unwrap_or("no reason given"))
        }
    }
}

/// Says how many feeds ask for a new list of instruments.
fn say_asked(body: &Value, out: &mut dyn Write) -> io::Result<()> {
    match body["lists_asked"].as_u64() {
        None | Some(0) => Ok(()),
        Some(1) => writeln!(
            out,
            "Its feed asks the broker for a new list of instruments, if what it has is not whole."
        ),
        Some(feeds) => {
            writeln!(
                out,
                "Its {feeds} feeds ask the broker for new lists of instruments, if what they have is not whole."
            )
        }
    }
}

/// One request to the socket for commands, or where there is none to the operator's port.
async fn ask(host: &RunningHost, method: Method, path: &str) -> anyhow::Result<(StatusCode, Value)> {
    #[cfg(unix)]
    if let Ok(stream) = tokio::net::UnixStream::connect(&host.socket).await {
        return ask_over(stream, host, method, path).await;
    }
    ask_over(tokio::net::TcpStream::connect(host.admin).await?, host, method, path).await
}

async fn ask_over<S>(
    stream: S,
    host: &RunningHost,
    method: Method,
    path: &str,
) -> anyhow::Result<(StatusCode, Value)>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host.admin.to_string())
        .header(AUTHORIZATION, format!("Bearer {}", host.token.expose_secret()))
        .body(String::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = axum::body::to_bytes(axum::body::Body::new(response.into_body()), MAX_ANSWER_BYTES).await?;
    connection.abort();
    let body = if body.has_remaining() { serde_json::from_reader(body.reader())? } else { Value::Null };
    Ok((status, body))
}

/// Prints the feeds of a running host; nothing when there is none.
pub(super) fn list_feeds(status: &Value, out: &mut dyn Write) -> anyhow::Result<()> {
    let feeds: Vec<&Value> = status["feeds"].as_array().into_iter().flatten().collect();
    if feeds.is_empty() {
        return Ok(writeln!(out, "\nNo feeds: no client has logged in.")?);
    }
    writeln!(out)?;
    let header = [
        "FEED",
        "ADAPTER",
        "USER",
        "STATE",
        "SINCE",
        "MARKET",
        "LAST TICK",
        "SYMBOLS",
        "LIST",
        "PROCESS",
        "MEMORY",
        "ATTEMPTS",
        "RESTARTS",
        "SWAPS",
        "ERROR",
    ];
    list(out, false, &feeds, &header, |feed| feed_cells(feed))?;
    for feed in feeds {
        if let Some(trouble) = feed["list_trouble"].as_str() {
            writeln!(
                out,
                "\nFeed {} ({}): {trouble}",
                feed["id"],
                feed["adapter"].as_str().unwrap_or_default()
            )?;
        }
        if let (Some(segment), Some(at)) =
            (feed["list"]["oldest_segment"].as_str(), feed["list"]["oldest_at"].as_u64())
            && !segment.is_empty()
        {
            let age_ms = (clock::unix_nanos() / 1_000_000).saturating_sub(at.saturating_mul(1_000));
            writeln!(out, "\nFeed {} has {segment} as it was {} ago", feed["id"], time(age_ms))?;
        }
        if feed["lost"].as_u64().is_some_and(|lost| lost > 0) {
            writeln!(
                out,
                "\nFeed {} waits for the list to have {} of its symbols again",
                feed["id"], feed["lost"]
            )?;
        }
    }
    Ok(())
}

fn feed_cells(feed: &Value) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let ago = |key: &str| feed[key].as_u64().map_or_else(|| "-".to_owned(), |ms| format!("{} ago", time(ms)));
    let market = match feed["opens_in_ms"].as_u64() {
        Some(ms) => format!("{}, opens in {}", text(&feed["market"]), time(ms)),
        None => text(&feed["market"]),
    };
    let instruments = match (&feed["list"]["is_whole"], feed["list"]["instruments"].as_u64()) {
        (Value::Bool(true), Some(instruments)) => instruments.to_string(),
        (Value::Bool(false), Some(instruments)) => format!("{instruments}, not whole"),
        _ => "-".to_owned(),
    };
    let instances: Vec<&Value> = feed["instances"].as_array().into_iter().flatten().collect();
    let each =
        |key: &str| -> Vec<u64> { instances.iter().filter_map(|instance| instance[key].as_u64()).collect() };
    let pids: Vec<String> = each("pid").iter().map(u64::to_string).collect();
    let memory: u64 = each("resident_bytes").iter().sum();
    vec![
        text(&feed["id"]),
        text(&feed["adapter"]),
        text(&feed["user"]),
        text(&feed["state"]),
        ago("state_age_ms"),
        market,
        ago("last_tick_age_ms"),
        format!("{} of {}", text(&feed["instruments"]), text(&feed["capacity"])),
        instruments,
        if pids.is_empty() { "-".to_owned() } else { pids.join(",") },
        if memory == 0 { "-".to_owned() } else { format!("{} MiB", memory / (1_024 * 1_024)) },
        text(&feed["attempts"]),
        text(&feed["restarts"]),
        text(&feed["counters"]["swaps"]),
        text(&feed["last_error"]),
    ]
}

/// A time as people say it.
fn time(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{ms} ms"),
        10_000..600_000 => format!("{} s", ms / 1_000),
        600_000..7_200_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}
