//! Logging in on a page of the broker's, which gives a code to whoever has.

use super::{Question, Unfinished, copied};
use crate::{AdapterError, Credentials};

/// Longest code of a page, in bytes. Some are as long as tokens.
const MAX_CODE_BYTES: usize = 16 << 10;

/// The code that a page of the broker's gave to a person, who answers as `field`. The page leads to an
/// address of the app, in which the broker calls the code `name`: people copy all of that address, or the
/// code alone.
///
/// ```
/// use adapter_sdk::{login::by_page, testing::credentials};
///
/// let answered = credentials(r#"{"code": "https://127.0.0.1/?code=AbC1&state=ok"}"#);
/// assert_eq!(by_page(&answered, "code", "code", "https://broker.example/login").unwrap(), "AbC1");
/// ```
///
/// # Errors
/// [`Unfinished::Ask`] with the page when there is no answer yet, and an authentication error when the code
/// is not in it.
pub fn by_page<'a>(
    fields: &'a Credentials,
    field: &str,
    name: &str,
    page: &str,
) -> Result<&'a str, Unfinished> {
    let Some(answer) = fields.filled(field) else {
        let message = format!(
            "Log in on this page. It leads to an address of your app; copy the whole address, or the {name} in it. It works once, \
             and for a few minutes"
        );
        let (field, url) = (field.to_owned(), Some(page.to_owned()));
        return Err(Unfinished::Ask(Question { field, message, url, is_secret: true }));
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let code = copied(answer, name, MAX_CODE_BYTES, is_plain);
    code.ok_or_else(|| {
        Unfinished::Failed(AdapterError::auth(format!(
            "there is no {name} in that: copy the whole address to which the log-in led, or what follows {name}= in it"
        )))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_shown_until_it_was_answered_and_nonsense_is_no_code() {
        let code = |json: &str| {
            let fields = Credentials::from_json(json);
            by_page(&fields, "code", "authCode", "https://broker.example/").map(str::to_owned)
        };
        let Unfinished::Ask(question) = code("{}").unwrap_err() else { panic!("it was not asked for") };
        assert_eq!(question.url.as_deref(), Some("https://broker.example/"));
        assert!(question.field == "code" && question.is_secret && question.message.contains("authCode"));
        assert_eq!(code(r#"{"code":" a-B.1~_ "}"#).unwrap(), "a-B.1~_");
        for wrong in ["https://127.0.0.1/?code=canary", "canary canary", "authCode=", "é"] {
            let error = code(&serde_json::json!({ "code": wrong }).to_string()).unwrap_err().into_login();
            let error = error.unwrap_err().to_string();
            assert!(error.contains("authCode") && !error.contains("canary"), "{error}");
        }
    }
}
