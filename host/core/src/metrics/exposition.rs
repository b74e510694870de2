//! The text format of Prometheus (0.0.4): every sample of a name stands together, under one `HELP` and one
//! `TYPE`.

use std::fmt::Write as _;

use super::{Counted, Families, Kind};

/// Appends what it is told to a text.
#[derive(Debug)]
pub struct Page<'a> {
    out: &'a mut String,
    /// The present family.
    name: String,
    kind: Kind,
}

impl Families for Page<'_> {
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        self.kind = kind;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Time => "gauge",
        };
        self.begin(name, kind, help);
    }

    fn histograms(&mut self, name: &str, help: &str) {
        self.begin(name, "histogram", help);
    }

    fn number(&mut self, labels: &[(&str, &str)], value: u64) {
        self.head("", labels);
        if self.kind == Kind::Time {
            let (seconds, millis) = (value / 1_000_000_000, value / 1_000_000 % 1_000);
            self.line(format_args!(" {seconds}.{millis:03}"));
        } else {
            self.line(format_args!(" {value}"));
        }
    }

    /// Counts are cumulative, so that none is lost with the buckets that are not shown.
    fn histogram(&mut self, labels: &[(&str, &str)], counted: &Counted) {
        let mut below = 0;
        for (bound, count) in counted.shown() {
            below += count;
            let bound = bound.map_or_else(|| "+Inf".to_owned(), seconds);
            self.head("_bucket", &[labels, &[("le", &bound)]].concat());
            self.line(format_args!(" {below}"));
        }
        self.head("_sum", labels);
        self.line(format_args!(" {}", seconds(counted.sum_us)));
        self.head("_count", labels);
        self.line(format_args!(" {below}"));
    }
}

impl<'a> Page<'a> {
    /// Appends to this text.
    pub const fn new(out: &'a mut String) -> Self {
        Self { out, name: String::new(), kind: Kind::Gauge }
    }

    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        name.clone_into(&mut self.name);
        self.out.push_str("# HELP ");
        self.out.push_str(name);
        self.out.push(' ');
        escape(help, false, self.out);
        self.line(format_args!("\n# TYPE {name} {kind}"));
    }

    fn head(&mut self, ending: &str, labels: &[(&str, &str)]) {
        self.out.push_str(&self.name);
        self.out.push_str(ending);
        for (place, (label, value)) in labels.iter().enumerate() {
            self.out.push(if place == 0 { '{' } else { ',' });
            self.out.push_str(label);
            self.out.push_str("=\"");
            escape(value, true, self.out);
            self.out.push('"');
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
    }

    fn line(&mut self, rest: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _infallible = self.out.write_fmt(rest);
        self.out.push('\n');
    }
}

/// Microseconds in seconds, without needless zeros.
fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escape(text: &str, is_label: bool, out: &mut String) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if is_label => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests;
