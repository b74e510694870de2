//! The faults, and what is to be expected of each.

/// Most repeats of a fault that leaves a thread behind.
const MOST_LEFT_BEHIND: u32 = 3;

/// A fault of `adapter_faulty`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// How it is brought about, once its file is there.
    pub(crate) how: How,
    /// Whether a new connection follows, with ticks that are numbered from one again.
    pub(crate) starts_over: bool,
    in_host: InHost,
    /// Lines of its entry, such as a limit that makes it short.
    pub(crate) more: &'static str,
}

/// What brings a fault about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The adapter finds its file.
    File,
    /// The same; it lasts until the file is removed.
    WhileFile,
    /// A client subscribes to a symbol.
    Subscription,
    /// The adapter finds its file, and then refuses a symbol that a client subscribed for that.
    Refusal,
    /// New credentials make the adapter connect again.
    Credentials,
}

/// What it does to a host that runs the library itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InHost {
    Survives,
    LeavesThread,
    Ends,
}

const fn fault(name: &'static str, how: How, starts_over: bool, in_host: InHost) -> Fault {
    Fault { name, how, starts_over, in_host, more: "" }
}

/// All of them.
pub(crate) const FAULTS: [Fault; 17] = [
    fault("segfault", How::File, true, InHost::Ends),
    fault("abort", How::File, true, InHost::Ends),
    fault("exit", How::File, true, InHost::Ends),
    fault("panic_callback", How::Subscription, true, InHost::Survives),
    fault("panic_task", How::File, true, InHost::Survives),
    fault("panic_escape", How::File, true, InHost::Ends),
    fault("endless_loop", How::File, true, InHost::LeavesThread),
    fault("sleep_in_connect", How::Credentials, true, InHost::LeavesThread),
    fault("sleep_in_next", How::File, true, InHost::LeavesThread),
    Fault { more: "memory_mb = 256", ..fault("memory_leak", How::File, true, InHost::Ends) },
    Fault { more: "descriptors = 256", ..fault("descriptor_leak", How::File, true, InHost::Ends) },
    fault("thread_leak", How::File, false, InHost::Ends),
    fault("tick_flood", How::WhileFile, false, InHost::Survives),
    fault("garbage_records", How::File, false, InHost::Survives),
    fault("stray_ids", How::File, false, InHost::Survives),
    fault("log_secret", How::Refusal, true, InHost::Survives),
    fault("stdout_noise", How::File, false, InHost::Survives),
];

impl Fault {
    /// How often it is to happen in this mode; none when the host would not survive it.
    pub(crate) fn repeats(&self, isolation: &str, wanted: u32) -> Option<u32> {
        match self.in_host {
            _ if isolation == "process" => Some(wanted),
            InHost::Survives => Some(wanted),
            InHost::LeavesThread => Some(wanted.min(MOST_LEFT_BEHIND)),
            InHost::Ends => None,
        }
    }
}
