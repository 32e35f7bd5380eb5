//! Which records are which pool's, and the sets that lead from one to the other.

use std::fmt;
use std::net::IpAddr;

use super::zone::{Kind, RecordSet, Replace};
use crate::inventory::Pool;
use crate::inventory::dns::Dns;

/// The type and the canonical text of one record of the inventory.
fn record(value: &str) -> (Kind, String) {
    match value.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => (Kind::A, address.to_string()),
        Ok(IpAddr::V6(address)) => (Kind::Aaaa, address.to_string()),
        Err(_) => (Kind::Cname, value.trim_end_matches('.').to_lowercase()),
    }
}

/// A pool's sets, one for each type.
pub(super) fn wanted(dns: &Dns, pool: Pool, ttl: u32) -> Vec<RecordSet> {
    let mut sets: Vec<RecordSet> = Vec::new();
    for value in dns.records(pool) {
        let (kind, value) = record(value);
        match sets.iter_mut().find(|set| set.kind == kind) {
            Some(set) => set.values.push(value),
            None => sets.push(RecordSet {
                name: dns.name.clone(),
                kind,
                ttl,
                values: vec![value],
            }),
        }
    }
    for set in &mut sets {
        set.values.sort_unstable();
        set.values.dedup();
    }
    sets.sort_by_key(|set| set.kind);
    sets
}

/// Whether both say the same, whatever their TTLs.
pub(super) fn same(one: &[RecordSet], other: &[RecordSet]) -> bool {
    let plain = |sets: &[RecordSet]| {
        let mut plain: Vec<_> = sets.iter().map(|set| (set.kind, set.values.clone())).collect();
        plain.sort();
        plain
    };
    plain(one) == plain(other)
}

/// The pool whose set of this type these values are; of both, where both have the same, the one that is `live`.
pub(super) fn classify(dns: &Dns, kind: Kind, values: &[String], live: Pool) -> Option<Pool> {
    let is = |pool: &Pool| {
        wanted(dns, *pool, 0)
            .iter()
            .any(|set| set.kind == kind && set.values == values)
    };
    [live, live.other()].into_iter().find(is)
}

/// Whether every one of these records is some pool's.
pub(super) fn all_ours(dns: &Dns, sets: &[RecordSet]) -> bool {
    let ours: Vec<RecordSet> = Pool::ALL
        .into_iter()
        .flat_map(|pool| wanted(dns, pool, 0))
        .collect();
    let known = |kind: Kind, value: &String| {
        ours.iter()
            .any(|set| set.kind == kind && set.values.contains(value))
    };
    !sets.is_empty()
        && sets
            .iter()
            .all(|set| set.values.iter().all(|value| known(set.kind, value)))
}

/// What turns `old` into `new`, type by type.
pub(super) fn replaced(old: Vec<RecordSet>, new: Vec<RecordSet>) -> Vec<Replace> {
    let kinds = [Kind::A, Kind::Aaaa, Kind::Cname];
    let of = |sets: &[RecordSet], kind| sets.iter().find(|set| set.kind == kind).cloned();
    kinds
        .into_iter()
        .map(|kind| Replace {
            old: of(&old, kind),
            new: of(&new, kind),
        })
        .filter(|replace| replace.old.is_some() || replace.new.is_some())
        .collect()
}

/// As text, a line for each value: what a change carries to say what it expects.
pub(super) fn lines(set: &RecordSet) -> Vec<String> {
    let line = |value: &String| format!("{} {} {} {value}", set.name, set.ttl, set.kind);
    set.values.iter().map(line).collect()
}

/// The sets that [`lines`] were made of.
pub(super) fn parse(lines: &[String]) -> Vec<RecordSet> {
    let mut sets: Vec<RecordSet> = Vec::new();
    for line in lines {
        let mut words = line.splitn(4, ' ');
        let (Some(name), Some(ttl), Some(kind), Some(value)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let kinds = [Kind::A, Kind::Aaaa, Kind::Cname, Kind::Txt];
        let (Ok(ttl), Some(kind)) = (
            ttl.parse(),
            kinds.into_iter().find(|known| known.as_str() == kind),
        ) else {
            continue;
        };
        match sets.iter_mut().find(|set| set.kind == kind && set.name == name) {
            Some(set) => set.values.push(value.to_owned()),
            None => sets.push(RecordSet {
                name: name.to_owned(),
                kind,
                ttl,
                values: vec![value.to_owned()],
            }),
        }
    }
    sets
}

/// What stands in the zone before the first deploy.
pub(super) fn first_time(dns: &Dns) -> String {
    let mut out = format!(
        "; Once, by hand: {} leads to blue. From then on pointsman changes it, and keeps its note at\n; {}. It deletes no record that is neither pool's.\n",
        dns.name, dns.note
    );
    for set in wanted(dns, Pool::Blue, dns.ttl_s()) {
        for value in &set.values {
            let dot = if set.kind == Kind::Cname { "." } else { "" };
            out.push_str(&format!(
                "{}. {} IN {} {value}{dot}\n",
                set.name, set.ttl, set.kind
            ));
        }
    }
    out
}

impl fmt::Display for RecordSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.values.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn dns(blue: &[&str], green: &[&str]) -> Dns {
        let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        Dns {
            name: "shop.example.com".to_owned(),
            zone: "example.com".to_owned(),
            note: "_pointsman.shop.example.com".to_owned(),
            blue: owned(blue),
            green: owned(green),
            ttl: Duration::from_secs(30),
            nameservers: Vec::new(),
            resolvers: Vec::new(),
            settle: Duration::from_secs(60),
            stragglers: crate::inventory::dns::Stragglers::Refuse,
            tail_forward: false,
            min_up: None,
        }
    }

    #[test]
    fn sets_are_by_type_and_survive_their_text() {
        let dns = dns(&["192.0.2.2", "2001:DB8::1", "192.0.2.1"], &["LB.example.net."]);
        let blue = wanted(&dns, Pool::Blue, 30);
        assert_eq!(blue[0].values, ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(blue[1].values, ["2001:db8::1"]);
        let text: Vec<String> = blue.iter().flat_map(lines).collect();
        assert_eq!(parse(&text), blue);
        let green = wanted(&dns, Pool::Green, 30);
        assert_eq!(green[0].values, ["lb.example.net"]);
        let turned = replaced(blue, green);
        assert_eq!(turned.len(), 3);
        assert!(turned[..2].iter().all(|set| set.new.is_none()) && turned[2].old.is_none());
        assert_eq!(
            classify(&dns, Kind::Aaaa, &["2001:db8::1".to_owned()], Pool::Green),
            Some(Pool::Blue)
        );
        assert_eq!(
            classify(&dns, Kind::A, &["192.0.2.1".to_owned()], Pool::Blue),
            None,
            "half a pool is none"
        );
    }

    #[test]
    fn what_is_set_up_by_hand() {
        insta::assert_snapshot!(first_time(&dns(&["192.0.2.1"], &["192.0.2.2"])), @r"
        ; Once, by hand: shop.example.com leads to blue. From then on pointsman changes it, and keeps its note at
        ; _pointsman.shop.example.com. It deletes no record that is neither pool's.
        shop.example.com. 30 IN A 192.0.2.1
        ");
    }
}
