//! Who else could change a library, or put another one in its place: links, owners, and the right to write.
//!
//! Looked at are the file, each directory between it and the plugin directory, and the plugin directory.
//! Whoever can write one of these can run code in the host. What is above is left to the operator: whoever
//! can write there can take the host itself away.
//!
//! A group that can write is *others*, with one exception: where each user has a group of their own, with the
//! number of the user, many systems make new files writable by it, and it has no other member. Root's group
//! is no such group: containers run arbitrary users in it.

use std::{
    fs::Metadata,
    path::{Path, PathBuf},
};

use super::IntegrityError;

/// Checks the place of `file`, which is open and has this metadata. `root` is the plugin directory.
pub(super) fn check(file: &Path, root: Option<&Path>, opened: &Metadata) -> Result<(), IntegrityError> {
    let canonical = |path: &Path| {
        // A bare file name has a parent without a name.
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        path.canonicalize().map_err(|source| IntegrityError::Unreadable { file: path.to_owned(), source })
    };
    let named_dir = file.parent().unwrap_or(Path::new(""));
    let root = canonical(root.unwrap_or(named_dir))?;
    let named_dir = canonical(named_dir)?;
    let target = canonical(file)?;
    if !target.starts_with(&root) || !named_dir.starts_with(&root) {
        return Err(IntegrityError::LeadsOut { file: file.to_owned(), target, root });
    }
    check_access(file, opened)?;
    // Both ways: the one by name, because whoever can write there can lead it elsewhere, and the real one.
    let real_dir = target.parent().unwrap_or(&root);
    let below = |path: &&Path| path.starts_with(&root);
    let mut checked: Vec<PathBuf> = Vec::new();
    for dir in named_dir.ancestors().take_while(below).chain(real_dir.ancestors().take_while(below)) {
        if checked.iter().any(|known| known == dir) {
            continue;
        }
        let metadata = dir.metadata();
        let metadata =
            metadata.map_err(|source| IntegrityError::Unreadable { file: dir.to_owned(), source })?;
        check_access(dir, &metadata)?;
        checked.push(dir.to_owned());
    }
    // Nobody but root and this user can change these names now, so they name the file that is open, or it was
    // swapped before.
    let now = target
        .symlink_metadata()
        .map_err(|source| IntegrityError::Unreadable { file: file.to_owned(), source })?;
    if is_same(opened, &now) { Ok(()) } else { Err(IntegrityError::Changed { file: file.to_owned() }) }
}

#[cfg(unix)]
pub(super) fn check_access(path: &Path, metadata: &Metadata) -> Result<(), IntegrityError> {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid().as_raw();
    judge(
        path,
        &Access { owner: metadata.uid(), group: metadata.gid(), mode: metadata.mode() & 0o7777 },
        user,
    )
}

/// Access control lists of Windows are the operator's: a library in the folder of a program is protected by
/// default.
#[cfg(not(unix))]
pub(super) fn check_access(_path: &Path, _metadata: &Metadata) -> Result<(), IntegrityError> {
    Ok(())
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.len(), one.modified().ok()) == (other.len(), other.modified().ok())
}

/// Who may do what with a file.
#[cfg(unix)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) owner: u32,
    pub(super) group: u32,
    pub(super) mode: u32,
}

#[cfg(unix)]
pub(super) fn judge(path: &Path, access: &Access, user: u32) -> Result<(), IntegrityError> {
    const GROUP_WRITES: u32 = 0o020;
    const ALL_WRITE: u32 = 0o002;
    let Access { owner, group, mode } = *access;
    if owner != 0 && owner != user {
        return Err(IntegrityError::Owner { path: path.to_owned(), owner, user });
    }
    let is_private_group = group == owner && owner != 0;
    let by = if mode & ALL_WRITE != 0 {
        "everybody".to_owned()
    } else if mode & GROUP_WRITES != 0 && !is_private_group {
        format!("group {group}")
    } else {
        return Ok(());
    };
    Err(IntegrityError::Writable { path: path.to_owned(), mode, by })
}
