// The page of `jaxmeta demo`: what is shown follows from the state that the command gives.
import { showList } from "./lists.js";
import { duration, intervalPicture, points, showMarked } from "./pieces.js";
import { record } from "./recorder.js";
import { ask } from "./server.js";

const get = (id) => document.getElementById(id);
const say = (text) => { get("status").textContent = text; };
const complain = (text) => { get("error").textContent = text; };
let state = null;
let stop = null; // Ends the recording that is made now.
let sound = null; // The recording that is shown.
let texts = null; // What was recognised of it.
let working = false; // Whether a job was running, whose end is not said yet.
let used = null; // The adaptation that recognised it.

/** Does something, shows its error, and loads the state again. */
async function act(work) {
  complain("");
  try {
    await work();
  } catch (error) {
    say("");
    complain(error.message);
  }
  await load();
}

async function load() {
  try {
    state = await ask("GET", "/api/state");
  } catch (error) {
    complain(error.message);
    return;
  }
  working ||= state.job?.state === "running";
  show();
}

async function watch() {
  if ((working || !state?.ready) && !document.hidden) await load();
  if (working && state.job.state !== "running") {
    working = false;
    await ended(state.job);
  }
  setTimeout(watch, 700);
}

async function ended(job) {
  if (job.state === "done" && sound) await act(transcribe);
  const name = job.kind === "adapt" ? "Adaptation" : "Enrolment";
  if (job.state === "done") say(`${name} is done, after ${duration(job.seconds)}.`);
  if (job.state === "failed") complain(`${name} failed: ${job.error}`);
  if (job.state === "cancelled") say(`${name} was cancelled; nothing is changed.`);
}

async function toggle() {
  if (stop) {
    const end = stop;
    stop = null;
    get("recording").hidden = true;
    get("record").textContent = "Record";
    get("record").setAttribute("aria-pressed", "false");
    await act(async () => { await take(await end()); });
    return;
  }
  await act(async () => {
    get("record").disabled = true;
    try {
      stop = await record((level, seconds) => {
        get("level").value = Math.sqrt(level);
        get("elapsed").textContent = `${seconds.toFixed(0)} s`;
        if (stop && state && seconds >= state.recogniser.longest) toggle();
      });
    } finally {
      get("record").disabled = false;
    }
    get("recording").hidden = false;
    get("record").textContent = "Stop";
    get("record").setAttribute("aria-pressed", "true");
    say("Recording.");
  });
}

/** Shows a new recording and what is recognised of it. */
async function take(blob) {
  sound = blob;
  texts = null;
  get("result").hidden = true;
  get("player").src = URL.createObjectURL(blob);
  get("word").value = "";
  await transcribe();
  get("said").value = texts.after ?? texts.before;
  mark();
  get("result-heading").focus({ preventScroll: true });
}

async function transcribe() {
  say(state?.ready ? "Recognising…" : "Recognising… The recogniser is still being prepared, which takes up to a minute.");
  const current = sound;
  const held = await ask("POST", "/api/transcribe", current);
  if (current !== sound) return;
  texts = held;
  used = state?.adaptation?.folder;
  get("result").hidden = false;
  mark();
  showVoice(texts.voice);
  say("Recognised.");
}

/** Shows both texts, with the words marked that differ from what was said. */
function mark() {
  if (!texts) return;
  const said = get("said").value || texts.after || texts.before;
  showMarked(get("before"), texts.before, said);
  if (texts.after === null) get("after").textContent = "Nothing is adapted yet.";
  else showMarked(get("after"), texts.after, said);
}

function showVoice(voice) {
  get("voice").hidden = !voice;
  if (!voice) return;
  const who = { accept: "This is the enrolled voice", unsure: "This may be the enrolled voice", reject: "This is another voice" };
  const words = voice.words.map((each) => `${each.word} (${each.start.toFixed(1)} s, ${each.speaker})`).join(", ");
  get("voice").textContent = `${who[voice.decision]} (probability ${percent(voice.probability)}). `
    + (voice.words.length ? `Words: ${words}.` : "No enrolled word was found.");
  get("voice").className = `verdict ${{ accept: "good", unsure: "warning", reject: "error" }[voice.decision]}`;
}

/** A probability, of which none is certain. */
const percent = (value) => (value > 0.99 ? "above 99 %" : value < 0.01 ? "below 1 %" : `${(100 * value).toFixed(0)} %`);

function discard() {
  sound = null;
  texts = null;
  get("result").hidden = true;
  get("said").value = "";
  get("record").focus();
}

async function keep(kind, text) {
  await ask("POST", `/api/${kind}?text=${encodeURIComponent(text)}`, sound);
  discard();
  say("Kept.");
}

function show() {
  const { recogniser, recordings, adaptation, job, voice, words } = state;
  const running = job?.state === "running";
  get("recogniser").textContent = recogniser.folder;
  get("version").textContent = state.version;
  get("folder").textContent = `${state.folder}/recordings`;
  get("recordings-heading").textContent = `Recordings of this voice (${recordings.length})`;
  showList("recordings", recordings, act);
  showList("words", words, act);
  get("adapt").disabled = running || recordings.length < 2 || Boolean(recogniser.fixed);
  get("adapt-hint").textContent = recogniser.fixed || hint(recordings, adaptation);
  get("adapt").textContent = adaptation ? "Adapt again" : "Adapt to this voice";
  showVerdict(adaptation);
  showJob(job);
  get("keep-word").hidden = !voice.enrols;
  get("enroll").hidden = !voice.enrols;
  get("enroll").disabled = running || !words.length;
  get("voice-hint").textContent = voice.enrols
    ? "Record, and keep examples for enrolment: five or more, of one word each, or of any speech without a word."
    : voice.enrolled ? "" : "To tell voices apart, start the demo with --assistant FOLDER; "
      + "`jaxmeta train assistant --synthesised` makes such a folder.";
  get("enrolled").textContent = voice.enrolled ? enrolled(voice.enrolled, job) : "";
  if (sound && texts && used !== adaptation?.folder && !running) mark();
}

function hint(recordings, adaptation) {
  const fresh = recordings.filter((row) => !row.learnt).length;
  if (recordings.length < 2) return "Keep two recordings or more, each with its right text; about twenty give a certain answer.";
  if (adaptation && fresh) return `${fresh} of ${recordings.length} recordings are new since the last adaptation.`;
  return recordings.length < 20 ? `${recordings.length} recordings; about twenty give a certain answer.` : "";
}

function showVerdict(adaptation) {
  get("verdict").hidden = !adaptation;
  if (!adaptation) return;
  get("adapted-folder").textContent = adaptation.folder;
  const figures = adaptation.figures;
  if (!figures) { get("verdict-text").textContent = "Adapted; the figures are not there any more."; return; }
  const certain = figures.change_high < 0;
  get("verdict-text").textContent = certain ? "The gain is certain: the adapted recogniser is used."
    : figures.adapted ? "The gain is not certain; the adapted recogniser is used all the same."
      : "The gain is not certain: the gate keeps the recogniser as it was. More recordings may help.";
  get("verdict-text").className = `verdict ${certain ? "good" : "warning"}`;
  get("verdict-figures").textContent = `${figures.cer_before.toFixed(1)} % → ${figures.cer_after.toFixed(1)} % of characters wrong; `
    + `change ${points(figures.change)} points, 95 % interval ${points(figures.change_low)} to ${points(figures.change_high)}.`;
  get("interval").replaceChildren(intervalPicture(figures));
}

function showJob(job) {
  const running = job?.state === "running";
  get("job").hidden = !running;
  if (!running) return;
  const what = job.kind === "adapt" ? "Adapting and checking the gain" : "Enrolling";
  get("job-text").textContent = `${what}. ${job.message}`;
  get("cancel").textContent = `Cancel (${duration(job.seconds)})`;
  if (job.total) Object.assign(get("job-progress"), { max: job.total, value: job.done });
  else get("job-progress").removeAttribute("value");
}

function enrolled({ clips, words }, job) {
  const counts = Object.entries(words).map(([word, count]) => `${word} (${count})`).join(", ") || "none";
  const doubtful = job?.kind === "enroll" && job.state === "done" ? job.result.doubtful : [];
  const doubt = doubtful?.length ? ` Look at ${doubtful.length} of them again: they do not sound like this voice.` : "";
  return `Enrolled: ${clips} recordings of the voice; words: ${counts}.${doubt}`;
}

get("record").onclick = toggle;
get("file").onchange = () => act(async () => {
  const [file] = get("file").files;
  get("file").value = "";
  if (file) await take(file);
});
get("said").oninput = mark;
get("discard").onclick = () => { discard(); say(""); };
get("keep").onclick = () => act(() => keep("recordings", get("said").value));
get("keep-as-word").onclick = () => act(() => keep("words", get("word").value));
get("adapt").onclick = () => act(async () => { await ask("POST", "/api/job/adapt", { always: get("always").checked }); say(""); });
get("enroll").onclick = () => act(async () => { await ask("POST", "/api/job/enroll", {}); say(""); });
get("cancel").onclick = () => act(async () => {
  await ask("DELETE", "/api/job");
  say("Cancelled; nothing is changed.");
});
window.addEventListener("beforeunload", (event) => { if (sound) event.preventDefault(); });
load().then(watch);
