//! Starts the processes of the host.
//!
//! They end with the thread that started them, because the kernel takes its end for that of the host. So
//! those that stay are started on a thread that does nothing else and never ends.

use std::{
    io,
    sync::{LazyLock, mpsc},
};

use tokio::{
    process::{Child, Command},
    sync::oneshot,
};

type Job = Box<dyn FnOnce() + Send>;

static STARTER: LazyLock<io::Result<mpsc::Sender<Job>>> = LazyLock::new(|| {
    let (jobs, waiting) = mpsc::channel::<Job>();
    std::thread::Builder::new()
        .name("starter".to_owned())
        .spawn(move || waiting.iter().for_each(|job| job()))?;
    Ok(jobs)
});

/// Starts a process that may stay as long as the host. Must be called in a runtime, whose process it becomes.
///
/// # Errors
/// What the system says against it.
pub(super) async fn start(mut command: Command) -> io::Result<Child> {
    let gone = || io::Error::other("the thread that starts processes is gone");
    let runtime = tokio::runtime::Handle::current();
    let (tell, started) = oneshot::channel();
    let job: Job = Box::new(move || {
        let _entered = runtime.enter();
        // Nobody may wait any more; then the process ends with the answer.
        _ = tell.send(known(|| command.spawn(), Child::id));
    });
    match &*STARTER {
        Ok(jobs) => jobs.send(job).map_err(|_| gone())?,
        Err(error) => return Err(io::Error::new(error.kind(), error.to_string())),
    }
    started.await.map_err(|_| gone())?
}

/// Starts a process that this thread waits for.
///
/// # Errors
/// What the system says against it.
pub(super) fn start_here(command: &mut std::process::Command) -> io::Result<std::process::Child> {
    known(|| command.spawn(), |child| Some(child.id()))
}

#[cfg(target_os = "linux")]
use super::orphans::known;
#[cfg(target_os = "linux")]
pub(super) use super::orphans::{has_ended, running};

/// Notes nothing: there is nobody who would ask.
#[cfg(not(target_os = "linux"))]
fn known<C>(start: impl FnOnce() -> io::Result<C>, _number: impl FnOnce(&C) -> Option<u32>) -> io::Result<C> {
    start()
}

/// Knows of none.
#[cfg(not(target_os = "linux"))]
pub(super) const fn running() -> usize {
    0
}

/// Notes nothing.
#[cfg(not(target_os = "linux"))]
pub(super) const fn has_ended(_number: u32) {}
