//! `tickhost adapters new`: a copy of the template, which this program carries, under another name.

mod vendor;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use crate::{base::cause, config::plugins_file::is_name};

/// Manifest of the copy, which stands alone; the template's own takes its versions from the workspace.
const MANIFEST: &str = include_str!("new/manifest.toml");

/// The versions that the copy is built with, while its SDK comes as sources.
const LOCK: &str = include_str!("new/Cargo.lock");

/// Files that belong to the copy alone.
const ADDED: [(&str, &str); 3] = [
    (".gitignore", "/target\n"),
    (".github/workflows/ci.yml", include_str!("new/ci.yml")),
    // Without it the sources that it is made of would not be formatted as they are.
    ("rustfmt.toml", include_str!("../../../../rustfmt.toml")),
];

/// Those of this repository, of which the copy is made.
const LICENCES: [(&str, &str); 2] = [
    ("LICENSE-APACHE", include_str!("../../../../LICENSE-APACHE")),
    ("LICENSE-MIT", include_str!("../../../../LICENSE-MIT")),
];

macro_rules! template {
    ($($file:literal),+ $(,)?) => {
        /// Files of the template, which are copied with other names in them.
        const TEMPLATE: &[(&str, &str)] =
            &[$(($file, include_str!(concat!("../../../../adapters/template/", $file)))),+];
    };
}

template![
    "README.md",
    "conformance.toml",
    "credentials.schema.json",
    "examples/venue/list.rs",
    "examples/venue/main.rs",
    "examples/venue/packet.rs",
    "src/config.rs",
    "src/decode.rs",
    "src/feed.rs",
    "src/lib.rs",
    "src/list.rs",
    "src/wire.rs",
    "testdata/SOURCES.md",
    "testdata/frame.json",
    "tests/conformance.rs",
    "tests/replay.rs",
];

/// What to write.
#[derive(Debug, Args)]
#[command(after_help = "\
Writes a crate of its own into the folder adapter-NAME: a small broker that speaks JSON over a WebSocket, which compiles \
and passes the conformance suite against a fake venue. Change it file by file until it is your broker, with \
`tickhost adapters dev` beside it. The sources of the SDK come with it, below vendor, since they are in no registry yet; \
nothing else of Tickhost has to be there.")]
pub struct NewArgs {
    /// Name of the adapter, as plugins.toml will have it: 1 to 32 of a-z, 0-9, _ and -
    name: String,
    /// Folder in which to make the folder of the adapter
    #[arg(long, value_name = "DIR", default_value = ".")]
    into: PathBuf,
    /// Folder of the adapter SDK in a checkout of Tickhost, instead of a copy of its sources
    #[arg(long, value_name = "DIR", conflicts_with = "published")]
    sdk: Option<PathBuf>,
    /// Take the SDK from the registry, instead of a copy of its sources
    #[arg(long)]
    published: bool,
}

/// Where the copy has the SDK from.
enum Sdk<'a> {
    /// Sources of it, which are written beside it.
    Vendored,
    /// A checkout.
    Checkout(&'a Path),
    Published,
}

impl NewArgs {
    fn sdk(&self) -> Sdk<'_> {
        match &self.sdk {
            Some(dir) => Sdk::Checkout(dir),
            None if self.published => Sdk::Published,
            None => Sdk::Vendored,
        }
    }
}

/// Writes the copy and says what to do next.
///
/// # Errors
/// When the name cannot be one, or something stands in the way.
pub(super) fn run(args: &NewArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let names = Names::try_new(&args.name)?;
    let sdk = args.sdk();
    let manifest = manifest(&sdk)?;
    let vendored = if matches!(sdk, Sdk::Vendored) { vendor::files()? } else { Vec::new() };
    // That of the registry's SDK is made by the first build.
    let lock = if matches!(sdk, Sdk::Published) { None } else { Some(names.lock()) };
    let folder = args.into.join(&names.package);
    fs::create_dir_all(&args.into).with_context(|| format!("cannot make {}", args.into.display()))?;
    // Made here and by nobody else, so that nothing that exists is written over.
    if let Err(error) = fs::create_dir(&folder) {
        let reason = match error.kind() {
            io::ErrorKind::AlreadyExists => {
                "it is there already; move it away, or choose another name".to_owned()
            }
            _ => cause::of_writing(&error),
        };
        bail!("cannot make {}: {reason}", folder.display());
    }
    let manifest = [("Cargo.toml", manifest.as_str())];
    for (file, text) in TEMPLATE.iter().chain(&ADDED).chain(&manifest) {
        write(&folder.join(file), &names.put_into(text))?;
    }
    for (file, text) in LICENCES {
        write(&folder.join(file), text)?;
    }
    for (file, text) in &vendored {
        write(&folder.join(vendor::FOLDER).join(file), text)?;
    }
    if let Some(lock) = lock {
        write(&folder.join("Cargo.lock"), &lock)?;
    }
    let (name, library, shown) = (&names.name, &names.library, folder.display());
    writeln!(
        out,
        "Wrote {shown}, which speaks to a broker that does not exist. Next:\n\
         \n  tickhost adapters dev {shown}    (builds, tests and runs it, again at each save)\
         \n  tickhost adapters test {shown}   (the conformance suite alone)\
         \n\nThen make it your broker, in the order of the data: src/list.rs, src/wire.rs, src/decode.rs, src/feed.rs;\
         \nexamples/venue plays the broker in the tests. To run it, copy its library beside plugins.toml and \
         add:\n\n  [[adapter]]\n  name = \"{name}\"\n  library = \"{library}\"\n  [adapter.config]\
         \n  ws_url = \"wss://…\"\n  list_url = \"https://…\""
    )?;
    Ok(())
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let dir = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)
        .and_then(|()| fs::write(file, text))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// What the copy is called, in all the ways that a name is written.
#[derive(Debug, PartialEq, Eq)]
struct Names {
    /// In `plugins.toml` and in the adapter's description: `my-broker`.
    name: String,
    /// Of the crate: `adapter-my-broker`.
    package: String,
    /// Of the library: `adapter_my_broker`.
    library: String,
    /// Of the type: `MyBrokerBroker`.
    type_name: String,
}

impl Names {
    fn try_new(name: &str) -> anyhow::Result<Self> {
        ensure!(
            is_name(name) && name.bytes().any(|byte| byte.is_ascii_alphanumeric()),
            "`{name}` cannot be an adapter's name: use 1 to 32 of a-z, 0-9, _ and -, at least one of them a letter or digit"
        );
        let words = name.split(['-', '_']).filter(|word| !word.is_empty());
        let camel: String = words
            .map(|word| {
                let (first, rest) = word.split_at(1);
                first.to_ascii_uppercase() + rest
            })
            .collect();
        // A type cannot begin with a digit, an adapter's name can.
        let prefix = if camel.starts_with(|first: char| first.is_ascii_digit()) { "A" } else { "" };
        Ok(Self {
            name: name.to_owned(),
            package: format!("adapter-{name}"),
            library: format!("adapter_{}", name.replace('-', "_")),
            type_name: format!("{prefix}{camel}Broker"),
        })
    }

    /// A file of the template with these names.
    fn put_into(&self, text: &str) -> String {
        text.replace("adapter-template", &self.package)
            .replace("adapter_template", &self.library)
            .replace("TemplateBroker", &self.type_name)
            .replace("\"template\"", &format!("\"{}\"", self.name))
    }

    /// The lock file with the copy's package in the place of the template's, in the order of names that cargo
    /// keeps.
    fn lock(&self) -> String {
        const START: &str = "[[package]]\n";
        let mut packages: Vec<String> = LOCK.split(START).map(|package| self.put_into(package)).collect();
        let head = packages.remove(0);
        let name_of = |package: &str| package.split('"').nth(1).unwrap_or_default().to_owned();
        // Stable: versions of one package stay in order.
        packages.sort_by_key(|package| name_of(package));
        let ends: Vec<&str> = packages.iter().map(|package| package.trim_end()).collect();
        format!("{head}{START}{}\n", ends.join(&format!("\n\n{START}")))
    }
}

/// The manifest, with the SDK from where it comes.
fn manifest(sdk: &Sdk<'_>) -> anyhow::Result<String> {
    let of = |path: &str| format!("path = \"{}/{path}\"", vendor::FOLDER);
    let sources = match sdk {
        Sdk::Vendored => [vendor::SDK, vendor::CONFORMANCE, vendor::VENUE].map(of),
        Sdk::Checkout(dir) => checkout(dir)?,
        Sdk::Published => {
            let version = format!("version = \"{}\"", env!("CARGO_PKG_VERSION"));
            std::array::from_fn(|_| version.clone())
        }
    };
    let [sdk, conformance, venue]: [String; 3] = sources;
    Ok(MANIFEST
        .replace("\"{sdk}\"", &format!("{{ {sdk}, features = [\"net\"] }}"))
        .replace("\"{sdk-testing}\"", &format!("{{ {sdk}, features = [\"testing\"] }}"))
        .replace("\"{conformance}\"", &format!("{{ {conformance} }}"))
        .replace("\"{venue}\"", &format!("{{ {venue} }}")))
}

/// The SDK's crates in a checkout, of which this is its folder.
fn checkout(dir: &Path) -> anyhow::Result<[String; 3]> {
    let dir = dir.canonicalize().with_context(|| format!("cannot open {}", dir.display()))?;
    let of = |dir: &Path| -> anyhow::Result<String> {
        let file = dir.join("Cargo.toml");
        ensure!(
            file.is_file(),
            "there is no {}: --sdk names the folder adapter-sdk of a checkout",
            file.display()
        );
        let path = dir.to_str().with_context(|| format!("{} is no text", dir.display()))?;
        // Text in JSON is text in TOML, with the backslashes of a Windows path escaped alike.
        Ok(format!("path = {}", serde_json::to_string(path)?))
    };
    Ok([of(&dir)?, of(&dir.join("conformance"))?, of(&dir.join("venue"))?])
}

#[cfg(test)]
mod tests;
