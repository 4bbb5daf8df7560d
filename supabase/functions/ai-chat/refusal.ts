import { refuse } from "../_shared/answers.ts";

/** A refusal that is thrown where it is found and answered where the request ends. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }

  response(): Response {
    const answer = refuse(this.status, this.code, this.message, this.hint);
    for (const [name, value] of Object.entries(this.headers)) answer.headers.set(name, value);
    return answer;
  }
}
