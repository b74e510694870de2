//! The terminal: entered, drawn on, and given back as it was on every way out.

use std::io::{self, Stdout, Write as _};

use crossterm::{
    cursor,
    event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    execute, queue,
    style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor},
    terminal::{
        self, BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
        LeaveAlternateScreen,
    },
};
use tokio::sync::mpsc;

use super::board::{Line, Style};

/// What the person at the terminal did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pressed {
    Quit,
    Resized,
}

/// The terminal while it is ours.
#[derive(Debug)]
pub(super) struct Screen {
    out: Stdout,
    pressed: mpsc::Receiver<Pressed>,
    has_colour: bool,
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        let (sender, pressed) = mpsc::channel(16);
        terminal::enable_raw_mode()?;
        // From here on dropping it restores the terminal.
        let mut screen = Self {
            out: io::stdout(),
            pressed,
            has_colour: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        execute!(screen.out, EnterAlternateScreen, cursor::Hide)?;
        // Reading blocks, so it has a thread, which ends with the process.
        std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
            while let Ok(event) = event::read() {
                if let Some(pressed) = meaning(&event)
                    && sender.blocking_send(pressed).is_err()
                {
                    return;
                }
            }
        })?;
        Ok(screen)
    }

    /// What was pressed next.
    pub(super) async fn pressed(&mut self) -> Pressed {
        // Without a keyboard there is nobody left to look.
        self.pressed.recv().await.unwrap_or(Pressed::Quit)
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
            queue!(self.out, Clear(ClearType::UntilNewLine))?;
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
        _ = execute!(self.out, cursor::Show, LeaveAlternateScreen);
        _ = terminal::disable_raw_mode();
    }
}

fn meaning(event: &Event) -> Option<Pressed> {
    match event {
        Event::Resize(..) => Some(Pressed::Resized),
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            let is_interrupt =
                key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            (is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)).then_some(Pressed::Quit)
        }
        _ => None,
    }
}
