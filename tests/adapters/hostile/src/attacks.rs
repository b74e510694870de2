//! The attacks. Each gives what it gained, or why it gained nothing. None does lasting harm to a machine on
//! which it succeeds: what is stopped is let go on at once, what is started ends by itself.

mod files;
mod memory;
mod processes;
mod signals;
mod sockets;

use std::io;

/// Who is attacked.
#[derive(Clone, Copy, Debug)]
pub struct Victims {
    /// The host's process.
    pub host: i32,
    /// The process of another user's adapter; 0 for none.
    pub sibling: i32,
    /// A port on this machine.
    pub port: u16,
}

/// The process that started this one.
pub(crate) fn parent() -> i32 {
    i32::try_from(std::os::unix::process::parent_id()).unwrap_or(0)
}

type Outcome = Result<String, String>;

/// Tries the attack of this name.
pub(crate) fn attempt(name: &str, victims: &Victims) -> Outcome {
    let Victims { host, sibling, port } = *victims;
    match name {
        "read_host_memory" => memory::read_any(host),
        "read_sibling_credential" => memory::find_credential(sibling),
        "peek_sibling" => memory::read_by_call(sibling),
        "trace_host" => memory::trace(host),
        "trace_sibling" => memory::trace(sibling),
        "take_descriptor" => memory::take_descriptor(sibling),
        "forge_through_pipe" => files::open_pipe(sibling),
        "read_environment" => files::read(&format!("/proc/{host}/environ")),
        "list_processes" => files::list("/proc"),
        "read_key_file" => files::read_beside_cache("master.key"),
        "read_database" => files::read_beside_cache("tickhost.db"),
        "list_data" => files::list_beside_cache(),
        "read_settings" => files::read("/etc/shadow"),
        "write_beside_cache" => files::write_beside_cache(),
        "write_temporary" => files::write("/tmp/adapter-hostile"),
        "write_library" => files::write_library(),
        "link_out_of_cache" => files::link_out_of_cache(),
        "hide_a_file" => files::hide_a_file(),
        "open_terminal" => files::type_into_terminal(),
        "fill_cache" => files::fill_cache(),
        "long_file" => files::long_file(),
        "stop_host" => signals::stop(host),
        "stop_host_by_descriptor" => signals::stop_by_descriptor(host),
        "stop_host_by_socket" => signals::stop_by_socket(host),
        "stop_host_by_group" => signals::stop_by_group(host),
        "stop_host_by_old_call" => signals::stop_by_old_call(host),
        "stop_sibling" => signals::stop(sibling),
        "limit_host" => signals::limit(host),
        "slow_host" => signals::slow(host),
        "start_program" => processes::start_program(),
        "leave_a_child" => processes::leave_a_child(),
        "leave_a_grandchild" => processes::leave_a_grandchild(),
        "outlive_the_host" => processes::outlive(),
        "new_namespace" => processes::new_namespace(),
        "queue_of_calls" => processes::queue_of_calls(),
        "shared_memory" => processes::shared_memory(),
        "uncounted_memory" => processes::uncounted_memory(),
        "watch_files" => processes::watch_files(),
        "keyring" => processes::keyring(),
        "unix_socket" => sockets::unix(),
        "raw_socket" => sockets::odd_family(),
        "listen" => sockets::listen(),
        "connect" => sockets::connect(port),
        "resolve" => sockets::resolve(),
        _ => Err(format!("there is no attack {name}")),
    }
}

/// What the system said of a call whose result is negative when it failed.
fn said(result: i64) -> Result<i64, String> {
    if result < 0 { Err(io::Error::last_os_error().to_string()) } else { Ok(result) }
}
