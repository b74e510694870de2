//! As much of Prometheus' language as rules and panels need: expressions as trees, pages of metrics as series, and what an expression
//! gives of two pages, the earlier of which stands where each range begins.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{SystemTime, UNIX_EPOCH},
};

use integration_tests::python;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

/// Name of a label, and its value.
pub(super) type Labels = BTreeMap<String, String>;

/// Parses expressions with the parser of Prometheus' grammar that a Python package has; none without Python.
pub(super) async fn parse(expressions: Vec<String>) -> Option<Vec<Tree>> {
    let mut command = python::program("promql_tree.py")?;
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("Python starts");
    let mut input = child.stdin.take().expect("standard input");
    input.write_all(Value::from(expressions).to_string().as_bytes()).await.expect("the expressions are sent");
    drop(input);
    let output = child.wait_with_output().await.expect("Python ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let trees: Vec<Value> = serde_json::from_slice(&output.stdout).expect("trees");
    Some(trees.iter().map(Tree::of).collect())
}

/// A condition on a label.
#[derive(Debug)]
pub(super) struct Matcher {
    pub(super) label: String,
    kind: String,
    value: String,
}

impl Matcher {
    /// The values that it asks for, or excludes, one by one.
    pub(super) fn words(&self) -> Vec<String> {
        match self.kind.as_str() {
            "Equal" | "NotEqual" => vec![self.value.clone()],
            _ => self.value.split('|').map(str::to_owned).collect(),
        }
    }

    /// Regular expressions are lists of words here, each of which may end in `.*`.
    pub(super) fn is_word_of(&self, word: &str, value: &str) -> bool {
        let is_expression = matches!(self.kind.as_str(), "Re" | "NotRe");
        if let Some(beginning) = word.strip_suffix(".*").filter(|_| is_expression) {
            return value.starts_with(beginning);
        }
        assert!(word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{word} is more than a word");
        word == value
    }

    fn fits(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.label).map_or("", String::as_str);
        let is_listed = self.words().iter().any(|word| self.is_word_of(word, value));
        is_listed == matches!(self.kind.as_str(), "Equal" | "Re")
    }
}

/// An expression.
#[derive(Debug)]
pub(super) enum Tree {
    Number(f64),
    Selector { name: String, matchers: Vec<Matcher>, range_s: Option<f64> },
    Call { name: String, parts: Vec<Tree> },
    Aggregate { name: String, by: Vec<String>, part: Box<Tree> },
    Operator { name: String, on: Vec<String>, sides: Box<[Tree; 2]> },
}

impl Tree {
    fn of(value: &Value) -> Self {
        let words = |key: &str| -> Vec<String> {
            let words = value[key].as_array().into_iter().flatten();
            words.map(|word| word.as_str().expect("a word").to_owned()).collect()
        };
        let name = || value["name"].as_str().expect("a name").to_owned();
        let parts =
            || -> Vec<Self> { value["parts"].as_array().expect("parts").iter().map(Self::of).collect() };
        match value["kind"].as_str() {
            Some("number") => Self::Number(value["value"].as_f64().expect("a number")),
            Some("selector") => {
                let matchers = value["matchers"].as_array().expect("matchers").iter().map(|matcher| {
                    let [label, kind, value] =
                        [0, 1, 2].map(|place| matcher[place].as_str().expect("a word"));
                    Matcher { label: label.to_owned(), kind: kind.to_owned(), value: value.to_owned() }
                });
                Self::Selector {
                    name: name(),
                    matchers: matchers.collect(),
                    range_s: value["range_s"].as_f64(),
                }
            }
            Some("call") => Self::Call { name: name(), parts: parts() },
            Some("aggregate") => {
                Self::Aggregate { name: name(), by: words("by"), part: Box::new(parts().remove(0)) }
            }
            Some("operator") => {
                assert!(words("ignoring").is_empty() && words("group").is_empty(), "only `on` is understood");
                let sides = <[Self; 2]>::try_from(parts()).expect("two sides");
                Self::Operator { name: name(), on: words("on"), sides: Box::new(sides) }
            }
            other => panic!("{other:?} is not understood"),
        }
    }

    /// The name of the function, when it is a call.
    pub(super) fn call(&self) -> Option<&str> {
        match self {
            Self::Call { name, .. } => Some(name),
            _ => None,
        }
    }

    fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Number(_) | Self::Selector { .. } => Vec::new(),
            Self::Call { parts, .. } => parts.iter().collect(),
            Self::Aggregate { part, .. } => vec![part],
            Self::Operator { sides, .. } => sides.iter().collect(),
        }
    }

    /// Visits every node, with the node around it.
    pub(super) fn visit(&self, visit: &mut impl FnMut(&Self, Option<&Self>)) {
        fn go(node: &Tree, parent: Option<&Tree>, visit: &mut impl FnMut(&Tree, Option<&Tree>)) {
            visit(node, parent);
            node.parts().into_iter().for_each(|part| go(part, Some(node), visit));
        }
        go(self, None, visit);
    }

    /// Labels that its result can have.
    pub(super) fn labels(&self, page: &Page) -> BTreeSet<String> {
        match self {
            Self::Selector { name, .. } => {
                let of_metric = page.family(name).map(|family| family.labels.clone()).unwrap_or_default();
                of_metric.into_iter().chain(["job", "instance"].map(str::to_owned)).collect()
            }
            Self::Call { name, parts } if matches!(name.as_str(), "rate" | "increase") => {
                parts[0].labels(page)
            }
            Self::Number(_) | Self::Call { .. } => BTreeSet::new(),
            Self::Aggregate { by, .. } => by.iter().cloned().collect(),
            Self::Operator { sides: parts, .. } => {
                let [left, right] = &**parts;
                let left = left.labels(page);
                if left.is_empty() { right.labels(page) } else { left }
            }
        }
    }

    /// Its result: labels and value of each series.
    pub(super) fn evaluate(&self, before: &Page, now: &Page) -> Vec<(Labels, f64)> {
        match self {
            Self::Number(number) => vec![(Labels::new(), *number)],
            Self::Selector { name, matchers, .. } => now.select(name, matchers),
            Self::Call { name, parts } => match name.as_str() {
                "rate" | "increase" => increase(&parts[0], name == "rate", before, now),
                "time" => {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
                    vec![(Labels::new(), now.as_secs_f64())]
                }
                "absent" if parts[0].evaluate(before, now).is_empty() => vec![(Labels::new(), 1.0)],
                "absent" => Vec::new(),
                other => panic!("{other} is not understood"),
            },
            Self::Aggregate { name, by, part } => {
                assert_eq!(name, "sum", "of the aggregates, rules use this one");
                let mut sums = BTreeMap::<Labels, f64>::new();
                for (labels, value) in part.evaluate(before, now) {
                    *sums.entry(common(&labels, by)).or_default() += value;
                }
                sums.into_iter().collect()
            }
            Self::Operator { name, on, sides } => {
                let [left, right] = &**sides;
                let is_number = |side: &Self| matches!(side, Self::Number(_));
                let is_set = matches!(name.as_str(), "unless" | "or" | "and");
                let (left_of, right_of) = (left.evaluate(before, now), right.evaluate(before, now));
                match name.as_str() {
                    _ if !is_set && is_number(right) => apply(name, &left_of, |_| Some(right_of[0].1)),
                    _ if !is_set && is_number(left) => {
                        let number = left_of[0].1;
                        let swapped = right_of.into_iter();
                        swapped
                            .filter_map(|(labels, value)| Some((labels, result(name, number, value)?)))
                            .collect()
                    }
                    "unless" => {
                        let taken: BTreeSet<Labels> =
                            right_of.iter().map(|(labels, _)| matched(labels, on)).collect();
                        let kept = left_of.into_iter();
                        kept.filter(|(labels, _)| !taken.contains(&matched(labels, on))).collect()
                    }
                    _ => apply(name, &left_of, |labels| {
                        let fits = |other: &&(Labels, f64)| matched(&other.0, on) == matched(labels, on);
                        right_of.iter().find(fits).map(|(_, value)| *value)
                    }),
                }
            }
        }
    }
}

fn increase(part: &Tree, is_rate: bool, before: &Page, now: &Page) -> Vec<(Labels, f64)> {
    let Tree::Selector { name, matchers, range_s: Some(range_s) } = part else {
        panic!("{part:?} is no range")
    };
    let earlier: BTreeMap<Labels, f64> = before.select(name, matchers).into_iter().collect();
    let series = now.select(name, matchers).into_iter();
    series
        .map(|(labels, value)| {
            let grown = value - earlier.get(&labels).copied().unwrap_or(0.0);
            (labels, if is_rate { grown / range_s } else { grown })
        })
        .collect()
}

fn common(labels: &Labels, names: &[String]) -> Labels {
    let named = labels.iter().filter(|(label, _)| names.contains(label));
    named.map(|(label, value)| (label.clone(), value.clone())).collect()
}

fn matched(labels: &Labels, on: &[String]) -> Labels {
    if on.is_empty() { labels.clone() } else { common(labels, on) }
}

fn apply(name: &str, left: &[(Labels, f64)], right: impl Fn(&Labels) -> Option<f64>) -> Vec<(Labels, f64)> {
    let pairs = left.iter().filter_map(|(labels, value)| Some((labels, *value, right(labels)?)));
    pairs.filter_map(|(labels, left, right)| Some((labels.clone(), result(name, left, right)?))).collect()
}

/// A comparison keeps the left side or nothing.
fn result(name: &str, left: f64, right: f64) -> Option<f64> {
    match name {
        "+" => Some(left + right),
        "-" => Some(left - right),
        "*" => Some(left * right),
        "/" => Some(left / right),
        ">" => (left > right).then_some(left),
        "<" => (left < right).then_some(left),
        "==" => (left == right).then_some(left),
        other => panic!("{other} is not understood"),
    }
}

/// What is known of a metric.
#[derive(Debug, Default)]
pub(super) struct Family {
    /// Its type.
    pub(super) kind: String,
    /// How many samples it has.
    pub(super) samples: usize,
    /// Labels of its samples.
    pub(super) labels: BTreeSet<String>,
}

/// One scrape. Every sample has the labels that Prometheus adds.
#[derive(Debug, Default)]
pub(super) struct Page {
    families: BTreeMap<String, Family>,
    samples: BTreeMap<String, Vec<(Labels, f64)>>,
}

impl Page {
    /// Reads the text format; values of labels here need no escapes.
    pub(super) fn parse(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines() {
            if let Some(typed) = line.strip_prefix("# TYPE ") {
                let (name, kind) = typed.split_once(' ').expect("a type");
                kind.clone_into(&mut page.families.entry(name.to_owned()).or_default().kind);
            }
            if line.starts_with('#') {
                continue;
            }
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let (name, inside) = series.split_once('{').unwrap_or((series, "}"));
            let inside = inside.strip_suffix('}').expect("the labels end");
            let pairs = inside
                .split_terminator("\",")
                .filter_map(|pair| pair.trim_end_matches('"').split_once("=\""));
            let mut labels: Labels =
                pairs.map(|(label, value)| (label.to_owned(), value.to_owned())).collect();
            let family = page.families.get_mut(name).expect("TYPE comes first");
            family.samples += 1;
            family.labels.extend(labels.keys().cloned());
            labels.insert("job".to_owned(), "tickhost".to_owned());
            labels.insert("instance".to_owned(), "here".to_owned());
            page.samples.entry(name.to_owned()).or_default().push((labels, value.parse().expect("a number")));
        }
        page
    }

    /// A metric, by its name.
    pub(super) fn family(&self, name: &str) -> Option<&Family> {
        self.families.get(name)
    }

    /// Values of a label.
    pub(super) fn values(&self, name: &str, label: &str) -> BTreeSet<&str> {
        let samples = self.samples.get(name).into_iter().flatten();
        samples.filter_map(|(labels, _)| labels.get(label).map(String::as_str)).collect()
    }

    /// Whether a sample fits.
    pub(super) fn selects(&self, name: &str, matchers: &[Matcher]) -> bool {
        !self.select(name, matchers).is_empty()
    }

    fn select(&self, name: &str, matchers: &[Matcher]) -> Vec<(Labels, f64)> {
        let samples = self.samples.get(name).into_iter().flatten();
        samples.filter(|(labels, _)| matchers.iter().all(|matcher| matcher.fits(labels))).cloned().collect()
    }
}
