//! The cases. A number is never given to another case; new ones are appended.

mod books;
mod demand;
mod identity;
mod lifecycle;
mod link;
mod lists;
mod login;
mod orders;
mod state;
mod values;

use std::time::Duration;

use crate::{stage::Stage, verdict::Check};

/// Time that most cases have.
const USUAL: Duration = Duration::from_mins(1);

/// Time for the case that connects a thousand times.
const LONG: Duration = Duration::from_mins(3);

/// One numbered case.
#[derive(Clone, Copy)]
pub struct Case {
    /// Stable number, such as `C03`.
    pub id: &'static str,
    /// Name in words.
    pub slug: &'static str,
    /// Who was hurt, in a sentence: why the case exists.
    pub because: &'static str,
    /// Time that it has, after which it counts as failed when it runs in a process of its own.
    pub limit: Duration,
    /// It counts what is open in the whole process, so that no other may run beside it there.
    pub(crate) is_alone: bool,
    pub(crate) run: fn(&Stage<'_>) -> Check,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").field("id", &self.id).field("slug", &self.slug).finish_non_exhaustive()
    }
}

const fn case(
    id: &'static str,
    slug: &'static str,
    because: &'static str,
    run: fn(&Stage<'_>) -> Check,
) -> Case {
    Case { id, slug, because, limit: USUAL, is_alone: false, run }
}

/// All cases, in the order of their numbers.
pub const CASES: &[Case] = &[
    case(
        "C01",
        "never-relabels",
        "a trader sold one share at the price of another, after a reconnect had given the broker's handles to other \
         instruments",
        identity::never_relabels,
    ),
    case(
        "C02",
        "no-invented-zeros",
        "a volume that the broker had not sent was shown as 0, and strategies took the market for dead; yesterday's high \
         stood beside the price of the pre-open, and bids that were gone beside the ask",
        state::no_invented_zeros,
    ),
    case(
        "C03",
        "partial-packets-merged",
        "a packet with nothing but a new price wiped out the day's high and low",
        state::partial_packets,
    ),
    case(
        "C04",
        "several-packets-in-a-frame",
        "only the first packet of each frame was read, so that the busiest instruments hid all others",
        values::several_in_a_frame,
    ),
    case(
        "C05",
        "fresh-token-on-reconnect",
        "the token changes every night, and the feed came back each morning with yesterday's until somebody restarted \
         the host",
        login::fresh_token,
    ),
    case(
        "C06",
        "refused-login-stops",
        "an expired token was tried in a loop all night, and in the morning the broker had locked the account",
        login::refused_login_stops,
    ),
    case(
        "C07",
        "stall-noticed",
        "a connection stayed open but silent, and prices stood still for an hour while everything looked healthy",
        link::stall_noticed,
    ),
    case(
        "C08",
        "bulk-subscribe",
        "a thousand symbols went out as a thousand messages, and the broker cut the connection for flooding",
        demand::bulk,
    ),
    case(
        "C09",
        "mode-up-and-down",
        "a client that asked for the book made every other one of that symbol wait, and the book kept coming when it \
         had gone",
        demand::modes,
    ),
    case(
        "C10",
        "unsubscribe-to-zero",
        "the last client left, the adapter hung up, and the next one waited for a log-in, or got none",
        demand::unsubscribe_to_zero,
    ),
    case(
        "C11",
        "clean-stop",
        "an adapter did not end, so that each restart of the host took a minute of trading",
        lifecycle::clean_stop,
    ),
    Case {
        limit: LONG,
        is_alone: true,
        ..case(
            "C12",
            "thousand-reconnects",
            "a descriptor was lost at each reconnect, and after a week of bad network the host could open no file",
            link::many_reconnects,
        )
    },
    case(
        "C13",
        "timestamps",
        "times in Indian local time were passed on as UTC, and every tick seemed to come from the future",
        values::timestamps,
    ),
    case(
        "C14",
        "odd-symbols",
        "symbols with underscores, hyphens or spaces were cut apart, and never ticked",
        identity::odd_symbols,
    ),
    case(
        "C15",
        "heartbeats",
        "a quiet instrument made the adapter reconnect again and again, or the broker hung up because nobody answered \
         its heartbeats",
        link::heartbeats,
    ),
    case(
        "C16",
        "granted-depth",
        "clients were promised fifty levels and got five, and trusted the rest of the book to be empty",
        books::granted_depth,
    ),
    case(
        "C17",
        "price-scaling",
        "prices in paise were shown a hundred times too high, and binary fractions cost an order its limit",
        values::price_scaling,
    ),
    case(
        "C18",
        "secrets-not-logged",
        "an access token stood in a log file that was sent to a support forum",
        login::secrets_not_logged,
    ),
    case(
        "C19",
        "random-bytes-survived",
        "one malformed packet ended the feed of everybody for the rest of the day",
        link::random_bytes,
    ),
    case(
        "C20",
        "settings-checked",
        "a misspelt setting was ignored in silence, and the adapter ran for a month with the default",
        lifecycle::settings_checked,
    ),
    case(
        "C21",
        "subscribed-again-after-loss",
        "the connection came back without the instruments that had been added while it was away",
        link::subscribed_again,
    ),
    case(
        "C22",
        "unknown-instrument-refused",
        "a misspelt symbol was accepted, and a client waited for it all day; or it took the whole request down with it",
        identity::unknown_refused,
    ),
    case(
        "C23",
        "calls-return-at-once",
        "a broker accepted connections but answered nothing, and the host hung in the adapter's call",
        lifecycle::calls_return,
    ),
    case(
        "C24",
        "logs-in",
        "the log-in asked for the same code again and again, and its refusal was tried until the broker locked the account",
        login::logs_in,
    ),
    case(
        "C25",
        "odd-order-members",
        "one order with a null in it cost the update of a fill, and a quantity that could not be read was shown as 0",
        orders::odd_members,
    ),
    case(
        "C26",
        "list-renewed",
        "the broker gave a number to another instrument in its new list, and the feed went on by the list of the morning",
        lists::renewed,
    ),
    case(
        "C27",
        "incomplete-list",
        "one of the broker's files came empty, and every derivative was refused until somebody noticed",
        lists::incomplete,
    ),
    case(
        "C28",
        "one-session",
        "a trader's own terminal and the host threw each other out four times a second, until the broker locked the account",
        link::one_session,
    ),
    case(
        "C29",
        "image-or-update",
        "an update was taken for the whole and wiped the quote; the whole was taken for an update, and yesterday's high stayed",
        state::image_or_update,
    ),
    case(
        "C30",
        "another-day",
        "the feed came back in the morning and showed the volume of the day before beside the first price",
        state::another_day,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_order_and_slugs_unique() {
        for (place, case) in CASES.iter().enumerate() {
            assert_eq!(case.id, format!("C{:02}", place + 1));
            assert!(CASES.iter().filter(|other| other.slug == case.slug).count() == 1, "{}", case.slug);
        }
    }
}
