//! The files of the console, which are part of the program.

/// A file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asset {
    /// Its name below `/console/`; empty for the page itself.
    pub(super) name: &'static str,
    /// Its media type.
    pub(super) kind: &'static str,
    /// What is in it.
    pub(super) text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

macro_rules! assets {
    ($($name:literal $file:literal $kind:ident,)+) => {
        [$(Asset { name: $name, kind: $kind, text: include_str!(concat!("../../../web/console/", $file)) },)+]
    };
}

/// All of them.
pub(super) const ASSETS: &[Asset] = &assets![
    "" "index.html" HTML,
    "style.css" "style.css" STYLE,
    "icon.svg" "icon.svg" IMAGE,
    "app.js" "app.js" SCRIPT,
    "format.js" "format.js" SCRIPT,
    "dom.js" "dom.js" SCRIPT,
    "chart.js" "chart.js" SCRIPT,
    "overview.js" "overview.js" SCRIPT,
    "tables.js" "tables.js" SCRIPT,
    "playground.js" "playground.js" SCRIPT,
    "client.js" "client.js" SCRIPT,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A strict policy lets nothing run that stands in the page itself, and nothing be loaded from elsewhere.
    #[test]
    fn the_page_needs_nothing_that_its_policy_forbids() {
        // The name of a format, which looks like an address that is visited.
        const DRAWING: &str = "http://www.w3.org/2000/svg";
        for asset in ASSETS {
            let text = asset.text.replace(DRAWING, "");
            for forbidden in
                ["http://", "https://", "style=", "onclick=", "javascript:", "innerHTML", "eval("]
            {
                assert!(!text.contains(forbidden), "{}: {forbidden}", asset.name);
            }
        }
    }

    #[test]
    fn every_module_that_is_imported_is_there() {
        for asset in ASSETS.iter().filter(|asset| asset.kind == SCRIPT) {
            for line in
                asset.text.lines().filter(|line| line.starts_with("import ") || line.starts_with("} from "))
            {
                let name =
                    line.split('"').nth(1).and_then(|path| path.strip_prefix("./")).unwrap_or_default();
                assert!(ASSETS.iter().any(|asset| asset.name == name), "{}: {line}", asset.name);
            }
        }
    }
}
