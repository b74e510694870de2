//! The present calendar.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Calendar;

/// The calendar that is in force. Cheap to clone; all clones see the same.
#[derive(Clone, Debug)]
pub struct Calendars(Arc<ArcSwap<Calendar>>);

impl Calendars {
    /// Starts with this one.
    pub fn new(calendar: Calendar) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(calendar)))
    }

    /// Puts another one in force.
    pub fn put(&self, calendar: Calendar) {
        self.0.store(Arc::new(calendar));
    }

    /// Whether the one in force is not this one. Cheap enough for each turn of a loop.
    pub fn has_another(&self, known: &Arc<Calendar>) -> bool {
        !Arc::ptr_eq(&self.0.load(), known)
    }

    /// The one in force.
    pub fn present(&self) -> Arc<Calendar> {
        self.0.load_full()
    }
}

impl Default for Calendars {
    fn default() -> Self {
        Self::new(Calendar::built_in())
    }
}
