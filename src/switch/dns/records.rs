//! Which records are which pool's, and the sets that lead from one to the other.

use std::fmt;
use std::net::IpAddr;

use super::zone::{Kind, RecordSet, Replace, Share};
use crate::inventory::Pool;
use crate::inventory::dns::Dns;
use crate::switch::Route;

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
                share: None,
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

/// Both pools' sets side by side, by the weights of a route; none where the pools have not the same types, since weights hold
/// within a type only.
pub(super) fn weighed(dns: &Dns, route: &Route, ttl: u32) -> Option<Vec<RecordSet>> {
    if !same_kinds(dns) {
        return None;
    }
    let of = |(pool, weight): (Pool, u32)| {
        let weight = u8::try_from(weight).unwrap_or(u8::MAX);
        let share = Some(Share { pool, weight });
        let sets = wanted(dns, pool, ttl).into_iter();
        sets.map(move |set| RecordSet { share, ..set })
    };
    Some(route.weights().into_iter().flat_map(of).collect())
}

fn same_kinds(dns: &Dns) -> bool {
    let kinds = |pool| wanted(dns, pool, 0).into_iter().map(|set| set.kind);
    kinds(Pool::Blue).eq(kinds(Pool::Green))
}

/// The route of sets that stand side by side: both pools', each whole and with one weight.
pub(super) fn route_of(dns: &Dns, sets: &[RecordSet]) -> Option<Route> {
    let weight = |pool: Pool| -> Option<u32> {
        let of = |set: &&RecordSet| set.share.is_some_and(|share| share.pool == pool);
        let its: Vec<RecordSet> = sets.iter().filter(of).cloned().collect();
        let first = its.first()?.share?.weight;
        let one = its
            .iter()
            .all(|set| set.share.is_some_and(|share| share.weight == first));
        (one && same(&its, &wanted(dns, pool, 0))).then_some(u32::from(first))
    };
    if !same_kinds(dns) || sets.iter().any(|set| set.share.is_none()) {
        return None;
    }
    Route::of_weights(weight(Pool::Blue)?, weight(Pool::Green)?)
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

/// What turns `old` into `new`, type by type, and where they stand side by side pool by pool.
pub(super) fn replaced(old: &[RecordSet], new: &[RecordSet]) -> Vec<Replace> {
    let whose = [None, Some(Pool::Blue), Some(Pool::Green)];
    let kinds = [Kind::A, Kind::Aaaa, Kind::Cname].into_iter();
    let places = kinds.flat_map(|kind| whose.map(|pool| (kind, pool)));
    let of = |sets: &[RecordSet], (kind, pool): (Kind, Option<Pool>)| {
        let there = |set: &&RecordSet| set.kind == kind && set.share.map(|share| share.pool) == pool;
        sets.iter().find(there).cloned()
    };
    places
        .map(|place| Replace {
            old: of(old, place),
            new: of(new, place),
        })
        .filter(|replace| replace.old.is_some() || replace.new.is_some())
        .collect()
}

/// As text, a line for each value: what a change carries to say what it expects.
pub(super) fn lines(set: &RecordSet) -> Vec<String> {
    let share = set
        .share
        .map(|share| format!("/{}/{}", share.pool, share.weight))
        .unwrap_or_default();
    let line = |value: &String| format!("{} {} {}{share} {value}", set.name, set.ttl, set.kind);
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
        let mut parts = kind.split('/');
        let (kind, whose, weight) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let share = Pool::ALL
            .into_iter()
            .find(|pool| Some(pool.as_str()) == whose)
            .zip(weight.and_then(|weight| weight.parse().ok()))
            .map(|(pool, weight)| Share { pool, weight });
        let (Ok(ttl), Some(kind)) = (
            ttl.parse(),
            kinds.into_iter().find(|known| known.as_str() == kind),
        ) else {
            continue;
        };
        let there = |set: &&mut RecordSet| set.kind == kind && set.name == name && set.share == share;
        match sets.iter_mut().find(there) {
            Some(set) => set.values.push(value.to_owned()),
            None => sets.push(RecordSet {
                name: name.to_owned(),
                kind,
                ttl,
                values: vec![value.to_owned()],
                share,
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
        write!(f, "{} {}", self.kind, self.values.join(", "))?;
        match self.share {
            Some(share) => write!(f, " ({}, weight {})", share.pool, share.weight),
            None => Ok(()),
        }
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
        let turned = replaced(&blue, &green);
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
    fn shares_stand_side_by_side() {
        let dns = dns(&["192.0.2.1", "2001:db8::1"], &["192.0.2.2", "2001:db8::2"]);
        let ten = Route {
            live: Pool::Blue,
            next: Pool::Green,
            percent: 10,
        };
        let both = weighed(&dns, &ten, 30).unwrap();
        let text: Vec<String> = both.iter().flat_map(lines).collect();
        insta::assert_snapshot!(text.join("\n"), @r"
        shop.example.com 30 A/blue/90 192.0.2.1
        shop.example.com 30 AAAA/blue/90 2001:db8::1
        shop.example.com 30 A/green/10 192.0.2.2
        shop.example.com 30 AAAA/green/10 2001:db8::2
        ");
        assert_eq!(parse(&text), both);
        assert_eq!(route_of(&dns, &both), Some(ten));
        // One pool alone, one set that is missing, or with another weight: not what pointsman wrote.
        assert_eq!(route_of(&dns, &both[..2]), None);
        assert_eq!(route_of(&dns, &both[1..]), None);
        let mut other = both.clone();
        other[1].share = Some(Share {
            pool: Pool::Blue,
            weight: 7,
        });
        assert_eq!(route_of(&dns, &other), None);
        // From one pool alone to both, and on to the other: what goes, and what comes.
        let (blue, green) = (wanted(&dns, Pool::Blue, 30), wanted(&dns, Pool::Green, 30));
        let parts = |sets: Vec<Replace>| {
            let gone = sets.iter().filter(|set| set.new.is_none()).count();
            let come = sets.iter().filter(|set| set.old.is_none()).count();
            (gone, come, sets.len())
        };
        assert_eq!(parts(replaced(&blue, &both)), (2, 4, 6));
        assert_eq!(parts(replaced(&both, &green)), (4, 2, 6));
        let sooner = weighed(&dns, &ten, 5).unwrap();
        assert_eq!(parts(replaced(&both, &sooner)), (0, 0, 4));
        // Weights hold within a type: all of the AAAA answers would be blue's.
        let uneven = super::tests::dns(&["192.0.2.1", "2001:db8::1"], &["192.0.2.2"]);
        assert_eq!(weighed(&uneven, &ten, 30), None);
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
