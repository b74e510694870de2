//! The file of the calendar: read at the start, and followed.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tickhost_core::calendar::{Calendar, CalendarError, Calendars, MAX_FILE_BYTES};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::base::{
    blocking::{may_wait, off_thread},
    cause,
};

/// Between two looks at the file.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The calendar of a file, or the built-in one when there is none.
///
/// # Errors
/// When the file cannot be read or says something that cannot be.
pub fn open(path: Option<&Path>) -> Result<Calendars, CalendarError> {
    let calendar = path.map_or_else(|| Ok(Calendar::built_in()), |path| Calendar::parse(&read(path)?))?;
    Ok(Calendars::new(calendar))
}

/// Follows changes of the file until `stop`, and looks at once when it is asked to. One with mistakes changes
/// nothing but the log. What the file says at the call counts as known.
pub fn follow(
    calendars: Calendars,
    path: PathBuf,
    ask: Arc<Notify>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static {
    let seen = read(&path);
    look(calendars, path, seen, ask, stop)
}

async fn look(
    calendars: Calendars,
    path: PathBuf,
    mut seen: Result<String, CalendarError>,
    ask: Arc<Notify>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = ask.notified() => {}
            () = stop.cancelled() => return,
        }
        let read_from = path.clone();
        let Ok(text) = off_thread(move |_| read(&read_from)).await else { continue };
        if text == seen {
            continue;
        }
        seen.clone_from(&text);
        match text.and_then(|text| Calendar::parse(&text)) {
            Ok(calendar) => {
                tracing::info!(path = %path.display(), "The calendar of the exchanges has changed");
                calendars.put(calendar);
            }
            Err(error) => tracing::error!(
                path = %path.display(),
                %error,
                "The calendar of the exchanges has mistakes; the one before stays until they are mended"
            ),
        }
    }
}

fn read(path: &Path) -> Result<String, CalendarError> {
    may_wait();
    let unreadable = |error: std::io::Error| CalendarError::Unreadable(cause::of_reading(&error));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}
