/** A refusal in the one shape that every part of Ondol uses. */
export function refuse(status: number, code: string, message: string, hint: string): Response {
  return Response.json({ code, message, hint }, { status });
}
