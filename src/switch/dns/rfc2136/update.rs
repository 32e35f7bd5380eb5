//! One change as one UPDATE message (RFC 2136): what must stand there, what goes, what comes.

use std::collections::BTreeMap;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::records::{self, Strings};
use crate::switch::dns::{Kind, RecordSet, Replace};

/// What must not stand beside a new CNAME. Nothing else may, but there is no way to say that of a name from which records
/// are taken in the same message, so the types are named that are common.
pub(super) const BESIDE_A_CNAME: [RecordType; 18] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::TXT,
    RecordType::MX,
    RecordType::NS,
    RecordType::SOA,
    RecordType::SRV,
    RecordType::CAA,
    RecordType::HTTPS,
    RecordType::SVCB,
    RecordType::PTR,
    RecordType::NAPTR,
    RecordType::SSHFP,
    RecordType::TLSA,
    RecordType::DNAME,
    RecordType::HINFO,
    RecordType::CERT,
    RecordType::OPENPGPKEY,
];

/// How TXT records that others wrote are cut into strings, by name and text: servers compare the strings.
pub(super) type Cuts = BTreeMap<(String, String), Vec<Strings>>;

/// A question to which nothing but the server's own knowledge is an answer.
pub(super) fn question(name: &Name, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(name.clone(), kind));
    message
}

/// An update of this zone that has nothing in it yet.
pub(super) fn empty(zone: &Name) -> Message {
    let mut message = Message::new(Message::query().id, MessageType::Query, OpCode::Update);
    message.add_query(Query::query(zone.clone(), RecordType::SOA));
    message
}

/// The update.
///
/// # Errors
/// When a name or a value is none.
pub(super) fn update(zone: &Name, sets: &[Replace], cuts: &Cuts) -> Result<Message, String> {
    let mut message = empty(zone);
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    for replace in sets {
        let old = some(replace.old.as_ref());
        let wanted = some(replace.new.as_ref());
        let Some(any) = old.or(replace.new.as_ref()).or(replace.old.as_ref()) else {
            continue;
        };
        let at = records::name(&any.name)?;
        match old {
            None => {
                message.add_answer(absent(&at, records::record_type(any.kind)));
            }
            Some(old) => {
                message.add_answers(all(&at, old, 0, cuts)?);
            }
        }
        if old == wanted {
            continue;
        }
        if old.is_some() {
            let mut delete = Record::update0(at.clone(), 0, records::record_type(any.kind));
            delete.dns_class = DNSClass::ANY;
            gone.push(delete);
        }
        if let Some(wanted) = wanted {
            new.extend(all(&at, wanted, wanted.ttl, &Cuts::new())?);
            if old.is_none() || wanted.kind != Kind::Cname {
                let others = not_beside(&at, wanted, sets).into_iter();
                let others: Vec<Record> = others.filter(|one| !message.answers.contains(one)).collect();
                message.add_answers(others);
            }
        }
    }
    // What goes, goes first: a server leaves out what may not stand beside what is there.
    message.add_authorities(gone);
    message.add_authorities(new);
    Ok(message)
}

/// BIND and Knot take an update that puts a CNAME beside other records, or others beside a CNAME, say that all is well, and
/// leave them out (RFC 2136, 3.4.2.2); PowerDNS says REFUSED. So such an update has to fail before.
fn not_beside(at: &Name, wanted: &RecordSet, sets: &[Replace]) -> Vec<Record> {
    let named = |kind: RecordType| {
        let both = sets.iter().flat_map(|set| [&set.old, &set.new]).flatten();
        both.into_iter().any(|set| {
            records::record_type(set.kind) == kind && records::name(&set.name).is_ok_and(|name| name == *at)
        })
    };
    let others: &[RecordType] = match wanted.kind {
        Kind::Cname => &BESIDE_A_CNAME,
        _ => &[RecordType::CNAME],
    };
    let others = others.iter().filter(|kind| !named(**kind));
    others.map(|kind| absent(at, *kind)).collect()
}

/// "Nothing of this type stands there" (RFC 2136, 2.4.3).
pub(super) fn absent(at: &Name, kind: RecordType) -> Record {
    let mut record = Record::update0(at.clone(), 0, kind);
    record.dns_class = DNSClass::NONE;
    record
}

/// "Something of this type stands there" (RFC 2136, 2.4.1).
pub(super) fn exists(at: &Name, kind: RecordType) -> Record {
    let mut record = Record::update0(at.clone(), 0, kind);
    record.dns_class = DNSClass::ANY;
    record
}

/// The records of a set.
fn all(at: &Name, set: &RecordSet, ttl: u32, cuts: &Cuts) -> Result<Vec<Record>, String> {
    let mut records = Vec::new();
    for value in &set.values {
        let cut = match set.kind {
            Kind::Txt => cuts.get(&(records::text(at), value.clone())),
            _ => None,
        };
        let data: Vec<RData> = match cut {
            Some(cut) => cut.iter().map(records::txt).collect(),
            None => vec![records::data(set.kind, value)?],
        };
        records.extend(
            data.into_iter()
                .map(|data| Record::from_rdata(at.clone(), ttl, data)),
        );
    }
    Ok(records)
}

/// A set without values is none.
fn some(set: Option<&RecordSet>) -> Option<&RecordSet> {
    set.filter(|set| !set.values.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(kind: Kind, ttl: u32, values: &[&str]) -> RecordSet {
        RecordSet {
            name: "www.z.example".to_owned(),
            kind,
            ttl,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            share: None,
        }
    }

    /// Prerequisites and updates as lines: class, type, TTL, data.
    fn lines(old: Option<RecordSet>, new: Option<RecordSet>) -> (Vec<String>, Vec<String>) {
        many(&[Replace { old, new }])
    }

    fn many(sets: &[Replace]) -> (Vec<String>, Vec<String>) {
        let message = update(&records::name("z.example").unwrap(), sets, &Cuts::new()).unwrap();
        // Over the wire and back.
        let message = Message::from_vec(&message.to_vec().unwrap()).unwrap();
        assert_eq!(message.op_code, OpCode::Update);
        assert!(!message.recursion_desired);
        assert_eq!(message.queries[0].query_type(), RecordType::SOA);
        let line = |record: &Record| {
            format!(
                "{} {} {} {}",
                record.dns_class,
                record.record_type(),
                record.ttl,
                record.data
            )
        };
        (
            message.answers.iter().map(line).collect(),
            message.authorities.iter().map(line).collect(),
        )
    }

    #[test]
    fn old_values_are_compared_and_the_whole_set_is_replaced() {
        let (must, does) = lines(
            Some(set(Kind::A, 60, &["192.0.2.1", "192.0.2.2"])),
            Some(set(Kind::A, 5, &["192.0.2.3"])),
        );
        assert_eq!(
            must,
            ["IN A 0 192.0.2.1", "IN A 0 192.0.2.2", "NONE CNAME 0 UPDATE"]
        );
        assert_eq!(does, ["ANY A 0 UPDATE", "IN A 5 192.0.2.3"]);
    }

    #[test]
    fn the_same_is_only_compared() {
        let same = Some(set(Kind::A, 60, &["192.0.2.1"]));
        let (must, does) = lines(same.clone(), same);
        assert_eq!(must, ["IN A 0 192.0.2.1"]);
        assert!(does.is_empty(), "{does:?}");
        // Another TTL is a change.
        let (_, does) = lines(
            Some(set(Kind::A, 60, &["192.0.2.1"])),
            Some(set(Kind::A, 5, &["192.0.2.1"])),
        );
        assert_eq!(does, ["ANY A 0 UPDATE", "IN A 5 192.0.2.1"]);
    }

    #[test]
    fn nothing_there_is_compared_too() {
        let (must, does) = lines(None, Some(set(Kind::Txt, 1, &["x"])));
        assert_eq!(must, ["NONE TXT 0 UPDATE", "NONE CNAME 0 UPDATE"]);
        assert_eq!(does, ["IN TXT 1 x"]);
        let (must, does) = lines(Some(set(Kind::Txt, 1, &["x"])), None);
        assert_eq!(must, ["IN TXT 0 x"]);
        assert_eq!(does, ["ANY TXT 0 UPDATE"]);
        let (must, does) = lines(Some(set(Kind::Txt, 1, &[])), None);
        assert_eq!((must, does.len()), (vec!["NONE TXT 0 UPDATE".to_owned()], 0));
    }

    #[test]
    fn an_address_becomes_a_cname_with_nothing_beside_it() {
        let (must, does) = many(&[
            Replace {
                old: None,
                new: Some(set(Kind::Cname, 5, &["blue.z.example"])),
            },
            Replace {
                old: Some(set(Kind::A, 5, &["192.0.2.1"])),
                new: None,
            },
        ]);
        assert_eq!(must[0], "NONE CNAME 0 UPDATE");
        assert!(must.contains(&"NONE AAAA 0 UPDATE".to_owned()), "{must:?}");
        assert!(must.contains(&"NONE MX 0 UPDATE".to_owned()), "{must:?}");
        assert!(must.contains(&"IN A 0 192.0.2.1".to_owned()), "{must:?}");
        assert!(!must.contains(&"NONE A 0 UPDATE".to_owned()), "{must:?}");
        assert_eq!(
            does,
            ["ANY A 0 UPDATE", "IN CNAME 5 blue.z.example."],
            "what goes, goes first"
        );
        // Where a CNAME stood nothing stands beside it.
        let (must, _) = lines(
            Some(set(Kind::Cname, 5, &["blue.z.example"])),
            Some(set(Kind::Cname, 5, &["green.z.example"])),
        );
        assert_eq!(must, ["IN CNAME 0 blue.z.example."]);
    }

    #[test]
    fn texts_of_others_are_compared_as_they_are_cut() {
        let zone = records::name("z.example").unwrap();
        let cuts = Cuts::from([(
            ("www.z.example".to_owned(), "ab".to_owned()),
            vec![vec![b"a".to_vec(), b"b".to_vec()]],
        )]);
        let replace = Replace {
            old: Some(set(Kind::Txt, 5, &["ab"])),
            new: Some(set(Kind::Txt, 5, &["ab", "c"])),
        };
        let message = update(&zone, &[replace], &cuts).unwrap();
        let strings = records::strings(&message, &records::name("www.z.example").unwrap());
        assert_eq!(strings, [vec![b"a".to_vec(), b"b".to_vec()]]);
    }
}
