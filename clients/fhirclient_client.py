"""fhirclient (SMART on FHIR): its models, its login as a system, its search."""

import os

from fhirclient import client as smart
from fhirclient import server as smart_server
from fhirclient.models.bundle import Bundle, BundleEntry, BundleEntryRequest
from fhirclient.models.codeableconcept import CodeableConcept
from fhirclient.models.fhirdate import FHIRDate
from fhirclient.models.fhirreference import FHIRReference
from fhirclient.models.humanname import HumanName
from fhirclient.models.identifier import Identifier
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from requests import HTTPError

from session import BASE, CLIENT_ID, CLIENT_SECRET, RUN, raises

SYSTEM = "urn:example:fhirclient"

def log_in(**settings):
    """Reads the CapabilityStatement, finds the token endpoint in it, and signs in there.

    The scopes are given, as fhirclient's own ask for a user and a patient in context, which a system has not.
    """
    client = smart.FHIRClient(settings={"api_base": BASE, **settings})
    client.prepare()
    assert client.server.auth.auth_type == "oauth2", "no SMART endpoints in the CapabilityStatement"
    client.authorize()
    assert client.server.auth.can_sign_headers()
    return client.server


def patient(family, value):
    person = Patient()
    person.name = [HumanName({"family": family, "given": ["Grace"]})]
    person.identifier = [Identifier({"system": SYSTEM, "value": f"{RUN}-{value}"})]
    return person


def capabilities(server):
    statement = server.capabilityStatement
    assert statement.fhirVersion == "4.0.1"
    assert "Patient" in {resource.type for resource in statement.rest[0].resource}


def instances(server):
    person = patient("Fhirclient", "one")
    person.birthDate = FHIRDate("1906-12-09")
    made = Patient(person.create(server))
    assert made.id and made.meta.versionId == "1"

    read = Patient.read(made.id, server)
    assert read.birthDate.isostring == "1906-12-09" and read.name[0].family == "Fhirclient"
    read.active = True
    assert read.update(server)["meta"]["versionId"] == "2"
    assert Patient.read_from(f"Patient/{made.id}/_history/1", server).active is None

    Patient.read(made.id, server).delete()
    gone = raises(HTTPError, lambda: Patient.read(made.id, server))
    assert gone.response.status_code == 410
    raises(smart_server.FHIRNotFoundException, lambda: Patient.read("never-there", server))


def searches(server):
    family = f"Smart{RUN}"
    people = [Patient(patient(family, f"search-{number}").create(server)) for number in range(5)]
    for person in people:
        observation = Observation()
        observation.status = "final"
        observation.code = CodeableConcept({"text": "height"})
        observation.subject = FHIRReference({"reference": person.relativePath()})
        observation.create(server)

    found = Patient.where({"family": family}).perform_resources(server)
    assert {person.id for person in found} == {person.id for person in people}
    # Follows the links from page to page.
    paged = list(Patient.where({"family": family, "_count": "2"}).perform_resources_iter(server))
    assert sorted(person.id for person in paged) == sorted(person.id for person in people)
    one = Patient.where({"identifier": f"{SYSTEM}|{RUN}-search-3"}).perform_resources(server)
    assert [person.id for person in one] == [people[3].id]
    chained = Observation.where({"subject": {"$type": "Patient", "family": family}})
    assert len(chained.perform_resources(server)) == 5
    included = Observation.where({"subject.identifier": f"{SYSTEM}|{RUN}-search-0"}).include("subject")
    kinds = sorted(entry.resource.resource_type for entry in included.perform(server).entry)
    assert kinds == ["Observation", "Patient"]
    observation = Observation.where({"patient": people[0].id}).perform_resources(server)[0]
    assert observation.subject.resolved(Patient).id == people[0].id


def transaction(server):
    bundle = Bundle()
    bundle.type = "transaction"
    bundle.entry = []
    for number in range(2):
        entry = BundleEntry()
        entry.resource = patient(f"SmartBundle{RUN}", f"bundle-{number}")
        entry.request = BundleEntryRequest({"method": "POST", "url": "Patient"})
        bundle.entry.append(entry)
    answer = Bundle(bundle.create(server))
    assert answer.type == "transaction-response"
    assert all(entry.response.status.startswith("201") for entry in answer.entry)
    assert len(Patient.where({"family": f"SmartBundle{RUN}"}).perform_resources(server)) == 2


def main():
    open_server = smart.FHIRClient(settings={"app_id": "nobody", "api_base": BASE}).server
    raises(smart_server.FHIRUnauthorizedException, lambda: Patient.read("any", open_server))

    server = log_in(app_id=CLIENT_ID, app_secret=CLIENT_SECRET, scope="system/*.*")
    capabilities(server)
    instances(server)
    searches(server)
    transaction(server)

    # SMART Backend Services: a signed assertion in the place of a secret.
    by_key = log_in(
        app_id=os.environ["KEY_CLIENT_ID"],
        jwt_token=os.environ["KEY_CLIENT_ASSERTION"],
        scope="system/*.rs",
    )
    assert Patient.where({"family": f"Smart{RUN}"}).perform_resources(by_key)


main()
