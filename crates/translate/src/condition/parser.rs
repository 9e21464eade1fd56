//! From words to a condition.

use super::lexer::{Token, tokens};
use super::{Comparison, Condition, FieldRef};

const LISTS: &str = include_str!("../../tables/lists.tsv");

/// Deeper parentheses are refused.
const DEPTH_MAX: usize = 16;

/// Words that look like names of segments or data types.
const WORDS: [&str; 8] = ["AND", "OR", "NOT", "IS", "IN", "IF", "TO", "ARE"];

/// Reads a condition; nothing where it can't be read whole.
pub(crate) fn parse_condition(text: &str) -> Option<Condition> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, subject: FieldRef::OWN, depth: 0 };
    let part = parser.alternatives()?;
    (parser.at == tokens.len()).then_some(())?;
    part.settle()
}

/// A condition, or a place of which what follows is said as well: `PID-33 AND PID-34 VALUED`.
enum Part {
    Whole(Condition),
    Bare(FieldRef),
    Joined(bool, Vec<Part>),
}

impl Part {
    /// Gives what is said of the last place to the bare ones before it.
    fn settle(self) -> Option<Condition> {
        match self {
            Self::Whole(condition) => Some(condition),
            Self::Bare(_) => None,
            Self::Joined(is_and, parts) => {
                let mut said: Option<Condition> = None;
                let mut settled = Vec::with_capacity(parts.len());
                for part in parts.into_iter().rev() {
                    let condition = match part {
                        Self::Bare(place) => about(said.as_ref()?, place)?,
                        part => part.settle()?,
                    };
                    said = Some(condition.clone());
                    settled.push(condition);
                }
                settled.reverse();
                Some(if is_and { Condition::And(settled) } else { Condition::Or(settled) })
            }
        }
    }
}

/// What a condition about one place says, about another.
fn about(condition: &Condition, place: FieldRef) -> Option<Condition> {
    Some(match condition {
        Condition::Valued(_) => Condition::Valued(place),
        Condition::In(_, texts) => Condition::In(place, texts.clone()),
        Condition::Not(inner) => Condition::Not(Box::new(about(inner, place)?)),
        _ => return None,
    })
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    /// What was spoken of last: `IAM-15 VALUED AND NOT "SEL"`.
    subject: FieldRef,
    depth: usize,
}

impl Parser<'_> {
    fn word(&self) -> Option<&str> {
        match self.tokens.get(self.at) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// The place that is named next, if it is no word of the grammar.
    fn field(&self) -> Option<FieldRef> {
        let word = self.word().filter(|word| !WORDS.contains(word))?;
        FieldRef::parse(word)
    }

    fn take_word(&mut self, words: &[&str]) -> bool {
        let found = self.word().is_some_and(|word| words.contains(&word));
        self.at += usize::from(found);
        found
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.tokens.get(self.at) == Some(token);
        self.at += usize::from(found);
        found
    }

    fn alternatives(&mut self) -> Option<Part> {
        let mut parts = vec![self.conjunction()?];
        while self.take_word(&["OR"]) {
            parts.push(self.conjunction()?);
        }
        join(false, parts)
    }

    fn conjunction(&mut self) -> Option<Part> {
        let mut parts = vec![self.part()?];
        // Where `AND` was forgotten, the next place follows at once.
        while self.take_word(&["AND"]) || self.field().is_some() {
            parts.push(self.part()?);
        }
        join(true, parts)
    }

    fn part(&mut self) -> Option<Part> {
        while self.take_word(&["IF"]) {}
        let negated = match self.tokens.get(self.at..) {
            Some([Token::Word(not), Token::Open, ..]) if not == "NOT" => {
                self.at += 1;
                true
            }
            _ => false,
        };
        if self.take(&Token::Open) {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return None;
            }
            let inner = self.alternatives()?;
            // One of the tables' parentheses is never closed.
            if !self.take(&Token::Close) && self.at < self.tokens.len() {
                return None;
            }
            self.depth -= 1;
            return Some(match negated {
                true => Part::Whole(Condition::Not(Box::new(inner.settle()?))),
                false => inner,
            });
        }
        if let Some(place) = self.field() {
            self.at += 1;
            self.subject = place;
            let rest = self.tokens.get(self.at);
            let is_bare = match rest {
                None | Some(Token::Close) => true,
                Some(Token::Word(word)) => matches!(word.as_str(), "AND" | "OR"),
                _ => false,
            };
            if is_bare {
                return Some(Part::Bare(place));
            }
        }
        let mut said = vec![self.predicate()?];
        while self.word().is_some_and(|word| matches!(word, "NOT" | "EQUAL" | "EQUALS")) {
            said.push(self.predicate()?);
        }
        Some(Part::Whole(if said.len() == 1 { said.remove(0) } else { Condition::And(said) }))
    }

    fn predicate(&mut self) -> Option<Condition> {
        let subject = self.subject;
        let mut negated = false;
        loop {
            if self.take_word(&["NOT"]) {
                negated = !negated;
            } else if !self.take_word(&["IS", "ARE", "AREA", "DOES", "TO"]) {
                break;
            }
        }
        let condition = match self.tokens.get(self.at)?.clone() {
            Token::Text(text) => {
                self.at += 1;
                Condition::In(subject, vec![text.into()])
            }
            Token::Sign(sign) => {
                self.at += 1;
                match sign.as_str() {
                    "=" | "==" => {}
                    "<>" | "!=" => negated = !negated,
                    _ => return None,
                }
                self.operand(subject)?
            }
            Token::Word(word) => {
                self.at += 1;
                match word.as_str() {
                    "VALUED" | "VALUE" | "EXIST" | "EXISTS" => Condition::Valued(subject),
                    "NUMERIC" => Condition::Numeric(subject),
                    "COMPARED" => Condition::Compared(subject),
                    "DATE" => Condition::Date(subject),
                    "TIME" => Condition::Time(subject),
                    "EMPTY" => Condition::Not(Box::new(Condition::Valued(subject))),
                    "EQUAL" | "EQUALS" => {
                        self.take_word(&["TO"]);
                        self.operand(subject)?
                    }
                    "AFTER" => {
                        let other = FieldRef::parse(self.word()?)?;
                        self.at += 1;
                        Condition::After(subject, other)
                    }
                    "IN" => Condition::In(subject, self.list()?),
                    "LST.COUNT" | "COUNT" => {
                        let (comparison, number) = self.comparison(&mut negated)?;
                        Condition::Count(subject, comparison, number)
                    }
                    "LENGTH" => {
                        let (comparison, number) = self.comparison(&mut negated)?;
                        Condition::Length(subject, comparison, number)
                    }
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(if negated { Condition::Not(Box::new(condition)) } else { condition })
    }

    fn operand(&mut self, subject: FieldRef) -> Option<Condition> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        match token {
            Token::Text(text) => Some(Condition::In(subject, vec![text.as_str().into()])),
            Token::Word(word) => Some(Condition::Same(subject, FieldRef::parse(word)?)),
            _ => None,
        }
    }

    fn list(&mut self) -> Option<Vec<Box<str>>> {
        if let Some(texts) = self.word().and_then(named_list) {
            self.at += 1;
            return Some(texts);
        }
        let mut texts = Vec::new();
        self.take(&Token::Open).then_some(())?;
        loop {
            match self.tokens.get(self.at)? {
                Token::Text(text) => texts.push(text.as_str().into()),
                Token::Word(word) => texts.push(word.as_str().into()),
                _ => return None,
            }
            self.at += 1;
            if self.take(&Token::Close) {
                return Some(texts);
            }
            self.take(&Token::Comma).then_some(())?;
        }
    }

    fn comparison(&mut self, negated: &mut bool) -> Option<(Comparison, u32)> {
        if self.take_word(&["NOT"]) {
            *negated = !*negated;
        }
        let token = self.tokens.get(self.at)?.clone();
        self.at += 1;
        let mut comparison = match token {
            Token::Sign(sign) => match sign.as_str() {
                "=" => Comparison::Equal,
                ">" => Comparison::Greater,
                ">=" => Comparison::GreaterOrEqual,
                "<" => Comparison::Less,
                "<=" => Comparison::LessOrEqual,
                _ => return None,
            },
            Token::Word(word) => match word.as_str() {
                "EQUAL" | "EQUALS" => Comparison::Equal,
                "GREATER" => Comparison::Greater,
                "LESS" => Comparison::Less,
                _ => return None,
            },
            _ => return None,
        };
        self.take_word(&["THAN"]);
        if self.take_word(&["OR"]) {
            self.take_word(&["EQUAL", "EQUALS"]).then_some(())?;
            comparison = match comparison {
                Comparison::Greater => Comparison::GreaterOrEqual,
                Comparison::Less => Comparison::LessOrEqual,
                _ => return None,
            };
        }
        let number = self.word()?.parse().ok()?;
        self.at += 1;
        Some((comparison, number))
    }
}

/// The texts of a list that stands in the tables by this name.
fn named_list(name: &str) -> Option<Vec<Box<str>>> {
    let mut lists = LISTS.lines().filter_map(|line| line.split_once('\t'));
    let (_, rest) = lists.find(|(own, _)| *own == name)?;
    let (texts, _) = rest.split_once('\t')?;
    Some(texts.split(' ').map(Box::from).collect())
}

fn join(is_and: bool, mut parts: Vec<Part>) -> Option<Part> {
    if parts.len() == 1 { parts.pop() } else { Some(Part::Joined(is_and, parts)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let read = parse_condition(text).map(|condition| show(&condition));
        assert_eq!(read.as_deref().unwrap_or("unread"), expected, "{text}");
    }

    fn place(place: &FieldRef) -> String {
        let name = place.name.map_or("it".to_owned(), |name| name.to_string());
        let numbers: Vec<_> = place.numbers.iter().filter(|number| **number > 0).collect();
        numbers.iter().fold(name, |text, number| format!("{text}.{number}"))
    }

    fn show(condition: &Condition) -> String {
        let all = |parts: &[Condition]| parts.iter().map(show).collect::<Vec<_>>().join(" ");
        match condition {
            Condition::Valued(of) => place(of),
            Condition::Numeric(of) => format!("{}?", place(of)),
            Condition::Compared(of) => format!("{}<?", place(of)),
            Condition::Date(of) => format!("{}-?", place(of)),
            Condition::Time(of) => format!("{}:?", place(of)),
            Condition::In(of, texts) => format!("{}={}", place(of), texts.join("|")),
            Condition::Same(one, other) => format!("{}=={}", place(one), place(other)),
            Condition::After(one, other) => format!("{}>{}", place(one), place(other)),
            Condition::Count(of, how, number) => format!("#{} {how:?} {number}", place(of)),
            Condition::Length(of, how, number) => format!("len {} {how:?} {number}", place(of)),
            Condition::Not(inner) => format!("!{}", show(inner)),
            Condition::And(parts) => format!("&({})", all(parts)),
            Condition::Or(parts) => format!("|({})", all(parts)),
        }
    }

    #[test]
    fn conditions_are_read_as_they_are_written() {
        check("IF PID-25 NOT VALUED", "!PID.25");
        check("IF ORC VALUED", "ORC");
        check("IF PV1-20 VALUE", "PV1.20");
        check("IF OBX-2 EQUALS \"NM\"", "OBX.2=NM");
        check("IF OBX-2=\"ED\"", "OBX.2=ED");
        check("IF HD-3 NOT IN (\"ISO\", \"UUID\")", "!HD.3=ISO|UUID");
        check("IF PRT-2 IS IN (\"A\", \"S\", \"U\", X\")", "PRT.2=A|S|U|X");
        check("IF IN1-17 IS NOT 'patient'", "!IN1.17=patient");
        check("IF PID-33 AND PID-34 VALUED", "&(PID.33 PID.34)");
        check("IF TQ1-7 AND TQ1-8 NOT VALUED", "&(!TQ1.7 !TQ1.8)");
        check("IF SCH-26 or SCH-27 VALUED", "|(SCH.26 SCH.27)");
        check("IF PRT-9 VALUED OR IF PRT-14 VALUED", "|(PRT.9 PRT.14)");
        check("IF XCN.19 NOT VALUED XCN.20 NOT VALUED", "&(!XCN.19 !XCN.20)");
        check("IF NOT VALUED OR NOT IN (\"ISO\")", "|(!it !it=ISO)");
        check("IF NOT EQUAL TO \"=\"", "!it==");
        check("IF EVN-4 NOT \"U\"", "!EVN.4=U");
        check("IF IAM-15 VALUED AND NOT \"SEL\"", "&(IAM.15 !IAM.15=SEL)");
        check("IF OBX-5 IS NOT NUMERIC", "!OBX.5?");
        check("IF OBX-5 IS COMPARED", "OBX.5<?");
        check("IF TQ1-3.9 IS EMPTY", "!TQ1.3.9");
        check("IF XCN.19 DOES NOT EXIST AND IF XCN.20 DOES NOT EXIST", "&(!XCN.19 !XCN.20)");
        check("IF OBX-33 COUNT>1", "#OBX.33 Greater 1");
        check("IF PID-7 LENGTH GREATER THAN 8", "len PID.7 Greater 8");
        check("IF NOT (PV1-44 AFTER MSH-7)", "!PV1.44>MSH.7");
        check("IF PID-11.9 IS VALUED NOT EQUAL PID-12", "&(PID.11.9 !PID.11.9==PID.12)");
        check(
            "IF (OBX-5 LST.count LESS THAN OR EQUALS 1 OR OBX-2 IS \"NA\") AND OBX-29 NOT IN (\"QST\", \"SCI\")",
            "&(|(#OBX.5 LessOrEqual 1 OBX.2=NA) !OBX.29=QST|SCI)",
        );
        check("IF (OBX-2 EQUALS \"SN\"  AND OBX-5.1  EQUALS \"<>\"", "&(OBX.2=SN OBX.5.1=<>)");
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for text in ["ic", "c", "IF", "IF PID-3", "IF CX.4 IN http://x", "IF (PID-3 VALUED) more"] {
            check(text, "unread");
        }
    }
}
