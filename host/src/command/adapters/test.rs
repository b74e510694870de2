//! `tickhost adapters test`: the conformance suite against a library, one process for each case, some of them
//! side by side.

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use adapter_abi::AdapterModuleRef;
use adapter_conformance::{
    CASES, Case, Profile, Report, Suite, brands, hand_over, run_isolated, run_limited, run_side_by_side,
    try_venue,
};
use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Args;

use super::Scratch;
use crate::{adapters::Library, base::private::private_dir};

/// Name of a profile, beside the sources of an adapter.
const PROFILE: &str = "conformance.toml";

/// Time that a library has to load and to say what it is.
const LOAD_LIMIT: Duration = Duration::from_secs(10);

/// Begins the name of a library that loads, and the sentence about one that does not, from the process that
/// tries it.
const LOADED: &str = "loaded: ";
const REFUSED: &str = "refused: ";

/// What to test.
#[derive(Debug, Args)]
#[command(after_help = "\
A library that crashes or hangs fails the case in which it does; the others still run. Exit code 0 when no case failed. \
Cases that the profile offers nothing for are skipped, with the reason.")]
pub struct TestArgs {
    /// A built library, or the folder of an adapter that was built with cargo
    #[arg(required_unless_present = "list")]
    path: Option<PathBuf>,
    /// What the suite has to know of the adapter
    /// [default: conformance.toml in the folder, beside the library, or here]
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Test the library at this broker only, of several that it serves; may be given several times
    /// [default: all of them]
    #[arg(long = "brand", value_name = "NAME")]
    brands: Vec<String>,
    /// Run this case only; may be given several times
    #[arg(long = "case", value_name = "ID")]
    cases: Vec<String>,
    /// Write the results as JUnit XML too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// List the cases and why each exists
    #[arg(long)]
    list: bool,
    /// Run in this process, with the library's copy in this folder: one case, or nothing but the library's
    /// name
    #[arg(long, hide = true, value_name = "DIR")]
    alone: Option<PathBuf>,
    /// Start the fake venue by this command, a word for each, and not by the profile's
    #[arg(long = "venue", hide = true, value_name = "WORD", requires = "alone", allow_hyphen_values = true)]
    venue: Vec<String>,
}

/// Runs the cases and prints a line for each.
///
/// # Errors
/// When there is nothing to run, or the results cannot be written.
pub(super) fn run(args: &TestArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let cases = chosen(&args.cases)?;
    if args.list {
        for case in cases {
            writeln!(out, "{}  {}\n     because {}.", case.id, case.slug, case.because)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let path = args.path.as_deref().context("name a library, or the folder of an adapter")?;
    ensure!(
        path.exists(),
        "there is no library {}; build the adapter, or name its folder or library",
        path.display()
    );
    let profile_file = find_profile(path, args.profile.as_deref())?;
    let mut profile = Profile::load(&profile_file)?;
    let library = find_library(path, &profile)?;
    if let Some(run_dir) = &args.alone {
        if !args.venue.is_empty() {
            profile.venue = Some(args.venue.clone());
            profile.brands.values_mut().for_each(|brand| brand.venue = None);
        }
        return alone(&library, profile, args, run_dir, out);
    }
    let scratch = Scratch::new()?;
    let program = std::env::current_exe().context("cannot find the tickhost program")?;
    let again = |run_dir: &Path| {
        let mut command = Command::new(&program);
        command.args(["adapters", "test"]).arg(&library).arg("--profile").arg(&profile_file);
        command.arg("--alone").arg(run_dir);
        command
    };
    let said = run_limited(&mut again(&scratch.0), LOAD_LIMIT)
        .map_err(|reason| anyhow!("{} cannot be tested: it {reason}", library.display()))?;
    let last = said.lines().last().unwrap_or_default();
    let loaded = match last.strip_prefix(LOADED) {
        Some(loaded) => loaded.to_owned(),
        None => bail!("{}", last.strip_prefix(REFUSED).unwrap_or("the library ended the process at once")),
    };
    let mut words = loaded.split(' ').map(str::to_owned);
    let name = words.next().unwrap_or_default();
    let subjects = subjects(name, words.collect(), &args.brands)?;
    writeln!(out, "{} with {}", library.display(), profile_file.display())?;
    for case in &cases {
        private_dir(&scratch.0.join(case.id))?;
    }
    let mut reports = Vec::with_capacity(subjects.len());
    for Subject { adapter, brand } in subjects {
        let profile = match &brand {
            Some(brand) => profile.for_brand(brand).map_err(anyhow::Error::msg)?,
            None => profile.clone(),
        };
        let venue = try_venue(&profile).map_err(anyhow::Error::msg)?;
        if let Some(brand) = &brand {
            writeln!(out, "\nAt {brand}:")?;
        }
        let mut report = Report { adapter, results: Vec::new() };
        let run = |case: &Case| {
            let mut command = again(&scratch.0.join(case.id));
            command.args(["--case", case.id]).args(brand.iter().flat_map(|brand| ["--brand", brand]));
            command.args(venue.iter().flatten().flat_map(|word| ["--venue", word]));
            run_isolated(case, &mut command, &profile.secrets())
        };
        let mut written = Ok(());
        run_side_by_side(&cases, run, |result| {
            written = std::mem::replace(&mut written, Ok(()))
                .and_then(|()| writeln!(out, "{result}"))
                .and_then(|()| out.flush());
            report.results.push(result);
        });
        written?;
        writeln!(out, "{}", report.summary())?;
        reports.push(report);
    }
    if let Some(file) = &args.junit {
        fs::write(file, Report::junit_of(&reports))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(if reports.iter().all(Report::is_success) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A run of all cases.
#[derive(Debug, PartialEq, Eq)]
struct Subject {
    /// As the report names it.
    adapter: String,
    /// The broker, of a library that serves several.
    brand: Option<String>,
}

/// What is to be tested of a library of this name, which serves these brokers.
fn subjects(library: String, served: Vec<String>, asked: &[String]) -> anyhow::Result<Vec<Subject>> {
    if let Some(unknown) = asked.iter().find(|brand| !served.contains(brand)) {
        let known = if served.is_empty() {
            "tells no brokers apart".to_owned()
        } else {
            format!("serves {}", served.join(", "))
        };
        bail!("the library {library} does not serve {unknown}: it {known}");
    }
    if served.is_empty() {
        return Ok(vec![Subject { adapter: library, brand: None }]);
    }
    let is_asked = |brand: &String| asked.is_empty() || asked.contains(brand);
    let subject = |brand| Subject { adapter: format!("{library} ({brand})"), brand: Some(brand) };
    Ok(served.into_iter().filter(is_asked).map(subject).collect())
}

/// In the process of one case: what the library does to it is seen by the process that waits.
fn alone(
    library: &Path,
    profile: Profile,
    args: &TestArgs,
    run_dir: &Path,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let loaded = load(library, run_dir);
    let [id] = args.cases.as_slice() else {
        match loaded.and_then(described) {
            Ok(words) => writeln!(out, "\n{LOADED}{words}")?,
            Err(error) => writeln!(out, "\n{REFUSED}{}", format!("{error:#}").replace('\n', " "))?,
        }
        return Ok(ExitCode::SUCCESS);
    };
    let suite = match args.brands.as_slice() {
        [brand] => Suite::for_brand(loaded?, &profile, brand).map_err(anyhow::Error::msg)?,
        _ => Suite::new(loaded?, profile),
    };
    for case in chosen(std::slice::from_ref(id))? {
        hand_over(&suite.run(case), out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The library's name and those of its brokers, with spaces between them.
fn described(module: AdapterModuleRef) -> anyhow::Result<String> {
    let words = [module.metadata()().name.replace(' ', "_")];
    let brands = brands(module).map_err(anyhow::Error::msg)?;
    Ok(words.into_iter().chain(brands).collect::<Vec<_>>().join(" "))
}

/// The one place where a library is opened.
fn load(library: &Path, run_dir: &Path) -> anyhow::Result<AdapterModuleRef> {
    Ok(Library::load(library, run_dir)?.module())
}

fn chosen(ids: &[String]) -> anyhow::Result<Vec<&'static Case>> {
    if ids.is_empty() {
        return Ok(CASES.iter().collect());
    }
    let find = |id: &String| {
        let is_it = |case: &&Case| case.id.eq_ignore_ascii_case(id) || case.slug == id;
        CASES.iter().find(is_it).with_context(|| format!("there is no case `{id}`: --list shows them"))
    };
    ids.iter().map(find).collect()
}

fn find_profile(path: &Path, named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(file) = named {
        return Ok(file.to_owned());
    }
    let beside = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    let places = [beside.join(PROFILE), PathBuf::from(PROFILE)];
    let found = places.iter().find(|place| place.is_file()).cloned();
    found.with_context(|| {
        format!(
            "there is no {PROFILE} in {} or in this folder: write one (see the SDK's README), or name it with --profile",
            beside.display()
        )
    })
}

/// The library itself, or the newest one that cargo built for a folder.
fn find_library(path: &Path, profile: &Profile) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let stem = profile.library.as_deref().context(
        "the profile does not say which library belongs to the folder: add library = \"adapter_NAME\"",
    )?;
    let file = format!("{DLL_PREFIX}{stem}{DLL_SUFFIX}");
    let folder = path.canonicalize().with_context(|| format!("cannot open {}", path.display()))?;
    let elsewhere = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target_dirs = folder.ancestors().map(|dir| dir.join("target")).chain(elsewhere);
    let built =
        target_dirs.flat_map(|target| ["debug", "release"].map(|profile| target.join(profile).join(&file)));
    let built_at = |file: &PathBuf| fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
    built
        .filter_map(|file| Some((built_at(&file)?, file)))
        .max_by_key(|(at, _)| *at)
        .map(|(_, file)| file)
        .with_context(|| format!("no {file} was built for {}: run `cargo build` there first", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_chosen_by_number_or_name_and_a_wrong_one_is_named() {
        let ids = |ids: &[&str]| -> anyhow::Result<Vec<&str>> {
            let ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
            Ok(chosen(&ids)?.into_iter().map(|case| case.id).collect())
        };
        assert_eq!(ids(&[]).unwrap().len(), CASES.len());
        assert_eq!(ids(&["c03", "never-relabels"]).unwrap(), ["C03", "C01"]);
        assert!(ids(&["C99"]).unwrap_err().to_string().contains("`C99`"));
    }

    #[test]
    fn all_brokers_of_a_library_are_tested_unless_some_are_asked_for() {
        let adapters = |served: &[&str], asked: &[&str]| -> anyhow::Result<Vec<String>> {
            let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
            let subjects = subjects("noren".to_owned(), owned(served), &owned(asked))?;
            Ok(subjects.into_iter().map(|subject| subject.adapter).collect())
        };
        assert_eq!(adapters(&[], &[]).unwrap(), ["noren"]);
        assert_eq!(adapters(&["a", "b"], &[]).unwrap(), ["noren (a)", "noren (b)"]);
        assert_eq!(adapters(&["a", "b"], &["b"]).unwrap(), ["noren (b)"]);
        for (served, reason) in
            [(&["a", "b"] as &[&str], "it serves a, b"), (&[], "it tells no brokers apart")]
        {
            assert!(adapters(served, &["c"]).unwrap_err().to_string().contains(reason));
        }
    }

    #[test]
    fn a_folder_needs_a_profile_that_names_a_library_which_was_built() {
        let dir = tempfile::tempdir().unwrap();
        let said = find_profile(dir.path(), None).unwrap_err().to_string();
        assert!(said.contains("--profile"), "{said}");
        let text = "library = \"adapter_x\"\ninstruments = [{ exchange = \"A\", symbol = \"1\" }, \
                    { exchange = \"A\", symbol = \"2\" }, { exchange = \"A\", symbol = \"3\" }]";
        fs::write(dir.path().join(PROFILE), text).unwrap();
        let profile = Profile::load(&find_profile(dir.path(), None).unwrap()).unwrap();
        assert!(find_library(dir.path(), &profile).unwrap_err().to_string().contains("cargo build"));
        let built = dir.path().canonicalize().unwrap().join("target/release");
        fs::create_dir_all(&built).unwrap();
        let file = built.join(format!("{DLL_PREFIX}adapter_x{DLL_SUFFIX}"));
        fs::write(&file, "").unwrap();
        assert_eq!(find_library(dir.path(), &profile).unwrap(), file);
    }
}
