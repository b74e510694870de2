//! Asks the person at the terminal, or reads answers line by line from whoever is in their place.

use std::io::{self, BufRead, IsTerminal as _, Write};

use anyhow::{Context as _, bail};
use secrecy::{ExposeSecret as _, SecretString};

/// Longest answer, in bytes.
const MAX_ANSWER_BYTES: usize = 16 * 1_024;

/// Somebody who answers questions.
pub(in crate::command) struct Person<'a> {
    input: &'a mut dyn BufRead,
    out: &'a mut dyn Write,
    is_terminal: bool,
}

impl<'a> Person<'a> {
    /// The one at this process's standard input.
    pub(in crate::command) fn at_standard_input(input: &'a mut dyn BufRead, out: &'a mut dyn Write) -> Self {
        Self { input, out, is_terminal: io::stdin().is_terminal() }
    }

    /// Tells them something.
    ///
    /// # Errors
    /// When nobody listens any more.
    pub(super) fn tell(&mut self, text: &str) -> anyhow::Result<()> {
        writeln!(self.out, "{text}").context("cannot print")
    }

    /// Asks for one line. What is secret does not show at a terminal.
    ///
    /// # Errors
    /// When there is no answer, or it is too long.
    pub(super) fn ask(&mut self, question: &str, is_secret: bool) -> anyhow::Result<SecretString> {
        write!(self.out, "{question}: ")?;
        self.out.flush()?;
        let answer = if is_secret && self.is_terminal {
            SecretString::from(rpassword::read_password().context("cannot read from the terminal")?)
        } else {
            let mut line = String::new();
            let read = io::Read::take(&mut *self.input, MAX_ANSWER_BYTES as u64 + 1).read_line(&mut line);
            let line = SecretString::from(line);
            if read.context("the answer is not UTF-8 text")? == 0 {
                bail!("there is no answer");
            }
            line
        };
        let answer = answer.expose_secret();
        if answer.len() > MAX_ANSWER_BYTES {
            bail!("the answer is longer than {MAX_ANSWER_BYTES} bytes");
        }
        if !self.is_terminal {
            // Whoever reads the output later sees where an answer was taken.
            writeln!(self.out)?;
        }
        Ok(SecretString::from(answer.trim()))
    }
}
