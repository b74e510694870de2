//! Both ends of the connection for ticks in one process, as the benchmark measures them: everything between
//! the intake of an adapter's process and the host's [`AdapterEvents`].

use std::{io, path::Path, sync::Arc};

use secrecy::SecretString;
use tickhost_core::{
    intake::{Doorbell, Intake},
    model::FeedId,
};

use super::{
    receiver::{self, Listener},
    sender::{self, Endpoint},
};
use crate::adapters::AdapterEvents;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Opens the connection, each end on a thread with a runtime of its own, which end with the process. What is
/// offered to the intake that this gives comes out at `events`.
///
/// # Errors
/// When there is no socket, runtime or thread to be had.
pub fn open(run_dir: &Path, events: Arc<dyn AdapterEvents>) -> io::Result<Arc<Intake>> {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    let host = runtime()?;
    let listener = host.block_on(async { Listener::bind(run_dir) })?;
    let endpoint = Endpoint { address: listener.address().clone(), token: SecretString::from(TOKEN) };
    let doorbell = Doorbell::new();
    let intake = Intake::new(FeedId(0), Arc::default(), Arc::clone(&doorbell));
    std::thread::Builder::new()
        .name("measured-host".to_owned())
        .spawn(move || host.block_on(receiver::run(listener, TOKEN, events)))?;
    let (child, offered) = (runtime()?, Arc::clone(&intake));
    std::thread::Builder::new().name("measured-child".to_owned()).spawn(move || {
        child.block_on(async { sender::connect(&endpoint).await?.run(offered, doorbell).await })
    })?;
    Ok(intake)
}
