"""fhirpy: what its documentation shows, synchronous and asynchronous."""

import asyncio
import base64

from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import (
    AuthorizationError,
    MultipleResourcesFound,
    OperationOutcome,
    ResourceNotFound,
)

from session import BASE, CLIENT_ID, CLIENT_SECRET, RUN, raises, token

SYSTEM = "urn:example:fhirpy"


def patient(client, family, value, **more):
    return client.resource(
        "Patient",
        identifier=[{"system": SYSTEM, "value": f"{RUN}-{value}"}],
        name=[{"family": family, "given": ["Ada"]}],
        **more,
    )


def identifier(value):
    return f"{SYSTEM}|{RUN}-{value}"


def authorization():
    raises(AuthorizationError, lambda: SyncFHIRClient(BASE).resources("Patient").fetch())
    basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
    SyncFHIRClient(BASE, authorization=f"Basic {basic}").resources("Patient").fetch()


def instances(client):
    ada = patient(client, "Fhirpy", "one", gender="female")
    ada.save()
    assert ada.id and ada["meta"]["versionId"] == "1"

    ada["birthDate"] = "1980-02-29"
    ada.save()
    assert ada["meta"]["versionId"] == "2"

    # Only these members go over the wire.
    ada["gender"] = "other"
    ada.save(fields=["gender"])
    assert ada["meta"]["versionId"] == "3" and ada["birthDate"] == "1980-02-29"
    ada.patch(active=True, birthDate=None)
    assert ada["active"] is True and "birthDate" not in ada

    other = client.reference("Patient", ada.id).to_resource()
    assert other["gender"] == "other" and "birthDate" not in other
    other.patch(language="de")
    ada.refresh()
    assert ada["language"] == "de", ada
    version = ada["meta"]["versionId"]
    ada.refresh()
    assert ada["meta"]["versionId"] == version

    assert client.get("Patient", ada.id)["id"] == ada.id
    assert client.patch("Patient", ada.id, language="en")["language"] == "en"
    assert ada.is_valid(raise_exception=True)
    assert not client.resource("Patient", gender="nonsense").is_valid()
    everything = ada.execute("$everything", method="get")
    assert everything["resourceType"] == "Bundle"

    ada.delete()
    raises(ResourceNotFound, lambda: client.get("Patient", ada.id))
    raises(ResourceNotFound, lambda: client.get("Patient", "never-there"))
    error = raises(OperationOutcome, lambda: client.resource("Patient", gender="nonsense").save())
    assert error.resource["issue"][0]["severity"] == "error"


def conditions(client):
    patients = client.resources("Patient").search(identifier=identifier("conditional"))
    first, created = patients.get_or_create(patient(client, "Once", "conditional"))
    assert created
    again, created = patients.get_or_create(patient(client, "Twice", "conditional"))
    assert not created and again.id == first.id

    # `create` with search parameters is a conditional create too.
    same = patient(client, "Thrice", "conditional").create(identifier=identifier("conditional"))
    assert same.id == first.id and patients.count() == 1

    updated, created = patients.update(patient(client, "Updated", "conditional"))
    assert not created and updated.id == first.id
    assert patients.get()["name"][0]["family"] == "Updated"
    patched = patients.patch(active=False)
    assert patched["active"] is False and patched["name"][0]["family"] == "Updated"

    patients.delete()
    assert patients.first() is None
    raises(ResourceNotFound, patients.get)
    made, created = patients.update(patient(client, "Anew", "conditional"))
    assert created and made.id


def searches(client):
    practitioner = client.resource("Practitioner", name=[{"family": f"Doctor{RUN}"}]).create()
    made = [
        patient(
            client,
            f"Search{RUN}",
            f"search-{number}",
            birthDate=f"19{70 + number}-01-01",
            generalPractitioner=[practitioner.to_reference()],
        ).create()
        for number in range(7)
    ]
    patients = client.resources("Patient").search(family=f"search{RUN}")
    assert patients.count() == 7
    assert len(patients.limit(3).fetch()) == 3
    assert {p.id for p in patients.limit(3).fetch_all()} == {p.id for p in made}
    assert [p["birthDate"][:4] for p in patients.sort("-birthdate").limit(2).fetch()] == ["1976", "1975"]
    assert len(patients.search(birthdate__ge="1973", birthdate__lt="1975").fetch()) == 2
    assert len(patients.search(general_practitioner=practitioner).fetch()) == 7
    assert len(patients.search(general_practitioner__Practitioner__family=f"Doctor{RUN}").fetch()) == 7
    assert len(patients.search(gender__missing=True).fetch()) == 7
    assert patients.search(family__exact="search").first() is None
    assert len(patients.elements("name").limit(1).fetch()) == 1
    raises(MultipleResourcesFound, patients.get)

    bundle = patients.include("Patient", "general-practitioner").fetch_raw()
    modes = [entry.search.mode for entry in bundle.entry]
    assert modes.count("match") == 7 and modes.count("include") == 1
    doctors = client.resources("Practitioner").search(_id=practitioner.id)
    bundle = doctors.revinclude("Patient", "general-practitioner").fetch_raw()
    assert len(bundle.entry) == 8
    assert len(doctors.has("Patient", "general-practitioner", identifier=identifier("search-1")).fetch()) == 1


def transaction(client):
    bundle = client.resource(
        "Bundle",
        type="transaction",
        entry=[
            {
                "fullUrl": "urn:uuid:4b3c1c0e-38c5-4d45-8a5c-0f6d1f1f0a01",
                "resource": patient(client, "Bundle", "bundle").serialize(),
                "request": {"method": "POST", "url": "Patient", "ifNoneExist": f"identifier={identifier('bundle')}"},
            },
            {
                "resource": {
                    "resourceType": "Observation",
                    "status": "final",
                    "code": {"text": "weight"},
                    "subject": {"reference": "urn:uuid:4b3c1c0e-38c5-4d45-8a5c-0f6d1f1f0a01"},
                },
                "request": {"method": "POST", "url": "Observation"},
            },
        ],
    )
    answer = client.execute("", data=bundle.serialize())
    assert [entry.response.status[:3] for entry in answer.entry] == ["201", "201"]
    person = client.resources("Patient").search(identifier=identifier("bundle")).get()
    observation = client.resources("Observation").search(patient=person).get()
    assert observation["subject"].to_resource().id == person.id


async def asynchronous(access_token):
    client = AsyncFHIRClient(BASE, authorization=f"Bearer {access_token}")
    people = [patient(client, f"Async{RUN}", f"async-{number}") for number in range(10)]
    await asyncio.gather(*(person.save() for person in people))
    patients = client.resources("Patient").search(family=f"Async{RUN}")
    assert await patients.count() == 10
    found = [person.id async for person in patients.limit(4)]
    assert sorted(found) == sorted(person.id for person in people)
    # Of many at once, one creates.
    same = client.resources("Patient").search(identifier=identifier("raced"))
    answers = await asyncio.gather(*(same.get_or_create(patient(client, "Race", "raced")) for _ in range(10)))
    assert sum(created for _, created in answers) == 1 and len({person.id for person, _ in answers}) == 1
    await people[0].patch(active=True)
    await asyncio.gather(*(person.delete() for person in people))
    assert await patients.first() is None


def main():
    authorization()
    access_token = token()
    client = SyncFHIRClient(BASE, authorization=f"Bearer {access_token}")
    instances(client)
    conditions(client)
    searches(client)
    transaction(client)
    asyncio.run(asynchronous(access_token))


main()
