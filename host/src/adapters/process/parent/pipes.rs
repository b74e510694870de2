//! What goes into a process and what it prints.

use std::{sync::Arc, time::Duration};

use adapter_abi::LogLevel;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    process::ChildStderr,
    sync::{mpsc, watch},
};

use super::{
    super::wire::{self, ToChild},
    Shared,
};
use crate::adapters::AdapterEvents;

/// Longest line of a process's standard error; what is longer is logged in parts.
const MAX_STDERR_LINE_BYTES: u64 = 4_096;

/// Writes commands to the process, which may be slow to read them. Ends when the process is gone.
pub(super) async fn write(
    mut input: Box<dyn AsyncWrite + Send + Unpin>,
    begin: ToChild,
    mut commands: mpsc::Receiver<ToChild>,
    shared: Arc<Shared>,
    events: Arc<dyn AdapterEvents>,
) {
    let mut shutdown = shared.shutdown.subscribe();
    let (mut is_stopping, mut is_let_go) = (false, false);
    let mut message = begin;
    loop {
        if input.write_all(&wire::to_line(&message)).await.is_err() {
            return;
        }
        message = loop {
            tokio::select! {
                biased;
                time = asked_to_stop(&mut shutdown), if !is_stopping => {
                    is_stopping = true;
                    break ToChild::Shutdown { deadline_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX) };
                }
                command = commands.recv(), if !is_let_go => match command {
                    Some(ToChild::CredentialsChanged) => {
                        let credentials = ToChild::Credentials(events.credentials());
                        if input.write_all(&wire::to_line(&credentials)).await.is_err() {
                            return;
                        }
                        break ToChild::CredentialsChanged;
                    }
                    Some(command) => break command,
                    // Nobody will say more than that it has to stop.
                    None => is_let_go = true,
                },
                // Its input stays open until the process ends, since its end would say that the host is gone.
                else => std::future::pending().await,
            }
        };
    }
}

/// Waits until a shutdown is asked for; gives its time.
pub(super) async fn asked_to_stop(shutdown: &mut watch::Receiver<Option<Duration>>) -> Duration {
    match shutdown.wait_for(Option::is_some).await.map(|asked| *asked) {
        Ok(Some(time)) => time,
        // The sender lives as long as the task.
        _ => std::future::pending().await,
    }
}

/// Logs what the process prints, bounded by the line and by the rate of log lines. It is read on in any case,
/// or a process that prints much would wait.
pub(super) async fn log_errors(errors: ChildStderr, events: Arc<dyn AdapterEvents>) {
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut errors).take(MAX_STDERR_LINE_BYTES).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = wire::tidy(&String::from_utf8_lossy(&line));
                if !text.trim().is_empty() {
                    events.log(LogLevel::WARN, "stderr", text.trim(), "{}");
                }
            }
        }
    }
}
