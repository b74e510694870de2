//! A question that belongs to something the broker has just given.

use super::{Question, Unfinished};
use crate::Credentials;

/// Stands between a field and its ticket.
const SEPARATOR: char = ':';

/// Asks a person for something that the broker has just sent, such as a password in a text message, which is
/// good together with a ticket that the adapter has got for it. A step of logging in keeps nothing for the
/// next one; so the ticket goes into the name of the field that is asked for, and [`answer_to_ticket`] gives
/// both. It is not stored, and of no use without the answer.
///
/// Ask a person first whether they want that: the host logs in by itself too, and nobody wants a message each
/// time.
///
/// ```
/// use adapter_sdk::{login::{Unfinished, answer_to_ticket, ask_for_ticket}, testing::credentials};
///
/// let Unfinished::Ask(question) = ask_for_ticket("otp", "ticket-7", "The password in the message") else { panic!() };
/// let answered = credentials(&format!(r#"{{"{}": "4711"}}"#, question.field));
/// assert_eq!(answer_to_ticket(&answered, "otp"), Some(("ticket-7", "4711")));
/// ```
pub fn ask_for_ticket(field: &str, ticket: &str, message: &str) -> Unfinished {
    let field = format!("{field}{SEPARATOR}{ticket}");
    Unfinished::Ask(Question { field, message: message.to_owned(), url: None, is_secret: true })
}

/// The ticket and the answer of [`ask_for_ticket`], if it was asked and answered.
pub fn answer_to_ticket<'a>(fields: &'a Credentials, field: &str) -> Option<(&'a str, &'a str)> {
    fields.names().find_map(|name| {
        let ticket = name.strip_prefix(field)?.strip_prefix(SEPARATOR)?;
        Some((ticket, fields.filled(name)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_to_a_ticket_is_one() {
        for json in ["{}", r#"{"otp":"1"}"#, r#"{"otp:t":" "}"#, r#"{"otps:t":"1"}"#, r#"{"totp:t":"1"}"#] {
            assert_eq!(answer_to_ticket(&Credentials::from_json(json), "otp"), None, "{json}");
        }
        let answered = Credentials::from_json(r#"{"otp:a:b":" 1 ","otp":"2"}"#);
        assert_eq!(answer_to_ticket(&answered, "otp"), Some(("a:b", "1")));
    }
}
