//! XML as a tree of elements with attributes, within limits. Comments and processing instructions are passed over.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// The most bytes of a document; the largest published profiles have some ten million.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// The most elements of a document.
const ELEMENTS_MAX: usize = 1_000_000;

/// How deep elements stand in one another; profiles need about ten.
const DEPTH_MAX: usize = 64;

/// Why a document can't be read.
#[derive(Debug, thiserror::Error)]
pub enum XmlError {
    /// It is no XML.
    #[error("it is no well-formed XML (near byte {at})")]
    Malformed {
        /// Where.
        at: u64,
        /// Why.
        #[source]
        source: quick_xml::Error,
    },
    /// Elements are not closed, or there is none.
    #[error("it ends before its elements are closed")]
    Unfinished,
    /// It declares a document type, which could pull in or blow up anything.
    #[error("it has a document type declaration: remove it")]
    DocumentType,
    /// It is too large or too deep.
    #[error("it has more than {limit} {what}")]
    TooLarge {
        /// The limit.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
}

/// One element.
#[derive(Debug, Default)]
pub(super) struct Element {
    /// Without its prefix.
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    pub(super) children: Vec<Element>,
    pub(super) text: String,
}

impl Element {
    /// The value of an attribute that is not empty.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// The children of this name.
    pub(super) fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The element of this name: this one or the first below it.
    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    /// All elements below of this name.
    pub(super) fn below<'e>(&'e self, name: &str, found: &mut Vec<&'e Self>) {
        for child in &self.children {
            if child.name == name {
                found.push(child);
            }
            child.below(name, found);
        }
    }
}

/// Reads a document.
pub(super) fn parse(bytes: &[u8]) -> Result<Element, XmlError> {
    if bytes.len() > BYTES_MAX {
        return Err(XmlError::TooLarge { limit: BYTES_MAX, what: "bytes" });
    }
    let mut reader = Reader::from_reader(bytes);
    let mut open: Vec<Element> = vec![Element::default()];
    let mut count = 0;
    loop {
        let at = reader.buffer_position();
        let malformed = |source: quick_xml::Error| XmlError::Malformed { at, source };
        let event = reader.read_event().map_err(malformed)?;
        match &event {
            Event::Start(start) | Event::Empty(start) => {
                count += 1;
                if count > ELEMENTS_MAX {
                    return Err(XmlError::TooLarge { limit: ELEMENTS_MAX, what: "elements" });
                }
                if open.len() > DEPTH_MAX {
                    return Err(XmlError::TooLarge { limit: DEPTH_MAX, what: "levels" });
                }
                let element = element(start).map_err(malformed)?;
                if matches!(event, Event::Empty(_)) {
                    open.last_mut().ok_or(XmlError::Unfinished)?.children.push(element);
                } else {
                    open.push(element);
                }
            }
            Event::End(_) => {
                let element = open.pop().ok_or(XmlError::Unfinished)?;
                open.last_mut().ok_or(XmlError::Unfinished)?.children.push(element);
            }
            Event::Text(text) => {
                let text = String::from_utf8_lossy(text);
                if let Some(element) = open.last_mut()
                    && !text.trim().is_empty()
                {
                    element.text.push_str(text.trim());
                }
            }
            Event::DocType(_) => return Err(XmlError::DocumentType),
            Event::Eof => break,
            _ => {}
        }
    }
    let document = open.pop().filter(|_| open.is_empty()).ok_or(XmlError::Unfinished)?;
    document.children.into_iter().next().ok_or(XmlError::Unfinished)
}

fn element(start: &BytesStart<'_>) -> Result<Element, quick_xml::Error> {
    let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute?;
        let key = String::from_utf8_lossy(attribute.key.local_name().as_ref()).into_owned();
        attributes.push((key, attribute.unescape_value()?.into_owned()));
    }
    Ok(Element { name, attributes, ..Element::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_attributes_children_and_text() {
        let root =
            parse(b"<?xml version=\"1.0\"?><!-- c --><a x='1 &amp; 2'><p:b/><b y=''>t</b></a>");
        let root = root.expect("XML");
        assert_eq!((root.attribute("x"), root.all("b").count()), (Some("1 & 2"), 2));
        assert_eq!(
            root.children.last().map(|b| (b.attribute("y"), b.text.as_str())),
            Some((None, "t"))
        );
    }

    #[test]
    fn what_is_no_sound_document_is_refused() {
        let check = |text: &str| parse(text.as_bytes()).expect_err(text).to_string();
        assert!(check("<a>").contains("closed"));
        assert!(check("").contains("closed"));
        assert!(check("<a></b>").contains("well-formed"));
        assert!(check("<!DOCTYPE a [<!ENTITY x 'y'>]><a/>").contains("document type"));
        let deep = format!("{}{}", "<a>".repeat(DEPTH_MAX + 1), "</a>".repeat(DEPTH_MAX + 1));
        assert!(check(&deep).contains("levels"));
        let lawful = format!("{}{}", "<a>".repeat(DEPTH_MAX), "</a>".repeat(DEPTH_MAX));
        assert!(parse(lawful.as_bytes()).is_ok());
    }
}
