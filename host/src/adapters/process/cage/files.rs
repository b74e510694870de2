//! Landlock: the files and folders that a library needs, and nothing else; and no signals to anybody else.
//!
//! A rule is about the file that has the name now. Where a file of the system may be replaced while the
//! adapter runs, the folder is named, if it holds nothing secret; [`super::system_files`] are the others, and
//! the process watches them.

use std::{
    env, fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, NetPort, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, Scope, make_bitflags, path_beneath_rules,
};

use super::{Inside, named_paths};
use crate::config::Cage;

/// What is asked of the kernel; an older one gives a part of it.
const WANTED: ABI = ABI::V6;

/// Programs and libraries, certificates, time zones, names of machines: what every program reads, and nothing
/// that is anybody's secret. `/etc` as a whole is not among them, as the host's own settings may be there.
const SYSTEM: [&str; 45] = [
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/sbin",
    "/nix/store",
    "/gnu/store",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/gai.conf",
    "/etc/gnutls",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/locale.conf",
    "/etc/networks",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/timezone",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/systemd/resolve",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/sys/vm/overcommit_memory",
    "/var/lib/ca-certificates",
    // To be read alone: mapped to be written and shared, it is memory that no limit counts.
    "/dev/zero",
];

/// Devices that are no devices.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/full", "/dev/random", "/dev/urandom"];

/// Variables that name certificates, libraries and time zones; several paths stand between colons.
const VARIABLES: [&str; 4] = ["SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH", "TZDIR"];

/// Where a build that counts what it runs writes its counts.
const COVERAGE: &str = "LLVM_PROFILE_FILE";

/// The process's own folder of `/proc`, kept open: the kernel would make another one of the same name, to
/// which the rule says nothing.
static OWN_FOLDER: OnceLock<Option<OwnedFd>> = OnceLock::new();

/// Lets this thread, and those that it starts, reach nothing else from now on.
pub(super) fn restrict(cage: &Cage, inside: &Inside<'_>) -> Result<(), RulesetError> {
    let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    // No links, pipes, sockets and devices: who looks after the folder must be able to trust what it finds
    // there.
    let write = read
        | make_bitflags!(AccessFs::{
            WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir | Refer
        });
    let mut rules =
        Ruleset::default().handle_access(AccessFs::from_all(WANTED))?.scope(Scope::from_all(WANTED))?;
    if !cage.ports.is_empty() {
        rules = rules.handle_access(AccessNet::ConnectTcp)?;
    }
    let (named_files, named_folders): (Vec<_>, Vec<_>) =
        named_paths(inside.config_json).into_iter().partition(|path| path.is_file());
    let run = if cage.allowed.processes { read | AccessFs::Execute } else { read };
    let to_read = of_environment().chain([inside.library.to_owned()]).chain(resolver()).chain(named_files);
    let to_write = inside.cache.map(Path::to_owned).into_iter().chain(named_folders).chain(coverage());
    let mut rules = rules
        .create()?
        .add_rules(path_beneath_rules(SYSTEM, run))?
        .add_rules(path_beneath_rules(to_read.chain(cage.readable.iter().cloned()), run))?
        .add_rules(path_beneath_rules(to_write.chain(cage.writable.iter().cloned()), write))?
        .add_rules(path_beneath_rules(DEVICES, make_bitflags!(AccessFs::{ReadFile | WriteFile})))?
        .add_rules(own_folder(read))?;
    for port in &cage.ports {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    rules.restrict_self()?;
    Ok(())
}

/// What the process may know of itself.
fn own_folder(
    read: BitFlags<AccessFs>,
) -> impl Iterator<Item = Result<landlock::PathBeneath<PathFd>, RulesetError>> {
    OWN_FOLDER.get_or_init(|| fs::File::open("/proc/self").ok().map(OwnedFd::from));
    path_beneath_rules(["/proc/self"], read)
}

/// Paths that the environment names, and this program, in which a backtrace finds its names.
fn of_environment() -> impl Iterator<Item = PathBuf> {
    let values = VARIABLES.iter().filter_map(env::var_os);
    let named = values.flat_map(|value| env::split_paths(&value).collect::<Vec<_>>());
    named.filter(|path| path.is_absolute() && path.parent().is_some()).chain(env::current_exe())
}

/// What the file with the name servers is a link to, with the folder if that is made for it.
fn resolver() -> impl Iterator<Item = PathBuf> {
    let target = fs::canonicalize("/etc/resolv.conf").ok();
    let folder = target.as_deref().and_then(Path::parent).filter(|folder| folder.starts_with("/run"));
    let folder = folder.filter(|folder| folder.components().count() > 2).map(Path::to_owned);
    folder.into_iter().chain(target)
}

fn coverage() -> Option<PathBuf> {
    let file = PathBuf::from(env::var_os(COVERAGE)?);
    file.parent().filter(|folder| folder.is_absolute() && folder.parent().is_some()).map(Path::to_owned)
}
