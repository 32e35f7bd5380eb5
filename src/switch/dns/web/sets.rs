//! Records put together into sets, and sets compared with what was expected.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::switch::api::ApiError;
use crate::switch::dns::{Kind, RecordSet, Replace};

/// Longest value that is shown in a message, in characters.
const SHOWN: usize = 60;

/// One record at a provider that gives each an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::switch::dns) struct Record {
    /// The provider's id of it.
    pub(in crate::switch::dns) id: String,
    /// As in [`RecordSet`].
    pub(in crate::switch::dns) name: String,
    /// As in [`RecordSet`].
    pub(in crate::switch::dns) kind: Kind,
    /// Seconds.
    pub(in crate::switch::dns) ttl: u32,
    /// As in [`RecordSet`].
    pub(in crate::switch::dns) value: String,
}

/// A type by its name; `None` for one that pointsman does not know.
pub(in crate::switch::dns) fn kind(name: &str) -> Option<Kind> {
    let all = [Kind::A, Kind::Aaaa, Kind::Cname, Kind::Txt];
    all.into_iter().find(|kind| kind.as_str() == name)
}

/// A name as [`RecordSet`] has it: lower case, without a dot at its end.
pub(in crate::switch::dns) fn name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// A value as [`RecordSet`] has it. What cannot be read is left as it is, and differs from all that is expected.
pub(in crate::switch::dns) fn value(kind: Kind, value: &str) -> String {
    match kind {
        Kind::A => value
            .parse::<Ipv4Addr>()
            .map_or_else(|_| value.to_owned(), |ip| ip.to_string()),
        Kind::Aaaa => value
            .parse::<Ipv6Addr>()
            .map_or_else(|_| value.to_owned(), |ip| ip.to_string()),
        Kind::Cname => name(value),
        Kind::Txt => value.to_owned(),
    }
}

/// Records as sets. Where the TTLs of a set differ the highest counts: some cache keeps it for as long.
pub(in crate::switch::dns) fn together(records: &[Record]) -> Vec<RecordSet> {
    let mut sets: Vec<RecordSet> = Vec::new();
    for record in records {
        let known = sets
            .iter_mut()
            .find(|set| set.name == record.name && set.kind == record.kind);
        match known {
            Some(set) => {
                set.ttl = set.ttl.max(record.ttl);
                set.values.push(record.value.clone());
            }
            None => sets.push(RecordSet {
                name: record.name.clone(),
                kind: record.kind,
                ttl: record.ttl,
                values: vec![record.value.clone()],
                share: None,
            }),
        }
    }
    for set in &mut sets {
        set.values.sort();
        set.values.dedup();
    }
    sets
}

/// Name and type of what is replaced; `None` where nothing is to stand there and nothing is expected.
pub(in crate::switch::dns) fn place(replace: &Replace) -> Option<(&str, Kind)> {
    let set = replace.old.as_ref().or(replace.new.as_ref())?;
    Some((&set.name, set.kind))
}

/// The name at which a CNAME would give way to addresses, or they to it.
pub(in crate::switch::dns) fn changes_type(sets: &[Replace]) -> Option<&str> {
    let cname = |replace: &&Replace| place(replace).is_some_and(|(_, kind)| kind == Kind::Cname);
    let cnames = sets.iter().filter(cname);
    cnames
        .filter(|replace| replace.old.is_some() != replace.new.is_some())
        .filter_map(|replace| place(replace).map(|(name, _)| (name, replace.new.is_some())))
        .find(|(name, comes)| {
            // Addresses that go while it comes, or come while it goes.
            sets.iter().any(|other| {
                place(other).is_some_and(|(at, kind)| {
                    at == *name
                        && matches!(kind, Kind::A | Kind::Aaaa)
                        && (if *comes {
                            other.old.is_some()
                        } else {
                            other.new.is_some()
                        })
                })
            })
        })
        .map(|(name, _)| name)
}

/// The names of all that is replaced, each once.
pub(in crate::switch::dns) fn names(sets: &[Replace]) -> Vec<&str> {
    let mut names: Vec<&str> = sets.iter().filter_map(place).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether a name is in the zone. Some providers add the zone's name to one that is not, and say yes.
pub(in crate::switch::dns) fn is_within(zone: &str, name: &str) -> bool {
    name.strip_suffix(zone)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Refuses a change that names what is not in the zone.
///
/// # Errors
/// [`ApiError::Refused`]; nothing was sent.
pub(in crate::switch::dns) fn all_within(zone: &str, sets: &[Replace]) -> Result<(), ApiError> {
    match names(sets).iter().find(|name| !is_within(zone, name)) {
        None => Ok(()),
        Some(name) => Err(ApiError::Refused {
            problem: format!("{name} is not in zone {zone}"),
            hint: "let `zone` be what the name ends with".to_owned(),
        }),
    }
}

/// Whether each `old` stands in what was found.
///
/// # Errors
/// [`ApiError::Stale`] with the first one that does not.
pub(in crate::switch::dns) fn compare(sets: &[Replace], found: &[RecordSet]) -> Result<(), ApiError> {
    for replace in sets {
        let Some((name, kind)) = place(replace) else {
            continue;
        };
        let stands = found.iter().find(|set| set.name == name && set.kind == kind);
        let mut expected = replace.old.as_ref().map_or(Vec::new(), |old| old.values.clone());
        expected.sort();
        expected.dedup();
        let stands = stands.map_or(&[][..], |set| &set.values);
        if expected != stands {
            return Err(ApiError::Stale {
                problem: format!(
                    "expected {kind} {} at {name}, found {}",
                    shown(&expected),
                    shown(stands)
                ),
            });
        }
    }
    Ok(())
}

/// Values in a message.
pub(in crate::switch::dns) fn shown(values: &[String]) -> String {
    if values.is_empty() {
        return "nothing".to_owned();
    }
    let short = |value: &String| {
        if value.chars().count() <= SHOWN {
            return value.clone();
        }
        format!("{}...", value.chars().take(SHOWN).collect::<String>())
    };
    values.iter().map(short).collect::<Vec<String>>().join(", ")
}

/// How the records of a set become another set of the same type, touching as few as can be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::switch::dns) struct Steps<'a> {
    /// Records that get another value or TTL, in their place.
    pub(in crate::switch::dns) update: Vec<(&'a Record, &'a str)>,
    /// Values that are missing after that.
    pub(in crate::switch::dns) create: Vec<&'a str>,
    /// Records that are too many after that.
    pub(in crate::switch::dns) delete: Vec<&'a Record>,
}

/// Those steps. `ttl` in seconds.
pub(in crate::switch::dns) fn steps<'a>(old: &[&'a Record], new: &'a [String], ttl: u32) -> Steps<'a> {
    let mut steps = Steps::default();
    let mut free: Vec<&Record> = old.to_vec();
    let mut missing: Vec<&str> = Vec::new();
    for value in new {
        match free.iter().position(|record| record.value == *value) {
            Some(found) => {
                let record = free.remove(found);
                if record.ttl != ttl {
                    steps.update.push((record, value));
                }
            }
            None => missing.push(value),
        }
    }
    let mut free = free.into_iter();
    for value in missing {
        match free.next() {
            Some(record) => steps.update.push((record, value)),
            None => steps.create.push(value),
        }
    }
    steps.delete.extend(free);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, value: &str) -> Record {
        Record {
            id: id.to_owned(),
            name: "www.example.com".to_owned(),
            kind: Kind::A,
            ttl: 60,
            value: value.to_owned(),
        }
    }

    #[test]
    fn names_end_where_labels_end() {
        assert!(is_within("example.com", "example.com"));
        assert!(is_within("example.com", "www.example.com"));
        assert!(!is_within("example.com", "wwwexample.com"));
        assert!(!is_within("example.com", "example.org"));
    }

    #[test]
    fn values_are_written_one_way() {
        assert_eq!(value(Kind::Aaaa, "2001:DB8:0::1"), "2001:db8::1");
        assert_eq!(value(Kind::Cname, "Blue.Example.COM."), "blue.example.com");
    }

    #[test]
    fn what_stays_is_not_touched_and_ids_are_kept() {
        let (one, two) = (record("1", "192.0.2.1"), record("2", "192.0.2.2"));
        let values = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
        let new = values(&["192.0.2.2", "192.0.2.3"]);
        let found = steps(&[&one, &two], &new, 60);
        assert_eq!(found.update, vec![(&one, "192.0.2.3")]);
        assert!(found.create.is_empty() && found.delete.is_empty());
        let new = values(&["192.0.2.3"]);
        let found = steps(&[&one, &two], &new, 60);
        assert_eq!(found.update, vec![(&one, "192.0.2.3")]);
        assert_eq!(found.delete, vec![&two]);
        let new = values(&["192.0.2.1", "192.0.2.3"]);
        let found = steps(&[&one], &new, 30);
        assert_eq!(found.update, vec![(&one, "192.0.2.1")]);
        assert_eq!(found.create, vec!["192.0.2.3"]);
        assert_eq!(steps(&[], &[], 60), Steps::default());
    }

    #[test]
    fn stale_says_what_was_expected_and_found() {
        let set = |values: &[&str]| RecordSet {
            name: "www.example.com".to_owned(),
            kind: Kind::A,
            ttl: 60,
            values: values.iter().map(|v| (*v).to_owned()).collect(),
            share: None,
        };
        let replace = |old| Replace { old, new: None };
        let found = [set(&["192.0.2.1"])];
        assert_eq!(compare(&[replace(Some(set(&["192.0.2.1"])))], &found), Ok(()));
        let error = compare(&[replace(Some(set(&["192.0.2.2"])))], &found).expect_err("it is stale");
        assert_eq!(
            error.to_string(),
            "expected A 192.0.2.2 at www.example.com, found 192.0.2.1"
        );
        let created = Replace {
            old: None,
            new: Some(set(&["192.0.2.2"])),
        };
        let error = compare(&[created], &found).expect_err("something stands there");
        assert_eq!(
            error.to_string(),
            "expected A nothing at www.example.com, found 192.0.2.1"
        );
        assert_eq!(compare(&[replace(None)], &[]), Ok(()));
    }
}
