/** Answers of a QuestionnaireResponse by their `linkId`. */
import type { QuestionnaireResponse, QuestionnaireResponseItemAnswer } from "@medplum/fhirtypes";
/** The first answer of each question; where several items have one `linkId`, that of the last. */
export declare function getQuestionnaireAnswers(response: QuestionnaireResponse): Record<string, QuestionnaireResponseItemAnswer>;
/** All answers of each question. */
export declare function getAllQuestionnaireAnswers(response: QuestionnaireResponse): Record<string, QuestionnaireResponseItemAnswer[]>;
