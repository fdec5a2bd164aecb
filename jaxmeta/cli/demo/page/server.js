// Requests to the command that serves this page.

/** Sends a request and returns the JSON object that answers it. Throws an Error whose message is for people. */
export async function ask(method, path, body) {
  let answer;
  const json = body !== undefined && !(body instanceof Blob);
  try {
    answer = await fetch(path, {
      method,
      body: json ? JSON.stringify(body) : body,
      headers: json ? { "Content-Type": "application/json" } : {},
    });
  } catch {
    throw new Error("The demo does not answer. Has the command ended? Start it again; what was kept is still there.");
  }
  const held = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(held.error || `Something went wrong (${answer.status}); the terminal of the demo says what.`);
  return held;
}
