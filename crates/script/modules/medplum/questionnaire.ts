/** Answers of a QuestionnaireResponse by their `linkId`. */

import type {
  QuestionnaireResponse,
  QuestionnaireResponseItem,
  QuestionnaireResponseItemAnswer,
} from "@medplum/fhirtypes";

/** Items within items deeper than this are refused. */
const DEPTH_MAX = 100;

/** The first answer of each question; where several items have one `linkId`, that of the last. */
export function getQuestionnaireAnswers(
  response: QuestionnaireResponse,
): Record<string, QuestionnaireResponseItemAnswer> {
  const answers: Record<string, QuestionnaireResponseItemAnswer> = {};
  visit(response.item, 0, (linkId, given) => {
    const [first] = given;
    if (first) {
      answers[linkId] = first;
    }
  });
  return answers;
}

/** All answers of each question. */
export function getAllQuestionnaireAnswers(
  response: QuestionnaireResponse,
): Record<string, QuestionnaireResponseItemAnswer[]> {
  const answers: Record<string, QuestionnaireResponseItemAnswer[]> = {};
  visit(response.item, 0, (linkId, given) => {
    if (given.length > 0) {
      (answers[linkId] ??= []).push(...given);
    }
  });
  return answers;
}

function visit(
  items: QuestionnaireResponseItem[] | undefined,
  depth: number,
  take: (linkId: string, answers: QuestionnaireResponseItemAnswer[]) => void,
): void {
  if (depth > DEPTH_MAX) {
    throw new RangeError(`a QuestionnaireResponse has items within items, more than ${DEPTH_MAX} deep`);
  }
  for (const item of items ?? []) {
    if (item.linkId) {
      take(item.linkId, item.answer ?? []);
    }
    visit(item.item, depth + 1, take);
    for (const answer of item.answer ?? []) {
      visit(answer.item, depth + 1, take);
    }
  }
}
