//! The `tickhost` command.

fn main() -> std::process::ExitCode {
    tickhost::cli::main()
}
