use super::*;

const THREE: &str = r#"
    instruments = [
        { exchange = "NSE", symbol = "A" },
        { exchange = "NSE", symbol = "B" },
        { exchange = "NSE", symbol = "C", lacks = ["oi"] },
    ]
"#;

fn parse(more: &str) -> Result<Profile, String> {
    Profile::parse(&format!("{more}\n{THREE}"), Path::new("/somewhere"))
}

#[test]
fn conditions_are_laid_over_the_settings_and_the_address_is_filled_in() {
    let profile = Profile::parse(
        &format!(
            "{THREE}\n[config]\nurl = \"ws://{{venue}}/x\"\nfaults = {{ a = 1, b = 2 }}\n\
             [conditions.bad]\nfaults = {{ b = 3 }}"
        ),
        Path::new("."),
    )
    .unwrap();
    let made = profile.config_in("127.0.0.1:9", profile.conditions.get("bad"), Path::new("/tmp/x"), true);
    let made: Json = serde_json::from_str(&made).unwrap();
    assert_eq!(
        made,
        serde_json::json!({ "url": "ws://127.0.0.1:9/x", "faults": { "a": 1, "b": 3 }, "cache_dir": "/tmp/x" })
    );
}

#[test]
fn a_broker_has_what_is_said_of_it_and_the_rest_of_all() {
    let profile = parse(
        "venue = [\"venue\", \"{brand}\"]\nconfig = { a = 1, b = { c = 2, d = 3 } }\n\
         credentials = { valid = { pin = \"1234\" } }\nbrand.one = { config = { b = { c = 9 } }, limits = { depth = 20 } }\n\
         brand.two = { instruments = [] }",
    )
    .unwrap();
    let one = profile.for_brand("one").unwrap();
    let config: Json = serde_json::from_str(&one.config_json("", None)).unwrap();
    assert_eq!(config, serde_json::json!({ "a": 1, "b": { "c": 9, "d": 3 } }));
    assert_eq!(
        (one.limits.depth, one.venue.as_ref().unwrap()[1].as_str(), one.secrets()),
        (20, "one", vec!["1234"])
    );
    let other = profile.for_brand("other").unwrap();
    assert_eq!((other.limits.depth, other.venue.unwrap()[1].as_str()), (5, "other"));
    assert!(profile.for_brand("two").unwrap_err().starts_with("[brand.two]: instruments must"));
}

#[test]
fn what_makes_no_sense_is_refused_in_a_sentence() {
    assert!(parse("colour = 1").unwrap_err().contains("unknown field `colour`"));
    assert!(parse("venue = []").unwrap_err().contains("must name a program"));
    let few = Profile::parse("instruments = []", Path::new(".")).unwrap_err();
    assert!(few.contains("at least 3"), "{few}");
    let lacks = THREE.replace("\"oi\"", "\"colour\"");
    assert!(Profile::parse(&lacks, Path::new(".")).unwrap_err().contains("NSE:C lacks `colour`"));
}

#[test]
fn everything_that_is_not_public_is_a_secret() {
    let mut profile = parse("").unwrap();
    profile.credentials.valid = [("client", "C1234"), ("pin", "12"), ("token", "today")]
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .into();
    profile.credentials.public.push("client".to_owned());
    assert_eq!(profile.secrets(), ["today"]);
}
