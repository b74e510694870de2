//! The first run, ended at every point at which it changes a file: what it leaves lets the next one finish.
//!
//! The host is traced, and comes to its end when it is about to make its n-th call that changes a file of the
//! data folder, for every n until one serves: killed there, or on a disk that is full from there on.

#![expect(unsafe_code, reason = "to trace a process takes calls of the system that have no safe form")]

use std::{fs, io, os::unix::process::CommandExt as _, path::PathBuf, process::Stdio};

use integration_tests::HostBuilder;

/// As little as a first run takes: the demo user is served by the bus, and no library is loaded.
const PLUGINS: &str = "[bus]\nbrokers = [\"sim\"]\ncalendar = \"always\"\n";

/// Calls that change what a folder holds.
const ON_PATHS: [libc::c_long; 7] = [
    libc::SYS_rename,
    libc::SYS_renameat2,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    libc::SYS_chmod,
];

/// Calls that change an open file.
const ON_FILES: [libc::c_long; 6] = [
    libc::SYS_write,
    libc::SYS_pwrite64,
    libc::SYS_fallocate,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
];

/// Of them, those that take room on a disk.
const GROWING: [libc::c_long; 3] = [libc::SYS_write, libc::SYS_pwrite64, libc::SYS_fallocate];

/// What happens at the point that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Killed,
    DiskFull,
}

/// How a traced host went.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It was killed at the point.
    Killed,
    /// It ended by itself.
    Exited,
    /// It served all the same.
    Served,
    /// It served, and has fewer points.
    NotReached,
}

struct Run<'a> {
    data: PathBuf,
    said: PathBuf,
    builder: &'a HostBuilder,
}

impl<'a> Run<'a> {
    fn new(builder: &'a HostBuilder) -> Self {
        Self { data: builder.dir().join("data"), said: builder.dir().join("said"), builder }
    }

    /// Runs a host to the point with this number, counted from 0.
    fn to(&self, point: usize, fate: Fate) -> End {
        let mut command = self.builder.command(&["run"]);
        let said = fs::File::create(&self.said).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        // SAFETY: between fork and exec there is this one call, which is async-signal-safe.
        unsafe {
            command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0_usize, 0_usize) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        let host = command.spawn().unwrap().id().cast_signed();
        let (end, has_ended) = self.follow(host, point, fate);
        if !has_ended {
            // SAFETY: the process is this test's, and has not been waited for.
            assert_eq!(unsafe { libc::kill(host, libc::SIGKILL) }, 0);
            while !matches!(wait(), (thread, status) if thread == host && is_end(status)) {}
        }
        end
    }

    /// Follows a host that was just started; says whether it has ended, too.
    fn follow(&self, host: libc::pid_t, point: usize, fate: Fate) -> (End, bool) {
        let (mut met, mut is_full) = (0, false);
        let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
        let (first, _) = wait();
        assert_eq!(first, host);
        trace(libc::PTRACE_SETOPTIONS, host, options);
        trace(libc::PTRACE_SYSCALL, host, 0);
        loop {
            let (thread, status) = wait();
            if is_end(status) {
                if thread == host {
                    return (End::Exited, true);
                }
                continue;
            }
            let mut signal = libc::WSTOPSIG(status);
            if signal == libc::SIGTRAP | 0x80 {
                signal = 0;
                if let Some((number, first)) = entered(thread) {
                    if number == libc::SYS_write && first == 1 {
                        return (if met > point { End::Served } else { End::NotReached }, false);
                    }
                    let is_of_data = || {
                        let open = fs::read_link(format!("/proc/{host}/fd/{first}"));
                        open.is_ok_and(|path| path.starts_with(&self.data))
                    };
                    let is_counted = ON_PATHS.contains(&number) || ON_FILES.contains(&number) && is_of_data();
                    if is_counted {
                        if met == point && fate == Fate::Killed {
                            return (End::Killed, false);
                        }
                        is_full |= met >= point;
                        met += 1;
                        if is_full && GROWING.contains(&number) {
                            refuse(thread);
                        }
                    }
                }
            } else if signal == libc::SIGTRAP || signal == libc::SIGSTOP {
                // A new thread, or that there is one.
                signal = 0;
            }
            trace(libc::PTRACE_SYSCALL, thread, signal);
        }
    }

    /// Asserts that a start from what was left serves, and that the one user there is has the key in the
    /// file.
    fn assert_mended(&self, after: &str) {
        let end = self.to(usize::MAX, Fate::Killed);
        let said = || fs::read_to_string(&self.said).unwrap();
        assert_eq!(end, End::NotReached, "{after}: {}", said());
        let key = fs::read_to_string(self.data.join("demo.key"));
        let key = key.unwrap_or_else(|error| panic!("{after}: no key file: {error}"));
        let store = rusqlite::Connection::open(self.data.join("tickhost.db")).unwrap();
        let ids: Vec<String> = store
            .prepare(
                "SELECT k.id FROM users u JOIN accounts a ON a.user = u.id JOIN api_keys k ON k.user = u.id",
            )
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(ids.len(), 1, "{after}");
        assert!(key.starts_with(&format!("th_{}_", ids[0])), "{after}: the key is another's");
    }
}

/// The next thing that happens to a process of this thread.
fn wait() -> (libc::pid_t, libc::c_int) {
    let mut status = 0;
    // SAFETY: the status is a valid place. Children of other threads, which other tests may have, are left
    // alone.
    let thread = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
    assert!(thread > 0, "{}", io::Error::last_os_error());
    (thread, status)
}

fn is_end(status: libc::c_int) -> bool {
    libc::WIFEXITED(status) || libc::WIFSIGNALED(status)
}

fn trace(request: libc::c_uint, thread: libc::pid_t, data: libc::c_int) {
    // SAFETY: these requests take numbers, and change nothing in this process. A thread that was killed
    // meanwhile is gone.
    unsafe { libc::ptrace(request, thread, 0_usize, libc::c_long::from(data)) };
}

/// Number and first argument of the call that a stopped thread is about to make; none when it has just made
/// one.
fn entered(thread: libc::pid_t) -> Option<(libc::c_long, u64)> {
    // SAFETY: all bits of the structure may be zero, and the kernel is told its size.
    unsafe {
        let mut info: libc::ptrace_syscall_info = std::mem::zeroed();
        let size = size_of_val(&info);
        let got = libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, thread, size, &raw mut info);
        let is_entry = got > 0 && info.op == libc::PTRACE_SYSCALL_INFO_ENTRY;
        is_entry.then(|| (info.u.entry.nr.cast_signed(), info.u.entry.args[0]))
    }
}

/// Lets the call that a thread is about to make end with "no space left on device".
fn refuse(thread: libc::pid_t) {
    // SAFETY: the registers of a stopped thread of x86-64 are changed, nothing of this process.
    unsafe {
        let set = |register: libc::c_int, value: i64| {
            libc::ptrace(libc::PTRACE_POKEUSER, thread, 8 * register.cast_unsigned() as usize, value)
        };
        set(libc::ORIG_RAX, -1);
        libc::ptrace(libc::PTRACE_SYSCALL, thread, 0_usize, 0_usize);
        let mut status = 0;
        libc::waitpid(thread, &raw mut status, libc::__WALL);
        set(libc::RAX, -i64::from(libc::ENOSPC));
    }
}

/// Tries all points of a first run, and says how many there are.
fn try_all(fate: Fate, assert_end: impl Fn(&Run<'_>, &End, &str)) -> usize {
    for point in 0..1_000 {
        let builder = HostBuilder::new();
        fs::write(builder.plugins_path(), PLUGINS).unwrap();
        let run = Run::new(&builder);
        let end = run.to(point, fate);
        if end == End::NotReached {
            return point;
        }
        let after = format!("{fate:?} at point {point}");
        assert_end(&run, &end, &after);
        run.assert_mended(&after);
    }
    panic!("a first run has fewer points");
}

#[test]
fn a_first_run_that_is_killed_at_any_point_leaves_what_the_next_one_can_finish() {
    let points = try_all(Fate::Killed, |_, end, after| assert_eq!(*end, End::Killed, "{after}"));
    assert!(points > 20, "only {points} points were found; is the host traced?");
}

#[test]
fn a_disk_that_is_full_from_any_point_on_is_said_and_the_next_run_finishes() {
    let points = try_all(Fate::DiskFull, |run, end, after| {
        let said = fs::read_to_string(&run.said).unwrap();
        assert!(*end == End::Served || said.contains("is full"), "{after}: {said}");
    });
    assert!(points > 20, "only {points} points were found; is the host traced?");
}
