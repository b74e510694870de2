//! Whose adapters may be loaded: `[trust]`, and the keys of an adapter that belong to it.

use toml::de::DeValue;

use super::{
    super::{Problems, file::kind_of},
    LibraryPlaces, Trust,
    section::Section,
};
use crate::{
    base::sha256::Sha256,
    config::{IntegrityRules, Signer},
};

/// Most trusted keys.
const MAX_KEYS: usize = 64;
const MAX_PATH_BYTES: usize = 1_024;

/// Reads `[trust]`.
pub(super) fn trust(section: &Section<'_>, problems: &mut Problems) -> Trust {
    section.allow(&["minisign_keys", "require_signature"], problems);
    let minisign_keys = keys(section, problems);
    // Who lists keys wants them to count.
    let require_signature = section.switch("require_signature", problems);
    let has_keys = section.get("minisign_keys").is_some();
    if require_signature == Some(true) && !has_keys {
        problems.push(section.problem("require_signature", "needs minisign_keys: the public keys to trust"));
    }
    Trust { require_signature: require_signature.unwrap_or(has_keys), minisign_keys }
}

/// What is no key is never shown: a secret one may have been pasted.
fn keys(section: &Section<'_>, problems: &mut Problems) -> Vec<Signer> {
    const KEY: &str = "minisign_keys";
    let items = match section.get(KEY) {
        None => return Vec::new(),
        Some((DeValue::Array(items), _)) if (1..=MAX_KEYS).contains(&items.len()) => items,
        Some((DeValue::Array(_), _)) => {
            problems.push(section.problem(KEY, format!("must be an array of 1 to {MAX_KEYS} public keys")));
            return Vec::new();
        }
        Some((other, _)) => {
            let message = format!("must be an array of 1 to {MAX_KEYS} public keys, not {}", kind_of(other));
            problems.push(section.problem(KEY, message));
            return Vec::new();
        }
    };
    let mut keys: Vec<Signer> = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let mut refuse = |message: &str| {
            problems.push(section.problem_in(
                KEY,
                item.span().start,
                format!("entry {} {message}", number + 1),
            ));
        };
        match item.get_ref().as_str().map(str::parse::<Signer>) {
            None => refuse("must be a text"),
            Some(Err(error)) => refuse(&error.to_string()),
            Some(Ok(key)) if keys.contains(&key) => refuse("is listed twice"),
            Some(Ok(key)) => keys.push(key),
        }
    }
    keys
}

/// What the library of an adapter has to prove.
pub(super) fn rules(
    section: &Section<'_>,
    library: Option<&str>,
    places: &LibraryPlaces,
    trust: &Trust,
    problems: &mut Problems,
) -> IntegrityRules {
    let is_hash = |text: &str| text.parse::<Sha256>().is_ok();
    let sha256 = section
        .text("sha256", "64 hex digits; `tickhost adapters pin` writes them", problems, is_hash)
        .and_then(|text| text.parse().ok());
    let is_path =
        |text: &str| !text.trim().is_empty() && text.len() <= MAX_PATH_BYTES && !text.contains('\0');
    let signature = section.text("signature", "the path of a signature", problems, is_path);
    if signature.is_some() && trust.minisign_keys.is_empty() {
        let message = "needs minisign_keys in [trust]: nobody's signature is trusted";
        problems.push(section.problem("signature", message));
    }
    IntegrityRules {
        plugin_root: library.and_then(|library| places.root_of(library)),
        sha256,
        signature: signature.map(|path| places.file_dir.join(path)),
        signers: trust.minisign_keys.clone(),
        require_signature: trust.require_signature,
    }
}
