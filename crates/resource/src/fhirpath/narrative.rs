//! Whether a narrative is XHTML as FHIR allows it (R4 §2.4): a `div` in XHTML's namespace with some content,
//! well-formed, of the elements and attributes of formatting, nothing active, nothing that loads.

/// Elements that a narrative may have (chapters 7–11 but 4 and 15 of HTML 4.0, `a`, `img`).
const ELEMENTS: [&str; 60] = [
    "a",
    "abbr",
    "acronym",
    "b",
    "big",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "q",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "ul",
    "var",
    "address",
    "bdo",
    "center",
    "del",
    "font",
    "ins",
    "kbd",
    "map",
    "area",
    "s",
    "strike",
    "u",
];

/// Attributes of formatting; events (`onclick`) are none of them.
const ATTRIBUTES: [&str; 52] = [
    "abbr",
    "accesskey",
    "align",
    "alt",
    "axis",
    "bgcolor",
    "border",
    "cellhalign",
    "cellpadding",
    "cellspacing",
    "cellvalign",
    "char",
    "charoff",
    "charset",
    "cite",
    "class",
    "colspan",
    "compact",
    "coords",
    "dir",
    "frame",
    "headers",
    "height",
    "href",
    "hreflang",
    "hspace",
    "id",
    "lang",
    "longdesc",
    "name",
    "nowrap",
    "rel",
    "rev",
    "rowspan",
    "rules",
    "scope",
    "shape",
    "span",
    "src",
    "start",
    "style",
    "summary",
    "tabindex",
    "title",
    "type",
    "usemap",
    "valign",
    "value",
    "vspace",
    "width",
    "xml:lang",
    "xmlns",
];

const XHTML: &str = "http://www.w3.org/1999/xhtml";
const DEPTH_MAX: usize = 200;

/// Whether a text is a narrative's `div`.
pub(super) fn is_allowed(text: &str) -> bool {
    Scan { rest: text.trim() }.document().is_some()
}

/// Each step gives nothing when what stands there is not allowed.
struct Scan<'t> {
    rest: &'t str,
}

struct Tag<'t> {
    name: &'t str,
    is_empty: bool,
    is_xhtml: bool,
    shows: bool,
}

impl<'t> Scan<'t> {
    fn document(&mut self) -> Option<()> {
        let root = self.opening()?;
        if root.name != "div" || !root.is_xhtml || root.is_empty {
            return None;
        }
        let mut open = vec!["div"];
        let mut shows = false;
        while !open.is_empty() {
            if let Some(behind) = self.rest.strip_prefix("<!--") {
                self.rest = behind.get(behind.find("-->")? + 3..)?;
            } else if let Some(behind) = self.rest.strip_prefix("</") {
                let (name, behind) = behind.split_once('>')?;
                if open.pop()? != name.trim_end() {
                    return None;
                }
                self.rest = behind;
            } else if self.rest.starts_with('<') {
                let tag = self.opening()?;
                shows |= tag.shows;
                if !tag.is_empty {
                    open.push(tag.name);
                }
                if open.len() > DEPTH_MAX {
                    return None;
                }
            } else {
                let end = self.rest.find('<')?;
                let (plain, behind) = self.rest.split_at(end);
                shows |= !plain.trim().is_empty();
                references(plain)?;
                self.rest = behind;
            }
        }
        (shows && self.rest.is_empty()).then_some(())
    }

    fn name(&mut self) -> Option<&'t str> {
        let end = self
            .rest
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || ":_-.".contains(letter)))?;
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!name.is_empty()).then_some(name)
    }

    fn opening(&mut self) -> Option<Tag<'t>> {
        self.rest = self.rest.strip_prefix('<')?;
        let name = self.name()?;
        if !ELEMENTS.contains(&name) {
            return None;
        }
        let mut tag = Tag { name, is_empty: false, is_xhtml: false, shows: name == "img" };
        loop {
            let before = self.rest.len();
            self.rest = self.rest.trim_start();
            if let Some(behind) = self.rest.strip_prefix("/>") {
                (self.rest, tag.is_empty) = (behind, true);
                return Some(tag);
            }
            if let Some(behind) = self.rest.strip_prefix('>') {
                self.rest = behind;
                return Some(tag);
            }
            if self.rest.len() == before {
                return None;
            }
            let attribute = self.name()?;
            self.rest = self.rest.trim_start().strip_prefix('=')?.trim_start();
            let quote = self.rest.chars().next().filter(|quote| "\"'".contains(*quote))?;
            let (value, behind) = self.rest.get(1..)?.split_once(quote)?;
            self.rest = behind;
            references(value)?;
            if value.contains('<') || !is_attribute(attribute, value) {
                return None;
            }
            tag.is_xhtml |= attribute == "xmlns" && value == XHTML;
        }
    }
}

fn is_attribute(name: &str, value: &str) -> bool {
    let address = value.trim_start().to_ascii_lowercase();
    let is_active = ["javascript:", "vbscript:"].iter().any(|scheme| address.starts_with(scheme));
    (ATTRIBUTES.contains(&name) || name.starts_with("xmlns:")) && !is_active
}

/// Entities are closed: `&amp;`, `&#160;`.
fn references(text: &str) -> Option<()> {
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('&') {
        let (name, tail) = behind.split_once(';')?;
        let is_name =
            name.strip_prefix('#').unwrap_or(name).bytes().all(|b| b.is_ascii_alphanumeric());
        if name.is_empty() || !is_name {
            return None;
        }
        rest = tail;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(inner: &str, expected: bool) {
        let text = format!("<div xmlns=\"{XHTML}\">{inner}</div>");
        assert_eq!(is_allowed(&text), expected, "{text}");
    }

    #[test]
    fn formatting_is_allowed() {
        check("text", true);
        check("<p class='x'>a &amp; b<br/>c</p><!-- c -->", true);
        check("<img src=\"#a\"/>", true);
        check("<a href=\"https://example.org\">x</a>", true);
        check("<table><tr><td colspan=\"2\">x</td></tr></table>", true);
    }

    #[test]
    fn the_rest_is_not() {
        for inner in [
            "",
            "  ",
            "<p/>",
            "<script>x</script>",
            "<p onclick=\"x\">x</p>",
            "<b>x",
            "x</b>",
            "<b>x</i></b>",
            "<a href=\" JavaScript:x\">x</a>",
            "a & b",
            "<p class=x>x</p>",
            "<p a>x</p>",
            "<iframe src=\"x\">x</iframe>",
            "<é>x</é>",
            "<p class=\"a\"id=\"b\">x</p>",
            "<!-- x",
        ] {
            check(inner, false);
        }
        assert!(!is_allowed("<div>x</div>"));
        assert!(!is_allowed("x"));
        assert!(!is_allowed(&format!("<p xmlns=\"{XHTML}\">x</p>")));
        assert!(!is_allowed(&format!("<div xmlns=\"{XHTML}\">x</div>y")));
    }
}
