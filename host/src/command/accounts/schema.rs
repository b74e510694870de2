//! The credentials that an adapter wants, as its JSON Schema describes them.

use serde_json::Value;

/// One credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Its name, such as `totp_secret`.
    pub(super) name: String,
    /// What people call it.
    pub(super) title: String,
    /// Where one gets it; may be empty.
    pub(super) description: String,
    /// Whether nobody is to see it.
    pub(super) is_secret: bool,
    /// Whether there is no log-in without it.
    pub(super) is_required: bool,
}

/// Reads a schema, in the order of its properties. What is no schema has no fields.
pub(super) fn fields(schema: &str) -> Vec<Field> {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let required: Vec<&str> = member(&schema, "required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let Some(properties) = member(&schema, "properties").and_then(Value::as_object) else {
        return Vec::new();
    };
    properties
        .iter()
        .map(|(name, property)| {
            let text = |key| member(property, key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let title = text("title");
            Field {
                name: name.clone(),
                title: if title.is_empty() { name.clone() } else { printable(title) },
                description: printable(text("description")),
                // What is not said to be public is taken for a secret.
                is_secret: member(property, "writeOnly").and_then(Value::as_bool).unwrap_or(true),
                is_required: required.contains(&name.as_str()),
            }
        })
        .collect()
}

fn member<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    value.as_object()?.get(key)
}

/// It goes to a person's terminal.
fn printable(mut text: String) -> String {
    text.retain(|c| !c.is_control());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_are_secret_unless_said_otherwise() {
        let read = fields(
            r#"{"properties":{"client_code":{"title":"Client\u0007 code","writeOnly":false},"pin":{}},"required":["pin"]}"#,
        );
        let shown: Vec<_> =
            read.iter().map(|field| (field.title.as_str(), field.is_secret, field.is_required)).collect();
        assert_eq!(shown, [("Client code", false, false), ("pin", true, true)]);
        for nonsense in ["", "[]", "{}", r#"{"properties":[]}"#] {
            assert_eq!(fields(nonsense), [], "{nonsense}");
        }
    }
}
