//! The functions (N1 §5, §7, FHIR R4 §2.9.1.5).

use super::super::{Context, Item, Resolver};
use super::{OBSERVATION, PATIENT, check_all, check_on, evaluated, now, read};
use crate::json::Value;

#[test]
fn existence() {
    check_all(
        "
        {}.empty()                          => true
        name.empty()                        => false
        name.exists()                       => true
        name.exists(use = 'nickname')       => true
        name.exists(use = 'old')            => false
        {}.exists()                         => false
        name.all(given.exists())            => true
        name.all(family.exists())           => false
        {}.all(false)                       => true
        (true | false).allTrue()            => false
        {}.allTrue()                        => true
        (true | false).anyTrue()            => true
        {}.anyTrue()                        => false
        (true | false).allFalse()           => false
        {}.allFalse()                       => true
        (true | false).anyFalse()           => true
        1.allTrue()                         => error: column 3: expected booleans
        (1 | 2).subsetOf(1 | 2 | 3)         => true
        (1 | 4).subsetOf(1 | 2 | 3)         => false
        {}.subsetOf({})                     => true
        (1 | 2 | 3).supersetOf(1 | 2)       => true
        {}.supersetOf(1)                    => false
        name.count()                        => 2
        {}.count()                          => 0
        (1 | 2).combine(2).distinct()       => 1, 2
        (1 | 2).combine(2).isDistinct()     => false
        {}.isDistinct()                     => true
        name.given.combine(name.given).distinct().count() => 3
        (1 | 2 | 3 | 4 | 5 | 6 | 7 | 8).combine('a' | 'b').combine('a').combine(8).distinct().count() => 10
        ",
    );
}

#[test]
fn filtering_and_projection() {
    check_all(
        "
        name.where(use = 'official').family => \"Example\"
        name.where({}).count()              => 0
        name.where(use).count()             => 2
        name.select(given.first())          => \"Anna\", \"Anni\"
        name.select(use.union(given)).count() => 5
        Patient.repeat(contained).id        => \"org\"
        contact.repeat(children()).count() = contact.descendants().count() => true
        (1).repeat(iif($this < 4, $this + 1)) => 2, 3, 4
        extension.value.ofType(code)        => \"green\"
        name.where(given | 1).count()       => error: column 6: expected one item, found several
        ",
    );
}

#[test]
fn subsetting_and_combining() {
    check_all(
        "
        (1 | 2 | 3)[1]                      => 2
        (1 | 2).single()                    => error: column 9: expected one item, found several
        1.single()                          => 1
        {}.single()                         =>
        (1 | 2 | 3).first()                 => 1
        (1 | 2 | 3).last()                  => 3
        (1 | 2 | 3).tail()                  => 2, 3
        {}.tail()                           =>
        (1 | 2 | 3).skip(2)                 => 3
        (1 | 2 | 3).skip(-1)                => 1, 2, 3
        (1 | 2 | 3).take(2)                 => 1, 2
        (1 | 2 | 3).take(0)                 =>
        (1 | 2 | 3).take('a')               => error: column 13: expected an integer
        (1 | 2 | 3).intersect(2 | 3 | 4)    => 2, 3
        (1 | 2).combine(2).intersect(2)     => 2
        (1 | 2).combine(2).exclude(1)       => 2, 2
        (1 | 2).union(2 | 3)                => 1, 2, 3
        (1 | 2).combine(2 | 3)              => 1, 2, 2, 3
        name.select(use.combine(given))     => \"official\", \"Anna\", \"Maria\", \"nickname\", \"Anni\"
        ",
    );
}

#[test]
fn conversion() {
    check_all(
        r"
        iif(true, 1, 2)                     => 1
        iif(false, 1, 2)                    => 2
        iif({}, 1, 2)                       => 2
        iif(false, 1)                       =>
        iif(true, 1, 1.single().foo)        => 1
        name[0].iif(exists(), count(), 0)   => 1
        {}.iif(empty(), 'none', 'some')     => 'none'
        name.iif(true, 1, 2)                => error: column 6: expected one item, found several
        'true'.toBoolean()                  => true
        'N'.toBoolean()                     => false
        1.toBoolean()                       => true
        0.0.toBoolean()                     => false
        'maybe'.toBoolean()                 =>
        'maybe'.convertsToBoolean()         => false
        {}.convertsToBoolean()              =>
        '42'.toInteger()                    => 42
        '-1'.toInteger()                    => -1
        '4.2'.toInteger()                   =>
        true.toInteger()                    => 1
        4.2.convertsToInteger()             => false
        '4.20'.toDecimal()                  => 4.20
        1.toDecimal()                       => 1
        'a'.convertsToDecimal()             => false
        '2015-02'.toDate()                  => @2015-02
        @2015-02-04T10:00.toDate()          => @2015-02-04
        '2015-13'.convertsToDate()          => false
        '2015-02-04T14:34:28Z'.toDateTime() => @2015-02-04T14:34:28Z
        @2015.toDateTime()                  => @2015T
        '14:34'.toTime()                    => @T14:34
        'T14:34'.toTime()                   => @T14:34
        '25:00'.convertsToTime()            => false
        1.toQuantity()                      => 1 '1'
        '5 \'mg\''.toQuantity()             => 5 'mg'
        '4 days'.toQuantity()               => 4 days
        '4 foos'.convertsToQuantity()       => false
        '5000 \'mg\''.toQuantity('g')       => 5 'g'
        1.toString()                        => '1'
        1.50.toString()                     => '1.50'
        true.toString()                     => 'true'
        birthDate.toString()                => '1974-12-25'
        (4 days).toString()                 => '4 days'
        (5 'mg').toString()                 => '5 \'mg\''
        name[0].toString()                  =>
        name[0].convertsToString()          => false
        (1 | 2).toString()                  => error: column 9: expected one item, found several
        "
        .replace("=> '5 \\'mg\\''", "=> '5 'mg''")
        .as_str(),
    );
}

#[test]
fn strings() {
    check_all(
        r"
        'abcdefg'.indexOf('bc')             => 1
        'abcdefg'.indexOf('x')              => -1
        'abcdefg'.indexOf('')               => 0
        'éa'.indexOf('a')                   => 1
        {}.indexOf('a')                     =>
        'a'.indexOf({})                     =>
        'abab'.lastIndexOf('b')             => 3
        'abcdefg'.substring(3)              => 'defg'
        'abcdefg'.substring(1, 2)           => 'bc'
        'abcdefg'.substring(6, 2)           => 'g'
        'abcdefg'.substring(7, 1)           =>
        'abcdefg'.substring(-1, 1)          =>
        'abcdefg'.substring(1, 0)           => ''
        'abc'.startsWith('ab')              => true
        'abc'.startsWith('')                => true
        'abc'.endsWith('bc')                => true
        'abc'.endsWith('x')                 => false
        'abc'.contains('b')                 => true
        'abc'.contains('')                  => true
        'aé'.upper()                        => 'AÉ'
        'AÉ'.lower()                        => 'aé'
        'abcdefg'.replace('cde', '123')     => 'ab123fg'
        'abc'.replace('', 'x')              => 'xaxbxcx'
        'abc'.replace('b', {})              =>
        'abc'.matches('b')                  => true
        'abc'.matches('^b')                 => false
        'a\nc'.matches('a.c')               => true
        'abc'.matchesFull('b')              => false
        'abc'.matchesFull('a|abc')          => true
        'abc'.matches('a' & '(')            => error: column 7: the pattern is no regular expression we take (no look-around, no back-references, limited size)
        '11/30/1972'.replaceMatches('(?P<m>\\d+)/(?P<d>\\d+)/(?P<y>\\d+)', '${d}-${m}-${y}') => '30-11-1972'
        'ab'.replaceMatches('(a)(b)', '$2$1$0$9$') => 'baab$'
        'abc'.length()                      => 3
        {}.length()                         =>
        'ab'.toChars()                      => 'a', 'b'
        ' a '.trim()                        => 'a'
        'a,b'.split(',')                    => 'a', 'b'
        name.given.join('-')                => 'Anna-Maria-Anni'
        ('a' | 'b').join()                  => 'ab'
        {}.join(',')                        =>
        'abc'.replaceMatches('', 'x')       => 'abc'
        1.length()                          => error: column 3: expected a string
        gender.length()                     => 6
        ",
    );
}

#[test]
fn math() {
    check_all(
        "
        -5.abs()                            => -5
        (-5).abs()                          => 5
        (-5.50).abs()                       => 5.50
        (-5.5 'mg').abs()                   => 5.5 'mg'
        1.1.ceiling()                       => 2
        (-1.1).ceiling()                    => -1
        0.exp()                             => 1
        2.1.floor()                         => 2
        (-2.1).floor()                      => -3
        1.ln()                              => 0
        0.ln()                              =>
        16.log(2)                           => 4
        100.log(10)                         => 2
        1.log({})                           =>
        2.power(3)                          => 8
        2.5.power(2)                        => 6.25
        2.power(-1)                         => 0.5
        (-1).power(0.5)                     =>
        10.power(100)                       =>
        1.round()                           => 1
        3.14159.round(3)                    => 3.142
        2.5.round()                         => 3
        1.round(-1)                         => error: column 3: expected a precision of 0 or more
        81.sqrt()                           => 9
        (-1).sqrt()                         =>
        101.99.truncate()                   => 101
        (-1.56).truncate()                  => -1
        {}.abs()                            =>
        'a'.abs()                           => error: column 5: `abs` is not defined for these types
        (1 | 2).abs()                       => error: column 9: expected one item, found several
        ",
    );
}

#[test]
fn trees_and_the_rest() {
    check_all(
        "
        contact.children().count()          => 2
        name[0].children().count()          => 4
        birthDate.children().count()        => 2
        1.children()                        =>
        name[1].descendants()               => \"nickname\", \"Anni\"
        descendants().where($this is Reference).count() => 3
        name.trace('x').count()             => 2
        name.trace('x', given).count()      => 2
        now()                               => @2024-05-06T07:08:09.123Z
        today()                             => @2024-05-06
        timeOfDay()                         => @T07:08:09.123
        now() = now()                       => true
        (1 | 2 | 3).aggregate($this + $total, 0) => 6
        (3 | 1 | 2).aggregate(iif($total.empty(), $this, iif($this < $total, $this, $total))) => 1
        {}.aggregate($this + $total, 0)     => 0
        ",
    );
}

#[test]
fn functions_of_fhir() {
    check_all(
        "
        extension('urn:x:colour').value     => \"green\"
        extension('urn:none')               =>
        birthDate.extension('urn:x:time').exists() => true
        name.given.extension('urn:x:note').value => \"second\"
        birthDate.hasValue()                => true
        language.hasValue()            => false
        name.hasValue()                     => false
        {}.hasValue()                       => false
        birthDate.getValue() is Date        => true
        active.getValue() is Boolean        => true
        managingOrganization.resolve().name => \"Example Clinic\"
        generalPractitioner.resolve()       => <Practitioner>, <Organization>
        generalPractitioner.where(resolve() is Practitioner).reference => \"Practitioner/7\"
        generalPractitioner.reference.resolve().count() => 2
        name.checkModifiers('urn:a').count() => 2
        $this.conformsTo('http://hl7.org/fhir/StructureDefinition/Patient') => true
        $this.conformsTo('http://hl7.org/fhir/StructureDefinition/Group') => false
        $this.conformsTo('urn:profile')     => error: column 7: `conformsTo` cannot be answered here
        gender.memberOf('urn:vs')           => error: column 8: `memberOf` cannot be answered here
        elementDefinition()                 => error: column 1: `elementDefinition` is not supported
        name.slice('a', 'b')                => error: column 6: `slice` is not supported
        ",
    );
    check_on(
        r#"{"resourceType": "Patient", "modifierExtension": [{"url": "urn:a"}]}"#,
        "checkModifiers('urn:b')",
        "error: column 1: there are modifier extensions that were not expected",
    );
    check_on(OBSERVATION, "subject.resolve() is Patient", "true");
    check_on(OBSERVATION, "subject.resolve() is Group", "false");
    check_on(
        r#"{"resourceType": "Bundle", "entry": [
            {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "id": "a"}},
            {"resource": {"resourceType": "Observation", "subject": {"reference": "urn:uuid:1"}}},
            {"resource": {"resourceType": "Observation", "subject": {"reference": "Patient/a"}}}
        ]}"#,
        "entry.resource.subject.resolve().id",
        "\"a\", \"a\"",
    );
    check_on(
        r#"{"resourceType": "Patient", "text": {"div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}}"#,
        "text.div.htmlChecks()",
        "true",
    );
}

struct Known(Value);

impl Resolver for Known {
    fn resolve(&self, reference: &str) -> Option<&Value> {
        (reference == "Practitioner/7").then_some(&self.0)
    }

    fn is_member(&self, _: Option<&str>, code: &str, value_set: &str) -> Option<bool> {
        (value_set == "urn:vs").then_some(code == "female")
    }

    fn subsumes(&self, _: Option<&str>, above: &str, _: &str) -> Option<bool> {
        Some(above == "top")
    }

    fn conforms(&self, resource: &Value, profile: &str) -> Option<bool> {
        (profile == "urn:profile").then_some(resource.id() == Some("p1"))
    }
}

#[test]
fn a_resolver_and_variables_answer() {
    let known = Known(read(r#"{"resourceType": "Practitioner", "id": "7", "gender": "male"}"#));
    let before = read(r#"{"resourceType": "Patient", "active": false}"#);
    let root = read(PATIENT);
    let context = Context::new(now())
        .with_resolver(&known)
        .with_variable("previous", vec![Item::resource(&before)])
        .with_variable("current", Vec::new());
    let check = |expression: &str, expected: &str| {
        assert_eq!(evaluated(expression, &root, &context), expected, "{expression}");
    };
    check("generalPractitioner.resolve().gender", "\"male\"");
    check("gender.memberOf('urn:vs')", "true");
    check("gender.memberOf('urn:other')", "error: column 8: `memberOf` cannot be answered here");
    check("conformsTo('urn:profile')", "true");
    check("meta.tag.first().subsumes(meta.tag.first())", "true");
    check("'top'.subsumes('low')", "true");
    check("'top'.subsumedBy('low')", "false");
    check("%previous.active != active", "true");
    check("%current.exists()", "false");
}
