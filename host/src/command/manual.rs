//! Completions of shells and manual pages, made from the definition of the command line so that they cannot
//! differ from it.

use std::io::{self, Write};

use anyhow::bail;
use clap::Command;
use clap_complete::Shell;

/// Writes the completions of a shell.
///
/// # Errors
/// When the output cannot be written.
pub(super) fn completions(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    let mut command = super::command_for_completion();
    // The generator panics where it cannot write, so it writes to memory.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "tickhost", &mut text);
    forgiving(out.write_all(&text))
}

/// Writes the manual page of the program, or of the command that these words name.
///
/// # Errors
/// When there is no such command, or the output cannot be written.
pub(super) fn page(words: &[String], out: &mut dyn Write) -> anyhow::Result<()> {
    let mut command = super::command();
    command.build();
    let mut chosen: &Command = &command;
    for word in words {
        let found = chosen.get_subcommands().find(|command| command.get_name() == word);
        let Some(found) = found.filter(|command| !command.is_hide_set()) else {
            bail!("there is no command {}; tickhost --help lists them", words.join(" "));
        };
        chosen = found;
    }
    let mut text = Vec::new();
    render(chosen, &mut text)?;
    Ok(forgiving(out.write_all(&text))?)
}

/// As the library does it, but with the usage of the help as synopsis: theirs names each of some 60 flags.
fn render(command: &Command, text: &mut Vec<u8>) -> io::Result<()> {
    let usage = command.clone().render_usage().to_string();
    let page = clap_mangen::Man::new(command.clone());
    page.render_title(text)?;
    page.render_name_section(text)?;
    writeln!(text, ".SH SYNOPSIS\n{}", usage.trim_start_matches("Usage: ").trim())?;
    page.render_description_section(text)?;
    page.render_options_section(text)?;
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        page.render_subcommands_section(text)?;
    }
    if command.get_after_help().or(command.get_after_long_help()).is_some() {
        page.render_extra_section(text)?;
    }
    if command.get_version().is_some() {
        page.render_version_section(text)?;
    }
    Ok(())
}

/// A closed pipe is the reader's decision.
fn forgiving(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;
    use crate::config::TABLE;

    fn completions_of(shell: Shell) -> String {
        let mut out = Vec::new();
        completions(shell, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn page_of(words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mut out = Vec::new();
        page(&words, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_shell_knows_the_commands_and_the_flags() {
        for shell in Shell::value_variants() {
            let text = completions_of(*shell);
            for word in ["completions", "adapters", "websocket-port", "tls-cert"] {
                assert!(text.contains(word), "{shell}: {word}");
            }
            assert!(!text.contains("document-settings"), "{shell}: nobody types what is hidden");
            assert!(text.len() < 150_000, "{shell}: {} bytes are read by each new shell", text.len());
        }
    }

    #[test]
    fn the_page_has_every_setting_and_no_flag_for_a_secret() {
        let text = page_of(&[]).replace("\\-", "-");
        for setting in TABLE {
            match setting.flag() {
                Some(flag) => assert!(text.contains(&flag), "{flag}"),
                None => assert!(
                    !text.contains(&format!("--{}", setting.key.replace('_', "-"))),
                    "{}",
                    setting.key
                ),
            }
        }
        assert!(text.contains(".SH SYNOPSIS\ntickhost [OPTIONS] <COMMAND>\n"), "{text}");
        assert!(text.starts_with(".ie") && text.contains(".TH tickhost 1"), "{text}");
    }

    #[test]
    fn commands_have_pages_of_their_own() {
        assert!(page_of(&["key", "create"]).contains("tickhost"));
        assert!(!page_of(&["tap"]).contains("throttle"), "flags that decide nothing there are left out");
        for unknown in [&["nothing"][..], &["key", "nothing"], &["run-adapter"]] {
            let words: Vec<String> = unknown.iter().map(|word| (*word).to_owned()).collect();
            let error = page(&words, &mut Vec::new()).unwrap_err().to_string();
            assert!(error.contains("there is no command"), "{error}");
        }
    }
}
