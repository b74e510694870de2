//! Indices that OpenAlgo calls something else than brokers do.

/// Of NSE: names of brokers without spaces and hyphens, and OpenAlgo's.
const NSE: [(&str, &str); 16] = [
    ("NIFTYINDEX", "NIFTY"),
    ("NIFTYBANK", "BANKNIFTY"),
    ("NIFTYFINSERVICE", "FINNIFTY"),
    ("NIFTYMIDCAPSELECT", "MIDCPNIFTY"),
    ("NIFTYMIDSELECT", "MIDCPNIFTY"),
    ("NIFTY50", "NIFTY"),
    ("NIFTY100EQUALWEIGHT", "NIFTY100EQLWGT"),
    ("NIFTY100LOWVOLATILITY30", "NIFTY100LOWVOL30"),
    ("NIFTYMID100FREE", "NIFTYMIDCAP100"),
    ("NIFTYMCAP50", "NIFTYMIDCAP50"),
    ("NIFTYMID50", "NIFTYMIDCAP50"),
    ("NIFTYMIDSMALLCAP400", "NIFTYMIDSML400"),
    ("NIFTYNEXT50", "NIFTYNXT50"),
    ("NIFTYSMALLCAP100", "NIFTYSMLCAP100"),
    ("NIFTYSMALLCAP250", "NIFTYSMLCAP250"),
    ("NIFTYSMALLCAP50", "NIFTYSMLCAP50"),
];

/// The same of BSE, whose indices some brokers know by short codes.
const BSE: [(&str, &str); 46] = [
    ("100", "BSE100"),
    ("150MIDCAP", "BSE150MIDCAPINDEX"),
    ("MID150", "BSE150MIDCAPINDEX"),
    ("200", "BSE200"),
    ("250LARGEMIDCAP", "BSE250LARGEMIDCAPINDEX"),
    ("LMI250", "BSE250LARGEMIDCAPINDEX"),
    ("400MIDSMALLCAP", "BSE400MIDSMALLCAPINDEX"),
    ("MSL400", "BSE400MIDSMALLCAPINDEX"),
    ("500", "BSE500"),
    ("AUTO", "BSEAUTO"),
    ("BSECG", "BSECAPITALGOODS"),
    ("CG", "BSECAPITALGOODS"),
    ("CARBON", "BSECARBONEX"),
    ("CARBONEX", "BSECARBONEX"),
    ("BSECD", "BSECONSUMERDURABLES"),
    ("CD", "BSECONSUMERDURABLES"),
    ("CPSE", "BSECPSE"),
    ("DOL100", "BSEDOLLEX100"),
    ("DOL200", "BSEDOLLEX200"),
    ("DOL30", "BSEDOLLEX30"),
    ("ENERGY", "BSEENERGY"),
    ("BSEFMC", "BSEFASTMOVINGCONSUMERGOODS"),
    ("FMC", "BSEFASTMOVINGCONSUMERGOODS"),
    ("FIN", "BSEFINANCIALSERVICES"),
    ("FINSER", "BSEFINANCIALSERVICES"),
    ("GREENX", "BSEGREENEX"),
    ("BSEHC", "BSEHEALTHCARE"),
    ("HC", "BSEHEALTHCARE"),
    ("INFRA", "BSEINDIAINFRASTRUCTUREINDEX"),
    ("INDSTR", "BSEINDUSTRIALS"),
    ("BSEIT", "BSEINFORMATIONTECHNOLOGY"),
    ("IT", "BSEINFORMATIONTECHNOLOGY"),
    ("LRGCAP", "BSELARGECAP"),
    ("METAL", "BSEMETAL"),
    ("MIDCAP", "BSEMIDCAP"),
    ("MIDSEL", "BSEMIDCAPSELECTINDEX"),
    ("OILGAS", "BSEOIL&GAS"),
    ("POWER", "BSEPOWER"),
    ("REALTY", "BSEREALTY"),
    ("SNXT50", "BSESENSEXNEXT50"),
    ("SMLCAP", "BSESMALLCAP"),
    ("SMLSEL", "BSESMALLCAPSELECTINDEX"),
    ("SMEIPO", "BSESMEIPO"),
    ("TECK", "BSETECK"),
    ("TELCOM", "BSETELECOM"),
    ("SNSX50", "SENSEX50"),
];

/// OpenAlgo's name of an index on `NSE_INDEX` or `BSE_INDEX`, by the broker's name, whose spaces and hyphens
/// do not count and whose capitals do. None where OpenAlgo has no other name for it.
pub fn index(exchange: &str, theirs: &str) -> Option<&'static str> {
    let table: &[(&str, &str)] = match exchange {
        "NSE_INDEX" => &NSE,
        "BSE_INDEX" => &BSE,
        _ => return None,
    };
    let letters = || theirs.chars().filter(|letter| !matches!(letter, ' ' | '-'));
    table.iter().find(|(name, _)| name.chars().eq(letters())).map(|(_, ours)| *ours)
}

/// Appends OpenAlgo's name of an index, by the broker's name of it: in capitals, without spaces and hyphens,
/// and where OpenAlgo has another one than the broker that one. False, and nothing is appended, when nothing
/// is left of it.
///
/// ```
/// let mut name = String::new();
/// assert!(adapter_sdk::symbol::write_index(&mut name, "NSE_INDEX", "Nifty Fin Service"));
/// assert_eq!(name, "FINNIFTY");
/// ```
pub fn write_index(name: &mut String, exchange: &str, theirs: &str) -> bool {
    let start = name.len();
    let letters = theirs.chars().filter(|letter| !letter.is_whitespace() && *letter != '-');
    name.extend(letters.map(|letter| letter.to_ascii_uppercase()));
    let plain = name.get(start..).unwrap_or_default();
    let is_some = !plain.is_empty();
    if let Some(ours) = index(exchange, plain) {
        name.truncate(start);
        name.push_str(ours);
    }
    is_some
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn indices_are_found_however_a_broker_spaces_them() {
        assert_eq!(index("NSE_INDEX", "NIFTY 50"), Some("NIFTY"));
        assert_eq!(index("NSE_INDEX", "NIFTY-BANK"), Some("BANKNIFTY"));
        assert_eq!(index("BSE_INDEX", "BSE CG"), Some("BSECAPITALGOODS"));
        assert_eq!(index("NSE_INDEX", "Nifty 50"), None);
        assert_eq!(index("BSE_INDEX", "NIFTY 50"), None);
        assert_eq!(index("NSE", "NIFTY 50"), None);
    }

    #[test]
    fn names_are_in_capitals_without_spaces_and_hyphens() {
        for (exchange, theirs, ours) in [
            ("NSE_INDEX", "Nifty 50", "NIFTY"),
            ("NSE_INDEX", "Nifty100 Liq-15", "NIFTY100LIQ15"),
            ("NSE_INDEX", "India\tVIX", "INDIAVIX"),
            ("BSE_INDEX", "BSE it", "BSEINFORMATIONTECHNOLOGY"),
            ("MCX_INDEX", "MCXBULLDEX", "MCXBULLDEX"),
            ("GLOBAL_INDEX", "GIFT NIFTY", "GIFTNIFTY"),
        ] {
            let mut name = "before ".to_owned();
            assert!(write_index(&mut name, exchange, theirs));
            assert_eq!(name, format!("before {ours}"));
        }
        let mut name = "before".to_owned();
        assert!(!write_index(&mut name, "NSE_INDEX", " - "));
        assert_eq!(name, "before");
    }

    #[test]
    fn each_name_of_a_broker_means_one_index() {
        for table in [&NSE[..], &BSE] {
            let names: BTreeSet<&str> = table.iter().map(|(theirs, _)| *theirs).collect();
            assert_eq!(names.len(), table.len());
            assert!(names.iter().all(|name| !name.contains([' ', '-'])));
            assert!(table.iter().all(|(theirs, ours)| theirs != ours));
        }
    }
}
