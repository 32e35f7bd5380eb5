//! Between the two forms of the query APIs of AWS: what is answered in XML is sent as numbered parameters.
//!
//! An action of a listener is taken from an answer and sent back whole, so that what pointsman does not know of stays.

use roxmltree::Node;

/// Parameters, in order.
pub(super) type Parameters = Vec<(String, String)>;

/// Adds what stands in a node, under `prefix`: `member`s of lists and `entry`s of maps are numbered from one.
pub(super) fn flatten(node: Node<'_, '_>, prefix: &str, into: &mut Parameters) {
    let parts: Vec<Node<'_, '_>> = node.children().filter(Node::is_element).collect();
    if parts.is_empty() {
        // An empty list has no parameter, and neither has an element that says nothing.
        if let Some(text) = node.text().map(str::trim).filter(|text| !text.is_empty()) {
            into.push((prefix.to_owned(), text.to_owned()));
        }
        return;
    }
    let mut number = 0;
    for part in parts {
        match part.tag_name().name() {
            "member" => {
                number += 1;
                flatten(part, &format!("{prefix}.member.{number}"), into);
            }
            "entry" => {
                number += 1;
                flatten(part, &format!("{prefix}.entry.{number}"), into);
            }
            name => flatten(part, &format!("{prefix}.{name}"), into),
        }
    }
}

/// Parameters by literal names.
pub(super) fn parameters(action: &str, pairs: &[(&str, &str)]) -> Parameters {
    // The only version of this API.
    let mut all = vec![
        ("Action".to_owned(), action.to_owned()),
        ("Version".to_owned(), "2015-12-01".to_owned()),
    ];
    all.extend(
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_maps_are_numbered() {
        let xml = "<A><member><Type>forward</Type><Empty/><F><T><member><W>1</W></member><member><W>2</W></member></T>\
                   <P><entry><key>k</key><value>v</value></entry></P></F></member></A>";
        let document = roxmltree::Document::parse(xml).unwrap();
        let mut flat = Vec::new();
        flatten(document.root_element(), "Actions", &mut flat);
        let flat: Vec<String> = flat
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            flat,
            [
                "Actions.member.1.Type=forward",
                "Actions.member.1.F.T.member.1.W=1",
                "Actions.member.1.F.T.member.2.W=2",
                "Actions.member.1.F.P.entry.1.key=k",
                "Actions.member.1.F.P.entry.1.value=v"
            ]
        );
    }
}
