//! `tickhost adapters test` with libraries that do it right, do it wrong, or take the process with them.

use std::{fs, path::PathBuf, process::Command};

use integration_tests::HostBuilder;

/// What the suite has to know of the synthetic exchange, with a fault that its settings switch on.
fn profile(config: &str) -> String {
    format!(
        "instruments = [{{ exchange = \"NSE\", symbol = \"SBIN\" }}, {{ exchange = \"NSE\", symbol = \"TCS\" }}, \
         {{ exchange = \"NSE\", symbol = \"PANIC\" }}]\n[config]\nrate_hz = 50\n{config}"
    )
}

struct Run {
    host: HostBuilder,
    library: PathBuf,
}

impl Run {
    fn new() -> Self {
        let host = HostBuilder::new();
        let library = integration_tests::sim_library();
        Self { host, library }
    }

    /// Exit code, standard output, standard error.
    fn test(&self, config: &str, more: &[&str]) -> (Option<i32>, String, String) {
        let file = self.host.dir().join("conformance.toml");
        fs::write(&file, profile(config)).unwrap();
        let (library, file) = (self.library.to_str().unwrap(), file.to_str().unwrap());
        let arguments = [&["adapters", "test", library, "--profile", file], more].concat();
        let output = self.host.run(&arguments, "");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }
}

#[test]
fn cases_end_in_a_line_each_an_exit_code_and_junit() {
    let run = Run::new();
    let junit = run.host.dir().join("junit.xml");
    let more =
        ["--case", "C14", "--case", "odd-symbols", "--case", "C23", "--junit", junit.to_str().unwrap()];
    let (code, said, errors) = run.test("", &more);
    assert_eq!(code, Some(0), "{said}{errors}");
    assert!(said.ends_with("sim: 1 passed, 0 failed, 2 skipped\n"), "{said}");
    assert!(said.lines().any(|line| line.starts_with("C23  calls-return-at-once         ok ")), "{said}");
    let xml = fs::read_to_string(junit).unwrap();
    assert!(xml.contains("tests=\"3\" failures=\"0\" errors=\"0\" skipped=\"2\""), "{xml}");
}

#[test]
fn a_case_that_fails_says_why_and_the_others_still_run() {
    let run = Run::new();
    let fault = "faults = { panic_on_symbol = \"PANIC\", panic_in = \"subscribe\" }";
    let (code, said, errors) = run.test(fault, &["--case", "C11", "--case", "C23"]);
    assert_eq!(code, Some(1), "{said}{errors}");
    assert!(said.contains("FAILED") && said.contains("simulated panic"), "{said}");
    assert!(said.ends_with("sim: 1 passed, 1 failed, 0 skipped\n"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_library_that_crashes_when_it_is_loaded_is_one_message() {
    let mut run = Run::new();
    let source = run.host.dir().join("crash.rs");
    let code = "#[used]\n#[unsafe(link_section = \".init_array\")]\nstatic CRASH: extern \"C\" fn() = crash;\n\
                extern \"C\" fn crash() { std::process::abort() }\n";
    fs::write(&source, code).unwrap();
    run.library = run.host.dir().join("libcrash.so");
    let built = Command::new("rustc")
        .args(["--edition", "2024", "--crate-type", "cdylib", "-o"])
        .args([&run.library, &source])
        .status();
    assert!(built.unwrap().success());
    let (code, said, errors) = run.test("", &[]);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert!(errors.contains("cannot be tested: it crashed with SIGABRT"), "{errors}");
}
