//! Starts a process, or asks the service manager for one that belongs to another user.

use std::{
    io,
    path::Path,
    process::{ExitStatus, Stdio},
};

use secrecy::SecretString;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    process::{Child, ChildStderr, Command},
};

#[cfg(target_os = "linux")]
use super::super::orphans;
use super::{
    super::{quota, receiver::Listener, starter},
    Plan,
};

/// Where an adapter keeps what can be had again, as the SDK knows it.
const CACHE_DIR: &str = "TICKHOST_CACHE_DIR";

/// Variables that a process gets from the host's environment, which may hold secrets.
pub(in crate::adapters::process) const INHERITED: [&str; 17] = [
    "PATH",
    "HOME",
    "TZ",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SYSTEMROOT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "RUST_BACKTRACE",
    "LLVM_PROFILE_FILE",
];

/// A process that has just been started, and the ways to it.
pub(super) struct Launched {
    pub(super) process: Process,
    pub(super) input: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) output: Box<dyn AsyncRead + Send + Unpin>,
    /// What it prints; none where the service manager takes it.
    pub(super) errors: Option<ChildStderr>,
    pub(super) listener: Listener,
    pub(super) token: SecretString,
}

/// A process, as far as the host has a hold on it.
pub(super) enum Process {
    /// The host's own.
    Own(Child),
    /// The service manager's: it ends when its connection does.
    Foreign,
}

impl Launched {
    /// Starts the process of this plan, with this cache folder.
    ///
    /// # Errors
    /// What the system says against it.
    pub(super) async fn start(plan: &Plan, cache: &Path) -> io::Result<Self> {
        let token = SecretString::from(format!("{:032x}", rand::random::<u128>()));
        // The socket for ticks belongs to the runtime that reads it.
        let ticks = &plan.settings.ticks;
        #[cfg(unix)]
        if let Some(socket) = &plan.socket {
            let stream = tokio::net::UnixStream::connect(socket).await.map_err(|error| {
                io::Error::new(error.kind(), format!("{} does not answer: {error}", socket.display()))
            })?;
            // Another user cannot enter the folder of the private sockets.
            let listener = within(ticks, Listener::bind_loopback)?;
            let (output, input) = stream.into_split();
            let (input, output) = (Box::new(input), Box::new(output));
            return Ok(Self { process: Process::Foreign, input, output, errors: None, listener, token });
        }
        let listener = within(ticks, || Listener::bind(&plan.settings.run_dir))?;
        let mut child = starter::start(command(plan, cache)).await?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("it has no streams"));
        };
        let errors = child.stderr.take();
        let (input, output) = (Box::new(input), Box::new(output));
        Ok(Self { process: Process::Own(child), input, output, errors, listener, token })
    }
}

fn within<T>(runtime: &tokio::runtime::Handle, make: impl FnOnce() -> T) -> T {
    let _entered = runtime.enter();
    make()
}

fn command(plan: &Plan, cache: &Path) -> Command {
    let mut command = Command::new(&plan.settings.program);
    command.arg("run-adapter").arg(&*plan.name).env_clear();
    for name in INHERITED {
        for name in [name.to_owned(), name.to_lowercase()] {
            if let Some(value) = std::env::var_os(&name) {
                command.env(name, value);
            }
        }
    }
    // Its own folder, also for what is temporary. An adapter without one downloads its list each time, and
    // says so.
    if let Err(error) = quota::make(cache) {
        tracing::warn!(adapter = &*plan.name, folder = %cache.display(), %error, "An adapter has no cache folder");
    }
    command.env(CACHE_DIR, cache).env("TMPDIR", cache);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // A group of its own: Ctrl-C in the host's terminal is the host's affair, and what the library starts is
    // killed with it.
    #[cfg(unix)]
    command.process_group(0);
    command
}

impl Process {
    /// Its number; 0 where the host does not know it.
    pub(super) fn id(&self) -> u32 {
        match self {
            Self::Own(child) => child.id().unwrap_or(0),
            Self::Foreign => 0,
        }
    }

    /// Waits for its end; for ever where the host does not hear of it but by the end of its output. Cancel
    /// safe.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        match self {
            Self::Own(child) => child.wait().await,
            Self::Foreign => std::future::pending().await,
        }
    }

    /// Kills it with all that it started, and waits until it is gone. `id` is its number. `has_ended` says
    /// that it was waited for already.
    pub(super) async fn kill(&mut self, id: u32, has_ended: bool) {
        // The connection of one that is not the host's ends with the streams, and the process with it.
        let Self::Own(child) = self else { return };
        #[cfg(unix)]
        if let Some(group) = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw) {
            // Also when the process itself has ended, since it may have left others. When there are none the
            // call fails.
            _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        if !has_ended {
            _ = child.start_kill();
            _ = child.wait().await;
        }
        starter::has_ended(id);
        // What it left behind in other groups has come to the host by now.
        #[cfg(target_os = "linux")]
        {
            let left = crate::base::blocking::off_thread(|_| orphans::end_all()).await.unwrap_or(0);
            if left > 0 {
                tracing::warn!(left, "An adapter left processes behind, which were ended");
            }
        }
    }
}
