use super::*;
use crate::instruments::List as _;

struct Acme(Day);

impl Sheet<4> for Acme {
    type Key = u32;

    const COLUMNS: [&'static str; 4] = ["token", "symbol", "alias", "ends"];
    const MAX_ROWS: usize = 6;

    fn begin(today: Day) -> Self {
        Self(today)
    }

    fn row(&mut self, cells: [Option<&str>; 4], names: &mut Names<u32>) -> Option<()> {
        let [token, symbol, alias, ends] = cells;
        if ends.and_then(|ends| ends.parse().ok()).is_some_and(|ends: Day| ends < self.0) {
            names.expired();
            return Some(());
        }
        let token = token?.parse().ok()?;
        names.add("NSE", symbol?, token);
        if let Some((rank, alias)) = alias.and_then(|alias| alias.split_once('#')) {
            names.add_unless_taken(rank.parse().ok()?, "NSE", alias, token);
        }
        Some(())
    }
}

type List = Catalog<Acme, 4>;

fn day(day: u8) -> Day {
    Day::new(2026, 1, day).unwrap()
}

#[test]
fn columns_are_found_by_name_and_names_go_to_who_has_the_best_claim() {
    let text = "new,ends,symbol,alias,token\n\
                ,,A,2#X,1\n\
                ,,B,1#X,2\n\
                ,,C,1#A,3\n\
                ,2026-01-09,D,,4\n\
                ,,E,,nonsense\n\
                ,,F\n\
                ,,G,,7\n";
    let list = List::parse_on(text.as_bytes(), day(10)).unwrap();
    assert_eq!((list.key("NSE", "X"), list.key("NSE", "A")), (Some(2), Some(1)));
    assert_eq!((list.len(), list.skipped(), list.expired()), (4, 2, 1));
    assert_eq!(list.key("NSE", "G"), None, "there is a limit to the rows");
    assert_eq!(list.name(2), Some(("NSE", "B")));
    let before = List::parse_on(text.as_bytes(), day(9)).unwrap();
    assert_eq!((before.key("NSE", "D"), before.expired()), (Some(4), 0));
    assert!(before != list);
}

/// A list of several files, some of which call columns otherwise, lack some, or name none.
struct Odd;

impl Sheet<3> for Odd {
    type Key = u32;

    const COLUMNS: [&'static str; 3] = ["Exchange|Exch", "token", "Name|Trading Name"];
    const OPTIONAL: [bool; 3] = [false, false, true];

    fn places(first: &Row) -> Option<[Option<usize>; 3]> {
        first.get(1)?.parse::<u32>().is_ok().then_some([Some(0), Some(1), None])
    }

    fn begin(_: Day) -> Self {
        Self
    }

    fn row(&mut self, [exchange, token, name]: [Option<&str>; 3], names: &mut Names<u32>) -> Option<()> {
        let key = token?.parse().ok()?;
        names.add(exchange?, name.or(token)?, key);
        Some(())
    }
}

#[test]
fn several_files_are_one_list_whatever_their_columns_are_called() {
    let folder = std::env::temp_dir().join(format!("catalog-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let texts = ["TOKEN,Trading Name,exch\n1,A,NSE\n", "Exchange,Token\nBSE,2\n", "MCX,3\nMCX,x\nMCX,4\n"];
    let paths: Vec<PathBuf> = texts
        .iter()
        .enumerate()
        .map(|(number, text)| {
            let path = folder.join(number.to_string());
            std::fs::write(&path, text).unwrap();
            path
        })
        .collect();
    let list = <Catalog<Odd, 3> as super::List>::read(&paths).unwrap();
    let missing = Catalog::<Odd, 3>::parse("Exch,Name\nNSE,A\n".as_bytes()).unwrap_err();
    std::fs::remove_dir_all(&folder).unwrap();
    let found = [("NSE", "A"), ("BSE", "2"), ("MCX", "3"), ("MCX", "4")]
        .map(|(exchange, name)| list.key(exchange, name));
    assert_eq!(found, [Some(1), Some(2), Some(3), Some(4)]);
    assert_eq!((list.len(), list.skipped()), (4, 1));
    assert!(missing.to_string().ends_with("has no column token"), "{missing}");
}

#[test]
fn what_is_no_list_is_refused() {
    for (text, said) in [
        ("", "no column token"),
        ("<html>maintenance</html>", "no column token"),
        ("token,symbol,alias\n", "no column ends"),
        ("token,symbol,alias,ends\n", "has none"),
    ] {
        let error = List::parse_on(text.as_bytes(), day(1)).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

struct Json;

impl Sheet<3> for Json {
    type Key = u32;

    const LAYOUT: Layout = Layout::JsonObjects;
    const COLUMNS: [&'static str; 3] = ["token", "symbol", "market"];
    const MAX_ROWS: usize = 5;

    fn begin(_today: Day) -> Self {
        Self
    }

    fn row(&mut self, cells: [Option<&str>; 3], names: &mut Names<u32>) -> Option<()> {
        let [token, symbol, market] = cells;
        if market == Some("other") {
            names.unserved();
            return Some(());
        }
        names.add("NSE", symbol?, token?.parse().ok()?);
        Some(())
    }
}

#[test]
fn a_list_of_json_objects_is_read_as_one_of_rows() {
    let text = r#"[{"symbol":"A","token":1,"more":{"token":9}},{"token":"2","symbol":"B","market":NaN},
        {"token":3,"symbol":"C","market":"other"},{"token":"x","symbol":"D"},7,{"token":4,"symbol":
        {"token":5,"symbol":"E"},{"token":6,"symbol":"F"}]"#;
    let list = Catalog::<Json, 3>::parse_on(text.as_bytes(), day(1)).unwrap();
    let has = ["A", "B", "C", "D", "E", "F"].map(|symbol| list.key("NSE", symbol));
    assert_eq!(has, [Some(1), Some(2), None, None, Some(5), None], "there is a limit to the rows");
    assert_eq!((list.len(), list.unserved(), list.skipped(), list.is_cut_off), (3, 1, 3, true));
    for (end, is_cut_off) in
        [("", true), (",", true), (r#",{"token":2"#, true), ("]", false), (" ]\n", false)]
    {
        let text = format!(r#"[{{"token":1,"symbol":"A"}}{end}"#);
        let list = Catalog::<Json, 3>::parse_on(text.as_bytes(), day(1)).unwrap();
        assert_eq!(list.is_cut_off, is_cut_off, "{end:?}");
    }
    for text in ["", "[]", "<html>maintenance</html>", r#"{"status":false}"#] {
        let error = Catalog::<Json, 3>::parse_on(text.as_bytes(), day(1)).unwrap_err().to_string();
        assert!(error.contains("has none that can be used"), "{error}");
    }
}

#[test]
fn an_envelope_of_any_size_around_the_array_is_no_part_of_the_list() {
    let rows = r#"[{"token":1,"symbol":"A"}, {"token":2,"symbol":"B"}]"#;
    // What looks like a row, and has the size of many.
    let looks = r#"{"token":9,"symbol":"X"}"#;
    let long = format!(r#""about":{{"note":"{}]","last":{looks}}}"#, "x[{".repeat(10_000));
    for text in [
        rows.to_owned(),
        format!(r#"{{"status":"ok","codes":[7],"none":[],"data":{rows},"meta":{looks},"more":[{looks}]}}"#),
        format!(r#"{{{long},"data":{{"rows":{rows}}},{long}}}"#),
        format!(" {{{long},\"data\":{rows}}}\n"),
    ] {
        let list = Catalog::<Json, 3>::parse_on(text.as_bytes(), day(1)).unwrap();
        let shown = text.get(..40).unwrap();
        let has = ["A", "B", "X"].map(|symbol| list.key("NSE", symbol));
        assert_eq!((has, list.skipped(), list.is_cut_off), ([Some(1), Some(2), None], 0, false), "{shown}");
        let torn = text.get(..text.rfind(']').unwrap()).unwrap();
        let list = Catalog::<Json, 3>::parse_on(torn.as_bytes(), day(1));
        assert!(list.is_ok_and(|list| list.is_cut_off && list.key("NSE", "A") == Some(1)), "{shown}");
    }
    let deep = format!("{}{rows}", r#"{"a":"#.repeat(1_000));
    assert!(Catalog::<Json, 3>::parse_on(deep.as_bytes(), day(1)).is_err());
}

#[test]
fn what_is_not_there_is_refused_in_words() {
    let list = List::parse_on("token,symbol,alias,ends\n1,SBIN,,\n".as_bytes(), day(1)).unwrap();
    assert_eq!(list.find("NSE", "SBIN"), Ok(1));
    assert_eq!(list.find("NSE", "X"), Err(Refusal::not_found("NSE", "X")));
    assert_eq!(list.find("NFO", "NIFTY30JAN25FUT"), Err(Refusal::expired("NFO", "NIFTY30JAN25FUT")));
}

/// Two files without a first row that names the columns.
struct Plain;

impl Sheet<2> for Plain {
    type Key = u32;

    const COLUMNS: [&'static str; 2] = ["token", "symbol"];

    fn places(_first: &Row) -> Option<[Option<usize>; 2]> {
        Some([Some(0), Some(2)])
    }

    fn begin(_today: Day) -> Self {
        Self
    }

    fn row(&mut self, [token, symbol]: [Option<&str>; 2], names: &mut Names<u32>) -> Option<()> {
        let (token, symbol) = (token?.parse().ok()?, symbol?);
        let Some((bare, "EQ")) = symbol.split_once('-') else {
            names.unserved();
            return Some(());
        };
        names.add("NSE", bare, token);
        names.add_own("NSE", symbol, token);
        Some(())
    }
}

#[test]
fn a_list_of_several_files_without_a_header_is_one_list() {
    let all = ["1,State Bank,SBIN-EQ\n2,x,BOND-N1\n", "3,Infosys,INFY-EQ\nx,y\n"];
    let list = Catalog::<Plain, 2>::parse_all(all.map(str::as_bytes)).unwrap();
    assert_eq!((list.key("NSE", "SBIN"), list.key("NSE", "INFY")), (Some(1), Some(3)));
    assert_eq!((list.own_name(3), list.own_name(2)), (Some(("NSE", "INFY-EQ")), None));
    assert_eq!((list.len(), list.skipped(), list.unserved(), list.summary().skipped), (2, 1, 1, 2));
    for other in ["", "<html>maintenance</html>\n", "2,x,BOND-N1\n"] {
        let error = Catalog::<Plain, 2>::parse_all([all[0], other].map(str::as_bytes)).unwrap_err();
        assert!(error.to_string().contains("has none that can be used"), "{other}: {error}");
    }
    assert!(Catalog::<Plain, 2>::parse_all([""; 0].map(str::as_bytes)).is_err());
}

#[test]
fn one_file_of_several_costs_itself_and_what_it_had_is_held_with_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (one, two) = (file("one", "1,x,SBIN-EQ\n"), file("two", "3,x,INFY-EQ\n4,x,TCS-EQ\n"));
    let last = Catalog::<Plain, 2>::read(&[one.clone(), two]).unwrap();
    let mut list = Catalog::<Plain, 2>::read(&[one, file("empty", "")]).unwrap();
    assert_eq!((list.len(), list.skipped()), (1, 1));
    assert!(Catalog::<Plain, 2>::read(&[file("empty", "")]).is_err(), "alone it is no list");
    assert_eq!(list.hold(&last, &|_, symbol| symbol == "INFY"), 1);
    assert_eq!((list.key("NSE", "INFY"), list.own_name(3)), (Some(3), Some(("NSE", "INFY-EQ"))));
    assert_eq!((list.key("NSE", "TCS"), list.own_name(4)), (None, None));
    assert_eq!(list.hold(&last, &|_, _| false), 0);
}

#[test]
fn a_source_has_what_is_usual_and_the_limit_of_its_sheet() {
    let source = List::source("acme", vec!["https://x/list.csv".to_owned()]);
    assert_eq!((source.adapter, source.urls.len(), source.cache_dir.is_none()), ("acme", 1, true));
    assert_eq!((source.max_bytes, source.renewed_at), (Acme::MAX_BYTES, (8, 30)));
    assert!(source.segments.contains(&"NFO") && source.outdated == crate::instruments::Outdated::Refuse);
}

/// Rows within an envelope, with columns within members.
struct Enveloped;

impl Sheet<2> for Enveloped {
    type Key = u32;

    const COLUMNS: [&'static str; 2] = ["id", "asset.symbol"];
    const LAYOUT: Layout = Layout::JsonObjectsAt("result");

    fn begin(_: Day) -> Self {
        Self
    }

    fn row(&mut self, [id, symbol]: [Option<&str>; 2], names: &mut Names<u32>) -> Option<()> {
        names.add("CRYPTO", symbol?, id?.parse().ok()?);
        Some(())
    }
}

#[test]
fn pages_in_envelopes_are_one_list_and_each_must_have_its_array() {
    let read = |text: &str| Catalog::<Enveloped, 2>::parse_on(text.as_bytes(), day(10));
    let (first, second) = (
        r#"{"success":true,"result":[{"id":1,"asset":{"symbol":"A"}},{"id":2,"asset":null}],"meta":{"id":9}}"#,
        r#"{"success":true,"result":[{"id":3,"asset":{"symbol":"B"}}]}"#,
    );
    let list = read(&format!("{first}\n{second}")).unwrap();
    assert_eq!((list.key("CRYPTO", "A"), list.key("CRYPTO", "B")), (Some(1), Some(3)));
    assert_eq!((list.len(), list.skipped(), super::List::is_cut_off(&list)), (2, 1, false));
    let torn = read(&format!("{second}{}", first.get(..60).unwrap())).unwrap();
    assert!(super::List::is_cut_off(&torn) && torn.key("CRYPTO", "A") == Some(1));
    for text in ["", "<html>", r#"{"success":false,"error":{"id":1}}"#, &format!("{first}{{}}")] {
        let said = read(text).unwrap_err().to_string();
        assert!(said.contains("no array of objects at `result`"), "{text}: {said}");
    }
    assert!(read(r#"{"result":[]}"#).unwrap_err().to_string().contains("none that can be used"));
}
