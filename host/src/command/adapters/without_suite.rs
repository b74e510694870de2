//! What `adapters dev` and `adapters test` say in a program that was built without the conformance suite.

use std::ffi::OsString;

use clap::Args;

/// Whatever the commands take in a program that has the suite.
#[derive(Debug, Args)]
pub struct Ignored {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    arguments: Vec<OsString>,
}

pub(super) use Ignored as DevArgs;
pub(super) use Ignored as TestArgs;

/// Why the command does nothing, and what to do instead.
pub(super) const NONE: &str = "this tickhost was built without the conformance suite (its feature `conformance`): run `cargo test` in the \
     adapter's folder, which runs the suite too, or build a tickhost that has it in Tickhost's sources, by `cargo build --release -p \
     tickhost --features conformance`";

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::command::adapters::{AdaptersCommand, handle};

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(subcommand)]
        command: AdaptersCommand,
    }

    #[test]
    fn whatever_is_asked_of_the_suite_the_answer_says_which_program_has_it() {
        for line in ["x test . --case C07 --junit out.xml", "x test --list", "x dev . --no-test", "x dev"] {
            let command = Line::try_parse_from(line.split(' ')).unwrap().command;
            let refused =
                handle(command, &crate::config::Sources::default(), &mut Vec::new()).unwrap_err().to_string();
            assert!(
                refused.contains("--features conformance") && refused.contains("cargo test"),
                "{refused}"
            );
        }
    }
}
