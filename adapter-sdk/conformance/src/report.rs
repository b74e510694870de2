//! What came of a run: as a table for people, as JUnit XML for build servers.

use std::fmt::{self, Write as _};

use crate::verdict::{CaseResult, Verdict};

/// All results of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Name of the adapter.
    pub adapter: String,
    /// The cases that were tried, in order.
    pub results: Vec<CaseResult>,
}

impl Report {
    /// How many cases ended in some way.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.results.iter().filter(|result| result.verdict == verdict).count()
    }

    /// Whether no case failed. Skipped cases are no failures.
    pub fn is_success(&self) -> bool {
        self.count(Verdict::Failed) == 0
    }

    /// One line: how many passed, failed and were skipped.
    pub fn summary(&self) -> String {
        format!(
            "{}: {} passed, {} failed, {} skipped",
            self.adapter,
            self.count(Verdict::Passed),
            self.count(Verdict::Failed),
            self.count(Verdict::Skipped)
        )
    }

    /// The report as JUnit XML, in the form that build servers read.
    pub fn junit(&self) -> String {
        Self::junit_of(std::slice::from_ref(self))
    }

    /// Several reports, such as those of the brokers of one library, as one JUnit XML.
    pub fn junit_of(reports: &[Self]) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
        for report in reports {
            report.write_suite(&mut xml);
        }
        xml.push_str("</testsuites>\n");
        xml
    }

    fn write_suite(&self, xml: &mut String) {
        let name = escaped(&self.adapter);
        let total: u64 = self.results.iter().map(|result| result.elapsed_ms).sum();
        let (failed, skipped) = (self.count(Verdict::Failed), self.count(Verdict::Skipped));
        // Writing to a string cannot fail.
        _ = writeln!(
            xml,
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\" \
             time=\"{}\">",
            self.results.len(),
            seconds(total)
        );
        for result in &self.results {
            let (id, slug, reason) = (escaped(&result.id), escaped(&result.slug), escaped(&result.reason));
            let time = seconds(result.elapsed_ms);
            let head = format!("    <testcase classname=\"{name}\" name=\"{id} {slug}\" time=\"{time}\"");
            _ = match result.verdict {
                Verdict::Passed => writeln!(xml, "{head}/>"),
                Verdict::Failed => writeln!(xml, "{head}><failure message=\"{reason}\"/></testcase>"),
                Verdict::Skipped => writeln!(xml, "{head}><skipped message=\"{reason}\"/></testcase>"),
            };
        }
        xml.push_str("  </testsuite>\n");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for result in &self.results {
            writeln!(f, "{result}")?;
        }
        f.write_str(&self.summary())
    }
}

impl fmt::Display for CaseResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Passed => "ok",
            Verdict::Failed => "FAILED",
            Verdict::Skipped => "skipped",
        };
        let Self { id, slug, reason, elapsed_ms, .. } = self;
        let seconds = seconds(*elapsed_ms);
        let line = format!("{id}  {slug:<28} {verdict:<7} {seconds:>8} s  {reason}");
        f.write_str(line.trim_end())
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// Text as it may stand in an attribute. Characters that XML cannot hold at all become question marks.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push_str("&#10;"),
            '\t' => safe.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => safe.push('?'),
            character if character.is_control() => safe.push('?'),
            character => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(id: &str, verdict: Verdict, reason: &str) -> CaseResult {
        CaseResult {
            id: id.to_owned(),
            slug: "a-case".to_owned(),
            verdict,
            reason: reason.to_owned(),
            elapsed_ms: 1_250,
        }
    }

    #[test]
    fn junit_counts_and_escapes() {
        let report = Report {
            adapter: "acme".to_owned(),
            results: vec![
                result("C01", Verdict::Passed, ""),
                result("C02", Verdict::Failed, "1 < 2 & \"x\"\u{1}\nend"),
                result("C03", Verdict::Skipped, "no venue"),
            ],
        };
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
            <testsuites>\n  \
              <testsuite name=\"acme\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"3.750\">\n    \
                <testcase classname=\"acme\" name=\"C01 a-case\" time=\"1.250\"/>\n    \
                <testcase classname=\"acme\" name=\"C02 a-case\" time=\"1.250\">\
                  <failure message=\"1 &lt; 2 &amp; &quot;x&quot;?&#10;end\"/></testcase>\n    \
                <testcase classname=\"acme\" name=\"C03 a-case\" time=\"1.250\">\
                  <skipped message=\"no venue\"/></testcase>\n  \
              </testsuite>\n</testsuites>\n";
        assert_eq!(report.junit(), expected);
        assert!(!report.is_success());
        assert_eq!(report.summary(), "acme: 1 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn a_line_of_the_table_has_everything() {
        let line = result("C02", Verdict::Failed, "why").to_string();
        assert_eq!(line, "C02  a-case                       FAILED     1.250 s  why");
    }
}
