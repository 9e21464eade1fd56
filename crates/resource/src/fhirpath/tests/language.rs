//! Paths, literals, operators, variables (N1 §2–§4, §6, §9).

use super::{OBSERVATION, check, check_all, check_on};

#[test]
fn paths() {
    check_all(
        "
        Patient.name.family                     => \"Example\"
        name.family                             => \"Example\"
        Patient.name.given                      => \"Anna\", \"Maria\", \"Anni\"
        Patient.name[0].given[1]                => \"Maria\"
        Patient.name[7].given                   =>
        Patient.name[-1]                        =>
        Resource.id                             => \"p1\"
        DomainResource.id                       => \"p1\"
        Observation.id                          =>
        Patient.nothing                         =>
        Patient.contained.name                  => \"Example Clinic\"
        Patient.contained.ofType(Organization).name => \"Example Clinic\"
        Patient.deceased                        => \"2020-02\"
        Patient.deceasedDateTime                => \"2020-02\"
        deceased is dateTime                    => true
        multipleBirth                           => 2
        multipleBirth.extension                 =>
        `Patient`.`active`                      => true
        Patient . active                        => true
        Patient/* the one */.active // really   => true
        name.where($this.use = 'nickname').given => \"Anni\"
        name.select($index)                     => 0, 1
        name.given.select($this & '!')          => 'Anna!', 'Maria!', 'Anni!'
        name.where(given.where($index = 1).exists()).use => \"official\"
        language.id                        => \"unknown\"
        language.exists()                  => true
        birthDate.id                            => \"bd\"
        birthDate.extension.value               => \"1974-12-25T14:35:45-05:00\"
        name.given[1].extension.value           => \"second\"
        name.given.extension.count()            => 1
        contact.period.start                    => \"2012\"
        ",
    );
    check_on(OBSERVATION, "Observation.value.unit", "\"lbs\"");
    check_on(OBSERVATION, "Observation.component.value", "3, \"x\", false");
    check_on(OBSERVATION, "component.value.ofType(integer) + 1", "4");
    check_on("{\"resourceType\": \"Later\", \"kind\": 1}", "Later.kind", "1");
    check_on("{\"resourceType\": \"Later\", \"valueString\": \"a\"}", "value is string", "true");
}

#[test]
fn literals() {
    check_all(
        r"
        {}                          =>
        true                        => true
        42                          => 42
        3.140                       => 3.140
        'it\'s \u00e9 \\ \n'.length() => 10
        '\ud83d\ude00'.length()     => 1
        @2015                       => @2015
        @2015-02-04                 => @2015-02-04
        @2015T                      => @2015T
        @2015-02-04T                => @2015-02-04T
        @2015-02-04T14:34:28.123+02:00 => @2015-02-04T14:34:28.123+02:00
        @T14:34                     => @T14:34
        @2015.toString()            => '2015'
        4 days                      => 4 days
        1 year                      => 1 year
        5.50 'mg'                   => 5.50 'mg'
        1.is(Integer)               => true
        ",
    );
}

#[test]
fn what_is_no_expression_says_where() {
    check_all(
        r"
        name..given                 => no expression: column 6: expected a name or a function
        name.foo()                  => no expression: column 6: there is no function `foo`
        name.where()                => no expression: column 6: `where` takes one argument
        name.count(1)               => no expression: column 6: `count` takes no arguments
        'é' = 'abc                  => no expression: column 7: the closing quote is missing
        'a\qb'                      => no expression: column 3: unknown escape sequence; write `\\` for a backslash
        '\ud83d'                    => no expression: column 8: unknown escape sequence; write `\\` for a backslash
        @2015-13                    => no expression: column 1: this is no date, time or dateTime (as in @2015-02-04T14:34:28Z)
        $that                       => no expression: column 1: only $this, $index and $total exist
        %                           => no expression: column 1: expected a name behind `%`
        (name                       => no expression: column 6: expected `)`
        name[0                      => no expression: column 7: expected `]`
        a b                         => no expression: column 3: expected an operator or the end
        a +                         => no expression: column 4: expected a value, a name or `(`
        name.is(1)                  => no expression: column 9: expected the name of a type
        a # b                       => no expression: column 3: this character has no meaning here
        a /* b                      => no expression: column 3: the comment has no `*/`
        'a'.matches('(')            => no expression: column 13: this is no regular expression we take (no look-around, no back-references, limited size)
        99999999999999999999        => no expression: column 1: the number is out of range
        ",
    );
    check("", "no expression: column 1: the expression is empty");
    check(" // nothing", "no expression: column 12: the expression is empty");
}

#[test]
fn precedence() {
    check_all(
        "
        1 + 2 * 3                   => 7
        (1 + 2) * 3                 => 9
        10 - 2 - 3                  => 5
        -1 + 3                      => 2
        - (1 + 2)                   => -3
        1 + 2 'mg'.value            => 3
        7 div 2 mod 2               => 1
        1 | 2 = 1 | 2               => true
        1 < 2 = true                => true
        1 < 2 and 2 < 3             => true
        false and false or true     => true
        true or false implies false => false
        1 in 1 | 2                  => true
        'a' & 'b' = 'ab'            => true
        1 is Integer and true       => true
        true and 1 is Integer       => true
        1 | 2 is Integer            => 1, true
        ",
    );
}

#[test]
fn equality() {
    check_all(
        "
        1 = 1                       => true
        1 = 2                       => false
        1 = 1.0                     => true
        1.50 = 1.5                  => true
        'a' = 'A'                   => false
        'a' = 1                     => false
        true = true                 => true
        {} = {}                     =>
        1 = {}                      =>
        1 != {}                     =>
        1 != 2                      => true
        (1 | 2) = (1 | 2)           => true
        (1 | 2) = (2 | 1)           => false
        (1 | 2) = 1                 => false
        name[0] = name[0]           => true
        name[0] = name[1]           => false
        gender = 'female'           => true
        active = true               => true
        multipleBirth = 2           => true
        @2012 = @2012               => true
        @2012 = @2012-01            =>
        @2012 = @2013-01            => false
        @2012-01-01 = @2012-01-01T  => true
        @2012-01-01 = @2012-01-01T10:00 =>
        @2012-04-15T15:00:00+02:00 = @2012-04-15T16:00:00+03:00 => true
        @2012-04-15T15:00:00Z = @2012-04-15T10:00:00 =>
        @T12:30 = @T12:30:00        =>
        @T12:30:00 = @T12:30:00.0   => true
        birthDate = @1974-12-25     => true
        deceased = @2020-02         => true
        1 'g' = 1000 'mg'           => true
        1 'g' = 1 'mL'              =>
        7 days = 1 week             => true
        12 months = 1 year          => true
        1 year = 1 'a'              =>
        1 second = 1 's'            => true
        1 = 1 '1'                   => true
        ",
    );
    check_on(OBSERVATION, "value = 185 '[lb_av]'", "true");
    check_on(OBSERVATION, "value = 2960 '[oz_av]'", "true");
    check_on(OBSERVATION, "referenceRange.low < referenceRange.high", "true");
}

#[test]
fn equivalence() {
    check_all(
        r"
        1 ~ 1                       => true
        1.1 ~ 1.12                  => true
        1 ~ 2                       => false
        'a  b' ~ 'A  B'             => true
        'a' ~ 'b'                   => false
        {} ~ {}                     => true
        {} ~ 1                      => false
        1 !~ {}                     => true
        (1 | 2) ~ (2 | 1)           => true
        (1 | 2) !~ (2 | 3)          => true
        @2012 ~ @2012-01            => false
        @2012-01 ~ @2012-01         => true
        1 year ~ 1 'a'              => true
        1 'g' ~ 1000 'mg'           => true
        4 'g' ~ 4040 'mg'           => true
        4040 'mg' ~ 4 'g'           => true
        1 'g' ~ 1 'mL'              => false
        name[0] ~ name[0]           => true
        name[0] ~ name[1]           => false
        ",
    );
}

#[test]
fn comparison() {
    check_all(
        "
        1 < 2                       => true
        2 <= 2                      => true
        2 > 2.5                     => false
        2 >= {}                     =>
        {} > 2                      =>
        'a' < 'b'                   => true
        @2018-03-01 > @2018-01-01   => true
        @2018-03 > @2018-03-01      =>
        @2018-03 > @2018-02-01      => true
        @2018-03-01T10:30 > @2018-03-01T10:00 => true
        @2018-03-01T10 > @2018-03-01T10:30    =>
        @2018-03-01T10:30:00 >= @2018-03-01T10:30:00.0 => true
        @T10:30 < @T10:31           => true
        @T10:30 < @T10:30:00        =>
        birthDate < today()         => true
        1 'm' > 10 'cm'             => true
        1 'm' > 10 'g'              =>
        6 days < 1 week             => true
        true < false                => error: column 6: `<` is not defined for these types
        1 < 'a'                     => error: column 3: `<` is not defined for these types
        name.given < 'a'            => error: column 12: expected one item, found several
        ",
    );
}

#[test]
fn logic_has_three_values() {
    for (left, right, and, or, xor, implies) in [
        ("true", "true", "true", "true", "false", "true"),
        ("true", "false", "false", "true", "true", "false"),
        ("true", "{}", "", "true", "", ""),
        ("false", "true", "false", "true", "true", "true"),
        ("false", "false", "false", "false", "false", "true"),
        ("false", "{}", "false", "", "", "true"),
        ("{}", "true", "", "true", "", "true"),
        ("{}", "false", "false", "", "", ""),
        ("{}", "{}", "", "", "", ""),
    ] {
        check(&format!("{left} and {right}"), and);
        check(&format!("{left} or {right}"), or);
        check(&format!("{left} xor {right}"), xor);
        check(&format!("{left} implies {right}"), implies);
    }
    check("name[0] and active", "true");
    check("name and active", "error: column 6: expected one item, found several");
    check("true.not()", "false");
    check("{}.not()", "");
}

#[test]
fn collections() {
    check_all(
        "
        1 | 2 | 1                   => 1, 2
        1 | {}                      => 1
        name.given | name.family    => \"Anna\", \"Maria\", \"Anni\", \"Example\"
        'Anna' in name.given        => true
        'Otto' in name.given        => false
        {} in name.given            =>
        1 in {}                     => false
        name.given contains 'Anni'  => true
        name.given contains {}      =>
        name.given in 'a'           => error: column 12: expected one item, found several
        ",
    );
}

#[test]
fn arithmetic() {
    check_all(
        "
        1 + 1                       => 2
        1 + 1.0                     => 2.0
        'a' + 'b'                   => 'ab'
        'a' + {}                    =>
        'a' & {}                    => 'a'
        {} & {}                     => ''
        1 - 2                       => -1
        2 * 2.50                    => 5.00
        1 / 2                       => 0.5
        6 / 2                       => 3
        1 / 0                       =>
        7 div 2                     => 3
        -7 div 2                    => -3
        5.5 div 0.7                 => 7
        5 div 0                     =>
        7 mod 3                     => 1
        5.5 mod 0.7                 => 0.6
        5 mod 0                     =>
        0.1 + 0.2                   => 0.3
        9223372036854775807 + 1     =>
        1 + 'a'                     => error: column 3: `+` is not defined for these types
        -'a'                        => error: column 1: expected a number
        +3                          => 3
        1 'g' + 500 'mg'            => 1.5 'g'
        1 'g' - 1 'mL'              =>
        2 * 3 'mg'                  => 6 'mg'
        6 'mg' / 2                  => 3 'mg'
        6 'mg' / 3 'mg'             => 2 '1'
        6 'mg' / 2 'dL'             => 3 'mg/dL'
        6 'mg' / 2 'mL/min'         => 3 'mg/mL.min'
        6 'mg' * 2 '/min'           => 12 'mg/min'
        6 '1' / 2 '/min'            => 3 '1.min'
        2.0 'cm' * 2.0 'm' = 0.040 'm2' => true
        4.0 'g' / 2.0 'm' = 2 'g/m' => true
        @1974-12-25 - 1 'month'     => @1974-11-25
        @1974-12-25 - 1 'cm'        => error: column 13: `-` is not defined for these types
        -(3 'mg')                   => -3 'mg'
        @1973-12-25 + 7 days        => @1974-01-01
        @1973-12-25 + 1 'd'         => @1973-12-26
        @1973-12-25 + 1 'a'         => error: column 13: `+` is not defined for these types
        @2016-02-29 - 1 year        => @2015-02-28
        @2014 + 24 months           => @2016
        @2019-03-01 + 24 months     => @2021-03-01
        @2016-02-28 + 1.9 days      => @2016-02-29
        @2016-02-28T23:59:59.500Z + 0.5 seconds => @2016-02-29T00:00:00.000Z
        @T23:30 + 45 minutes        => @T00:15
        birthDate + 1 day           => @1974-12-26
        ",
    );
}

#[test]
fn types() {
    check_all(
        "
        Patient is Patient              => true
        Patient is DomainResource       => true
        Patient is FHIR.Patient         => true
        Patient is Observation          => false
        active is boolean               => true
        active is Boolean               => false
        active is System.Boolean        => false
        Patient is System.Patient       => false
        Patient is FHIR.Foo             => error: column 9: there is no type `FHIR.Foo`
        true is Boolean                 => true
        true is System.Boolean          => true
        gender is code                  => true
        gender is string                => true
        gender as string                =>
        gender.ofType(string)           =>
        gender.ofType(code)             => \"female\"
        1 is Integer                    => true
        1.0 is Decimal                  => true
        @2015 is Date                   => true
        @2015T is DateTime              => true
        @T10 is Time                    => true
        1 'mg' is Quantity              => true
        nothing is Patient              =>
        name is HumanName               => error: column 6: expected one item, found several
        name.is(Foo)                    => error: column 6: there is no type `Foo`
        name.as(HumanName).count()      => 2
        (deceased as dateTime)          => \"2020-02\"
        (deceased as boolean)           =>
        extension.value.ofType(Quantity).unit => \"m\"
        descendants().ofType(code).count() => 8
        contact[0] is BackboneElement   => true
        active.type().name              => 'boolean'
        active.type().namespace         => 'FHIR'
        type()                          => FHIR.Patient
        1.type()                        => System.Integer
        contact.type().name             => 'BackboneElement'
        ",
    );
}

#[test]
fn variables() {
    check_all(
        "
        %resource.id                    => \"p1\"
        %rootResource.id                => \"p1\"
        %context.id                     => \"p1\"
        name.select(%context.id)        => \"p1\", \"p1\"
        %ucum                           => 'http://unitsofmeasure.org'
        %sct                            => 'http://snomed.info/sct'
        %loinc                          => 'http://loinc.org'
        %'vs-gender'                    => 'http://hl7.org/fhir/ValueSet/gender'
        %`ext-birthPlace`               => 'http://hl7.org/fhir/StructureDefinition/birthPlace'
        %nobody                         => error: column 1: there is no variable `%nobody`
        $index                          => error: column 1: `$index` has no value here
        $total                          => error: column 1: `$total` has no value here
        $this.id                        => \"p1\"
        ",
    );
}
