//! One change as Route 53 takes it: a batch of DELETE and CREATE that is done as a whole or not at all.

use std::fmt::Write as _;

use super::text;
use crate::switch::dns::{RecordSet, Replace};

/// The document of a change. `written` gives the values of a set letter by letter, where they are known.
///
/// A DELETE names the set as it must stand there, its TTL too, and a CREATE fails where a set stands: together they are
/// the comparison. All that goes is named before all that comes, so that a CNAME can take the place of addresses.
pub(super) fn document(sets: &[Replace], written: &dyn Fn(&RecordSet) -> Vec<String>) -> String {
    let mut document = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
         <ChangeBatch><Changes>",
    );
    for old in sets.iter().filter_map(|replace| replace.old.as_ref()) {
        // Where old and new are the same, what is created again is what was deleted, letter by letter.
        add(&mut document, "DELETE", old, &written(old));
    }
    for replace in sets {
        if let Some(new) = &replace.new {
            let same = replace.old.as_ref().filter(|old| *old == new);
            let values = same.map_or_else(|| plain(new), written);
            add(&mut document, "CREATE", new, &values);
        }
    }
    document.push_str("</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>");
    document
}

/// The values of a set as pointsman writes them.
pub(super) fn plain(set: &RecordSet) -> Vec<String> {
    let values = set.values.iter();
    values.map(|value| text::written(set.kind, value)).collect()
}

fn add(document: &mut String, action: &str, set: &RecordSet, values: &[String]) {
    let records: String = values
        .iter()
        .map(|value| format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", xml(value)))
        .collect();
    let share = set.share.map_or_else(String::new, |share| {
        format!(
            "<SetIdentifier>{}</SetIdentifier><Weight>{}</Weight>",
            text::identifier(share.pool),
            share.weight
        )
    });
    // Writing to a String does not fail.
    let _ = write!(
        document,
        "<Change><Action>{action}</Action><ResourceRecordSet><Name>{}</Name><Type>{}</Type>{share}<TTL>{}</TTL>\
         <ResourceRecords>{records}</ResourceRecords></ResourceRecordSet></Change>",
        xml(&set.name),
        set.kind,
        set.ttl
    );
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::dns::Kind;

    #[test]
    fn what_goes_stands_before_what_comes() {
        let set = |kind, value: &str| RecordSet {
            name: "www.example.com".to_owned(),
            kind,
            ttl: 60,
            values: vec![value.to_owned()],
            share: None,
        };
        let sets = [
            Replace {
                old: None,
                new: Some(set(Kind::Cname, "blue.example.com")),
            },
            Replace {
                old: Some(set(Kind::A, "192.0.2.1")),
                new: None,
            },
            Replace {
                old: Some(set(Kind::Txt, "<&>")),
                new: Some(set(Kind::Txt, "\"")),
            },
        ];
        let document = document(&sets, &plain);
        let actions: Vec<String> = document
            .split("<Action>")
            .skip(1)
            .map(|part| part.split("</TTL>").collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(actions.len(), 4);
        assert!(actions[0].starts_with("DELETE") && actions[0].contains("<Type>A<"));
        assert!(actions[1].starts_with("DELETE") && actions[1].contains("\"&lt;&amp;&gt;\""));
        assert!(actions[2].starts_with("CREATE") && actions[2].contains("<Value>blue.example.com.<"));
        assert!(actions[3].starts_with("CREATE") && actions[3].contains(r#"<Value>"\""<"#));
    }
}
