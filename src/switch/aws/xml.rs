//! Reading the XML answers of AWS: children by name, whatever their namespace.

use roxmltree::{Document, Node};

use super::Fault;

/// An answer as a tree.
///
/// # Errors
/// Whatever answered was not AWS.
pub(in crate::switch) fn parse<'a>(text: &'a str, at: &str, changes: bool) -> Result<Document<'a>, Fault> {
    Document::parse(text).map_err(|error| Fault::garbled(at, &error.to_string(), changes))
}

/// The child elements of this name.
pub(in crate::switch) fn children<'a, 'i: 'a>(
    node: Node<'a, 'i>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children()
        .filter(move |child| child.is_element() && child.tag_name().name() == name)
}

/// The first child element of this name.
pub(in crate::switch) fn child<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> Option<Node<'a, 'i>> {
    children(node, name).next()
}

/// The text of the first child element of this name; none where it is empty.
pub(in crate::switch) fn text<'a>(node: Node<'a, '_>, name: &'static str) -> Option<&'a str> {
    child(node, name).and_then(|child| child.text())
}

/// The first element of this name anywhere.
pub(in crate::switch) fn anywhere<'a, 'i>(
    document: &'a Document<'i>,
    name: &'static str,
) -> Option<Node<'a, 'i>> {
    document
        .descendants()
        .find(|node| node.is_element() && node.tag_name().name() == name)
}
