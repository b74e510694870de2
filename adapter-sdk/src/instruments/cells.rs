//! Columns by their names, and the members of JSON objects that they are.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, Visitor},
};

/// Whether a column or member is called one of the names that stand there with bars between them. Capitals do
/// not count.
pub(super) fn is_named(names: &str, name: &str) -> bool {
    // Nearly all have one: a list has a million members to look at.
    names.eq_ignore_ascii_case(name)
        || names.as_bytes().contains(&b'|') && names.split('|').any(|known| known.eq_ignore_ascii_case(name))
}

/// The members of an object that have these names, in this order: texts, and numbers as texts. What is
/// missing, null or anything else is none. A name with a dot is that of a member within another. None for
/// what is no object.
pub(super) fn cells<'a, const N: usize>(
    object: &'a [u8],
    names: &[&str; N],
) -> Option<[Option<Cow<'a, str>>; N]> {
    let mut reader = serde_json::Deserializer::from_slice(object);
    let mut cells = [const { None }; N];
    let is_nested = names.iter().any(|name| name.contains('.'));
    Within { names, is_nested, outer: "", cells: &mut cells }.deserialize(&mut reader).ok()?;
    reader.end().is_ok().then_some(cells)
}

/// Takes the members of an object into their cells.
struct Within<'n, 'c, 'a, const N: usize> {
    names: &'n [&'n str; N],
    /// Whether any of them is within a member.
    is_nested: bool,
    /// The names of the members around this object, each with a dot behind it; none for the row itself.
    outer: &'n str,
    cells: &'c mut [Option<Cow<'a, str>>; N],
}

impl<'de: 'a, 'a, const N: usize> DeserializeSeed<'de> for Within<'_, '_, 'a, N> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        // What stands where an object should be has no members, but a row is one.
        if self.outer.is_empty() {
            deserializer.deserialize_map(self)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de: 'a, 'a, const N: usize> Visitor<'de> for Within<'_, '_, 'a, N> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an instrument")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { names, is_nested, outer, cells } = self;
        while let Some(Cell(name)) = members.next_key()? {
            let name =
                name.map(|name| if outer.is_empty() { name } else { Cow::Owned(format!("{outer}{name}")) });
            let name = name.as_deref().unwrap_or_default();
            let place = names.iter().position(|known| is_named(known, name));
            if let Some(cell) = place.and_then(|place| cells.get_mut(place)) {
                *cell = members.next_value::<Cell<'de>>()?.0;
            } else if is_nested && names.iter().any(|known| is_around(name, known)) {
                let outer = &format!("{name}.");
                members.next_value_seed(Within { names, is_nested, outer, cells: &mut *cells })?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Whether any of the names that stand there with bars between them is of a member within this one.
fn is_around(name: &str, known: &str) -> bool {
    known.split('|').any(|known| {
        let inner = known.split_at_checked(name.len());
        inner.is_some_and(|(outer, inner)| outer.eq_ignore_ascii_case(name) && inner.starts_with('.'))
    })
}

struct Cell<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Cell<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CellVisitor).map(Self)
    }
}

struct CellVisitor;

impl<'de> Visitor<'de> for CellVisitor {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_texts_and_numbers_and_nothing_else() {
        let read = |object: &str| {
            let cells = cells(object.as_bytes(), &["a", "x|B"])?;
            Some(cells.map(|cell| cell.map(Cow::into_owned)))
        };
        let both = |a: Option<&str>, b: Option<&str>| Some([a, b].map(|cell| cell.map(str::to_owned)));
        assert_eq!(read(r#"{"b":"x","z":[{"a":1}],"a":"\u0041\n"}"#), both(Some("A\n"), Some("x")));
        assert_eq!(read(r#"{"a":7,"b":-1.5}"#), both(Some("7"), Some("-1.5")));
        assert_eq!(
            read(r#"{"a":"1","a":"2","b":""}"#),
            both(Some("2"), Some("")),
            "the last of a name counts"
        );
        for odd in ["null", "true", "{\"a\":1}", "[1,[2]]"] {
            assert_eq!(read(&format!(r#"{{"a":{odd},"b":1}}"#)), both(None, Some("1")), "{odd}");
        }
        assert_eq!(read("{}"), both(None, None));
        let nested = |object: &str| {
            let cells = cells(object.as_bytes(), &["u.symbol", "x|U.v.n"]).unwrap();
            cells.map(|cell| cell.map(Cow::into_owned))
        };
        let both = |a: Option<&str>, b: Option<&str>| [a, b].map(|cell| cell.map(str::to_owned));
        assert_eq!(
            nested(r#"{"symbol":"no","u":{"symbol":"BTC","n":7,"v":{"n":8,"symbol":"no"}},"v":{"n":9}}"#),
            both(Some("BTC"), Some("8"))
        );
        assert_eq!(nested(r#"{"u":{"symbol":{"u":1}},"x":"7"}"#), both(None, Some("7")));
        for odd in ["null", "7", "-7", "0.5", "true", r#""BTC""#, r#"[{"symbol":"BTC"}]"#, "{}"] {
            assert_eq!(nested(&format!(r#"{{"u":{odd},"x":1}}"#)), both(None, Some("1")), "{odd}");
        }
        for text in ["[]", "7", "{} x", r#"{"a":NaN}"#, r#"{"a":1"#] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
