/**
 * Documents of a report (OBX-2 ED): they stand in its presented form, and in no result. A laboratory may tell as a document what it told
 * as a text or number before, and the other way round: of the two the one stands that would, were both statements of one result
 * (`standing` in statements.ts), in whichever order they come. The other keeps what was said of it: the document in an extension of the
 * report, the result by itself, in no report, as `entered-in-error`. A withdrawal (OBX-11 X, D, W) is a result without a document.
 */
import type { Attachment, DiagnosticReport, Extension, Observation } from "@medplum/fhirtypes";
import { idsIn, isElsewhere, likenessOf, placeIn } from "./several";
import {
  ATTACHED, compare, hasValue, isGone, noteOf, notedIn, outOfPlace, saidIn, standing, statementOf, statementsIn, toldBy, withExtensions,
  type Statement,
} from "./statements";

/** A document of a report, as the highest statement of a document tells it. */
export interface Document {
  /** That of a result told under the same code and OBX-4. */
  id: string;
  attachment: Attachment;
  statement: Statement;
  /** What it has in common with those that nothing tells it from, and its place among those of its message (0: told alone). */
  like?: string;
  place?: number;
  /** False: a result stands in its place. */
  stands?: boolean;
  /** There is a result in the place of which it stands. */
  isInstead?: boolean;
}

/** The statement by which a document of a report stands. */
const DOCUMENT = "urn:pipehat:document";

/** Leads from a result to the document that stands in its place. */
const INSTEAD = "urn:pipehat:instead";

export function binaryOf({ id }: { id?: string }): string {
  return `Binary/${id}`;
}

export function attachedTo(resource: Observation): Attachment | undefined {
  return resource.extension?.find(({ url }) => url === ATTACHED)?.valueAttachment;
}

/** What is withdrawn or has nothing in it is no document: without one it says nothing of which there is (OBX-11 U). */
export function withoutEmptyDocument(own: Observation): Observation {
  const attached = attachedTo(own);
  const isEmpty = attached !== undefined && (isGone(own) || !attached.data) && !attached.url;
  return isEmpty ? withExtensions(own, ATTACHED, []) : own;
}

/** The document that a message tells of. */
export function documentIn(own: Observation): Document | undefined {
  const { contentType, data } = attachedTo(own) ?? {};
  if (!data) {
    return undefined;
  }
  const title = own.code?.text ?? own.code?.coding?.[0]?.display;
  const attachment = { contentType: contentType ?? "application/octet-stream", url: binaryOf(own), ...(title !== undefined && { title }) };
  return { id: own.id as string, attachment, statement: statementOf(own), like: likenessOf(own), place: placeIn(own) };
}

/** Takes a document among those of a report, unless a newer one is there. */
export function withNews(documents: Map<string, Document>, news: Document): boolean {
  const before = documents.get(news.id);
  const isNews = before === undefined || compare(before.statement, news.statement) <= 0;
  if (isNews) {
    documents.set(news.id, news);
  }
  return isNews;
}

export function documentsOf(report: DiagnosticReport | undefined): Map<string, Document> {
  const others = (report?.extension ?? []).filter(({ url }) => url === DOCUMENT).map(({ valueAttachment }) => valueAttachment as Attachment);
  return new Map([...report?.presentedForm ?? [], ...others].map((attachment) => {
    const id = attachment.url?.split("/").at(-1) as string;
    const { extension, ...rest } = attachment;
    const parts = extension?.find(({ url }) => url === DOCUMENT)?.extension;
    const [like, place] = ["like", "place"].map((name) => parts?.find(({ url }) => url === name));
    const among = { ...(like && { like: like.valueString }), ...(place && { place: place.valueUnsignedInt }) } as Partial<Document>;
    return [id, { id, attachment: rest, statement: notedIn(attachment, DOCUMENT) ?? { status: "", time: undefined }, ...among }];
  }));
}

/** The report with its documents, and without the results in the place of which they stand. */
export function withDocuments(report: DiagnosticReport, documents: Document[]): DiagnosticReport {
  const { presentedForm: _, result: all, ...rest } = report;
  const out = new Set(documents.filter(({ isInstead }) => isInstead).map(({ id }) => `Observation/${id}`));
  const result = all?.filter(({ reference }) => !out.has(reference as string));
  const attachments = (stands: boolean): Attachment[] => documents.filter((one) => one.stands === stands)
    .map((document) => ({ extension: [notedWithPlace(document)], ...document.attachment }));
  const presentedForm = attachments(true);
  return withExtensions(
    { ...rest, ...(result?.length && { result }), ...(presentedForm.length > 0 && { presentedForm }) }, DOCUMENT,
    attachments(false).map((valueAttachment) => ({ url: DOCUMENT, valueAttachment })),
  );
}

function notedWithPlace({ statement, like, place }: Document): Extension {
  const note = noteOf(DOCUMENT, statement);
  const among = [{ url: "like", valueString: like }, { url: "place", valueUnsignedInt: place }];
  return { ...note, extension: [...note.extension ?? [], ...among.filter((part) => Object.values(part).every((value) => value !== undefined))] };
}

/** The one document that was told beside a text of the same code and OBX-4, or beside others: what is told alone is that one, corrected. */
export function pairedWith(document: Pick<Document, "like" | "place">, all: Document[]): Document | undefined {
  const paired = document.like === undefined || (document.place ?? 0) > 0 ? []
    : all.filter(({ like, place = 0 }) => like === document.like && place > 0);
  return paired.length === 1 ? paired[0] : undefined;
}

/**
 * Which documents stand beside the results, by ids: the results in the place of which they do are taken out of theirs. A result that was
 * told alone, and is one of several, may be another than the document: both stand. Of a document that was told beside a text and one that was
 * told alone the higher stands: they are one.
 */
export function beside(documents: Document[], results: Map<string | undefined, Observation>): Document[] {
  return documents.map((document) => {
    const { id, attachment, statement, like, place } = document;
    const own = results.get(id);
    const paired = pairedWith(document, documents);
    const alone = documents.find((other) => pairedWith(other, documents) === document);
    const isBelow = [paired, alone].some((other) => other !== undefined && compare(other.statement, statement) > 0);
    const isSame = own !== undefined && !isElsewhere(own) && idsIn([own]).length === 1 && paired === undefined;
    const stands = !isBelow && (!isSame || isAbove(document, own));
    if (isSame && stands) {
      results.set(id, outOfPlace(own, { url: INSTEAD, valueReference: { reference: binaryOf(document) } }));
    }
    return { id, attachment, statement, ...(like !== undefined && { like, place }), stands, isInstead: isSame && stands };
  });
}

/** Whether a document stands in the place of a result. */
function isAbove({ id, statement: { status, time } }: Document, own: Observation): boolean {
  const attached = { url: ATTACHED, valueAttachment: { url: binaryOf({ id }) } };
  const document = { resourceType: "Observation", status, extension: [attached] } as unknown as Observation;
  const all = statementsIn(own);
  const stands = standing([...all, saidIn(time === undefined ? document : toldBy(document, time))]);
  const isWithdrawn = all.some((one) => isGone(one.own) && compare(statementOf(one.own), { status, time }) > 0);
  // What says nothing of a value leaves the document that there is.
  return attachedTo(stands)?.url === binaryOf({ id }) || !hasValue(stands) && !isWithdrawn;
}

/** Whether a document stands in its place. */
export function isOutOfPlace(one: Observation): boolean {
  return one.extension?.some(({ url }) => url === INSTEAD) === true;
}
