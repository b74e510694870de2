//! The `tickhost` command.

/// After a peak it gives memory back to the system, which that of the C library keeps in its arenas.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    tickhost::command::main()
}
