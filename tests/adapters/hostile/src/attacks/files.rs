//! Files that are none of its business, and too much in those that are.
#![expect(unsafe_code, reason = "attacks are system calls that no safe interface has")]

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::fs::{FileTypeExt as _, OpenOptionsExt as _, symlink},
    },
    path::PathBuf,
};

use super::{Outcome, said};

/// What `fill_cache` writes at most, so that it harms no machine that lets it.
const MOST_FILES: u32 = 64;
const FILE_BYTES: usize = 1_024 * 1_024;

fn told<T>(result: std::io::Result<T>, gained: &str) -> Outcome {
    result.map(|_| gained.to_owned()).map_err(|error| error.to_string())
}

/// Where this adapter keeps what can be had again.
fn cache() -> PathBuf {
    env::var_os("TICKHOST_CACHE_DIR").map(PathBuf::from).unwrap_or_default()
}

/// The host's data folder, from the folder that adapters have in it.
fn data() -> PathBuf {
    let cache = cache();
    let is_data = |path: &&std::path::Path| path.file_name().is_some_and(|name| name == "data");
    cache.ancestors().find(is_data).map(PathBuf::from).unwrap_or_default()
}

pub(super) fn read(path: &str) -> Outcome {
    told(File::open(path).and_then(|mut file| file.read(&mut [0; 16])), "a file")
}

pub(super) fn list(path: &str) -> Outcome {
    told(fs::read_dir(path), "a folder")
}

pub(super) fn read_beside_cache(name: &str) -> Outcome {
    read(&data().join(name).display().to_string())
}

pub(super) fn list_beside_cache() -> Outcome {
    list(&data().display().to_string())
}

pub(super) fn write(path: &str) -> Outcome {
    let written = fs::write(path, "x");
    // Fails where nothing was written.
    let _gone = fs::remove_file(path);
    told(written, "a file")
}

pub(super) fn write_beside_cache() -> Outcome {
    write(&data().join("hostile").display().to_string())
}

/// The file of which this very code was loaded.
pub(super) fn write_library() -> Outcome {
    let maps = fs::read_to_string("/proc/self/maps").map_err(|error| error.to_string())?;
    let own = maps
        .lines()
        .filter(|line| line.contains("adapter_hostile"))
        .find_map(|line| line.find('/').map(|at| line.split_at(at).1));
    let own = own.ok_or("it is not known")?;
    told(OpenOptions::new().write(true).open(own), "the library")
}

/// So that who cleans or searches the folder goes astray.
pub(super) fn link_out_of_cache() -> Outcome {
    let link = cache().join("names.txt");
    let made = symlink("/etc/passwd", &link);
    let _gone = fs::remove_file(&link);
    told(made, "a link")
}

/// A file without a name, which nobody finds who counts.
pub(super) fn hide_a_file() -> Outcome {
    let file = OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).mode(0o600).open(cache());
    told(file, "a file")
}

/// Types a line for whoever sits at the host's terminal, or opens what would let it.
pub(super) fn type_into_terminal() -> Outcome {
    let null = File::open("/dev/null").map_err(|error| error.to_string())?;
    let letter = b' ';
    // SAFETY: the kernel reads one byte. On what is no terminal it says so, if the call reaches it.
    let typed = said(unsafe { libc::ioctl(null.as_raw_fd(), libc::TIOCSTI, &raw const letter) }.into());
    match typed {
        Err(_) if std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOTTY) => {
            Ok("the call".to_owned())
        }
        other => other.map(|_| "a letter".to_owned()),
    }
}

/// The pipe on which a sibling tells the host what its user's orders do.
pub(super) fn open_pipe(pid: i32) -> Outcome {
    let mut last = "nothing is open".to_owned();
    for number in 0..32 {
        let path = format!("/proc/{pid}/fd/{number}");
        match OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path) {
            Ok(file) if file.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo()) => {
                return Ok("a pipe".to_owned());
            }
            Ok(_) => {}
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

pub(super) fn fill_cache() -> Outcome {
    let bytes = vec![1; FILE_BYTES];
    for number in 0..MOST_FILES {
        let written = fs::write(cache().join(format!("fill-{number}")), &bytes);
        written.map_err(|error| error.to_string())?;
    }
    Ok(format!("{MOST_FILES} MiB"))
}

/// One file that grows, by a call that fails, rather than by one that is answered with a signal.
pub(super) fn long_file() -> Outcome {
    // SAFETY: the signal is ignored by this process alone.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let mut file = File::create(cache().join("long")).map_err(|error| error.to_string())?;
    let bytes = vec![1; FILE_BYTES];
    for _ in 0..MOST_FILES {
        file.write_all(&bytes).map_err(|error| error.to_string())?;
    }
    Ok(format!("{MOST_FILES} MiB"))
}
