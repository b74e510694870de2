//! The terminal: entered, drawn on, and given back as it was on every way out.

use std::io::{self, Stdout, Write as _};

use crossterm::{
    cursor,
    event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    execute, queue,
    style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor},
    terminal::{
        self, BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap,
        EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    },
};
use tokio::sync::mpsc;

use super::board::{Line, Style};

/// The terminal while it is ours.
#[derive(Debug)]
pub(super) struct Screen {
    out: Stdout,
    quit: mpsc::Receiver<()>,
    has_colour: bool,
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        let (sender, quit) = mpsc::channel(1);
        terminal::enable_raw_mode()?;
        // From here on dropping it restores the terminal.
        let mut screen = Self {
            out: io::stdout(),
            quit,
            has_colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        // Characters of double width may make a line longer than it was counted: it must not push the others
        // down.
        execute!(screen.out, EnterAlternateScreen, DisableLineWrap, cursor::Hide)?;
        // Reading blocks, so it has a thread, which ends with the process.
        std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
            while let Ok(event) = event::read() {
                if means_quit(&event) {
                    _ = sender.blocking_send(());
                    return;
                }
            }
        })?;
        Ok(screen)
    }

    /// Waits until the person at the terminal wants to leave, or is gone with the keyboard.
    ///
    /// # Cancel Safety
    /// Nothing is lost.
    pub(super) async fn left(&mut self) {
        _ = self.quit.recv().await;
    }

    /// Draws a picture that is made for the size of the terminal.
    pub(super) fn draw(&mut self, picture: impl FnOnce(usize, usize) -> Vec<Line>) -> io::Result<()> {
        let (width, height) = terminal::size()?;
        let lines = picture(width.into(), height.into());
        queue!(self.out, BeginSynchronizedUpdate)?;
        for (row, line) in (0..height).zip(&lines) {
            queue!(self.out, cursor::MoveTo(0, row))?;
            for (style, text) in line {
                self.set(*style)?;
                queue!(self.out, Print(text), SetAttribute(Attribute::Reset), ResetColor)?;
            }
            // After a full line the cursor stands on the last character, which clearing would take away.
            if line.iter().map(|(_, text)| text.chars().count()).sum::<usize>() < width.into() {
                queue!(self.out, Clear(ClearType::UntilNewLine))?;
            }
        }
        let drawn = u16::try_from(lines.len()).unwrap_or(height);
        if drawn < height {
            queue!(self.out, cursor::MoveTo(0, drawn), Clear(ClearType::FromCursorDown))?;
        }
        queue!(self.out, EndSynchronizedUpdate)?;
        self.out.flush()
    }

    fn set(&mut self, style: Style) -> io::Result<()> {
        match style {
            Style::Header => queue!(self.out, SetAttribute(Attribute::Bold)),
            Style::Dim => queue!(self.out, SetAttribute(Attribute::Dim)),
            Style::Up if self.has_colour => queue!(self.out, SetForegroundColor(Color::Green)),
            Style::Down if self.has_colour => queue!(self.out, SetForegroundColor(Color::Red)),
            Style::Warning if self.has_colour => queue!(self.out, SetForegroundColor(Color::Yellow)),
            Style::Plain | Style::Up | Style::Down | Style::Warning => Ok(()),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        _ = execute!(self.out, cursor::Show, EnableLineWrap, LeaveAlternateScreen);
        _ = terminal::disable_raw_mode();
    }
}

/// Whether it is q, Escape or Ctrl-C, which is a key like others while the terminal is ours.
fn means_quit(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind != KeyEventKind::Release
        && (is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}
