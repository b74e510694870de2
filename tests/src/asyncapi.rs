//! `host/asyncapi.yaml`, the protocol as a document that machines read: which of its messages a frame is, and
//! which of its members have been met. [`crate::Client`] holds every frame that it receives to it, in all
//! tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::LazyLock,
};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// Who sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// Clients, to the host.
    Client,
    /// The host, to clients.
    Host,
    /// Publishers, on the bus.
    Publisher,
}

/// The document, ready to be asked.
#[derive(Debug)]
pub struct Document {
    root: Value,
    messages: BTreeMap<String, Sender>,
    validators: BTreeMap<String, Validator>,
    alternatives: BTreeMap<String, Validator>,
}

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/asyncapi.yaml");
    let text = fs::read_to_string(&path).expect("the document is there");
    Document::new(serde_norway::from_str(&text).expect("the document is YAML"))
});

impl Document {
    /// That of the host.
    pub fn of_the_host() -> &'static Self {
        &DOCUMENT
    }

    fn new(mut root: Value) -> Self {
        let messages = senders(&root);
        // The document leaves room for members that are added later. What the host says today has to stand in
        // it.
        for schema in reached(&root, messages.iter().filter(|(_, sender)| **sender == Sender::Host)) {
            close(&mut root["components"]["schemas"][schema]);
        }
        let mut document =
            Self { root, messages, validators: BTreeMap::new(), alternatives: BTreeMap::new() };
        for message in document.messages.keys() {
            let place = format!("/components/messages/{message}/payload");
            document.validators.insert(message.clone(), document.compile(&place));
        }
        let mut places = BTreeSet::new();
        for message in document.messages.keys() {
            document.each_place(&format!("/components/messages/{message}/payload"), &mut places);
        }
        for place in places.into_iter().filter(|place| is_alternative(place)) {
            document.alternatives.insert(place.clone(), document.compile(&place));
        }
        document
    }

    fn compile(&self, place: &str) -> Validator {
        let schema = json!({"components": self.root["components"], "allOf": [{"$ref": format!("#{place}")}]});
        jsonschema::draft7::new(&schema).unwrap_or_else(|error| panic!("{place}: {error}"))
    }

    /// A value of the document, by its JSON pointer.
    pub fn value(&self, pointer: &str) -> &Value {
        self.root.pointer(pointer).unwrap_or_else(|| panic!("the document has no {pointer}"))
    }

    /// Names of the messages of a sender.
    pub fn messages(&self, sender: Sender) -> impl Iterator<Item = &str> {
        self.messages.iter().filter(move |(_, known)| **known == sender).map(|(name, _)| name.as_str())
    }

    /// Which messages of a sender this value is; more than one is a fault of the document.
    pub fn fitting(&self, sender: Sender, value: &Value) -> Vec<&str> {
        self.messages(sender).filter(|name| self.validators[*name].is_valid(value)).collect()
    }

    /// The message that this value is.
    ///
    /// # Panics
    /// When it is none, with what is wrong with it, or more than one.
    pub fn the_message(&self, sender: Sender, value: &Value) -> &str {
        match self.fitting(sender, value)[..] {
            [name] => name,
            [] => {
                panic!("host/asyncapi.yaml has no such message: {value}\n{}", self.complaints(sender, value))
            }
            ref several => panic!("host/asyncapi.yaml does not tell apart {several:?}: {value}"),
        }
    }

    /// Of the message that comes closest, what is wrong.
    fn complaints(&self, sender: Sender, value: &Value) -> String {
        let of = |name: &str| -> Vec<String> {
            let errors = self.validators[name].iter_errors(value);
            errors.map(|error| format!("{name}: {}: {error}", error.instance_path())).collect()
        };
        let least = self.messages(sender).map(of).min_by_key(|errors| {
            let is_of_other_type = errors.iter().any(|error| error.contains(": /type: "));
            (is_of_other_type, errors.len())
        });
        least.unwrap_or_default().join("\n")
    }

    /// Notes each member of the message that this value has, as its place in the document.
    pub fn note_members(&self, message: &str, value: &Value, met: &mut BTreeSet<String>) {
        self.walk(&format!("/components/messages/{message}/payload"), value, met);
    }

    fn walk(&self, place: &str, value: &Value, met: &mut BTreeSet<String>) {
        let place = self.resolved(place);
        let schema = self.value(&place);
        for name in members(schema) {
            if let Some(value) = value.get(name) {
                let place = format!("{place}/properties/{name}");
                met.insert(place.clone());
                self.walk(&place, value, met);
            }
        }
        if schema.get("items").is_some() {
            for value in value.as_array().into_iter().flatten() {
                self.walk(&format!("{place}/items"), value, met);
            }
        }
        for part in parts(schema) {
            let place = format!("{place}/{part}");
            if !is_alternative(&place)
                || self.alternatives.get(&place).is_none_or(|validator| validator.is_valid(value))
            {
                self.walk(&place, value, met);
            }
        }
    }

    /// Places of all members of all messages of a sender.
    pub fn members(&self, sender: Sender) -> BTreeSet<String> {
        let mut places = BTreeSet::new();
        for message in self.messages(sender) {
            self.each_place(&format!("/components/messages/{message}/payload"), &mut places);
        }
        places.retain(|place| is_member(place));
        places
    }

    /// Every schema below a place, itself left out.
    fn each_place(&self, place: &str, places: &mut BTreeSet<String>) {
        let place = self.resolved(place);
        let schema = self.value(&place);
        let below = members(schema).map(|name| format!("properties/{name}"));
        let items = schema.get("items").map(|_| "items".to_owned());
        for part in below.chain(items).chain(parts(schema)) {
            let place = format!("{place}/{part}");
            if places.insert(place.clone()) {
                self.each_place(&place, places);
            }
        }
    }

    /// Follows references.
    fn resolved(&self, place: &str) -> String {
        let mut place = place.to_owned();
        while let Some(next) = self.value(&place).get("$ref").and_then(Value::as_str) {
            next.trim_start_matches('#').clone_into(&mut place);
        }
        place
    }
}

/// Names of the members that a schema allows.
fn members(schema: &Value) -> impl Iterator<Item = &str> {
    let members = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    members.filter(|(_, schema)| **schema != Value::Bool(false)).map(|(name, _)| name.as_str())
}

/// Schemas that a value has to fit beside this one, all or some of them.
fn parts(schema: &Value) -> impl Iterator<Item = String> {
    ["allOf", "anyOf", "oneOf"].into_iter().flat_map(|key| {
        let count = schema.get(key).and_then(Value::as_array).map_or(0, Vec::len);
        (0..count).map(move |number| format!("{key}/{number}"))
    })
}

fn is_alternative(place: &str) -> bool {
    let mut parts = place.rsplit('/').skip(1);
    parts.next().is_some_and(|part| matches!(part, "anyOf" | "oneOf"))
}

fn is_member(place: &str) -> bool {
    place.rsplit('/').nth(1) == Some("properties")
}

/// Every message with its sender, as the operations and channels say. Each message of the document has one.
fn senders(root: &Value) -> BTreeMap<String, Sender> {
    let object = |value: &Value| -> Map<String, Value> { value.as_object().cloned().unwrap_or_default() };
    let mut senders = BTreeMap::new();
    for (_, operation) in object(&root["operations"]) {
        let channel = operation["channel"]["$ref"].as_str().expect("a channel");
        let of_channel =
            &root.pointer(channel.trim_start_matches('#')).expect("the channel exists")["messages"];
        let listed = |list: &Value| -> Vec<Value> { list.as_array().cloned().unwrap_or_default() };
        let messages = match &operation["messages"] {
            Value::Array(messages) => messages.clone(),
            _ => object(of_channel)
                .keys()
                .map(|name| json!({"$ref": format!("{channel}/messages/{name}")}))
                .collect(),
        };
        let sender = match (operation["action"].as_str(), channel == "#/channels/client") {
            (Some("send"), _) => Sender::Host,
            (_, true) => Sender::Client,
            (_, false) => Sender::Publisher,
        };
        let replies = listed(&operation["reply"]["messages"]);
        let all = messages.iter().map(|message| (message, sender));
        for (message, sender) in all.chain(replies.iter().map(|message| (message, Sender::Host))) {
            let name =
                message["$ref"].as_str().and_then(|place| place.rsplit('/').next()).expect("a message");
            senders.insert(name.to_owned(), sender);
        }
    }
    let all: Vec<String> = object(&root["components"]["messages"]).keys().cloned().collect();
    let sent: Vec<String> = senders.keys().cloned().collect();
    assert_eq!(BTreeSet::from_iter(all), BTreeSet::from_iter(sent), "every message is part of an operation");
    senders
}

/// Names of the schemas that these messages refer to, directly or not.
fn reached<'a>(root: &Value, messages: impl Iterator<Item = (&'a String, &'a Sender)>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut open: Vec<Value> =
        messages.map(|(name, _)| root["components"]["messages"][name]["payload"].clone()).collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Array(values) => open.extend(values),
            Value::Object(members) => {
                let reference = members.get("$ref").and_then(Value::as_str);
                let name = reference.and_then(|place| place.strip_prefix("#/components/schemas/"));
                let name = name.and_then(|place| place.split('/').next());
                if let Some(name) = name.filter(|name| names.insert((*name).to_owned())) {
                    open.push(root["components"]["schemas"][name].clone());
                }
                open.extend(members.into_iter().map(|(_, value)| value));
            }
            _ => {}
        }
    }
    names
}

/// Allows no members but those that are listed, wherever the schema does not speak of others.
fn close(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(close),
        Value::Object(members) => {
            members.iter_mut().for_each(|(_, schema)| close(schema));
            if members.get("type") == Some(&json!("object")) && members.contains_key("properties") {
                members.entry("additionalProperties").or_insert(Value::Bool(false));
            }
        }
        _ => {}
    }
}
