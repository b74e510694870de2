//! Files that are there whole or not at all, whatever ends the process or fills the disk, and that no link of
//! somebody else leads astray.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::base::blocking::may_wait;
/// The right of everybody to write.
#[cfg(unix)]
const ALL_WRITE: u32 = 0o002;

/// What is wanted of a file that is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// Who may read and write it, as bits of Unix.
    pub(crate) mode: u32,
    /// Whether it must be on the disk before the call returns, to outlive a loss of power.
    pub(crate) is_durable: bool,
    /// Ends the name under which it is written first. No two programs may write one file at a time under one
    /// ending.
    pub(crate) ending: &'a str,
}

/// Puts a file with these bytes in the place of what is there: readers see the one or the other, whole. What
/// is there is never opened, so a link is replaced and not followed, and permissions of an older file are not
/// kept.
///
/// # Errors
/// The system's; what was there is there still then, unless only the last step failed, which makes it
/// durable.
pub(crate) fn replace(path: &Path, bytes: &[u8], wanted: Wanted<'_>) -> io::Result<()> {
    use io::Write as _;

    may_wait();
    let name =
        path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it has no name"))?;
    let mut aside = std::ffi::OsString::from(".");
    aside.push(name);
    aside.push(wanted.ending);
    let aside = Aside(path.with_file_name(aside));
    let mut file = create(&aside.0, wanted.mode)?;
    file.write_all(bytes)?;
    if wanted.is_durable {
        file.sync_all()?;
    }
    drop(file);
    fs::rename(&aside.0, path)?;
    if wanted.is_durable {
        sync_folder_of(path)?;
    }
    Ok(())
}

/// Makes a file that was not there, in the place of one that a killed program left. Follows no link.
fn create(path: &Path, mode: u32) -> io::Result<fs::File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
}

/// Makes names in the folder of a file outlive a loss of power. Not every system can do that with a folder.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(folder)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// A file that goes unless it was renamed.
struct Aside(PathBuf);

impl Drop for Aside {
    fn drop(&mut self) {
        // After the rename there is nothing under this name.
        _ = fs::remove_file(&self.0);
    }
}

/// Refuses a folder in which, or on the way to which, somebody else could put links in the way of a file: one
/// that everybody may write to without the sticky bit, and a link or folder of another user in one with it.
/// Of a folder that does not exist what does exist of its path is looked at.
///
/// # Errors
/// Who could, and what to do; or that it cannot be looked at.
pub(crate) fn require_unshared(folder: &Path) -> io::Result<()> {
    may_wait();
    let absolute = std::path::absolute(folder)?;
    let existing = absolute.ancestors().find(|folder| folder.exists()).unwrap_or(&absolute);
    // As it is named, because of the links in it, and as it is, because of where they lead.
    for way in [existing.to_owned(), existing.canonicalize()?] {
        for (folder, below) in way.ancestors().zip(std::iter::once(None).chain(way.ancestors().map(Some))) {
            require_way(folder, below)?;
        }
    }
    Ok(())
}

/// As [`require_unshared`], and refuses a folder that everybody may write to in any case: for files under
/// names that somebody else could take first.
///
/// # Errors
/// Who could, and what to do; or that it cannot be looked at.
pub(crate) fn require_closed(folder: &Path) -> io::Result<()> {
    require_unshared(folder)?;
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(folder)
        && std::os::unix::fs::MetadataExt::mode(&metadata) & ALL_WRITE != 0
    {
        return Err(writable(folder));
    }
    Ok(())
}

#[cfg(unix)]
fn writable(folder: &Path) -> io::Error {
    io::Error::other(format!(
        "everybody may write to {}, and so could lead files elsewhere; take that right away with chmod o-w, or name another \
         folder",
        folder.display()
    ))
}

/// Looks at one folder of a path, and at what is below it on the way.
#[cfg(unix)]
fn require_way(folder: &Path, below: Option<&Path>) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    const STICKY: u32 = 0o1000;

    let mode = fs::metadata(folder)?.mode();
    if mode & ALL_WRITE == 0 {
        return Ok(());
    }
    if mode & STICKY == 0 {
        return Err(writable(folder));
    }
    let Some(below) = below else { return Ok(()) };
    let owner = fs::symlink_metadata(below)?.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!(
            "{} belongs to another user (number {owner}) in a folder that everybody may write to, and could lead files \
             elsewhere; name another folder",
            below.display()
        )));
    }
    Ok(())
}

/// Access control lists of Windows are the operator's.
#[cfg(not(unix))]
fn require_way(_folder: &Path, _below: Option<&Path>) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    const PRIVATE: Wanted<'_> = Wanted { mode: 0o600, is_durable: true, ending: ".new" };

    #[test]
    fn a_file_is_replaced_whole_with_its_own_mode_and_what_a_killed_program_left_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("demo.key");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(dir.path().join(".demo.key.new"), "hal").unwrap();
        let mut open = fs::File::open(&path).unwrap();
        replace(&path, b"whole", PRIVATE).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(io::read_to_string(&mut open).unwrap(), "old", "whoever had opened it sees nothing new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn links_in_the_way_are_replaced_and_what_they_lead_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let path = dir.path().join("stats.json");
        for link in [path.clone(), dir.path().join(".stats.json.new")] {
            symlink(&victim, link).unwrap();
        }
        replace(&path, b"{}", PRIVATE).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }

    #[test]
    fn what_cannot_be_written_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"x", PRIVATE).is_err());
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn folders_that_everybody_may_write_to_are_refused_without_the_sticky_bit() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, own) = (dir.path().join("shared"), dir.path().join("shared/own"));
        fs::create_dir_all(&own).unwrap();
        require_unshared(&own).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
        for folder in [&shared, &own, &shared.join("not/yet/there")] {
            let error = require_unshared(folder).unwrap_err().to_string();
            assert!(error.contains("everybody may write") && error.contains("chmod o-w"), "{error}");
        }
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
        for folder in [&shared, &own, &shared.join("not/yet/there")] {
            require_unshared(folder).unwrap();
        }
        require_closed(&own).unwrap();
        require_closed(&shared).unwrap_err();
        // A link is looked through: where it leads is what counts, and what it stands in.
        let link = dir.path().join("link");
        symlink(&own, &link).unwrap();
        require_unshared(&link).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
        require_unshared(&link).unwrap_err();
    }

    #[test]
    fn what_another_user_has_in_a_shared_folder_is_refused() {
        // Only root can make such a thing.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let (theirs, real) = (dir.path().join("theirs"), tempfile::tempdir().unwrap());
        symlink(real.path(), &theirs).unwrap();
        std::os::unix::fs::lchown(&theirs, Some(12_345), None).unwrap();
        let error = require_unshared(&theirs).unwrap_err().to_string();
        assert!(error.contains("another user (number 12345)"), "{error}");
    }
}
