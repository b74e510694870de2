//! Why a library is refused: one sentence each, with what to do.

use std::{io, path::PathBuf};

use super::MAX_BYTES;
use crate::base::sha256::Sha256;

/// Why a library is not loaded. Each message says what is wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntegrityError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// The library, or a directory on the way to it.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The copy cannot be written.
    #[error("cannot copy {} to {}: {source}", file.display(), run_dir.display())]
    NotCopied {
        /// The library.
        file: PathBuf,
        /// Where the copy was to be.
        run_dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory, a pipe, a device.
    #[error("{} is no regular file: name the library itself in plugins.toml", file.display())]
    NoFile {
        /// What is no file.
        file: PathBuf,
    },
    /// The file has no bytes.
    #[error("{} is no library for this machine: it is empty: copy it again, then rename it into place", file.display())]
    Empty {
        /// The library.
        file: PathBuf,
    },
    /// The file is larger than any library.
    #[error("{} is no library: it has {bytes} bytes, and at most {MAX_BYTES} are read", file.display())]
    TooLarge {
        /// The library.
        file: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The file ends before its own headers say.
    #[error(
        "{} is no library for this machine: it is truncated at {bytes} bytes: copy it again, then rename it into place",
        file.display()
    )]
    Truncated {
        /// The library.
        file: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// Another kind of file, or a library for another machine.
    #[error("{} is no library for this machine: {reason}; get or build one for it", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// Somebody wrote the file while it was copied.
    #[error(
        "{} changed while it was read: wait until it is written, or write it beside its place and rename it",
        file.display()
    )]
    Changed {
        /// The library.
        file: PathBuf,
    },
    /// A link points to something outside of the plugin directory.
    #[error(
        "{} is a link that leads out of {} to {}: put the library itself there, or name its own path in plugins.toml",
        file.display(), root.display(), target.display()
    )]
    LeadsOut {
        /// The library as named.
        file: PathBuf,
        /// Where it really is.
        target: PathBuf,
        /// The plugin directory.
        root: PathBuf,
    },
    /// Others can change the library, or put another one in its place.
    #[error(
        "{} can be written by {by} (mode {mode:04o}), who could run anything in this host: chmod go-w {}",
        path.display(), path.display()
    )]
    Writable {
        /// The library or a directory.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
        /// Who can write it.
        by: String,
    },
    /// The library, or a directory on the way to it, is another user's.
    #[error(
        "{} belongs to user {owner}, who could change it: chown it to root or to the user that runs this host ({user})",
        path.display()
    )]
    Owner {
        /// The library or a directory.
        path: PathBuf,
        /// Number of its owner.
        owner: u32,
        /// Number of this process's user.
        user: u32,
    },
    /// Another library than the one that was pinned.
    #[error(
        "{} is not the library that plugins.toml pins: it has sha256 {found}, pinned is {pinned}; if you replaced it, \
         run `tickhost adapters pin`, if not, restore it", file.display()
    )]
    NotPinned {
        /// The library.
        file: PathBuf,
        /// What `plugins.toml` says.
        pinned: Sha256,
        /// What the copy has.
        found: Sha256,
    },
    /// There is no signature.
    #[error(
        "{} is not signed: [trust] in plugins.toml requires its author's signature in {}", file.display(),
        signature.display()
    )]
    NotSigned {
        /// The library.
        file: PathBuf,
        /// Where the signature was looked for.
        signature: PathBuf,
    },
    /// The signature cannot be read, or is none.
    #[error("{} is no signature of {}: {reason}", signature.display(), file.display())]
    NoSignature {
        /// The library.
        file: PathBuf,
        /// What was taken for its signature.
        signature: PathBuf,
        /// Why it is none.
        reason: String,
    },
    /// The signature was made with a key that nobody trusts.
    #[error(
        "{} is signed with a key that [trust] in plugins.toml does not list: get the library from an author that you \
         trust, or add the key to minisign_keys (signature {})", file.display(), signature.display()
    )]
    UnknownSigner {
        /// The library.
        file: PathBuf,
        /// Its signature.
        signature: PathBuf,
    },
    /// The library is not what was signed.
    #[error(
        "{} is not what its author signed (signature {}): one of them was changed or belongs to another version; get \
         both again", file.display(), signature.display()
    )]
    BadSignature {
        /// The library.
        file: PathBuf,
        /// Its signature.
        signature: PathBuf,
    },
}
