//! Files of the system that are often replaced by new ones of the same name, such as that with the name
//! servers. The cage of a process is about the file that had the name when it was locked in, and hides its
//! successor.

use std::{fs::File, io::ErrorKind};

/// They stand in a folder that is not shown as a whole, because the host's settings may be in it too.
const FILES: [&str; 3] = ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"];

/// Those that can be read.
#[derive(Clone, Debug)]
pub(in super::super) struct SystemFiles(Vec<&'static str>);

impl SystemFiles {
    /// Those that can be read now.
    pub(in super::super) fn note() -> Self {
        Self(FILES.into_iter().filter(|file| File::open(file).is_ok()).collect())
    }

    /// One that cannot be read any more although it is there.
    pub(in super::super) fn unreadable(&self) -> Option<&'static str> {
        let is_hidden =
            |file: &&str| File::open(file).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
        self.0.iter().copied().find(|file| is_hidden(file))
    }
}
