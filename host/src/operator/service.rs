//! Tells the service manager how far the host is: systemd's protocol, one datagram for each word.
//!
//! `Type=notify` in the unit makes `systemctl start` wait until clients can connect, and `systemctl reload`
//! show what came of it. Without a service manager nothing is said.

#[cfg(target_os = "linux")]
use std::os::unix::net::UnixDatagram;

/// Variable with the service manager's socket: a path, or a name after an `@`.
#[cfg(target_os = "linux")]
const VARIABLE: &str = "NOTIFY_SOCKET";

/// The way to the service manager.
#[derive(Debug, Default)]
pub struct Service {
    #[cfg(target_os = "linux")]
    socket: Option<UnixDatagram>,
}

/// What can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// Clients can connect; and a sentence for `systemctl status`.
    Ready(&'a str),
    /// Settings are read again.
    Reloading,
    /// Nobody can connect any more.
    Stopping,
}

#[cfg(target_os = "linux")]
impl Service {
    /// The service manager that started this process, if one did and wants to know.
    pub fn of_environment() -> Self {
        match std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) {
            Some(name) => Self::at(&name),
            None => Self::default(),
        }
    }

    fn at(name: &std::ffi::OsStr) -> Self {
        match connect(name) {
            Ok(socket) => Self { socket: Some(socket) },
            Err(error) => {
                let socket = name.display();
                tracing::warn!(%error, NOTIFY_SOCKET = %socket, "The service manager cannot be told of the start");
                Self::default()
            }
        }
    }

    /// Says it. A service manager that does not listen loses the word; nothing waits for it.
    pub fn tell(&self, news: News<'_>) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(text(news).as_bytes()) {
            tracing::warn!(%error, ?news, "The service manager was not told");
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Service {
    /// There is none on this platform.
    pub fn of_environment() -> Self {
        Self::default()
    }

    /// Says nothing.
    pub fn tell(&self, _: News<'_>) {}
}

#[cfg(target_os = "linux")]
fn connect(name: &std::ffi::OsStr) -> std::io::Result<UnixDatagram> {
    use std::os::{
        linux::net::SocketAddrExt as _,
        unix::{ffi::OsStrExt as _, net::SocketAddr},
    };

    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn text(news: News<'_>) -> String {
    match news {
        // A line is one assignment.
        News::Ready(status) => format!("READY=1\nSTATUS={}", status.replace('\n', " ")),
        News::Reloading => {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            let usec = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
            format!("RELOADING=1\nMONOTONIC_USEC={usec}")
        }
        News::Stopping => "STOPPING=1".to_owned(),
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::os::{linux::net::SocketAddrExt as _, unix::net::SocketAddr};

    use super::*;

    fn heard(manager: &UnixDatagram) -> String {
        let mut bytes = [0; 512];
        let count = manager.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    #[test]
    fn a_manager_is_told_by_path_and_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("tickhost-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let managers = [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (UnixDatagram::bind_addr(&address).unwrap(), format!("@{name}").into()),
        ];
        for (manager, name) in managers {
            let service = Service::at(&name);
            service.tell(News::Ready("Serving\nws://a"));
            service.tell(News::Reloading);
            service.tell(News::Stopping);
            assert_eq!(heard(&manager), "READY=1\nSTATUS=Serving ws://a");
            let reloading = heard(&manager);
            let usec = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
            assert!(usec.parse::<u64>().unwrap() > 0, "{reloading}");
            assert_eq!(heard(&manager), "STOPPING=1");
        }
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        Service::default().tell(News::Stopping);
        Service::at("/nowhere/at/all".as_ref()).tell(News::Stopping);
        Service::at(format!("/{}", "x".repeat(300)).as_ref()).tell(News::Stopping);
    }
}
