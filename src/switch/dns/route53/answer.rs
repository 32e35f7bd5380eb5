//! What Route 53 lists: record sets as they are written there, and those that no plain change can replace.

use roxmltree::{Document, Node};

use super::text;
use crate::inventory::Pool;
use crate::switch::aws::xml::{anywhere, child, children};
use crate::switch::dns::{Kind, RecordSet, Share};

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) identifier: Option<String>,
}

/// A set as it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) set: RecordSet,
    /// The values letter by letter, in the order of the list: what a DELETE has to name.
    pub(super) written: Vec<String>,
}

/// One page of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) sets: Vec<Listed>,
    /// Sets that are aliases, weighted or the like, in words.
    pub(super) strange: Vec<String>,
    pub(super) next: Option<Next>,
}

/// What all plain sets have; anything else makes it another kind of set.
const PLAIN: [&str; 4] = ["Name", "Type", "TTL", "ResourceRecords"];
/// What a set has besides that is one of several.
const WEIGHED: [&str; 2] = ["SetIdentifier", "Weight"];

/// The sets at one name. The list begins there, and goes on with other names.
pub(super) fn page(document: &Document<'_>, name: &str) -> Page {
    let mut page = Page::default();
    let root = document.root_element();
    let sets = child(root, "ResourceRecordSets").into_iter();
    for set in sets.flat_map(|sets| children(sets, "ResourceRecordSet")) {
        if text::name(text_of(set, "Name")) != name {
            // They come in order, so the name's own are over.
            return page;
        }
        let Some(kind) = kind(text_of(set, "Type")) else {
            continue;
        };
        let share = share(set);
        match strange(set, share) {
            Some(words) => page.strange.push(format!("{name} {kind}: {words}")),
            None => page.sets.push(listed(name, kind, set, share)),
        }
    }
    if text_of(root, "IsTruncated") == "true" && text::name(text_of(root, "NextRecordName")) == name {
        page.next = Some(Next {
            name: text_of(root, "NextRecordName").to_owned(),
            kind: text_of(root, "NextRecordType").to_owned(),
            identifier: Some(text_of(root, "NextRecordIdentifier").to_owned())
                .filter(|text| !text.is_empty()),
        });
    }
    page
}

fn text_of<'a>(node: Node<'a, '_>, name: &'static str) -> &'a str {
    crate::switch::aws::xml::text(node, name)
        .unwrap_or_default()
        .trim()
}

fn kind(word: &str) -> Option<Kind> {
    [Kind::A, Kind::Aaaa, Kind::Cname, Kind::Txt]
        .into_iter()
        .find(|kind| kind.as_str() == word)
}

fn listed(name: &str, kind: Kind, set: Node<'_, '_>, share: Option<Share>) -> Listed {
    let records = child(set, "ResourceRecords").into_iter();
    let written: Vec<String> = records
        .flat_map(|records| children(records, "ResourceRecord"))
        .map(|record| text_of(record, "Value").to_owned())
        .collect();
    let mut values: Vec<String> = written.iter().map(|value| text::value(kind, value)).collect();
    values.sort_unstable();
    values.dedup();
    Listed {
        set: RecordSet {
            name: name.to_owned(),
            kind,
            ttl: text_of(set, "TTL").parse().unwrap_or_default(),
            values,
            share,
        },
        written,
    }
}

/// The weight of a set that pointsman made one of several.
fn share(set: Node<'_, '_>) -> Option<Share> {
    let identifier = text_of(set, "SetIdentifier");
    let pool = Pool::ALL
        .into_iter()
        .find(|pool| text::identifier(*pool) == identifier)?;
    let weight = text_of(set, "Weight").parse().ok()?;
    Some(Share { pool, weight })
}

/// What makes a set another kind than the plain one, in words.
fn strange(set: Node<'_, '_>, share: Option<Share>) -> Option<String> {
    let known = |part: &str| PLAIN.contains(&part) || share.is_some() && WEIGHED.contains(&part);
    let words: Vec<String> = set
        .children()
        .filter(|part| part.is_element() && !known(part.tag_name().name()))
        .map(|part| {
            let inner: Vec<&str> = part
                .descendants()
                .filter(Node::is_text)
                .filter_map(|text| text.text())
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .collect();
            format!("{} {}", part.tag_name().name(), inner.join(" "))
        })
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// The state of a change, and its id.
pub(super) fn change(document: &Document<'_>) -> Option<(String, bool)> {
    let info = anywhere(document, "ChangeInfo")?;
    let id = text_of(info, "Id").trim_start_matches("/change/").to_owned();
    (!id.is_empty()).then(|| (id, text_of(info, "Status") == "INSYNC"))
}

/// One hosted zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostedZone {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) private: bool,
}

/// Every hosted zone that an answer names.
pub(super) fn zones(document: &Document<'_>) -> Vec<HostedZone> {
    document
        .descendants()
        .filter(|node| node.is_element() && node.tag_name().name() == "HostedZone")
        .map(|zone| HostedZone {
            id: text_of(zone, "Id").trim_start_matches("/hostedzone/").to_owned(),
            name: text::name(text_of(zone, "Name")),
            private: child(zone, "Config").is_some_and(|config| text_of(config, "PrivateZone") == "true"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_sets_and_others() {
        let answer = r#"<?xml version="1.0"?>
<ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/">
  <ResourceRecordSets>
    <ResourceRecordSet><Name>www.example.com.</Name><Type>A</Type><TTL>60</TTL><ResourceRecords>
      <ResourceRecord><Value>192.0.2.2</Value></ResourceRecord>
      <ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>
    <ResourceRecordSet><Name>www.example.com.</Name><Type>MX</Type><TTL>60</TTL></ResourceRecordSet>
    <ResourceRecordSet><Name>www.example.com.</Name><Type>AAAA</Type><SetIdentifier>b</SetIdentifier>
      <Weight>10</Weight><TTL>60</TTL></ResourceRecordSet>
    <ResourceRecordSet><Name>www.example.com.</Name><Type>CNAME</Type><SetIdentifier>pointsman-green</SetIdentifier>
      <Weight>10</Weight><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>green.example.com.</Value>
      </ResourceRecord></ResourceRecords></ResourceRecordSet>
    <ResourceRecordSet><Name>www.example.com.</Name><Type>TXT</Type><AliasTarget><HostedZoneId>Z1</HostedZoneId>
      <DNSName>lb.example.net.</DNSName></AliasTarget></ResourceRecordSet>
    <ResourceRecordSet><Name>x.www.example.com.</Name><Type>A</Type><TTL>60</TTL></ResourceRecordSet>
  </ResourceRecordSets>
  <IsTruncated>true</IsTruncated><NextRecordName>y.www.example.com.</NextRecordName>
</ListResourceRecordSetsResponse>"#;
        let page = page(&Document::parse(answer).unwrap(), "www.example.com");
        assert_eq!(page.sets.len(), 2);
        let share = Share {
            pool: Pool::Green,
            weight: 10,
        };
        assert_eq!(page.sets[1].set.share, Some(share));
        assert_eq!(page.sets[0].set.values, ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(page.sets[0].written, ["192.0.2.2", "192.0.2.1"]);
        assert_eq!(
            page.strange,
            [
                "www.example.com AAAA: SetIdentifier b, Weight 10",
                "www.example.com TXT: AliasTarget Z1 lb.example.net."
            ]
        );
        assert_eq!(page.next, None);
    }
}
