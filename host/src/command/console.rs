//! `tickhost console`: the link that opens the console.

use std::{io::Write, net::TcpStream, time::Duration};

use anyhow::{Context as _, bail};

use crate::{
    config::Settings,
    operator::admin::{RunningHost, Token},
};

/// Longest wait for the host to take a connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// Prints the link to the console of the host that runs with this data folder.
///
/// # Errors
/// When none runs, or the token cannot be read.
pub(super) fn print_link(settings: &Settings, out: &mut dyn Write) -> anyhow::Result<()> {
    let found = RunningHost::find(&settings.data_dir).context("cannot read how to reach the host")?;
    // A host that was killed leaves its file behind.
    let alive = found.filter(|host| TcpStream::connect_timeout(&host.admin, PATIENCE).is_ok());
    let Some(host) = alive else {
        bail!(
            "no host runs with the data folder {} (TICKHOST_DATA_DIR); start one with `tickhost run`",
            settings.data_dir.display()
        );
    };
    writeln!(out, "{}", Token::of_console(&settings.data_dir)?.console_link(host.admin))?;
    Ok(())
}
