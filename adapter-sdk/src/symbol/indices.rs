//! Indices that OpenAlgo calls something else than brokers do.

/// Of NSE: names of brokers without spaces and hyphens, and OpenAlgo's.
const NSE: [(&str, &str); 15] = [
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

/// OpenAlgo's name of an index on `NSE_INDEX` or `BSE_INDEX`, by the broker's name, whose spaces and hyphens do not count and
/// whose capitals do. None where OpenAlgo has no other name for it.
pub fn index(exchange: &str, theirs: &str) -> Option<&'static str> {
    let table: &[(&str, &str)] = match exchange {
        "NSE_INDEX" => &NSE,
        "BSE_INDEX" => &BSE,
        _ => return None,
    };
    let letters = || theirs.chars().filter(|letter| !matches!(letter, ' ' | '-'));
    table.iter().find(|(name, _)| name.chars().eq(letters())).map(|(_, ours)| *ours)
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
    fn each_name_of_a_broker_means_one_index() {
        for table in [&NSE[..], &BSE] {
            let names: BTreeSet<&str> = table.iter().map(|(theirs, _)| *theirs).collect();
            assert_eq!(names.len(), table.len());
            assert!(names.iter().all(|name| !name.contains([' ', '-'])));
            assert!(table.iter().all(|(theirs, ours)| theirs != ours));
        }
    }
}
