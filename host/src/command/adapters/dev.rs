//! `tickhost adapters dev`: an adapter's folder, built, tested and loaded into a host of its own, again at
//! each save.
//!
//! `cargo` builds and tests, `sandbox` is the host with a client that prints ticks, `watch` notices what was
//! saved.

mod cargo;
mod sandbox;
mod watch;

use std::{
    fmt::Display,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use adapter_conformance::Profile;
use anyhow::Context as _;
use clap::Args;

use self::{cargo::Project, sandbox::Sandbox, watch::Watch};
use super::super::tap::stop_signal;

/// Name of the profile in the folder.
const PROFILE: &str = "conformance.toml";

/// What to work on.
#[derive(Debug, Args)]
#[command(after_help = "\
Builds the folder, runs its tests, and loads the library into a host that runs for this alone: on free ports, with data \
that are gone afterwards, against the fake venue of conformance.toml, which sends prices that move. What the adapter makes \
of them is printed. At each save it starts again, and the host takes the new build over while the old one still serves; a \
build with a mistake changes nothing. Ctrl-C ends all of it.")]
pub struct DevArgs {
    /// Folder of the adapter
    #[arg(default_value = ".")]
    path: PathBuf,
    /// At this broker, of several that the library serves
    #[arg(long, value_name = "NAME")]
    brand: Option<String>,
    /// Load each build without running the tests first
    #[arg(long)]
    no_test: bool,
}

/// Works until it is told to stop.
///
/// # Errors
/// When there is nothing to work on.
pub(super) async fn run(args: &DevArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let folder = args.path.canonicalize().with_context(|| format!("cannot open {}", args.path.display()))?;
    // A mistake in it may be mended while this runs, a folder without it is another one.
    let profile = folder.join(PROFILE);
    anyhow::ensure!(profile.is_file(), "there is no {}: name the folder of an adapter", profile.display());
    let project = Project::new(&folder);
    let mut watch = Watch::on(&folder);
    let stopped = stop_signal()?;
    tokio::pin!(stopped);
    let mut sandbox = None;
    let worked = tokio::select! {
        biased;
        () = &mut stopped => Ok(()),
        worked = work(args, &project, &mut watch, &mut sandbox, out) => worked,
    };
    if let Some(sandbox) = sandbox {
        sandbox.end().await;
    }
    worked
}

async fn work(
    args: &DevArgs,
    project: &Project,
    watch: &mut Watch,
    sandbox: &mut Option<Sandbox>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    loop {
        let seen = watch.look();
        // Whatever is saved meanwhile makes this build worthless.
        let built = tokio::select! {
            built = build(args, project, out) => Some(built?),
            () = watch.changed(&seen) => None,
        };
        let Some(built) = built else { continue };
        if let Some(library) = built {
            if sandbox.as_ref().is_some_and(|sandbox| !sandbox.fits(&seen)) {
                say(out, &"the venue or the profile has changed: starting again")?;
                if let Some(sandbox) = sandbox.take() {
                    sandbox.end().await;
                }
            }
            if let Err(error) = load(args, project, &library, &seen, sandbox, out).await {
                say(out, &format_args!("not loaded: {error:#}"))?;
            }
        } else if sandbox.is_some() {
            say(out, &"the build before it goes on")?;
        }
        say(out, &"waiting for a save; Ctrl-C ends")?;
        watch.changed(&seen).await;
    }
}

/// Builds and tests, and gives the library if both went well. Mistakes are printed as they are found.
async fn build(args: &DevArgs, project: &Project, out: &mut dyn Write) -> anyhow::Result<Option<PathBuf>> {
    say(out, &"building")?;
    let started = Instant::now();
    let Some(library) = project.build().await? else {
        say(out, &"does not build")?;
        return Ok(None);
    };
    say(out, &format_args!("built in {:.1} s", started.elapsed().as_secs_f64()))?;
    if !args.no_test {
        let started = Instant::now();
        if !project.test().await? {
            say(out, &"tests fail")?;
            return Ok(None);
        }
        say(out, &format_args!("tests pass in {:.1} s", started.elapsed().as_secs_f64()))?;
    }
    Ok(Some(library))
}

/// Lets the host take the library over, or starts a host with it.
async fn load(
    args: &DevArgs,
    project: &Project,
    library: &Path,
    seen: &watch::Seen,
    sandbox: &mut Option<Sandbox>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if let Some(sandbox) = sandbox {
        if !sandbox.load(library, out).await? {
            say(out, &"the build before it goes on")?;
        }
        return Ok(());
    }
    let profile = Profile::load(&project.folder().join(PROFILE))?;
    let profile = match &args.brand {
        Some(brand) => profile.for_brand(brand).map_err(anyhow::Error::msg)?,
        None => profile,
    };
    let started = Sandbox::start(profile, args.brand.as_deref(), library, seen.clone()).await?;
    say(out, &format_args!("loaded into a host at {}", started.address()))?;
    *sandbox = Some(started);
    Ok(())
}

fn say(out: &mut dyn Write, text: &dyn Display) -> io::Result<()> {
    writeln!(out, "== {text}")?;
    out.flush()
}
