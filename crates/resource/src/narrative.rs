//! Narrative: well-formed XHTML, and only what is safe to show (R4 §2.5.0.2, invariants txt-1 and txt-2).

/// Elements of a narrative, sorted.
const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "acronym",
    "address",
    "area",
    "b",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "map",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "small",
    "span",
    "strike",
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
    "u",
    "ul",
    "var",
];

/// Their attributes, sorted. None runs a script or loads a style.
const ATTRIBUTES: &[&str] = &[
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
    "color",
    "colspan",
    "compact",
    "coords",
    "dir",
    "face",
    "frame",
    "headers",
    "height",
    "href",
    "hreflang",
    "hspace",
    "id",
    "idref",
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
    "size",
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

/// How deep elements may stand in each other.
const NESTING_MAX: usize = 200;

/// What is wrong with a narrative.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) rule: Option<&'static str>,
    pub(crate) text: String,
}

fn malformed(text: impl Into<String>) -> Problem {
    Problem { rule: None, text: format!("the narrative is not XHTML: {}", text.into()) }
}

fn unsafe_part(text: impl Into<String>) -> Problem {
    Problem { rule: Some("txt-1"), text: text.into() }
}

/// The first thing that is wrong with a `div`.
pub(crate) fn problem(div: &str) -> Option<Problem> {
    let mut reader = Reader { rest: div.trim(), open: Vec::new(), has_content: false };
    reader.read().err()
}

struct Reader<'a> {
    rest: &'a str,
    open: Vec<&'a str>,
    has_content: bool,
}

impl<'a> Reader<'a> {
    fn read(&mut self) -> Result<(), Problem> {
        if !self.rest.starts_with("<div") {
            return Err(malformed("expected `<div xmlns=\"http://www.w3.org/1999/xhtml\">`"));
        }
        let mut started = false;
        while !self.rest.is_empty() {
            if started && self.open.is_empty() {
                return Err(malformed("something follows the `div`"));
            }
            started = true;
            match self.rest.find('<') {
                Some(0) => self.markup()?,
                Some(at) => {
                    let (text, rest) = self.rest.split_at(at);
                    self.text(text)?;
                    self.rest = rest;
                }
                None => {
                    let text = std::mem::take(&mut self.rest);
                    self.text(text)?;
                }
            }
        }
        if let Some(name) = self.open.last() {
            return Err(malformed(format!("`{name}` is not closed")));
        }
        if !self.has_content {
            return Err(Problem {
                rule: Some("txt-2"),
                text: "the narrative has neither text nor an image".to_owned(),
            });
        }
        Ok(())
    }

    fn markup(&mut self) -> Result<(), Problem> {
        if let Some(comment) = self.rest.strip_prefix("<!--") {
            let Some((_, rest)) = comment.split_once("-->") else {
                return Err(malformed("a comment is not closed"));
            };
            self.rest = rest;
        } else if self.rest.starts_with("<!") || self.rest.starts_with("<?") {
            return Err(unsafe_part(
                "the narrative has no declarations or processing instructions",
            ));
        } else if let Some(tag) = self.rest.strip_prefix("</") {
            let Some((name, rest)) = tag.split_once('>') else {
                return Err(malformed("a tag is not closed"));
            };
            if self.open.pop() != Some(name.trim_end()) {
                return Err(malformed("an end tag closes what is not open"));
            }
            self.rest = rest;
        } else {
            self.start_tag()?;
        }
        Ok(())
    }

    fn start_tag(&mut self) -> Result<(), Problem> {
        let tag = &self.rest[1..];
        let end = tag
            .find(|own: char| own.is_whitespace() || matches!(own, '/' | '>'))
            .ok_or_else(|| malformed("a tag is not closed"))?;
        let (name, mut rest) = tag.split_at(end);
        if name.is_empty() || !name.bytes().all(|own| own.is_ascii_alphanumeric() || own == b':') {
            return Err(malformed("a `<` must be written as `&lt;`"));
        }
        let is_outermost = self.open.is_empty();
        if ELEMENTS.binary_search(&name).is_err() {
            return Err(unsafe_part("the narrative holds an element that is not of the safe ones"));
        }
        let mut has_namespace = false;
        let mut seen = Vec::new();
        loop {
            let trimmed = rest.trim_start();
            let spaced = trimmed.len() < rest.len();
            rest = trimmed;
            if let Some(behind) = rest.strip_prefix("/>") {
                self.rest = behind;
                break;
            }
            if let Some(behind) = rest.strip_prefix('>') {
                self.rest = behind;
                self.open.push(name);
                break;
            }
            if !spaced {
                return Err(malformed("a tag is not closed"));
            }
            let (attribute, value, behind) = attribute(rest)?;
            rest = behind;
            if seen.contains(&attribute) {
                return Err(malformed("an attribute comes twice"));
            }
            seen.push(attribute);
            check_attribute(name, attribute, value)?;
            has_namespace |= attribute == "xmlns";
        }
        if name == "img" {
            self.has_content = true;
        }
        if self.open.len() > NESTING_MAX {
            return Err(malformed(format!("nested deeper than {NESTING_MAX} elements")));
        }
        if is_outermost && !has_namespace {
            return Err(malformed(format!("its `div` must have xmlns=\"{XHTML}\"")));
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Problem> {
        check_text(text)?;
        self.has_content |= !text.trim().is_empty();
        Ok(())
    }
}

/// Takes `name="value"` off the front.
fn attribute(rest: &str) -> Result<(&str, &str, &str), Problem> {
    let wrong = || malformed("an attribute is not of the form name=\"value\"");
    let (name, rest) = rest.split_once('=').ok_or_else(wrong)?;
    let name = name.trim_end();
    let is_name = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_".contains(&byte));
    let rest = rest.trim_start();
    let quote = rest.chars().next().filter(|own| matches!(own, '"' | '\''));
    let (Some(quote), true) = (quote, is_name) else { return Err(wrong()) };
    let (value, rest) = rest[1..].split_once(quote).ok_or_else(wrong)?;
    if value.contains('<') {
        return Err(wrong());
    }
    Ok((name, value, rest))
}

fn check_attribute(element: &str, name: &str, value: &str) -> Result<(), Problem> {
    if ATTRIBUTES.binary_search(&name).is_err() && !name.starts_with("xmlns:") {
        return Err(unsafe_part("the narrative holds an attribute that is not of the safe ones"));
    }
    check_text(value)?;
    match name {
        "xmlns" if value != XHTML => {
            Err(malformed(format!("its `div` must have xmlns=\"{XHTML}\"")))
        }
        "href" | "src" | "cite" | "longdesc" if !is_safe_url(element, value) => {
            Err(unsafe_part("the narrative holds a link that is not safe"))
        }
        "style" if !is_safe_style(value) => {
            Err(unsafe_part("the narrative holds a style that is not safe"))
        }
        _ => Ok(()),
    }
}

/// Links lead to the web, to mail, to places in the text; images may be given in place.
fn is_safe_url(element: &str, value: &str) -> bool {
    // A character reference could hide a scheme.
    let plain: String = decoded(value)
        .chars()
        .filter(|own| !own.is_whitespace() && !own.is_control())
        .collect::<String>()
        .to_ascii_lowercase();
    match plain.split_once(':') {
        Some((scheme, rest)) if !scheme.contains(['/', '?', '#']) => match scheme {
            "http" | "https" | "mailto" | "tel" | "urn" => true,
            "data" => {
                element == "img" && rest.starts_with("image/") && !rest.starts_with("image/svg")
            }
            _ => false,
        },
        _ => true,
    }
}

/// Styles load nothing and run nothing.
fn is_safe_style(value: &str) -> bool {
    let plain = decoded(value).to_ascii_lowercase();
    !["url(", "expression(", "javascript:", "@import", "\\"].iter().any(|own| plain.contains(own))
}

/// A text without its character references.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((name, behind)) = rest.split_once(';') else { continue };
        out.extend(match name {
            "colon" => Some(':'),
            "amp" => Some('&'),
            "Tab" | "NewLine" => Some(' '),
            _ => name.strip_prefix('#').and_then(character),
        });
        rest = behind;
    }
    out + rest
}

/// The character of `x3A` or `58`.
fn character(number: &str) -> Option<char> {
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code)
}

/// Every `&` begins a character reference.
fn check_text(text: &str) -> Result<(), Problem> {
    for behind in text.split('&').skip(1) {
        let is_reference =
            behind.split_once(';').is_some_and(|(name, _)| match name.strip_prefix('#') {
                Some(number) => character(number).is_some(),
                None => !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            });
        if !is_reference {
            return Err(malformed("an `&` must be written as `&amp;`"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(inner: &str, expected: Option<&str>) {
        let text = format!("<div xmlns=\"{XHTML}\">{inner}</div>");
        check_whole(&text, expected);
    }

    /// `expected`: the broken rule, or `malformed`.
    #[track_caller]
    fn check_whole(text: &str, expected: Option<&str>) {
        let found = problem(text).map(|problem| problem.rule.unwrap_or("malformed"));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn what_is_fine() {
        check("text", None);
        check("<p>a <b>b</b></p><br/><img src=\"#x\" alt='y'/>", None);
        check("<a href=\"https://a.example/?a=b&amp;c\">x</a>", None);
        check("<!-- <script> --> x &lt; &#160;&#xA0; &nbsp;", None);
        check("<img src=\"data:image/png;base64,AAAA\"/>", None);
        check("<table border=\"1\"><tr><td style=\"color: red\">x</td></tr></table>", None);
        check_whole(&format!("  <div xmlns='{XHTML}' lang=\"de\">x</div>\n"), None);
    }

    #[test]
    fn what_is_not_xhtml() {
        for inner in [
            "<p>x",
            "x</p>",
            "<b><i>x</b></i>",
            "<p class=x>x</p>",
            "<p class>x</p>",
            "a & b",
            "<p title=\"a<b\">x</p>",
            "<!-- x",
            "<p title=\"x\"class=\"y\">x</p>",
            "<p id=\"a\" id=\"b\">x</p>",
            "<",
            "<p",
            "&#x110000;",
        ] {
            check(inner, Some("malformed"));
        }
        check_whole("x", Some("malformed"));
        check_whole("<p>x</p>", Some("malformed"));
        check_whole("<div>x</div>", Some("malformed"));
        check_whole("<div xmlns=\"http://example.org\">x</div>", Some("malformed"));
        check_whole(
            &format!("<div xmlns=\"{XHTML}\">x</div><div xmlns=\"{XHTML}\">y</div>"),
            Some("malformed"),
        );
        check(&"<b>".repeat(300), Some("malformed"));
    }

    #[test]
    fn what_is_not_safe() {
        for inner in [
            "<script>x</script>",
            "<SCRIPT>x</SCRIPT>",
            "<p onclick=\"x()\">x</p>",
            "<a href=\"javascript:x()\">x</a>",
            "<a href=\" JaVa&#x53;cript&colon;x()\">x</a>",
            "<a href=\"java\nscript:x()\">x</a>",
            "<img src=\"data:image/svg+xml,x\"/>",
            "<iframe src=\"x\"/>",
            "<form>x</form>",
            "<link/>",
            "<p style=\"background: url(x)\">x</p>",
            "<![CDATA[x]]>",
            "<?php x ?>",
            "<svg>x</svg>",
        ] {
            check(inner, Some("txt-1"));
        }
        check_whole("<div xmlns=\"http://www.w3.org/1999/xhtml\"/>", Some("txt-2"));
        check("", Some("txt-2"));
        check("<p> </p>", Some("txt-2"));
    }

    #[test]
    fn the_lists_are_sorted() {
        assert!(ELEMENTS.is_sorted());
        assert!(ATTRIBUTES.is_sorted());
    }
}
