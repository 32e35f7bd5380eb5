//! Records as pointsman has them, and as they go over the wire.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, TXT};
use hickory_proto::rr::{Name, RData, RecordType};

use crate::switch::dns::{Kind, RecordSet};

/// Every type that is read or written.
pub(super) const KINDS: [Kind; 4] = [Kind::A, Kind::Aaaa, Kind::Cname, Kind::Txt];
/// Most bytes of one string of a TXT record: its length is one byte (RFC 1035, 3.3).
const LONGEST_STRING: usize = 255;

/// The strings of one TXT record. Servers compare records byte by byte, so it matters where one ends.
pub(super) type Strings = Vec<Vec<u8>>;

/// A whole name, whether or not a dot stands at its end.
pub(in crate::switch::dns) fn name(text: &str) -> Result<Name, String> {
    let mut name = Name::from_ascii(text).map_err(|error| format!("`{text}` is no DNS name: {error}"))?;
    name.set_fqdn(true);
    Ok(name)
}

/// A name as pointsman writes it: lower case, no dot at its end.
pub(in crate::switch::dns) fn text(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

/// The type on the wire.
pub(in crate::switch::dns) fn record_type(kind: Kind) -> RecordType {
    match kind {
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
        Kind::Cname => RecordType::CNAME,
        Kind::Txt => RecordType::TXT,
    }
}

/// The set of this type at this very name among an answer's records: what a CNAME there leads to is not at the name.
pub(in crate::switch::dns) fn set(
    answer: &Message,
    name: &Name,
    kind: Kind,
) -> Result<Option<RecordSet>, String> {
    let mut found: Option<RecordSet> = None;
    for record in &answer.answers {
        if record.name != *name || record.record_type() != record_type(kind) {
            continue;
        }
        let Some(value) =
            value(&record.data).map_err(|problem| format!("{} {kind}: {problem}", text(name)))?
        else {
            continue;
        };
        let set = found.get_or_insert_with(|| RecordSet {
            name: text(name),
            kind,
            ttl: record.ttl,
            values: Vec::new(),
            share: None,
        });
        // One TTL for all (RFC 2181, 5.2); where a server breaks that, caches may hold the longest.
        set.ttl = set.ttl.max(record.ttl);
        set.values.push(value);
    }
    if let Some(set) = &mut found {
        set.values.sort();
        set.values.dedup();
    }
    Ok(found)
}

/// The strings of every TXT record of an answer at this very name.
pub(super) fn strings(answer: &Message, name: &Name) -> Vec<Strings> {
    let records = answer.answers.iter().filter(|record| record.name == *name);
    records
        .filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(txt.txt_data.iter().map(|string| string.to_vec()).collect()),
            _ => None,
        })
        .collect()
}

fn value(data: &RData) -> Result<Option<String>, String> {
    Ok(Some(match data {
        RData::A(address) => address.0.to_string(),
        RData::AAAA(address) => address.0.to_string(),
        RData::CNAME(target) => text(&target.0),
        RData::TXT(txt) => String::from_utf8(txt.txt_data.concat())
            .map_err(|_| "expected a text in UTF-8, found other bytes".to_owned())?,
        _ => return Ok(None),
    }))
}

/// A value as a record has it.
pub(super) fn data(kind: Kind, value: &str) -> Result<RData, String> {
    let no = |what: &str| format!("`{value}` is no {what}");
    Ok(match kind {
        Kind::A => RData::A(A(value.parse::<Ipv4Addr>().map_err(|_| no("IPv4 address"))?)),
        Kind::Aaaa => RData::AAAA(AAAA(value.parse::<Ipv6Addr>().map_err(|_| no("IPv6 address"))?)),
        Kind::Cname => RData::CNAME(CNAME(name(value)?)),
        Kind::Txt => txt(&split(value)),
    })
}

/// A TXT record of these strings.
pub(super) fn txt(strings: &Strings) -> RData {
    RData::TXT(TXT::from_bytes(strings.iter().map(Vec::as_slice).collect()))
}

/// A text as strings: full ones, and what is left. An empty text is one empty string.
pub(super) fn split(text: &str) -> Strings {
    if text.is_empty() {
        return vec![Vec::new()];
    }
    text.as_bytes()
        .chunks(LONGEST_STRING)
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::OpCode;
    use hickory_proto::rr::Record;

    use super::*;

    fn answer(records: Vec<(&str, u32, RData)>) -> Message {
        let mut message = Message::response(7, OpCode::Query);
        for (owner, ttl, data) in records {
            message.add_answer(Record::from_rdata(name(owner).unwrap(), ttl, data));
        }
        message
    }

    #[test]
    fn names_are_whole_lower_case_and_without_a_dot() {
        for written in ["_Pointsman.WWW.example.com", "_pointsman.www.example.com."] {
            assert_eq!(text(&name(written).unwrap()), "_pointsman.www.example.com");
        }
        assert!(name("a..b").is_err());
        assert!(name(&"x".repeat(64)).is_err());
    }

    #[test]
    fn what_a_cname_leads_to_is_not_at_the_name() {
        let answer = answer(vec![
            (
                "WWW.example.com",
                60,
                data(Kind::Cname, "Blue.example.com").unwrap(),
            ),
            ("blue.example.com", 60, data(Kind::A, "192.0.2.1").unwrap()),
        ]);
        let www = name("www.example.com").unwrap();
        assert_eq!(set(&answer, &www, Kind::A), Ok(None));
        let cname = set(&answer, &www, Kind::Cname).unwrap().unwrap();
        assert_eq!(cname.name, "www.example.com");
        assert_eq!(cname.values, ["blue.example.com"]);
    }

    #[test]
    fn values_are_sorted_each_once_under_the_longest_ttl() {
        let address = |text| data(Kind::Aaaa, text).unwrap();
        let answer = answer(vec![
            ("a.example", 5, address("2001:db8:0::2")),
            ("a.example", 9, address("2001:db8::1")),
            ("a.example", 5, address("2001:db8::2")),
        ]);
        let set = set(&answer, &name("a.example").unwrap(), Kind::Aaaa)
            .unwrap()
            .unwrap();
        assert_eq!((set.ttl, set.values.len()), (9, 2));
        assert_eq!(set.values, ["2001:db8::1", "2001:db8::2"]);
    }

    #[test]
    fn a_text_is_cut_into_strings_and_put_together() {
        let at = name("t.example").unwrap();
        for length in [0, 1, 255, 256, 510, 3000] {
            let written = "ü".repeat(length / 2) + &"x".repeat(length % 2);
            let answer = answer(vec![("t.example", 1, data(Kind::Txt, &written).unwrap())]);
            // Over the wire and back.
            let answer = Message::from_vec(&answer.to_vec().unwrap()).unwrap();
            let found = set(&answer, &at, Kind::Txt).unwrap().unwrap();
            assert_eq!(found.values, [written.as_str()]);
            assert_eq!(strings(&answer, &at), [split(&written)]);
        }
        let broken = answer(vec![("t.example", 1, txt(&vec![vec![0xff]]))]);
        assert!(set(&broken, &at, Kind::Txt).unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        assert!(data(Kind::A, "2001:db8::1").unwrap_err().contains("IPv4"));
        assert!(data(Kind::Aaaa, "192.0.2.1").unwrap_err().contains("IPv6"));
        assert!(data(Kind::Cname, "a..b").is_err());
    }
}
